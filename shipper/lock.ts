/**
 * One backup of a host and store at a time: two would race for the state, and read the disk twice.
 */
import { randomBytes } from "node:crypto";
import { dirname } from "node:path";
import { MailarkError } from "../core/errors.ts";
import { type Files, isAbsent } from "../core/ports/files.ts";
import { isHidden, isHolder, processTag } from "./process-tag.ts";
import { readText } from "./state-files.ts";

/**
 * Takes a lock, a file that names its holder; returns what gives it back. A lock whose holder is gone is taken over; one whose holder can not
 * be seen from here, as in another container, is held.
 *
 * @throws MailarkError `LOCKED` while another process holds it.
 */
export function lock(files: Files, path: string): () => void {
  const own = `${processTag(files)} ${randomBytes(8).toString("hex")}\n`;
  files.mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const temporary = `${path}.${randomBytes(8).toString("hex")}`;
  writeNew(files, temporary, own);
  try {
    for (let attempt = 1; !taken(files, temporary, path); attempt += 1) {
      const held = readText(files, path);
      if (held === undefined) continue;
      if (attempt > 10 || isHolder(files, tagOf(held))) throw locked(held, path, isHidden(files, tagOf(held)));
      discardStale(files, path, held);
    }
  } finally {
    files.unlinkSync(temporary);
  }
  return () => {
    if (readText(files, path) === own) files.unlinkSync(path);
  };
}

/** Who has a lock: a process that runs, or one that is gone. `undefined`: nobody. */
export function holderOf(files: Files, path: string): { readonly pid: string; readonly runs: boolean } | undefined {
  const held = readText(files, path);
  if (held === undefined) return undefined;
  const tag = tagOf(held);
  return { pid: tag.split("-")[0]!, runs: isHolder(files, tag) };
}

/** The whole file appears in one step, or not at all where one is there. */
function taken(files: Files, temporary: string, path: string): boolean {
  try {
    files.linkSync(temporary, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

/** Moved aside first: what is moved is looked at again, since another may have replaced it meanwhile. */
function discardStale(files: Files, path: string, held: string): void {
  const aside = `${path}.${randomBytes(8).toString("hex")}`;
  try {
    files.renameSync(path, aside);
  } catch (error) {
    if (isAbsent(error)) return;
    throw error;
  }
  if (readText(files, aside) !== held) taken(files, aside, path);
  files.unlinkSync(aside);
}

function writeNew(files: Files, path: string, text: string): void {
  const descriptor = files.openSync(path, "wx", 0o600);
  try {
    files.writeSync(descriptor, text);
  } finally {
    files.closeSync(descriptor);
  }
}

const tagOf = (held: string) => held.split(" ")[0]!.trim();

const locked = (held: string, path: string, hidden: boolean) =>
  new MailarkError(
    "LOCKED",
    `another run of mailark works on this host: process ${held.split(/[- ]/)[0]}${hidden ? " of another container" : ""}`,
    {
      detail: path,
      hint: hidden
        ? "wait until it is done; only if no mailark runs in any container that shares this directory, remove the file"
        : "wait until it is done; the lock of a run that was killed is taken over by itself",
      retryable: true,
    },
  );
