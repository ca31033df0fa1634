/** A database of MariaDB: mailark against `mariadb-dump | gzip | openssl`. */
import { populateAgency } from "../sandbox/host/agency.ts";
import { agencyTables } from "../sandbox/host/agency-schema.ts";
import { startHost } from "../sandbox/host/host.ts";
import { measureDatabase, megabytes, type Subject } from "./database.ts";
import { waysToDump } from "./mysql-ways.ts";
import type { Bench } from "./report.ts";

export const mysql: Bench = {
  title: "a database, dumped and encrypted, against the old way",
  programs: ["mariadb-dump", "gzip", "openssl", "zstd", "age"],
  run: (options) => measureDatabase(subject(), options),
};

const subject = (): Subject => ({
  ways: waysToDump(),
  limits: { withoutFacts: 0.6, withFacts: 0.75 },
  facts: "rows and checksums",
  startSource: () => startHost({ services: ["mariadb"] }),
  fill: ({ mariadb }) => populateAgency(mariadb, { seed: "bench", megabytes }),
  source: ({ mariadb }) => ({ SOURCE: mariadb.defaultsFile }),
  pidOf: ({ mariadb }) => mariadb.pid!,
  startTarget: () => startHost({ services: ["mariadb"], settings: { mariadb: { "innodb-buffer-pool-size": "512M" } } }),
  empty: ({ mariadb }) =>
    mariadb.sql(
      "DROP DATABASE mailserver; CREATE DATABASE mailserver CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci",
    ),
  target: ({ mariadb }) => ({ TARGET: mariadb.defaultsFile }),
  contentOf: ({ mariadb }) => mariadb.sql(content, "mailserver"),
});

const content = `
${agencyTables.map((name) => `SELECT '${name}', COUNT(*) FROM ${name}`).join(" UNION ALL ")};
CHECKSUM TABLE ${agencyTables.join(", ")} EXTENDED;
SELECT table_name FROM information_schema.views WHERE table_schema = DATABASE() ORDER BY 1;
SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema = DATABASE() ORDER BY 1;
SELECT routine_name, routine_type FROM information_schema.routines WHERE routine_schema = DATABASE() ORDER BY 1;
SELECT event_name FROM information_schema.events WHERE event_schema = DATABASE() ORDER BY 1;`;
