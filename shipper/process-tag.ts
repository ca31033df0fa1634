/**
 * Names this process so that others can tell whether it still runs: its number and its start, for numbers are used again, and where those
 * count: the boot and the namespace of process numbers (pid_namespaces(7)). What runs in another container can not be seen from here.
 */
import type { Files } from "../core/ports/files.ts";
import { readText } from "./state-files.ts";

/** The pattern of a tag, for names that have one in them. Those of earlier versions end after the start. */
export const tagPattern = String.raw`\d+-\d+(?:-[0-9a-f]{4}-[0-9a-z]+)?`;

/** `PID-START-BOOT-NAMESPACE`, the start in ticks since boot. Short, because it is in paths of sockets, which have 107 bytes (unix(7)). */
export const processTag = (files: Files): string =>
  [process.pid, startOf(files, process.pid) ?? "0", ...placeOf(files)].join("-");

/** Whether the process that made this tag still runs, or may: see {@link isHidden}. */
export function isHolder(files: Files, tag: string): boolean {
  if (isHidden(files, tag)) return true;
  const [pid = "", start = "", boot = unknown] = tag.split("-");
  if (differ(boot, placeOf(files)[0])) return false;
  const now = /^\d+$/.test(pid) ? startOf(files, Number(pid)) : undefined;
  return now !== undefined && now === start;
}

/** Whether it was made in another namespace of this boot, so that nobody here can tell. */
export function isHidden(files: Files, tag: string): boolean {
  const [, , boot = unknown, namespace = unknown] = tag.split("-");
  const [ownBoot, ownNamespace] = placeOf(files);
  return !differ(boot, ownBoot) && differ(namespace, ownNamespace);
}

const unknown = "0";
const differ = (one: string, other: string) => one !== other && one !== unknown && other !== unknown;

function placeOf(files: Files): [boot: string, namespace: string] {
  const boot = readText(files, "/proc/sys/kernel/random/boot_id")?.slice(0, 4) ?? unknown;
  const [number = unknown] = /\d+/.exec(namespaceLink(files)) ?? [];
  return [boot, Number(number).toString(36).slice(-3)];
}

function namespaceLink(files: Files): string {
  try {
    return files.readlinkSync("/proc/self/ns/pid").toString();
  } catch {
    // Not known, as before there were namespaces.
    return "";
  }
}

/** Field 22 of proc(5) stat, after the name in parentheses. A zombie is gone: it holds nothing. */
function startOf(files: Files, pid: number): string | undefined {
  const text = readText(files, `/proc/${pid}/stat`);
  const fields = text?.slice(text.lastIndexOf(")") + 2).split(" ");
  return fields?.[0] === "Z" ? undefined : fields?.[19];
}
