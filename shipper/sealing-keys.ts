/**
 * The keys that this host seals with. A private half is made here, sealed into the keyring of the store, and forgotten: what the
 * host keeps in its state are public halves, so it can write a mailbox's next message and never read the last.
 */
import { createHash, randomBytes } from "node:crypto";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { z } from "zod";
import { generateIdentity, keyIdOf, type Recipient, sealer } from "../core/age/age.ts";
import { MailarkError } from "../core/errors.ts";
import { formatKey, type KeyDescription } from "../core/keyring.ts";
import { hostOwner, keyringKey, patterns } from "../core/keys.ts";
import type { Clock } from "../core/ports/clock.ts";
import { type Files, flushDirectory, isAbsent } from "../core/ports/files.ts";
import type { ObjectReader, ObjectWriter } from "../core/stores/store.ts";
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

export interface SealingKeysOptions {
  readonly store: ObjectWriter;
  /** Where the store can be asked: a key is used only if its keyring object is in this store, which the state can not know. */
  readonly head?: ObjectReader["head"] | undefined;
  readonly files: Files;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Where the public halves are kept, one file a store. */
  readonly stateDirectory: string;
  readonly hostId: string;
  readonly recoveryRecipient: Recipient;
  readonly drillRecipient?: Recipient | undefined;
}

/**
 * A key counts from the moment that its keyring object is in the store and the state is on disk, in that order; a crash between leaves a
 * keyring object that nothing was sealed with. State that is lost means new keys, and so does a new host id, and a new recovery or drill
 * key: what the old one alone opens is not sealed to any more. A keyring object that is gone means a new key as well: the disk behind the
 * store's address may be another one than yesterday.
 */
export function sealingKeys(options: SealingKeysOptions): SealingKeys {
  const { store, head, files, clock, signal, stateDirectory, hostId, recoveryRecipient, drillRecipient } = options;
  const path = pathOf(stateDirectory);
  const holders = [recoveryRecipient, ...(drillRecipient ? [drillRecipient] : [])];
  const sealHolders = sealer(holders);
  let state: State | undefined;
  /** Keys whose keyring objects were seen in this run. */
  const seen = new Set<string>();
  let last: Promise<unknown> = Promise.resolve();

  return {
    host: inTurn(async () => {
      const month = timestamp().slice(0, 7);
      const { host } = load();
      const kept = await usable(host[month]);
      const key = kept ?? (await make({ ownerId: hostOwner, createdAt: timestamp() }));
      if (kept === undefined) save({ ...load(), host: { ...host, [month]: key } });
      return sealingKey(key, [recoveryRecipient]);
    }),

    mailboxes: inTurn(async (wanted: readonly MailboxName[]) => {
      const mailboxes = new Map(Object.entries(load().mailboxes));
      let made = 0;
      for (const { path: mailbox, address } of wanted) {
        if (await usable(mailboxes.get(mailbox))) continue;
        const description = { mailbox, ...(address !== undefined && { address }) };
        mailboxes.set(mailbox, await make({ ownerId: newOwnerId(), createdAt: timestamp(), ...description }));
        made += 1;
      }
      if (made > 0) save({ ...load(), mailboxes: Object.fromEntries(mailboxes) });
      return wanted.map(({ path: mailbox }) => sealingKey(mailboxes.get(mailbox)!, []));
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

  async function usable(key: PublicKey | undefined): Promise<PublicKey | undefined> {
    if (key === undefined || head === undefined || seen.has(key.keyId)) return key;
    if ((await head(keyringKey(hostId, key.ownerId, key.keyId), { signal })) === undefined) return undefined;
    seen.add(key.keyId);
    return key;
  }

  async function make(description: KeyDescription): Promise<PublicKey> {
    const { identity, recipient } = generateIdentity();
    const keyId = keyIdOf(recipient);
    const sealed = sealHolders(Buffer.from(formatKey(identity, description)));
    await store.put(keyringKey(hostId, description.ownerId, keyId), [sealed], { signal });
    seen.add(keyId);
    const sha256 = createHash("sha256").update(sealed).digest("hex");
    return { ownerId: description.ownerId, keyId, recipient, sha256 };
  }

  function load(): State {
    if (state !== undefined) return state;
    const text = readText(files, path);
    const read = text === undefined ? undefined : parse(text);
    const isOwn = read?.hostId === hostId && isDeepStrictEqual(read.holders, holders);
    state = isOwn ? read : { hostId, holders, host: {}, mailboxes: {} };
    return state;
  }

  function parse(text: string): State {
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

  function save(next: State) {
    writeDurably(files, path, JSON.stringify(next));
    state = next;
  }

  function timestamp() {
    return new Date(clock.now()).toISOString();
  }
}

/** For a store that is new to the host: no key is in its keyring yet, also where the store can not be asked. */
export function forgetSealingKeys(files: Files, stateDirectory: string): void {
  try {
    files.unlinkSync(pathOf(stateDirectory));
    flushDirectory(files, stateDirectory);
  } catch (error) {
    if (!isAbsent(error)) throw error;
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
