/** The rows of the part `index` (docs/format.md §8.5): what the spool holds, to judge a restore against. */
import { MailarkError } from "../../../core/errors.ts";
import { escapeName, formatRow, readRows, safePath, unescapeName } from "../../../core/rows.ts";
import type { SnapshotReader } from "../../../core/snapshot-reader.ts";

export interface CapturedFile {
  /** Below the queue directory. */
  readonly path: string;
  readonly size: number;
  readonly sha256: string;
}

export interface CapturedMessage extends CapturedFile {
  /** What its envelope says; `undefined`: Postfix could not read it either, or it is too large to look into. */
  readonly envelope: CapturedEnvelope | undefined;
}

export interface CapturedEnvelope {
  readonly sender: string;
  readonly recipients: readonly string[];
  /** Of the content, as Postfix counts it. In `maildrop`, where nobody has counted yet: 0. */
  readonly contentBytes: number;
}

export interface Index {
  readonly messages: readonly CapturedMessage[];
  readonly logs: readonly CapturedFile[];
}

export async function* formatIndex({ messages, logs }: Index): AsyncGenerator<Buffer> {
  for (const { path, size, sha256, envelope } of messages) {
    const said = envelope === undefined ? [] : [envelope.contentBytes, escapeName(envelope.sender)];
    const rows = [formatRow("message", path, size, sha256, ...said)];
    for (const recipient of envelope?.recipients ?? []) rows.push(formatRow("recipient", escapeName(recipient)));
    yield Buffer.from(rows.join(""));
  }
  for (const { path, size, sha256 } of logs) yield Buffer.from(formatRow("log", path, size, sha256));
}

/**
 * The index of a snapshot.
 *
 * @throws MailarkError `OBJECT_CORRUPT` for rows that the format does not allow, `PATH_UNSAFE`.
 */
export async function readIndex(snapshot: SnapshotReader): Promise<Index> {
  const messages: (CapturedFile & { envelope: (CapturedEnvelope & { recipients: string[] }) | undefined })[] = [];
  const logs: CapturedFile[] = [];
  for await (const [word, ...fields] of readRows(snapshot.readPart(snapshot.part("index")))) {
    if (word === "recipient") {
      const envelope = messages.at(-1)?.envelope;
      if (envelope === undefined || fields[0] === undefined) throw corrupt();
      envelope.recipients.push(unescapeName(fields[0]));
    } else if (word === "message" || word === "log") {
      const [path = "", size = "", sha256 = "", content, sender] = fields;
      if (!/^\d{1,15}$/.test(size) || !/^[0-9a-f]{64}$/.test(sha256)) throw corrupt();
      const file = { path: safePath(path), size: Number(size), sha256 };
      if (word === "log") logs.push(file);
      else {
        const envelope =
          sender === undefined
            ? undefined
            : { sender: unescapeName(sender), recipients: [], contentBytes: Number(content) };
        messages.push({ ...file, envelope });
      }
    }
  }
  return { messages, logs };
}

const corrupt = () => new MailarkError("OBJECT_CORRUPT", "the index of the queue has a row that is none");
