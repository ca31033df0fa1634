/** Captures files: the parts `files` and `facts` (docs/format.md §8.6). */
import { MailarkError } from "../../../core/errors.ts";
import { outputOf } from "../../processes.ts";
import { pathText } from "../byte-path.ts";
import type { CaptureContext, Captured } from "../component.ts";
import { reach } from "../elsewhere.ts";
import { gate } from "./gate.ts";
import {
  archivePath,
  createCommands,
  socketsCommand,
  type TreeSource,
  topmost,
  versionCommand,
} from "./tar-command.ts";
import { ofTar, type TarRemarks, tarOutput } from "./tar-output.ts";
import { headRows, measured, rowsOf, type TreeEntry } from "./tree-facts.ts";
import { type Finding, type Problem, Vetting } from "./vet.ts";

/** A tree in motion is read so many times, at the most; then what moved is told. */
const attempts = 3;

/** A restore knows every entry of a tree at once, in about a kilobyte of memory each: beyond so many it is told. */
const manyEntries = 500_000;

/** Names of the two parts of a tree. */
export interface TreeParts {
  readonly files: string;
  readonly facts: string;
}

export const treeParts: TreeParts = { files: "files", facts: "facts" };

interface Reading {
  readonly remarks: TarRemarks;
  readonly findings: readonly Finding[];
  readonly rows: readonly string[];
  readonly seen: ReadonlySet<string>;
  readonly facts: Captured["facts"];
}

/**
 * Captures trees as one archive.
 *
 * @param many entries beyond which a capture warns.
 * @throws MailarkError `CAPTURE_FAILED` when none of the paths is there, or one leads through a link; what tar failed with.
 */
export async function captureTree(
  source: TreeSource,
  context: CaptureContext,
  parts: TreeParts = treeParts,
  many = manyEntries,
): Promise<Captured> {
  const { clock, processes, signal, writer, keys } = context;
  await reach(source.command, context);
  const cutAt = clock.now();
  const version = await outputOf(processes, versionCommand(source.command), { signal }).catch((error) => {
    throw ofTar(error);
  });
  const sockets = await countSockets(source, context);
  const reading = await readCalmly(source, context, parts);
  const asked = source.paths.map(archivePath);
  const missing = asked.filter((path) => !reading.seen.has(path));
  if (missing.length === asked.length) {
    throw new MailarkError("CAPTURE_FAILED", "nothing is at any of the paths", { detail: source.paths.join(", ") });
  }
  const roots = topmost(asked.filter((path) => reading.seen.has(path)));
  const rows = [headRows(roots, source.command.length > 0), ...reading.rows];
  await writer.part(parts.facts, encode(rows), await keys.host(), "index");

  const count = (...problems: Problem[]) => reading.findings.filter(({ problem }) => problems.includes(problem)).length;
  const { changed, unreadable } = reading.remarks;
  const partly = [
    { code: "PATH_MISSING", count: missing.length },
    { code: "FILE_UNREADABLE", count: unreadable },
    { code: "FILES_CHANGED", count: changed },
    { code: "NOT_ARCHIVED", count: count("name", "duplicate", "hardlink", "size", "unknown") },
  ].filter(({ count }) => count > 0);
  const also = [
    { code: "SPECIAL_FILE_LEFT_OUT", count: sockets + count("special") },
    { code: "RIGHTS_LEFT_OUT", count: count("rights") },
    { code: "ATTRIBUTE_LEFT_OUT", count: count("attribute") },
    { code: "MANY_FILES", count: reading.rows.length > many ? reading.rows.length : 0 },
  ].filter(({ count }) => count > 0);
  say(context, missing, reading);
  if (reading.rows.length > many) {
    context.warn?.(
      `${reading.rows.length} files and directories are more than this is made for`,
      `a restore of them needs about ${Math.ceil(reading.rows.length / 1_000_000)} GiB of memory: exclude what is no configuration`,
    );
  }
  return {
    cutAt,
    completeness: partly.length > 0 ? "partial" : "complete",
    tools: { tar: /\d+\.\d+(\.\d+)?/.exec(version.toString())?.[0] ?? "unknown" },
    facts: reading.facts,
    warnings: [...partly, ...also],
  };
}

