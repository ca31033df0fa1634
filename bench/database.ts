/**
 * A database, dumped and encrypted: mailark against a page of shell.
 *
 * Every way is a process of its own from start to end, writes to the same file system (that of `os.tmpdir()`) and makes its result
 * durable; and every result is loaded into another server and compared: what can not be restored is no backup, however fast it was.
 */
import { readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";
import type { SandboxHost } from "../sandbox/host/host.ts";
import { type Cost, costOf, inTurns, median } from "./measure.ts";
import { atMost, type BenchOptions, columns, type Report, type Verdict } from "./report.ts";

/** A script that dumps and one that loads. */
export interface Way {
  readonly name: string;
  /** Dumps the database of the source, and makes the result durable in the empty directory `$PLACE`. */
  readonly store: string;
  /** Loads what is in `$PLACE` into the target, once that is emptied. */
  readonly load: string;
  /** What of `$PLACE` is the result. */
  readonly stored: string;
  readonly env: Readonly<Record<string, string>>;
}

type Ways = Readonly<Record<"oldWay" | "withoutFacts" | "withFacts" | "goodTools", Way>>;
type Variables = Readonly<Record<string, string>>;

/** Compiled code is kept, as the program itself keeps it (shipper/mailark.ts). */
export const ownNode = {
  NODE: process.execPath,
  NODE_COMPILE_CACHE: join(import.meta.dirname, "../node_modules/.cache/mailark"),
};

/** Of the dump. */
export const megabytes = 250;

/** One kind of server, with a database of {@link megabytes}. */
export interface Subject {
  readonly ways: Ways;
  /** Of the old way's time. */
  readonly limits: { readonly withoutFacts: number; readonly withFacts: number };
  /** What mailark's facts are. */
  readonly facts: string;
  startSource(): Promise<SandboxHost>;
  fill(source: SandboxHost): Promise<unknown>;
  /** What the scripts need to reach it, beside what a way brings. */
  source(source: SandboxHost): Variables;
  /** The server, whose time counts as well. */
  pidOf(source: SandboxHost): number;
  startTarget(): Promise<SandboxHost>;
  empty(target: SandboxHost): Promise<unknown>;
  target(target: SandboxHost): Variables;
  /** Rows and a sum of every table, and the names of all else: what a restore has to give back. */
  contentOf(host: SandboxHost): Promise<string>;
}

interface Measured extends Cost {
  readonly storedBytes: number;
}

/** Measures all ways in turns, and proves that each result restores. */
export async function measureDatabase(subject: Subject, { rounds = 3, say }: BenchOptions): Promise<Report> {
  const source = await subject.startSource();
  try {
    say(`filling a database of ${megabytes} MB`);
    await subject.fill(source);

    const all = Object.values(subject.ways);
    // In the host's directory, which goes with this process, however it ends.
    const placeOf = (way: Way) => join(source.directory, `way-${all.indexOf(way)}`);
    const measured = await inTurns(all, rounds, async (way, round): Promise<Measured> => {
      say(`round ${round + 1} of ${rounds}: ${way.name}`);
      const own = placeOf(way);
      rmSync(own, { recursive: true, force: true });
      await shell('mkdir -m 700 "$PLACE"; sync -f "$PLACE"', { PLACE: own });
      const variables = { ...way.env, ...subject.source(source), PLACE: own };
      const cost = await costOf(() => shell(way.store, variables), [subject.pidOf(source)]);
      return { ...cost, storedBytes: bytesOf(join(own, way.stored)) };
    });

    return report(subject, measured, await proveAll(subject, placeOf, source, say));
  } finally {
    await source.stop();
  }
}

/** Loads what each way stored last into a second server, and compares that with the first. */
async function proveAll(
  subject: Subject,
  placeOf: (way: Way) => string,
  source: SandboxHost,
  say: BenchOptions["say"],
): Promise<Verdict[]> {
  const target = await subject.startTarget();
  try {
    const expected = await subject.contentOf(source);
    const verdicts: Verdict[] = [];
    for (const way of Object.values(subject.ways)) {
      say(`loading what ${way.name} stored`);
      await subject.empty(target);
      const variables = { ...way.env, ...subject.target(target), PLACE: placeOf(way) };
      const failure = await shell(way.load, variables).catch((error: Error) => error);
      const passed = failure === undefined && (await subject.contentOf(target)) === expected;
      verdicts.push({
        passed,
        text: `${way.name}: ${passed ? "restores, with every row" : `does not restore${failure ? `: ${failure.message}` : ""}`}`,
      });
    }
    return verdicts;
  } finally {
    await target.stop();
  }
}

function report({ ways, limits, facts }: Subject, measured: Measured[][], restored: Verdict[]): Report {
  const results = Object.values(ways).map((way, index) => {
    const each = measured[index]!;
    const middle = (of: (one: Measured) => number) => median(each.map(of));
    return {
      way,
      wall: middle(({ wall }) => wall),
      fastest: Math.min(...each.map(({ wall }) => wall)),
      slowest: Math.max(...each.map(({ wall }) => wall)),
      cpu: middle(({ cpu }) => cpu),
      servers: middle(({ servers }) => servers),
      others: middle(({ others }) => others),
      storedBytes: middle(({ storedBytes }) => storedBytes),
    };
  });
  const of = (way: Way) => results.find((result) => result.way === way)!;
  const old = of(ways.oldWay);
  const ratio = (way: Way) => of(way).wall / old.wall;
  const smaller = of(ways.withoutFacts).storedBytes / old.storedBytes;
  const numbers = [
    "median s",
    "from",
    "to",
    "CPU s",
    "server CPU s",
    "others' CPU s",
    "stored MB",
    "time, old way = 1",
  ];
  return {
    columns: columns(["way"], numbers),
    rows: results.map((result) => [
      result.way.name,
      ...[result.wall, result.fastest, result.slowest, result.cpu, result.servers, result.others].map((seconds) =>
        seconds.toFixed(2),
      ),
      (result.storedBytes / 1e6).toFixed(1),
      ratio(result.way).toFixed(2),
    ]),
    notes: [
      `${measured[0]!.length} rounds; every way with the start of its programs and the flush of its result to the disk`,
      `mailark's facts are the ${facts} of the very view that is dumped`,
    ],
    verdicts: [
      ...restored,
      atMost("time without facts, old way = 1", ratio(ways.withoutFacts), limits.withoutFacts),
      atMost("time, old way = 1", ratio(ways.withFacts), limits.withFacts),
      atMost("stored bytes, old way = 1", smaller, 1),
    ],
  };
}

/** @throws Error with the last line that the script's programs complained in, when any of them fails. */
async function shell(script: string, env: Readonly<Record<string, string>>): Promise<undefined> {
  const run = execa("bash", ["-euo", "pipefail", "-c", script], {
    env,
    stdin: "ignore",
    stdout: "ignore",
    reject: false,
  });
  const { failed, stderr } = await run;
  if (failed) throw new Error(stderr.trimEnd().split("\n").at(-1)?.slice(-300));
}

/** Of all files below a path, or of the file. */
function bytesOf(path: string): number {
  if (statSync(path).isFile()) return statSync(path).size;
  return readdirSync(path).reduce((sum, name) => sum + bytesOf(join(path, name)), 0);
}
