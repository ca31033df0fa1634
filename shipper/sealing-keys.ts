/**
 * The keys that this host seals with. A private half is made here, sealed into the keyring of the store, and forgotten: what the
 * host keeps in its state are public halves, so it can write a mailbox's next message and never read the last.
 */
import { createHash, randomBytes } from "node:crypto";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { z } from "zod";
import { generateIdentity, keyIdOf, type Recipient, sealer } from "../core/age/age.ts";
import { asMailarkError, MailarkError } from "../core/errors.ts";
import { formatKey, type KeyDescription } from "../core/keyring.ts";
import { hostOwner, keyringKey, patterns } from "../core/keys.ts";
import type { Clock } from "../core/ports/clock.ts";
import { type Files, flushDirectory, isAbsent } from "../core/ports/files.ts";
import { putWhole } from "../core/stores/put-whole.ts";
import type { ObjectWriter } from "../core/stores/store.ts";
import type { SealingKey } from "./pipeline/snapshot-writer.ts";
import { readText, writeDurably } from "./state-files.ts";

const publicKey = z.object({
  ownerId: z.string().regex(patterns.ownerId),
  keyId: z.string().regex(patterns.keyId),
  recipient: z.string(),
  sha256: z.string().regex(patterns.sha256),
});
const stateSchema = z.object({
  /** Whose keyring they are in. A state of before it was noted counts as another host's. */
  hostId: z.string().optional(),
  /** To whom the private halves were sealed. */
  holders: z.array(z.string()),
  /** By month, `2026-11`. */
  host: z.record(z.string(), publicKey),
  /** By path below the mail root, in latin1. */
  mailboxes: z.record(z.string(), publicKey),
});
type PublicKey = z.infer<typeof publicKey>;
type State = z.infer<typeof stateSchema>;
type Kind = "host" | "mailboxes";

/** Hands out keys to seal with; makes those that are missing. */
export interface SealingKeys {
  /** For everything that is not mail, this month. */
  host(): Promise<SealingKey>;
  /** For many mailboxes at once, in the order asked for: the state is written once. */
  mailboxes(wanted: readonly MailboxName[]): Promise<readonly SealingKey[]>;
}

export interface MailboxName {
  /** Path below the mail root, as bytes in latin1. */
  readonly path: string;
  readonly address?: string;
}

/** One store, as keys are kept in it. */
export interface KeyPlace {
  /** Where the public halves are kept, one file a store. */
  readonly stateDirectory: string;
  /** Where the store can be asked: a key is used only if its keyring object is in this store, which the state can not know. */
  readonly has?: (key: string) => Promise<boolean>;
  /** Puts a keyring object there that another store has; `false`: it is not to be had. Default: none ever is. */
  readonly bring?: (key: string, sha256: string) => Promise<boolean>;
}

export interface SealingKeysOptions {
  /** Writes to all of the places. */
  readonly store: ObjectWriter;
  /** The stores that are written to at this moment, the most important first. */
  readonly places: () => readonly KeyPlace[];
  readonly files: Files;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly hostId: string;
  readonly recoveryRecipient: Recipient;
  readonly drillRecipient?: Recipient | undefined;
}

/**
 * A key counts for a store from the moment that its keyring object is in the store and the store's state is on disk, in that order; a crash
 * between leaves a keyring object that nothing was sealed with. It is used when it counts for every store that is written to: what one of
 * them lacks is brought from another, or there is a new key. State that is lost means new keys, and so does a new host id, and a new
 * recovery or drill key: what the old one alone opens is not sealed to any more. A keyring object that is gone means a new key as well: the
 * disk behind the store's address may be another one than yesterday.
 */
