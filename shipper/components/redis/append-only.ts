/**
 * The append-only files of a server, read while it writes them: its manifest, and the files that this names in their order. All of them
 * are open before the first is read, so that a rewrite, which removes them, takes nothing away; what is read of the last is what a crash
 * at that moment would have left. No setting of the server is touched: one that a killed run can not put back would stay.
 */
import { asMailarkError, MailarkError } from "../../../core/errors.ts";
import { outputOf, type RunningProcess, succeed } from "../../processes.ts";
import { watchForStalls } from "../../stall-watch.ts";
import type { CaptureContext } from "../component.ts";
import { leashed } from "../elsewhere.ts";
import type { RedisConfig } from "./config.ts";
import { type Connection, stalled } from "./connection.ts";
import { askSettings } from "./server.ts";

export interface CapturedAppendOnly {
  readonly files: number;
  readonly bytes: number;
}

const attempts = 5;

/**
 * Writes the parts `appendonly` and `appendonly-NNNN`.
 *
 * @returns undefined where the directory can not be read from here, or the server is older than such directories (7.0).
 * @throws MailarkError `DUMP_FAILED` when reading a file fails half-way; `PROGRAM_STALLED`.
 */
export async function captureAppendOnly(
  config: RedisConfig,
  connection: Connection,
  context: CaptureContext,
): Promise<CapturedAppendOnly | undefined> {
  const { dir, appenddirname, appendfilename } = await askSettings(connection, [
    "dir",
    "appenddirname",
    "appendfilename",
  ]);
  if (dir === undefined || appenddirname === undefined || appendfilename === undefined) return undefined;
  const folder = `${dir}/${appenddirname}`;
  for (let attempt = 1; attempt <= attempts; attempt++) {
    const opened = await openAll(config, folder, `${folder}/${appendfilename}.manifest`, context);
    if (opened === "unreadable") return undefined;
    if (opened !== "changed") return writeAll(opened, context, connection.stallSeconds);
  }
  throw new MailarkError("DUMP_FAILED", "the append-only files were rewritten time and again while they were opened", {
    retryable: true,
  });
}

interface Opened {
  readonly manifest: Buffer;
  readonly files: readonly OpenFile[];
}

interface OpenFile {
  readonly running: RunningProcess;
  readonly chunks: AsyncIterator<Buffer>;
  readonly first: IteratorResult<Buffer>;
}

/** `file NAME seq N type b|i|h`, as Redis writes it (aof.c); a quoted name is none that it gives by itself. */
export function namesOf(manifest: string): string[] {
  return manifest.split("\n").flatMap((line) => {
    const [, name, type] = /^file ([A-Za-z0-9_-][A-Za-z0-9._-]*) seq \d+ type ([bih])/.exec(line) ?? [];
    if (name === undefined) {
      if (line.startsWith("#") || line === "") return [];
      throw new MailarkError("DUMP_FAILED", "the manifest of the append-only files is not understood");
    }
    return type === "h" ? [] : [name];
  });
}

async function openAll(
  { command }: RedisConfig,
  folder: string,
  manifestPath: string,
  { processes, signal }: CaptureContext,
): Promise<Opened | "unreadable" | "changed"> {
  let manifest: Buffer;
  try {
    manifest = await outputOf(processes, [...command, "cat", "--", manifestPath] as unknown as [string], { signal });
  } catch (error) {
    signal.throwIfAborted();
    if (asMailarkError(error).code === "PROGRAM_FAILED") return "unreadable";
    throw error;
  }
  const files: OpenFile[] = [];
  const opened = async () => {
    for (const name of namesOf(manifest.toString("utf8"))) {
      const running = await processes.start(leashed(command, ["cat", "--", `${folder}/${name}`]), { signal });
      const chunks = running.stdout[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
      const file = { running, chunks, first: await chunks.next() };
      files.push(file);
      const gone = file.first.done === true && (await running.exited).code !== 0;
      if (gone) return false;
    }
    return true;
  };
  try {
    if (await opened()) return { manifest, files };
  } catch (error) {
    end(files);
    throw error;
  }
  end(files);
  return "changed";
}

async function writeAll(
  { manifest, files }: Opened,
  context: CaptureContext,
  stallSeconds: number,
): Promise<CapturedAppendOnly> {
  try {
    const { writer, keys } = context;
    const key = await keys.host();
    let { bytes } = await writer.part("appendonly", one(manifest), key);
    for (const [index, file] of files.entries()) {
      const name = `appendonly-${String(index + 1).padStart(4, "0")}`;
      bytes += (await writer.part(name, rest(file, context, stallSeconds), key)).bytes;
    }
    return { files: files.length, bytes };
  } finally {
    end(files);
  }
}

function end(files: readonly OpenFile[]): void {
  for (const { running } of files) {
    running.stdin.end();
    running.kill("SIGKILL");
  }
}

async function* one(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}

async function* rest({ running, chunks, first }: OpenFile, { clock, signal }: CaptureContext, seconds: number) {
  const watch = watchForStalls(clock, seconds);
  const late = watch.stalled.then((): never => {
    throw stalled(seconds);
  });
  late.catch(() => {});
  try {
    for (let next = first; !next.done; ) {
      yield next.value;
      watch.wait();
      next = await Promise.race([chunks.next(), late]);
      watch.goOn();
    }
    await succeed("cat", running, signal);
  } finally {
    watch.end();
  }
}
