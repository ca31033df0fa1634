/** Writes archives: every member's headers anew, from what was read and judged, so that no program ever sees what somebody else put there. */
import { writeHeader } from "./header.ts";
import type { Kind, Member } from "./member.ts";
import { formatRecord } from "./pax-records.ts";
import { padding } from "./read-tar.ts";
import { formatSparseMap } from "./sparse.ts";

/** Two zero blocks end an archive. */
export const endOfArchive = Buffer.alloc(1024);

const flags: Partial<Record<Kind, string>> = { file: "0", hardlink: "1", symlink: "2", directory: "5" };

/** What stands before the content of a member: a pax header with all that ustar has no room for, the header, the map of a sparse file. */
export function headersOf(member: Member): Buffer {
  const { path, target, user, group, modified, extents, stored, size } = member;
  const map = extents && formatSparseMap(extents);
  const bytes = stored + (map?.length ?? 0);
  const seconds = Number(modified);
  const records: string[] = [];
  const fitting = <T>(fits: boolean, key: string, value: T, otherwise: T): T => {
    if (fits) return value;
    records.push(formatRecord(key, String(value)));
    return otherwise;
  };
  const shownPath = member.kind === "directory" ? `${path}/` : path;
  if (map) {
    for (const [key, value] of Object.entries({ major: 1, minor: 0, name: path, realsize: size })) {
      records.push(formatRecord(`GNU.sparse.${key}`, String(value)));
    }
  }
  const header = {
    path: map ? "GNUSparseFile" : fitting(isPlain(shownPath, 100), "path", shownPath, "mailark"),
    mode: member.mode,
    uid: fitting(member.uid <= 0o7777777, "uid", member.uid, 0),
    gid: fitting(member.gid <= 0o7777777, "gid", member.gid, 0),
    size: fitting(bytes <= 0o77777777777, "size", bytes, 0),
    modified: Number(fitting(/^[0-9]+$/.test(modified) && seconds <= 0o77777777777, "mtime", modified, "0")),
    flag: flags[member.kind] ?? "?",
    target: fitting(isPlain(target, 100), "linkpath", target, ""),
    user: fitting(isPlain(user, 31), "uname", user, ""),
    group: fitting(isPlain(group, 31), "gname", group, ""),
  };
  for (const [name, value] of member.attributes) records.push(formatRecord(`SCHILY.xattr.${name}`, value));
  for (const [kind, value] of Object.entries(member.acl)) records.push(formatRecord(`SCHILY.acl.${kind}`, value));
  const extended = Buffer.from(records.join(""), "latin1");
  return Buffer.concat([
    ...(extended.length > 0 ? [extendedHeader(extended)] : []),
    writeHeader(header),
    ...(map ? [map] : []),
  ]);
}

function extendedHeader(content: Buffer): Buffer {
  const header = writeHeader({
    path: "PaxHeaders/mailark",
    mode: 0o644,
    uid: 0,
    gid: 0,
    size: content.length,
    modified: 0,
    flag: "x",
    target: "",
    user: "",
    group: "",
  });
  return Buffer.concat([header, content, Buffer.alloc(padding(content.length))]);
}

const isPlain = (text: string, bytes: number) => text.length <= bytes && /^[ -~]*$/.test(text);
