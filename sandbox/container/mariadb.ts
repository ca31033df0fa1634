import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { accountFor } from "../host/account.ts";
import { answers } from "../host/daemon.ts";
import { makeFolder, writeFileFor } from "../host/place.ts";
import { type Container, startContainer } from "./container.ts";

/** MariaDB in a container, as the official image has it: its data, its socket and its settings are in there. */
export interface MariadbContainer extends Container {
  readonly password: string;
  /** An option file in the container with root's password. */
  readonly defaultsFile: string;
  /** Runs SQL as root and returns what the client prints: one line a row, columns separated by tabs. */
  sql(statements: string): Promise<string>;
}

const socket = "/run/mysqld/mysqld.sock";
const durability = "--innodb-flush-method=nosync --debug-no-sync --innodb-log-file-size=32M";

/** Its first process is the server, once it has made its data directory. */
const begin = `
cd /var/lib/mysql
own="setpriv --reuid=mysql --regid=mysql --clear-groups --"
$own mariadb-install-db --no-defaults --datadir=/var/lib/mysql --skip-test-db ${durability} \\
  --auth-root-authentication-method=normal --extra-file=/etc/first.sql > /dev/null || exit
exec $own mariadbd --no-defaults --datadir=/var/lib/mysql --socket=${socket} --pid-file=/run/mysqld/pid --skip-networking \\
  --skip-name-resolve --server-id=1 --log-bin=binlog --binlog-format=ROW ${durability} "$@"`;

/** @param options are those of the server's command line; `without` as for any container. */
export async function startMariadbContainer({
  without = [],
  options = [],
}: {
  readonly without?: readonly string[];
  readonly options?: readonly string[];
} = {}): Promise<MariadbContainer> {
  const password = randomBytes(16).toString("hex");
  const account = accountFor("mysql");
  const defaultsFile = "/run/backup.cnf";
  const container = await startContainer({
    name: "db",
    command: ["sh", "-c", begin, "begin", ...options],
    without,
    prepare(root) {
      makeFolder(join(root, "var/lib/mysql"), account);
      makeFolder(join(root, "run/mysqld"), account, 0o755);
      writeFileFor(join(root, defaultsFile), `[client]\nuser=root\npassword=${password}\n`);
      writeFileFor(join(root, "etc/first.sql"), passwordOf(password), account);
    },
    ready: (root) => answers({ path: join(root, socket) }, /mariadb|mysql_native/i),
  });
  return {
    ...container,
    password,
    defaultsFile,
    sql: (statements) =>
      container.run(
        ["mariadb", `--defaults-extra-file=${defaultsFile}`, "--batch", "--skip-column-names", "--binary-mode"],
        statements,
      ),
  };
}

const passwordOf = (password: string) =>
  `UPDATE mysql.global_priv SET priv = json_set(priv, '$.plugin', 'mysql_native_password',
     '$.authentication_string', PASSWORD('${password}')) WHERE user = 'root';\n`;
