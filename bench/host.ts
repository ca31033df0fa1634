/**
 * A whole mail host: a backup of everything by mailark against a page of shell that does the same, as far as shell can; and a drill, which the
 * page of shell has not.
 */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";
import { nameServices } from "../sandbox/host/configuration.ts";
import { type SandboxHost, startHost } from "../sandbox/host/host.ts";
import { mailboxPassword } from "../sandbox/host/mailbox-password.ts";
import { populateHost } from "../sandbox/host/populate.ts";
import { costOf, inTurns, median } from "./measure.ts";
import { atMost, type Bench, type BenchOptions, columns, type Report } from "./report.ts";

export const host: Bench = {
  title:
    "a whole mail host: 12 mailboxes with 2,000 messages, 20 MB of MariaDB, PostgreSQL, Redis, queue, configuration",
  programs: ["mariadb-dump", "pg_dump", "redis-cli", "tar", "gzip", "openssl"],
  run: measureHost,
};

/** Seconds on two cores. */
const limits = { backup: 5, drill: 15 };
const program = new URL("../shipper/mailark.ts", import.meta.url).pathname;

async function measureHost({ rounds = 3, say }: BenchOptions): Promise<Report> {
  say("filling a host");
  const source = await startHost();
  try {
    const addresses = await populateHost(source, {
      seed: "bench",
      mailboxes: 12,
      messages: 200,
      megabytes: 20,
      queued: 6,
    });
    const mailark = await setUp(source);
    const probe = ["--probe", addresses[0]!, "--probe-password-file", mailark.passwordFile];
    const acts = [
      { name: "a page of shell", act: () => pageOfShell(source, join(source.directory, "old-way")) },
      { name: "mailark backup", act: () => mailark.run(["backup"]) },
      { name: "mailark drill", act: () => mailark.run(["drill", "--identity", mailark.identity, ...probe]) },
    ];
    // What is drilled must be there.
    await mailark.run(["backup"]);
    const measured = await inTurns(acts, rounds, async ({ name, act }, round) => {
      say(`round ${round + 1} of ${rounds}: ${name}`);
      return costOf(act);
    });
    const seconds = measured.map((costs) => median(costs.map(({ wall }) => wall)));
    const [old = Number.NaN, backup = Number.NaN, drill = Number.NaN] = seconds;
    return {
      columns: columns(["WAY"], ["SECONDS", "RATIO", "CPU", "OTHERS"]),
      rows: acts.map(({ name }, index) => [
        name,
        seconds[index]!.toFixed(2),
        (seconds[index]! / old).toFixed(2),
        median(measured[index]!.map(({ cpu }) => cpu)).toFixed(2),
        median(measured[index]!.map(({ others }) => others)).toFixed(2),
      ]),
      notes: [
        "the page of shell dumps, archives, gzips and encrypts; it has no view that holds all databases, no facts, no queue on hold, and nobody has restored it",
        "CPU: of the programs, not of the servers; OTHERS: everything else on the machine, the servers among them",
      ],
      verdicts: [
        atMost("seconds of a backup", backup, limits.backup),
        atMost("seconds of a drill", drill, limits.drill),
      ],
    };
  } finally {
    await source.stop();
  }
}

async function setUp(source: SandboxHost) {
  const operator = join(source.directory, "operator");
  mkdirSync(operator, { mode: 0o700 });
  const config = join(source.etc, "mailark", "config.yaml");
  const identity = join(operator, "recovery.key");
  const passwordFile = join(operator, "password");
  writeFileSync(passwordFile, `${mailboxPassword}\n`, { mode: 0o600 });
  const run = async (words: readonly string[]) =>
    (await execa(process.execPath, [program, "--config", config, ...words])).stdout;
  const sheet = await run([
    ...["init", "--yes", "--name", "bench", "--store", `file://${operator}/store`, "--state", join(operator, "state")],
    ...["--mail-root", source.vmail, "--mysql-defaults-file", source.mariadb.defaultsFile],
    ...["--component", "mail", "mysql"],
  ]);
  writeFileSync(identity, `${/AGE-SECRET-KEY-1[A-Z0-9]+/.exec(sheet)?.[0]}\n`, { mode: 0o600 });
  nameServices(source, config);
  return { run, identity, passwordFile };
}

async function pageOfShell(source: SandboxHost, target: string): Promise<void> {
  rmSync(target, { recursive: true, force: true });
  mkdirSync(target);
  const seal = "gzip -6 | openssl enc -aes-256-cbc -pbkdf2 -pass env:PASS";
  const script = `set -e
mariadb-dump --defaults-extra-file="$MARIADB" --single-transaction --all-databases | ${seal} > "$TARGET/mysql"
pg_dumpall | ${seal} > "$TARGET/postgres"
redis-cli -s "$REDIS" --rdb "$TARGET/dump.rdb" > /dev/null
tar cf - -C "$TARGET" dump.rdb | ${seal} > "$TARGET/redis"
tar cf - -C / "\${VMAIL#/}" | ${seal} > "$TARGET/mail"
tar cf - -C / "\${QUEUE#/}" "\${ETC#/}" "\${CERTS#/}" | ${seal} > "$TARGET/rest"
sync -f "$TARGET"`;
  await execa("bash", ["-o", "pipefail", "-c", script], {
    env: {
      ...source.postgres.environment,
      ...source.redis.environment,
      PASS: "bench",
      TARGET: target,
      MARIADB: source.mariadb.defaultsFile,
      REDIS: source.redis.socket,
      VMAIL: source.vmail,
      QUEUE: join(source.postfix.queueDirectory, "deferred"),
      ETC: source.etc,
      CERTS: source.letsencrypt,
    },
  });
}
