import { MailarkError } from "../../../core/errors.ts";
import type { KeyDescription } from "../../../core/keyring.ts";
import type { SegmentReference, SnapshotReader } from "../../../core/snapshot-reader.ts";
import type { Selection } from "../component.ts";
import { type BadMailbox, badMailbox } from "./bad-mailbox.ts";
import { type MailConfig, placeOf } from "./config.ts";
import type { Index } from "./index-rows.ts";
import { readIndex, readTable } from "./read-table.ts";

/** A mailbox of a snapshot, with what it held. */
export interface StoredMailbox {
  readonly ownerId: string;
  readonly index: Index;
}

/**
 * The mailboxes that a restore wants, one at a time, so that only one index is in memory. One that can not be read is given as
 * such, and the others follow.
 *
 * @throws MailarkError `ARGUMENT_INVALID`, after the last one, when a wanted mailbox was not in the snapshot; what those that no name is known of
 *   could not be read with, when it may be one of them.
 */
export async function* selectMailboxes(
  snapshot: SnapshotReader,
  { mailboxes }: Selection,
  config: MailConfig,
): AsyncGenerator<StoredMailbox | BadMailbox> {
  const wanted = mailboxes && new Set(mailboxes.map((name) => Buffer.from(name, "utf8").toString("latin1")));
  const found = new Set<string>();
  const nameless: BadMailbox[] = [];
  for (const [ownerId, chain] of await readTable(snapshot)) {
    const { names, mailbox } = await readMailbox(snapshot, ownerId, chain, wanted, config);
    for (const name of names) found.add(name);
    if (mailbox === undefined) continue;
    if (wanted && names.length === 0 && "error" in mailbox) nameless.push(mailbox);
    else yield mailbox;
  }
  const missing = [...(wanted ?? [])].filter((name) => !found.has(name));
  if (missing.length === 0) return;
  const detail = missing.map((name) => Buffer.from(name, "latin1").toString("utf8")).join(", ");
  const [bad] = nameless;
  if (bad) {
    const { code, message, hint } = bad.error;
    const what = `no such mailbox can be read, and of ${nameless.length} not even the name: ${message}`;
    throw new MailarkError(code, what, { detail, ...(hint !== undefined && { hint }), cause: bad.error });
  }
  throw new MailarkError("ARGUMENT_INVALID", "the snapshot has no such mailbox", {
    detail,
    hint: "name mailboxes by address or by path below the mail root; `mailark show` lists them",
  });
}

/**
 * A mailbox, and by which of the wanted names it is one; no mailbox where it is not wanted. That is judged by what its key says of
 * itself, so that one of thousands is found without reading every index.
 */
async function readMailbox(
  snapshot: SnapshotReader,
  ownerId: string,
  chain: readonly SegmentReference[],
  wanted: ReadonlySet<string> | undefined,
  config: MailConfig,
): Promise<{ names: readonly string[]; mailbox?: StoredMailbox | BadMailbox }> {
  let path: string | undefined;
  let names: string[] = [];
  const wantedOf = (key: KeyDescription | undefined, path: string) =>
    namesOf(key, path, config).filter((name) => wanted?.has(name));
  try {
    const key = chain[0] && (await snapshot.keyring.key(ownerId, chain[0].keyId));
    path = key?.mailbox;
    if (wanted && path !== undefined) {
      names = wantedOf(key, path);
      if (names.length === 0) return { names };
    }
    const index = await readIndex(snapshot, chain);
    names = wantedOf(key, index.path);
    return wanted && names.length === 0 ? { names } : { names, mailbox: { ownerId, index } };
  } catch (thrown) {
    return { names, mailbox: badMailbox(ownerId, path, thrown) };
  }
}

/** By what a mailbox can be called: its path, its address by this configuration, and by that of the host that captured it. */
function namesOf(key: KeyDescription | undefined, path: string, config: MailConfig): string[] {
  const captured = key?.address === undefined ? undefined : Buffer.from(key.address, "utf8").toString("latin1");
  return [path, placeOf(path, config).address, captured].filter((name) => name !== undefined);
}
