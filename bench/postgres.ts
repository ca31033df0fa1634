/**
 * A database of PostgreSQL, dumped and encrypted: mailark against `pg_dump | gzip | openssl`.
 *
 * Every way is a process of its own from start to end, writes to the same file system (that of `os.tmpdir()`) and makes its result
 * durable; and every result is loaded into another server and compared: what can not be restored is no backup, however fast it was.
 */
import { readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";
import { type SandboxHost, startHost } from "../sandbox/host/host.ts";
import { mailAppTables, populateMailApp } from "../sandbox/host/mail-app.ts";
import { type Cost, costOf, inTurns, median } from "./measure.ts";
import { type Way, waysToDump } from "./postgres-ways.ts";
import { atMost, type Bench, type BenchOptions, columns, type Report, type Verdict } from "./report.ts";

export const postgres: Bench = {
  title: "a database of PostgreSQL, dumped and encrypted, against the old way",
  programs: ["pg_dump", "gzip", "openssl", "zstd", "age"],
  run: measurePostgres,
};

/** Of the dump. */
const megabytes = 250;
const messagesPerMegabyte = 2600;
/** Of the old way's time. */
const limits = { withoutFacts: 0.5, withFacts: 0.7 };

interface Measured extends Cost {
  readonly storedBytes: number;
}

async function measurePostgres({ rounds = 3, say }: BenchOptions): Promise<Report> {
  const source = await startHost({ services: ["postgres"] });
  try {
    say(`filling a database of ${megabytes} MB`);
    await populateMailApp(source.postgres, { seed: "bench", messages: megabytes * messagesPerMegabyte });
    const { postgres } = source;

    const ways = waysToDump();
    const all = Object.values(ways);
    // In the host's directory, which goes with this process, however it ends.
    const placeOf = (way: Way) => join(source.directory, `way-${all.indexOf(way)}`);
    const measured = await inTurns(all, rounds, async (way, round): Promise<Measured> => {
      say(`round ${round + 1} of ${rounds}: ${way.name}`);
      const own = placeOf(way);
      rmSync(own, { recursive: true, force: true });
      await shell('mkdir -m 700 "$PLACE"; sync -f "$PLACE"', { PLACE: own });
      const variables = {
        ...way.env,
        PLACE: own,
        SOURCE: postgres.socketDirectory,
        SOURCE_PASSFILE: postgres.passwordFile,
      };
      const cost = await costOf(() => shell(way.store, variables), [postgres.pid!]);
      return { ...cost, storedBytes: bytesOf(join(own, way.stored)) };
    });

    const restored = await proveAll(all, placeOf, source, say);
    return report(ways, measured, restored);
  } finally {
    await source.stop();
  }
}

/** Loads what each way stored last into a second server, and compares that with the first. */
async function proveAll(
  ways: readonly Way[],
  placeOf: (way: Way) => string,
  source: SandboxHost,
  say: BenchOptions["say"],
): Promise<Verdict[]> {
  const target = await startHost({ services: ["postgres"] });
  try {
    const { socketDirectory: TARGET, passwordFile: TARGET_PASSFILE } = target.postgres;
    await target.postgres.sql("CREATE ROLE mailapp LOGIN");
    const expected = await source.postgres.sql(content, "mailapp");
    const verdicts: Verdict[] = [];
    for (const way of ways) {
      say(`loading what ${way.name} stored`);
      await target.postgres.sql("DROP DATABASE IF EXISTS mailapp");
      const variables = { ...way.env, PLACE: placeOf(way), TARGET, TARGET_PASSFILE };
      const failure = await shell(way.load, variables).catch((error: Error) => error);
      const passed = failure === undefined && (await target.postgres.sql(content, "mailapp")) === expected;
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

/** Rows and digest of every table, and the names of all else. */
const content = `
${mailAppTables.map((name) => `SELECT '${name}', count(*), sum(hashtextextended(t::text, 0)::numeric) FROM ${name} t;`).join("\n")}
SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = 'public'::regnamespace ORDER BY 1;
SELECT relname, relkind FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1;
SELECT tgname FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1;
SELECT sequencename, last_value FROM pg_sequences ORDER BY 1;`;

function report(ways: ReturnType<typeof waysToDump>, measured: Measured[][], restored: Verdict[]): Report {
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
      "mailark's facts are the rows and digests of the very view that is dumped",
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
