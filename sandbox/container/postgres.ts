import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { accountFor } from "../host/account.ts";
import { makeFolder } from "../host/place.ts";
import { programPath } from "../host/programs.ts";
import { type Container, startContainer } from "./container.ts";

/** PostgreSQL in a container, as the official image has it: whoever is in there is trusted. */
export interface PostgresContainer extends Container {
  /** Runs SQL as superuser and returns what psql prints: one line a row. */
  sql(statements: string, database?: string): Promise<string>;
}

const datadir = "/var/lib/postgresql/data";

const begin = `
cd /var/lib/postgresql
own="setpriv --reuid=postgres --regid=postgres --clear-groups --"
$own "$1/initdb" -D ${datadir} --no-sync -U postgres -A trust --locale=C.UTF-8 -E UTF8 > /dev/null || exit
exec $own "$1/postgres" -D ${datadir} -c listen_addresses= -c unix_socket_directories=/run/postgresql -c fsync=off \\
  -c dynamic_shared_memory_type=mmap`;

/** Starts one. It has one superuser, `postgres`, and its socket is where programs look for it. */
export async function startPostgresContainer(): Promise<PostgresContainer> {
  const account = accountFor("postgres");
  const container = await startContainer({
    name: "postgres",
    command: ["sh", "-c", begin, "begin", dirname(programPath("postgres", "postgresql"))],
    prepare(root) {
      makeFolder(join(root, "var/lib/postgresql"), account);
      makeFolder(join(root, "run/postgresql"), account, 0o755);
    },
    async ready(root) {
      try {
        return (
          readFileSync(join(root, datadir, "postmaster.pid"), "utf8")
            .split("\n")[7]
            ?.trim() === "ready"
        );
      } catch {
        return false;
      }
    },
  });
  return {
    ...container,
    sql: (statements, database = "postgres") =>
      container.run(
        [
          "psql",
          "-X",
          "-q",
          "-A",
          "-t",
          "-v",
          "ON_ERROR_STOP=1",
          "-h",
          "/run/postgresql",
          "-U",
          "postgres",
          "-d",
          database,
        ],
        statements,
      ),
  };
}
