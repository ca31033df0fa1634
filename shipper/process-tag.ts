/** Names this process so that others can tell whether it still runs: its number and its start, for numbers are used again. */
import type { Files } from "../core/ports/files.ts";
import { readText } from "./state-files.ts";

/** `PID-START`, the start in ticks since boot. */
export const processTag = (files: Files): string => `${process.pid}-${startOf(files, process.pid) ?? "0"}`;

/** Whether the process that made this tag still runs. */
export function isHolder(files: Files, tag: string): boolean {
  const [pid = "", start = ""] = tag.split("-");
  const now = /^\d+$/.test(pid) ? startOf(files, Number(pid)) : undefined;
  return now !== undefined && now === start;
}

/** Field 22 of proc(5) stat, after the name in parentheses. A zombie is gone: it holds nothing. */
function startOf(files: Files, pid: number): string | undefined {
  const text = readText(files, `/proc/${pid}/stat`);
  const fields = text?.slice(text.lastIndexOf(")") + 2).split(" ");
  return fields?.[0] === "Z" ? undefined : fields?.[19];
}
