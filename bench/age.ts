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

/** One line of the result. */
export interface Row {
  readonly operation: "seal" | "open";
  readonly tool: "age" | "mailark";
  /** Median of the rounds. */
  readonly seconds: number;
  /** Plaintext, in millions of bytes. */
  readonly megabytesPerSecond: number;
  /** Throughput in terms of the `age` program's: 1 is the same, 2 twice as fast. */
  readonly ratio: number;
}

const segmentBytes = 8 * 1024 * 1024;
const recipients = 1;

/**
 * Measures on this machine, which needs `age` and three times the bytes free in /dev/shm.
 *
 * @default bytes 1,000,000,000
 * @default rounds 5
 * Throws when anything that was opened differs from what was sealed.
 */
export async function measureAge(options: { bytes?: number; rounds?: number } = {}): Promise<Row[]> {
  const { bytes = 1_000_000_000, rounds = 5 } = options;
  const place = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "mailark-bench-"));
  try {
    const paths = { plain: join(place, "plain"), sealed: join(place, "sealed"), opened: join(place, "opened") };
    makeInput(paths.plain, bytes);
    const tools = [ageProgram(place, paths), mailark(paths)];
    const seconds = tools.map(() => ({ seal: [] as number[], open: [] as number[] }));

    for (let round = 0; round < rounds; round++) {
      const order = round % 2 === 0 ? [0, 1] : [1, 0];
      for (const index of order) {
        const tool = tools[index]!;
        seconds[index]!.seal.push(time(tool.seal));
        seconds[index]!.open.push(time(tool.open));
        requireSame(paths.plain, paths.opened, tool.name);
        rmSync(paths.sealed);
        rmSync(paths.opened);
      }
    }

    const rows = (["seal", "open"] as const).flatMap((operation) => {
      const medians = seconds.map((measured) => median(measured[operation]));
      return tools.map((tool, index) => ({
        operation,
        tool: tool.name,
        seconds: medians[index]!,
        megabytesPerSecond: bytes / 1e6 / medians[index]!,
        ratio: medians[0]! / medians[index]!,
      }));
    });
    return rows;
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
  readonly name: Row["tool"];
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

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

if (import.meta.main) {
  const [bytes, rounds] = process.argv.slice(2).map(Number);
  const rows = await measureAge({ ...(bytes ? { bytes } : {}), ...(rounds ? { rounds } : {}) });
  console.table(
    rows.map((row) => ({
      operation: row.operation,
      tool: row.tool,
      "median s": row.seconds.toFixed(2),
      "MB/s of plaintext": Math.round(row.megabytesPerSecond),
      "ratio to age": row.ratio.toFixed(2),
    })),
  );
}
