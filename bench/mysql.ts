/**
 * A database, dumped and encrypted: mailark against `mariadb-dump | gzip | openssl`.
 *
 * Every way is a process of its own from start to end, writes to the same file system (that of `os.tmpdir()`) and makes its result
 * durable; and every result is loaded into another server and compared: what can not be restored is no backup, however fast it was.
 */
import { readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";
import { populateAgency } from "../sandbox/host/agency.ts";
import { agencyTables } from "../sandbox/host/agency-schema.ts";
import { type SandboxHost, startHost } from "../sandbox/host/host.ts";
import { type Cost, costOf, inTurns, median } from "./measure.ts";
import { type Way, waysToDump } from "./mysql-ways.ts";
import { atMost, type Bench, type BenchOptions, columns, type Report, type Verdict } from "./report.ts";

export const mysql: Bench = {
  title: "a database, dumped and encrypted, against the old way",
  programs: ["mariadb-dump", "gzip", "openssl", "zstd", "age"],
  run: measureMysql,
};

/** Of the dump. */
const megabytes = 250;
/** Of the old way's time. */
const limits = { withoutFacts: 0.6, withFacts: 0.75 };

interface Measured extends Cost {
  readonly storedBytes: number;
}

async function measureMysql({ rounds = 3, say }: BenchOptions): Promise<Report> {
  const source = await startHost({ services: ["mariadb"] });
  try {
    say(`filling a database of ${megabytes} MB`);
    await populateAgency(source.mariadb, { seed: "bench", megabytes });
    const { mariadb } = source;

    const ways = waysToDump();
    const all = Object.values(ways);
    // In the host's directory, which goes with this process, however it ends.
    const placeOf = (way: Way) => join(source.directory, `way-${all.indexOf(way)}`);
    const measured = await inTurns(all, rounds, async (way, round): Promise<Measured> => {
      say(`round ${round + 1} of ${rounds}: ${way.name}`);
      const own = placeOf(way);
      rmSync(own, { recursive: true, force: true });
      await shell('mkdir -m 700 "$PLACE"; sync -f "$PLACE"', { PLACE: own });
      const variables = { ...way.env, PLACE: own, SOURCE: mariadb.defaultsFile };
      const cost = await costOf(() => shell(way.store, variables), [mariadb.pid!]);
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
  const target = await startHost({
    services: ["mariadb"],
    settings: { mariadb: { "innodb-buffer-pool-size": "512M" } },
  });
  try {
    const expected = await source.mariadb.sql(content, "mailserver");
    const verdicts: Verdict[] = [];
    for (const way of ways) {
      say(`loading what ${way.name} stored`);
      await target.mariadb.sql(
        "DROP DATABASE mailserver; CREATE DATABASE mailserver CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci",
      );
      const variables = { ...way.env, PLACE: placeOf(way), TARGET: target.mariadb.defaultsFile };
      const failure = await shell(way.load, variables).catch((error: Error) => error);
      const passed = failure === undefined && (await target.mariadb.sql(content, "mailserver")) === expected;
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

/** Rows and checksum of every table, and the names of all else. */
const content = `
${agencyTables.map((name) => `SELECT '${name}', COUNT(*) FROM ${name}`).join(" UNION ALL ")};
CHECKSUM TABLE ${agencyTables.join(", ")} EXTENDED;
SELECT table_name FROM information_schema.views WHERE table_schema = DATABASE() ORDER BY 1;
SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema = DATABASE() ORDER BY 1;
SELECT routine_name, routine_type FROM information_schema.routines WHERE routine_schema = DATABASE() ORDER BY 1;
SELECT event_name FROM information_schema.events WHERE event_schema = DATABASE() ORDER BY 1;`;

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
      "mailark's facts are the rows and checksums of the very view that is dumped",
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
