/** Reads queue files by GNU tar, which opens each once and reads what it has open: a rename meanwhile changes nothing. */
import { MailarkError } from "../../../core/errors.ts";
import type { World } from "../component.ts";
import type { Entry } from "../tree/member.ts";
import { readTar } from "../tree/read-tar.ts";
import type { QueueConfig } from "./config.ts";
import { printed } from "./programs.ts";

/** So many names a call: what is listed longest ago has moved most likely. */
const batch = 2000;

const options = [
  "--create",
  "--file=-",
  "--format=posix",
  "--pax-option=delete=atime,delete=ctime",
  "--no-recursion",
  // A file with a second name, too, is stored with what it holds.
  "--hard-dereference",
  "--ignore-failed-read",
  "--null",
  "--files-from=-",
];

/**
 * Those of the files that are still there, in the order of `paths`. What is not there is left out: look again.
 *
 * @param paths below the directory, without line feeds.
 * @throws MailarkError `CAPTURE_FAILED` when the archive breaks off; otherwise as `printed` does.
 */
export async function* readFiles(
  config: QueueConfig,
  directory: string,
  paths: readonly string[],
  world: World,
): AsyncGenerator<Entry> {
  for (let at = 0; at < paths.length; at += batch) {
    const input = paths
      .slice(at, at + batch)
      .map((path) => `${path}\0`)
      .join("");
    const words = ["tar", `--directory=${directory}`, ...options] as [string, ...string[]];
    // 1: a file was changed, renamed or removed while it was read, which the next walk finds out.
    const accepted = ({ code }: { code?: number }) => code === 0 || code === 1;
    try {
      for await (const { member, chunks } of readTar(printed(config, words, world, { input, accepted }))) {
        yield { member, chunks: explained(chunks) };
      }
    } catch (error) {
      throw brokenOff(error);
    }
  }
}

async function* explained(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  try {
    yield* chunks;
  } catch (error) {
    throw brokenOff(error);
  }
}

function brokenOff(error: unknown): unknown {
  if (!(error instanceof MailarkError) || error.code !== "OBJECT_CORRUPT") return error;
  return new MailarkError("CAPTURE_FAILED", "tar did not bring its archive to its end", {
    hint: "look for a full disk or a killed process",
    retryable: true,
    cause: error,
    ...(error.detail !== undefined && { detail: error.detail }),
  });
}
