import { MailarkError } from "../../../core/errors.ts";
import type { SegmentReference, SnapshotReader } from "../../../core/snapshot-reader.ts";
import type { Selection } from "../component.ts";
import { type MailConfig, placeOf } from "./config.ts";
import type { Index } from "./index-rows.ts";
import { readIndex, readTable } from "./read-table.ts";

/** A mailbox of a snapshot, with what it held. */
export interface StoredMailbox {
  readonly ownerId: string;
  readonly index: Index;
}

/**
 * The mailboxes that a restore wants, one at a time, so that only one index is in memory.
 *
 * @throws MailarkError `ARGUMENT_INVALID`, after the last one, when a wanted mailbox was not in the snapshot.
 */
export async function* selectMailboxes(
  snapshot: SnapshotReader,
  { mailboxes }: Selection,
  config: MailConfig,
): AsyncGenerator<StoredMailbox> {
  const wanted = mailboxes && new Set(mailboxes.map((name) => Buffer.from(name, "utf8").toString("latin1")));
  const found = new Set<string>();
  for (const [ownerId, chain] of await readTable(snapshot)) {
    if (wanted && !(await mayBeWanted(snapshot, ownerId, chain, wanted, config))) continue;
    const index = await readIndex(snapshot, chain);
    const names = (await namesOf(snapshot, ownerId, chain, index.path, config)).filter((name) => wanted?.has(name));
    if (wanted && names.length === 0) continue;
    for (const name of names) found.add(name);
    yield { ownerId, index };
  }
  const missing = [...(wanted ?? [])].filter((name) => !found.has(name));
  if (missing.length === 0) return;
  throw new MailarkError("ARGUMENT_INVALID", "the snapshot has no such mailbox", {
    detail: missing.map((name) => Buffer.from(name, "latin1").toString("utf8")).join(", "),
    hint: "name mailboxes by address or by path below the mail root; `mailark show` lists them",
  });
}

/** Judged by what the key says of itself, so that one mailbox of thousands is found without reading every index. */
async function mayBeWanted(
  snapshot: SnapshotReader,
  ownerId: string,
  chain: readonly SegmentReference[],
  wanted: ReadonlySet<string>,
  config: MailConfig,
): Promise<boolean> {
  const key = await keyOf(snapshot, ownerId, chain);
  if (key?.mailbox === undefined) return key !== undefined;
  return (await namesOf(snapshot, ownerId, chain, key.mailbox, config)).some((name) => wanted.has(name));
}

/** By what a mailbox can be called: its path, its address by this configuration, and by that of the host that captured it. */
async function namesOf(
  snapshot: SnapshotReader,
  ownerId: string,
  chain: readonly SegmentReference[],
  path: string,
  config: MailConfig,
): Promise<string[]> {
  const key = await keyOf(snapshot, ownerId, chain);
  const captured = key?.address === undefined ? undefined : Buffer.from(key.address, "utf8").toString("latin1");
  return [path, placeOf(path, config).address, captured].filter((name) => name !== undefined);
}

/** The keyring keeps what it opened. */
async function keyOf({ keyring }: SnapshotReader, ownerId: string, chain: readonly SegmentReference[]) {
  const keyId = chain[0]?.keyId;
  return keyId === undefined ? undefined : keyring.key(ownerId, keyId);
}
