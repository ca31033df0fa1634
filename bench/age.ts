/**
 * Sealing and opening against the `age` program, both from file to file on tmpfs.
 *
 * The program makes one age file of the whole input, which suits it best; mailark works as its pipeline does, by segments
 * of 8 MiB, each an age file of its own, on one thread. Rounds are interleaved and change the order, since a machine that
 * is throttled or shared would otherwise favour one of the two.
 */
import { execFileSync } from "node:child_process";
import { randomFillSync } from "node:crypto";
import { closeSync, existsSync, mkdtempSync, openSync, readSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { generateIdentity, opener, sealedBytes, sealer } from "../core/age/age.ts";
import { inTurns, median } from "./measure.ts";
import { atLeast, type Bench, type BenchOptions, columns, type Report } from "./report.ts";

export const age: Bench = {
  title: "sealing and opening, against the age program",
  programs: ["age"],
  run: measureAge,
};

/** Of the program's: both are about as fast, and a shared machine needs some room. */
const leastThroughput = 2 / 3;
const bytes = 1_000_000_000;
const segmentBytes = 8 * 1024 * 1024;
const recipients = 1;

/**
 * Needs three times {@link bytes} free in /dev/shm.
 *
 * @throws Error when anything that was opened differs from what was sealed.
 */
async function measureAge({ rounds = 5, say }: BenchOptions): Promise<Report> {
  const place = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "mailark-bench-"));
  try {
    const paths = { plain: join(place, "plain"), sealed: join(place, "sealed"), opened: join(place, "opened") };
    makeInput(paths.plain, bytes);
    const tools = [ageProgram(place, paths), mailark(paths)];
    const measured = await inTurns(tools, rounds, (tool, round) => {
      say(`round ${round + 1} of ${rounds}: ${tool.name}`);
      const seconds = { seal: time(tool.seal), open: time(tool.open) };
      requireSame(paths.plain, paths.opened, tool.name);
      rmSync(paths.sealed);
      rmSync(paths.opened);
      return seconds;
    });

    const results = (["seal", "open"] as const).flatMap((operation) => {
      const medians = measured.map((each) => median(each.map((seconds) => seconds[operation])));
      return tools.map(({ name }, index) => ({
        operation,
        name,
        seconds: medians[index]!,
        throughput: bytes / 1e6 / medians[index]!,
        ratio: medians[0]! / medians[index]!,
      }));
    });
    return {
      columns: columns(["operation", "tool"], ["median s", "MB/s of plaintext", "throughput, age = 1"]),
      rows: results.map(({ operation, name, seconds, throughput, ratio }) => [
        operation,
        name,
        seconds.toFixed(2),
        throughput.toFixed(0),
        ratio.toFixed(2),
      ]),
      notes: [`${bytes / 1e6} MB of random bytes, ${rounds} rounds`],
      verdicts: results
        .filter(({ name }) => name === "mailark")
        .map(({ operation, ratio }) => atLeast(`${operation}, throughput, age = 1`, ratio, leastThroughput)),
    };
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
}

interface Paths {
  readonly plain: string;
  readonly sealed: string;
  readonly opened: string;
}

interface Tool {
  readonly name: "age" | "mailark";
  seal(): void;
  open(): void;
}

function ageProgram(place: string, paths: Paths): Tool {
  const { identity, recipient } = generateIdentity();
  const identityFile = join(place, "identity");
  writeFileSync(identityFile, `${identity}\n`, { mode: 0o600 });
  return {
    name: "age",
    seal: () => execFileSync("age", ["-r", recipient, "-o", paths.sealed, paths.plain]),
    open: () => execFileSync("age", ["-d", "-i", identityFile, "-o", paths.opened, paths.sealed]),
  };
}

function mailark(paths: Paths): Tool {
  const { identity, recipient } = generateIdentity();
  const seal = sealer([recipient]);
  const open = opener([identity]);
  return {
    name: "mailark",
    seal: () => pass(paths.plain, paths.sealed, segmentBytes, seal),
    open: () => pass(paths.sealed, paths.opened, sealedBytes(segmentBytes, recipients), open),
  };
}

/** Reads pieces of that size into one reused buffer and writes what becomes of each. */
function pass(from: string, to: string, pieceBytes: number, change: (piece: Buffer) => Buffer): void {
  const source = openSync(from, "r");
  const target = openSync(to, "wx");
  const buffer = Buffer.allocUnsafeSlow(pieceBytes);
  for (;;) {
    const read = readSync(source, buffer);
    if (read === 0) break;
    writeFileSync(target, change(buffer.subarray(0, read)));
  }
  closeSync(source);
  closeSync(target);
}

function makeInput(path: string, bytes: number): void {
  const target = openSync(path, "wx");
  const buffer = Buffer.allocUnsafeSlow(segmentBytes);
  for (let written = 0; written < bytes; written += segmentBytes) {
    writeFileSync(target, randomFillSync(buffer).subarray(0, Math.min(segmentBytes, bytes - written)));
  }
  closeSync(target);
}

function requireSame(expected: string, actual: string, tool: string): void {
  const [one, other] = [openSync(expected, "r"), openSync(actual, "r")];
  const buffers = [Buffer.allocUnsafeSlow(segmentBytes), Buffer.allocUnsafeSlow(segmentBytes)] as const;
  let same = statSync(expected).size === statSync(actual).size;
  for (let read = 1; same && read > 0; ) {
    read = readSync(one, buffers[0]);
    same = readSync(other, buffers[1]) === read && buffers[0].subarray(0, read).equals(buffers[1].subarray(0, read));
  }
  closeSync(one);
  closeSync(other);
  if (!same) throw new Error(`what ${tool} opened is not what it had sealed`);
}

function time(act: () => void): number {
  const start = performance.now();
  act();
  return (performance.now() - start) / 1000;
}
