import { randomBytes } from "node:crypto";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { nodeProcesses, outputOf } from "../../shipper/processes.ts";
import { accountFor, isRoot } from "./account.ts";
import { answers, Daemon, serviceOf } from "./daemon.ts";
import { makeFolder, type Place, writeFileFor } from "./place.ts";
import { programPath } from "./programs.ts";
import type { Service } from "./service.ts";

/** MariaDB with its binary log on (ROW), reachable by its socket only. */
export interface Mariadb extends Service {
  readonly socket: string;
  readonly user: "root";
  /** Differs from host to host, so that a search for it finds every place where it leaked. */
  readonly password: string;
  /** Of the account that Dovecot reads its users with. */
  readonly applicationPassword: string;
  /** Mode 0600, with socket, user and password: for `--defaults-extra-file`. */
  readonly defaultsFile: string;
  readonly datadir: string;
  readonly log: string;
  /**
   * Runs SQL as root and returns what the client prints: one line a row, columns separated by tabs, no header.
   *
   * @throws MailarkError `PROGRAM_FAILED` with the server's message.
   */
  sql(statements: string | Uint8Array, database?: string): Promise<string>;
  /** Leaves a new, empty server with the same root password: what a fresh machine has. */
  wipe(): Promise<void>;
}

/** Makes a data directory, without starting the server. `settings` are added to the server's command line. */
export async function prepareMariadb(
  place: Place,
  settings: Readonly<Record<string, string>> = {},
  signal?: AbortSignal,
): Promise<Mariadb> {
  const { directory } = place;
  const account = accountFor("mysql");
  const home = makeFolder(join(directory, "mariadb"), account, 0o755);
  const datadir = join(home, "data");
  const socket = join(home, "mariadb.sock");
  const log = join(home, "mariadb.log");
  const password = randomBytes(16).toString("hex");
  const defaultsFile = writeFileFor(
    join(directory, "mariadb.cnf"),
    `[client]\nsocket=${socket}\nuser=root\npassword=${password}\n`,
  );
  const firstWords = writeFileFor(
    join(home, "first.sql"),
    `UPDATE mysql.global_priv SET priv = json_set(priv, '$.plugin', 'mysql_native_password',
       '$.authentication_string', PASSWORD('${password}')) WHERE user = 'root';\n`,
    account,
  );
  // A server that starts removes every temporary table in its temporary directory, those of its neighbours too, which crash on it.
  const tmpdir = makeFolder(join(home, "tmp"), account, 0o750);
  const durability = ["--innodb-flush-method=nosync", "--debug-no-sync", "--innodb-log-file-size=32M"];

  async function initialise(): Promise<void> {
    rmSync(datadir, { recursive: true, force: true });
    const command = [
      programPath("mariadb-install-db", "mariadb-server"),
      "--no-defaults",
      `--datadir=${datadir}`,
      `--tmpdir=${tmpdir}`,
      "--auth-root-authentication-method=normal",
      "--skip-test-db",
      `--extra-file=${firstWords}`,
      ...durability,
    ];
    const become = isRoot ? [`--reuid=${account.uid}`, `--regid=${account.gid}`, "--clear-groups"] : [];
    await outputOf(nodeProcesses, [programPath("setpriv", "util-linux"), ...become, "--", ...command], {
      cwd: home,
      ...(signal && { signal }),
    });
  }

  const daemon = new Daemon({
    place,
    name: "MariaDB",
    account,
    cwd: home,
    log,
    command: [
      programPath("mariadbd", "mariadb-server"),
      "--no-defaults",
      `--datadir=${datadir}`,
      `--tmpdir=${tmpdir}`,
      `--socket=${socket}`,
      `--pid-file=${join(home, "mariadb.pid")}`,
      "--skip-networking",
      "--skip-name-resolve",
      "--server-id=1",
      "--log-bin=binlog",
      "--binlog-format=ROW",
      "--character-set-server=utf8mb4",
      "--collation-server=utf8mb4_unicode_ci",
      ...durability,
      ...Object.entries(settings).map(([name, value]) => `--${name}=${value}`),
    ],
    ready: () => answers({ path: socket }, /mariadb|mysql_native/i),
  });

  await initialise();
  return serviceOf<Mariadb>(daemon, {
    socket,
    user: "root",
    password,
    applicationPassword: randomBytes(16).toString("hex"),
    defaultsFile,
    datadir,
    log,
    async sql(statements, database) {
      const client = programPath("mariadb", "mariadb-server");
      const options = [`--defaults-extra-file=${defaultsFile}`, "--batch", "--skip-column-names", "--binary-mode"];
      const charset = "--default-character-set=utf8mb4";
      const command = [client, ...options, charset, ...(database === undefined ? [] : [database])] as const;
      return (await outputOf(nodeProcesses, command as unknown as [string], { input: statements })).toString("utf8");
    },
    async wipe() {
      await daemon.kill();
      await initialise();
      await daemon.start();
    },
  });
}