export function sealingKeys(options: SealingKeysOptions): SealingKeys {
  const { store, places, files, clock, signal, hostId, recoveryRecipient, drillRecipient } = options;
  const holders = [recoveryRecipient, ...(drillRecipient ? [drillRecipient] : [])];
  const sealHolders = sealer(holders);
  const states = new Map<string, State>();
  /** Keys whose keyring objects were seen in this run, by state directory. */
  const seen = new Map<string, Set<string>>();
  let last: Promise<unknown> = Promise.resolve();

  return {
    host: inTurn(async () => {
      const month = timestamp().slice(0, 7);
      const description = { ownerId: hostOwner, createdAt: timestamp() };
      const key = (await usable("host", month)) ?? (await make(description));
      note("host", new Map([[month, key]]));
      return sealingKey(key, [recoveryRecipient]);
    }),

    mailboxes: inTurn(async (wanted: readonly MailboxName[]) => {
      const keys = new Map<string, PublicKey>();
      for (const { path: mailbox, address } of wanted) {
        if (keys.has(mailbox)) continue;
        const about = { mailbox, ...(address !== undefined && { address }) };
        const description = () => ({ ownerId: newOwnerId(), createdAt: timestamp(), ...about });
        keys.set(mailbox, (await usable("mailboxes", mailbox)) ?? (await make(description())));
      }
      note("mailboxes", keys);
      return wanted.map(({ path: mailbox }) => sealingKey(keys.get(mailbox)!, []));
    }),
  };

  /** One call after the other, so that two that want the same key get the same one. */
  function inTurn<A extends unknown[], T>(work: (...args: A) => Promise<T>): (...args: A) => Promise<T> {
    return (...args) => {
      const done = last.then(() => work(...args));
      last = done.catch(() => {});
      return done;
    };
  }

  /** The key of that name, where it counts for every store or can be made to. */
  async function usable(kind: Kind, name: string): Promise<PublicKey | undefined> {
    const all = places();
    const key = all.map((place) => ownEntry(load(place)[kind], name)).find((each) => each !== undefined);
    if (key === undefined) return undefined;
    for (const place of all) {
      if (!(await isIn(place, key, ownEntry(load(place)[kind], name)))) return undefined;
      seenIn(place).add(key.keyId);
    }
    return key;
  }

  async function isIn({ has, bring, ...place }: KeyPlace, key: PublicKey, noted: PublicKey | undefined) {
    if (seenIn(place).has(key.keyId)) return true;
    const object = keyringKey(hostId, key.ownerId, key.keyId);
    const isNoted = noted?.keyId === key.keyId;
    if (isNoted && (has === undefined || (await has(object)))) return true;
    return (await bring?.(object, key.sha256)) ?? false;
  }

  async function make(description: KeyDescription): Promise<PublicKey> {
    const { identity, recipient } = generateIdentity();
    const keyId = keyIdOf(recipient);
    const sealed = sealHolders(Buffer.from(formatKey(identity, description)));
    await putWhole(store, keyringKey(hostId, description.ownerId, keyId), sealed, { signal });
    for (const place of places()) seenIn(place).add(keyId);
    const sha256 = createHash("sha256").update(sealed).digest("hex");
    return { ownerId: description.ownerId, keyId, recipient, sha256 };
  }

  /** Each store's state names them from now on. */
  function note(kind: Kind, keys: ReadonlyMap<string, PublicKey>) {
    for (const place of places()) {
      const state = load(place);
      const isNew = [...keys].some(([name, { keyId }]) => ownEntry(state[kind], name)?.keyId !== keyId);
      if (!isNew) continue;
      const next = { ...state, [kind]: Object.fromEntries([...Object.entries(state[kind]), ...keys]) };
      writeDurably(files, pathOf(place.stateDirectory), JSON.stringify(next));
      states.set(place.stateDirectory, next);
    }
  }

  function seenIn({ stateDirectory }: KeyPlace): Set<string> {
    const known = seen.get(stateDirectory) ?? new Set();
    seen.set(stateDirectory, known);
    return known;
  }

  function load({ stateDirectory }: KeyPlace): State {
    const known = states.get(stateDirectory);
    if (known !== undefined) return known;
    const read = readState(files, pathOf(stateDirectory));
    const isOwn = read?.hostId === hostId && isDeepStrictEqual(read.holders, holders);
    const state = isOwn ? read : { hostId, holders, host: {}, mailboxes: {} };
    states.set(stateDirectory, state);
    return state;
  }

  function timestamp() {
    return new Date(clock.now()).toISOString();
  }
}

/** For a store that is new to the host: no key is in its keyring yet, also where the store can not be asked. */
export function forgetSealingKeys(files: Files, stateDirectory: string): void {
  if (ifThere(() => files.unlinkSync(pathOf(stateDirectory)))) flushDirectory(files, stateDirectory);
}

/** Whether a store knew a host before it was introduced. `unclear`: it knows it now, and the answer that would have told got lost. */
export type Acquaintance = "new" | "known" | "unclear";

/**
 * For a store that can not be asked: runs `introduce`, which finds out whether the store knew the host, while the keys are out of the way.
 * They come back where it did, or `introduce` fails having certainly done nothing. Killed in between, or where nobody can tell,
 * they are forgotten: new keys cost little, and what is sealed with keys whose keyring objects are elsewhere never opens.
 */
export async function withSealingKeysAside(
  files: Files,
  stateDirectory: string,
  introduce: () => Promise<Acquaintance>,
): Promise<Acquaintance> {
  const path = pathOf(stateDirectory);
  const aside = `${path}.aside`;
  const moved = ifThere(() => files.renameSync(path, aside));
  if (moved) flushDirectory(files, stateDirectory);
  let known = false;
  try {
    const acquaintance = await introduce();
    known = acquaintance === "known";
    return acquaintance;
  } catch (thrown) {
    const error = asMailarkError(thrown);
    // Any other failure may come after a try that was carried out.
    known = error.code === "STORE_FORBIDDEN" && !error.retryable;
    throw error;
  } finally {
    if (moved && known) files.renameSync(aside, path);
    else ifThere(() => files.unlinkSync(aside));
  }
}

function ifThere(work: () => void): boolean {
  try {
    work();
    return true;
  } catch (error) {
    if (isAbsent(error)) return false;
    throw error;
  }
}

/** A mailbox may have any name, also one that every object answers to. */
const ownEntry = (entries: Readonly<Record<string, PublicKey>>, name: string): PublicKey | undefined =>
  Object.hasOwn(entries, name) ? entries[name] : undefined;

/**
 * Whether the list of this host's keys can be used, or is not there yet.
 *
 * @throws MailarkError `STATE_INVALID` when it is damaged.
 */
export function refuseDamagedKeys(files: Files, stateDirectory: string): void {
  readState(files, pathOf(stateDirectory));
}

function readState(files: Files, path: string): State | undefined {
  const text = readText(files, path);
  if (text === undefined) return undefined;
  try {
    return stateSchema.parse(JSON.parse(text));
  } catch (cause) {
    throw new MailarkError("STATE_INVALID", "the list of this host's keys is damaged", {
      detail: path,
      hint: "move the file away: the next backup makes new keys, and what was stored before stays readable",
      cause,
    });
  }
}

const pathOf = (stateDirectory: string) => join(stateDirectory, "keys.json");

function sealingKey({ ownerId, keyId, recipient, sha256 }: PublicKey, others: readonly Recipient[]): SealingKey {
  return { ownerId, keyId, sha256, seal: sealer([recipient, ...others]) };
}

const base32 = "abcdefghijklmnopqrstuvwxyz234567";

/** 130 random bits, which say nothing of the mailbox. */
function newOwnerId(): string {
  return Array.from(randomBytes(26), (byte) => base32[byte & 31]).join("");
}