/** Reads until nothing moves meanwhile. Of an attempt that is not the last, only dead bytes are left in a pack. */
async function readCalmly(source: TreeSource, context: CaptureContext, parts: TreeParts): Promise<Reading> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await readOnce(source, context, parts, attempt === attempts);
    } catch (error) {
      if (!(error instanceof InMotion)) throw error;
      context.progress("files changed while they were read: reading them again");
    }
  }
}

/** Ends a stream that is not to become a part. */
class InMotion extends Error {}

async function readOnce(
  source: TreeSource,
  context: CaptureContext,
  parts: TreeParts,
  acceptsMotion: boolean,
): Promise<Reading> {
  const findings: Finding[] = [];
  const rows: string[] = [];
  const seen = new Set<string>();
  const facts = { files: 0, directories: 0, links: 0, fileBytes: 0 };
  const said: TarRemarks[] = [];
  const note = (entry: TreeEntry) => {
    rows.push(rowsOf(entry));
    seen.add(entry.path);
    if (entry.kind === "file") facts.files += 1;
    else if (entry.kind === "directory") facts.directories += 1;
    else facts.links += 1;
    facts.fileBytes += entry.size;
  };
  const archives = createCommands(source).map(({ words, isAbove }) =>
    // What moves in a directory above the paths is not captured, so it has not changed.
    tarOutput(words, source.stallSeconds, context, (remarks) =>
      said.push(isAbove ? { ...remarks, changed: 0 } : remarks),
    ),
  );
  const passed = gate(archives, {
    vetting: new Vetting(),
    found: (finding) => findings.push(finding),
    watch: (entry) => measured(entry, note),
  });
  const archive = (async function* () {
    yield* whole(passed);
    if (said.some(({ changed }) => changed > 0) && !acceptsMotion) throw new InMotion();
  })();
  await context.writer.part(parts.files, archive, await context.keys.host());
  const through = findings.find(({ problem }) => problem === "below");
  if (through) {
    throw new MailarkError("CAPTURE_FAILED", "a path leads through a link", {
      detail: `/${pathText(through.path)}`,
      hint: "name the path that the link leads to",
    });
  }
  return { remarks: together(said), findings, rows, seen, facts };
}

const together = (said: readonly TarRemarks[]): TarRemarks => ({
  changed: said.reduce((sum, { changed }) => sum + changed, 0),
  unreadable: said.reduce((sum, { unreadable }) => sum + unreadable, 0),
  detail: said
    .map(({ detail }) => detail)
    .filter((detail) => detail !== "")
    .join("\n"),
});

/** An archive that can not be read is not one that was damaged here: its program was cut off. */
async function* whole(archive: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  try {
    yield* archive;
  } catch (error) {
    if (!(error instanceof MailarkError) || error.code !== "OBJECT_CORRUPT") throw error;
    throw new MailarkError("DUMP_TRUNCATED", `tar ended well, and yet ${error.message}`, {
      hint: "look for a full disk or a killed process",
      retryable: true,
      cause: error,
    });
  }
}

/** How many; none where `find` can not tell. */
async function countSockets(source: TreeSource, { processes, signal }: CaptureContext): Promise<number> {
  const running = await processes.start(socketsCommand(source), { signal });
  running.stdin.end();
  let count = 0;
  for await (const chunk of running.stdout) count += (chunk as Buffer).length;
  await running.exited;
  signal.throwIfAborted();
  return count;
}

function say({ warn }: CaptureContext, missing: readonly string[], { remarks, findings }: Reading): void {
  if (missing.length > 0) {
    warn?.("a path that the configuration names is not there", missing.map((path) => `/${pathText(path)}`).join("\n"));
  }
  if (remarks.changed + remarks.unreadable > 0) warn?.("files could not be read as they are", remarks.detail);
  const shown = findings.slice(0, 5).map(({ path, problem }) => `/${pathText(path)}: ${problem}`);
  if (findings.length > shown.length) shown.push(`and ${findings.length - shown.length} more`);
  if (shown.length > 0) warn?.("files were captured without something, or left out", shown.join("\n"));
}

async function* encode(rows: readonly string[]): AsyncGenerator<Buffer> {
  for (const row of rows) yield Buffer.from(row, "latin1");
}
