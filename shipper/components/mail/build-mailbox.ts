/**
 * Builds a mailbox from its index and archives: beside its place, whole, and then renamed into it.
 */
import { constants } from "node:fs";
import { MailarkError } from "../../../core/errors.ts";
import { type Files, writeWhole } from "../../../core/ports/files.ts";
import type { SnapshotReader } from "../../../core/snapshot-reader.ts";
import { bytePath } from "../byte-path.ts";
import { readArchive } from "./archive.ts";
import type { FileRow, Index } from "./index-rows.ts";
import { messageStates } from "./tree.ts";

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/**
 * @param target absolute path in latin1, absent; its parent exists. On failure it may be there, not whole.
 * @param owner absent: files belong to whoever runs this.
 * @throws MailarkError `OBJECT_CORRUPT` when an archive has not what the index promises; what reading and writing throw.
 */
export async function buildMailbox(
  target: string,
  { ownerId, index }: { ownerId: string; index: Index },
  snapshot: SnapshotReader,
  { files, signal, owner }: { files: Files; signal: AbortSignal; owner?: Owner | undefined },
): Promise<void> {
  const directories = [...index.folders, ...index.directories].sort(([a], [b]) => depth(a) - depth(b));
  for (const [path] of directories) files.mkdirSync(bytePath(`${target}/${path}`), { recursive: true, mode: 0o700 });
  for (const path of index.folders.keys()) {
    for (const state of [...messageStates, "tmp"])
      files.mkdirSync(bytePath(`${target}/${path}/${state}`), { mode: 0o700 });
  }
  for (const [archive, wanted] of wantedByArchive(index)) {
    signal.throwIfAborted();
    const segments = index.archives.get(archive);
    if (segments === undefined) throw corrupt(`refers to archive ${archive}, which it does not locate`);
    await unpack(wanted, snapshot.segments(segments.map((segment) => ({ ...segment, ownerId }))));
  }
  for (const [path, link] of index.links) {
    files.symlinkSync(bytePath(link), bytePath(`${target}/${path}`));
    if (owner) files.lchownSync(bytePath(`${target}/${path}`), owner.uid, owner.gid);
  }
  for (const [path, { mode }] of directories.reverse()) {
    if (index.folders.has(path)) {
      for (const state of [...messageStates, "tmp"]) settle(`${target}/${path}/${state}`, mode);
    }
    settle(`${target}/${path}`, mode);
  }

  async function unpack(wanted: Map<string, Target[]>, archive: AsyncIterable<Buffer>) {
    for await (const { sha256, bytes, chunks } of readArchive(archive)) {
      const targets = wanted.get(sha256) ?? [];
      if (targets.some((file) => file.bytes !== bytes)) throw corrupt("gives a content another size than its archive");
      const [first, ...copies] = targets;
      if (first === undefined) continue;
      const descriptor = files.openSync(at(first), creating, 0o600);
      try {
        for await (const chunk of chunks) writeWhole(files, descriptor, chunk);
      } finally {
        files.closeSync(descriptor);
      }
      for (const copy of copies) files.copyFileSync(at(first), at(copy), constants.COPYFILE_EXCL);
      for (const file of targets) {
        if (owner) files.chownSync(at(file), owner.uid, owner.gid);
        files.chmodSync(at(file), file.mode);
        files.utimesSync(at(file), Number(file.modified), Number(file.modified));
      }
      wanted.delete(sha256);
    }
    if (wanted.size > 0) throw corrupt("names a content that its archive does not have");
  }

  function at({ path }: Target): Buffer {
    return bytePath(`${target}/${path}`);
  }

  function settle(path: string, mode: number) {
    if (owner) files.chownSync(bytePath(path), owner.uid, owner.gid);
    files.chmodSync(bytePath(path), mode);
  }
}

interface Target extends Pick<FileRow, "mode" | "bytes" | "modified"> {
  readonly path: string;
}

const creating = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

/** Archive → content → the files that hold it. */
function wantedByArchive({ messages, files }: Index): [number, Map<string, Target[]>][] {
  const wanted = new Map<number, Map<string, Target[]>>();
  const want = ({ archive, sha256, bytes, modified, mode }: FileRow, path: string) => {
    const contents = wanted.get(archive) ?? new Map<string, Target[]>();
    wanted.set(archive, contents);
    const targets = contents.get(sha256) ?? [];
    contents.set(sha256, targets);
    // A stored program never comes back with the rights of its owner.
    targets.push({ path, mode: mode & 0o777, bytes, modified });
  };
  for (const message of messages.values()) {
    const { folder, state, base, info } = message;
    want(message, `${folder}/${state}/${base}${info}`);
  }
  for (const [path, file] of files) want(file, path);
  return [...wanted].sort(([a], [b]) => a - b);
}

const depth = (path: string) => (path === "." ? 0 : path.split("/").length);
const corrupt = (why: string) => new MailarkError("OBJECT_CORRUPT", `the index of a mailbox ${why}`);
