/** Finds out what a store and the credentials for it allow, by trying, and what that means for what is stored there. */
import { randomBytes } from "node:crypto";
import { asMailarkError, MailarkError } from "../errors.ts";
import { checkedKey, doctorPrefix } from "../keys.ts";
import { agree, measured, uploadMismatch } from "./receipt.ts";
import type { ObjectEraser, ObjectReader, ObjectReplacer, ObjectWriter, Receipt } from "./store.ts";

export interface ProbeFinding {
  readonly question:
    | "refuses to replace"
    | "says the checksum"
    | "keeps versions"
    | "lets overwrite"
    | "lets read"
    | "lets list"
    | "lets erase";
  readonly answer: boolean;
}

export interface StoreProbe {
  /** When the store received it, by its own clock, in milliseconds since 1970; `undefined` where it may not be asked. */
  readonly receivedAt: number | undefined;
  readonly findings: readonly ProbeFinding[];
  /** What follows for what is stored with these credentials: sentences, the most important first. */
  readonly guarantee: readonly string[];
}

/** What can not replace in its own way, as a directory, counts as one that lets overwrite. */
export type ProbedStore = ObjectWriter & ObjectReader & ObjectEraser & Partial<ObjectReplacer>;

/** Answers of so many objects may be lost until nothing is said of the store. */
const attempts = 3;

/**
 * Stores a small object below `hosts/ID/doctor/`, twice at the same moment, then as a thief would, without the condition that its key is
 * free; asks for it, lists it and erases it. Where it may not be erased it stays.
 *
 * @throws MailarkError what `put` throws; `UPLOAD_MISMATCH` where the store says another checksum; what the other calls throw, but
 *   `STORE_FORBIDDEN`, which is an answer.
 */
export async function probeStore(store: ProbedStore, hostId: string, signal: AbortSignal): Promise<StoreProbe> {
  const { key, receipt, isRefused } = await storeTwice(store, hostId, signal);

  const lets = async (work: () => Promise<unknown>) => {
    try {
      await work();
      return true;
    } catch (thrown) {
      const error = asMailarkError(thrown);
      if (error.code === "STORE_FORBIDDEN") return false;
      throw error;
    }
  };
  const overwrites = await lets(async () => store.replace?.(key, body, { signal }));
  const checksum = await isSame(receipt);
  let receivedAt: number | undefined;
  const reads = await lets(async () => {
    receivedAt = (await store.head(key, { signal }))?.receivedAt;
  });
  const lists = await lets(() => store.list(doctorPrefix(hostId), { signal })[Symbol.asyncIterator]().next());
  const erases = await lets(() => store.erase(key, { signal }));
  const versions = receipt.version !== undefined;
  return {
    receivedAt,
    findings: [
      { question: "refuses to replace", answer: isRefused },
      { question: "says the checksum", answer: checksum },
      { question: "keeps versions", answer: versions },
      { question: "lets overwrite", answer: overwrites },
      { question: "lets read", answer: reads },
      { question: "lets list", answer: lists },
      { question: "lets erase", answer: erases },
    ],
    guarantee: guaranteeOf({ isRefused, overwrites, checksum, versions, reads: reads || lists, erases }),
  };
}

/** Anew, under another key, where an answer was lost: what is assumed of the store is not what it says. */
async function storeTwice(store: ObjectWriter, hostId: string, signal: AbortSignal) {
  for (let left = attempts; left > 0; left -= 1) {
    const key = checkedKey(`${doctorPrefix(hostId)}probe-${randomBytes(8).toString("hex")}`);
    const puts = await Promise.allSettled([store.put(key, body, { signal }), store.put(key, body, { signal })]);
    const receipts = puts.flatMap((put) => (put.status === "fulfilled" ? [put.value] : []));
    const refused = puts.filter((put) => put.status === "rejected").map(({ reason }) => asMailarkError(reason));
    const failure = refused.find(({ code }) => receipts.length === 0 || code !== "OBJECT_EXISTS");
    if (failure !== undefined) throw failure;
    if (!receipts.some(({ assumed }) => assumed))
      return { key, receipt: receipts[0]!, isRefused: refused.length === 1 };
  }
  throw new MailarkError("STORE_UNREACHABLE", "too many answers of the store are lost to say what it allows", {
    hint: "check the network, and run the command again",
    retryable: true,
  });
}

interface Answers {
  readonly isRefused: boolean;
  readonly overwrites: boolean;
  readonly checksum: boolean;
  readonly versions: boolean;
  readonly reads: boolean;
  readonly erases: boolean;
}

function guaranteeOf({ isRefused, overwrites, checksum, versions, reads, erases }: Answers): string[] {
  const sentences: string[] = [];
  // The store's refusal binds who asks for it; that a thief has to ask is for the policy.
  const createOnly = isRefused && !overwrites;
  if (createOnly && !erases)
    sentences.push("Who steals these credentials can not replace or erase what was stored before.");
  if (erases) {
    sentences.push(
      versions
        ? "Who steals these credentials can hide every backup; whether also destroy it depends on their right to versions (s3:DeleteObjectVersion)."
        : "Who steals these credentials can erase every backup: take the right to erase (s3:DeleteObject) from this host.",
    );
  }
  if (!createOnly) {
    sentences.push(
      versions
        ? "Who steals these credentials can put something else in a backup's place; the version before it stays."
        : `Who steals these credentials can overwrite every backup: ${isRefused ? "they may put without If-None-Match; let their policy demand it (s3:if-none-match)" : "the store does not refuse to replace"}.`,
    );
  }
  if (reads)
    sentences.push("This host can read what is stored. It needs to create only; the data stays sealed either way.");
  if (!checksum)
    sentences.push("The store does not say what it received: only `mailark verify` proves that it arrived whole.");
  return sentences;
}

const body = [Buffer.from("mailark probe\n")];

async function isSame(receipt: Receipt): Promise<boolean> {
  if (receipt.crc64nvme === undefined) return false;
  if (agree(receipt, await measured(body))) return true;
  throw uploadMismatch();
}
