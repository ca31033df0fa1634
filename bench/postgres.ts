/** A database of PostgreSQL: mailark against `pg_dump | gzip | openssl`. */
import { startHost } from "../sandbox/host/host.ts";
import { mailAppTables, populateMailApp } from "../sandbox/host/mail-app.ts";
import { measureDatabase, megabytes, type Subject } from "./database.ts";
import { waysToDump } from "./postgres-ways.ts";
import type { Bench } from "./report.ts";

export const postgres: Bench = {
  title: "a database of PostgreSQL, dumped and encrypted, against the old way",
  programs: ["pg_dump", "gzip", "openssl", "zstd", "age"],
  run: (options) => measureDatabase(subject(), options),
};

const messagesPerMegabyte = 2600;

const subject = (): Subject => ({
  ways: waysToDump(),
  limits: { withoutFacts: 0.5, withFacts: 0.7 },
  facts: "rows and digests",
  startSource: () => startHost({ services: ["postgres"] }),
  fill: ({ postgres }) => populateMailApp(postgres, { seed: "bench", messages: megabytes * messagesPerMegabyte }),
  source: ({ postgres }) => ({ SOURCE: postgres.socketDirectory, SOURCE_PASSFILE: postgres.passwordFile }),
  pidOf: ({ postgres }) => postgres.pid!,
  startTarget: () => startHost({ services: ["postgres"] }),
  async empty({ postgres }) {
    await postgres.sql("DROP DATABASE IF EXISTS mailapp");
    await postgres.sql("DROP ROLE IF EXISTS mailapp");
    await postgres.sql("CREATE ROLE mailapp LOGIN");
  },
  target: ({ postgres }) => ({ TARGET: postgres.socketDirectory, TARGET_PASSFILE: postgres.passwordFile }),
  contentOf: ({ postgres }) => postgres.sql(content, "mailapp"),
});

const content = `
${mailAppTables.map((name) => `SELECT '${name}', count(*), sum(hashtextextended(t::text, 0)::numeric) FROM ${name} t;`).join("\n")}
SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = 'public'::regnamespace ORDER BY 1;
SELECT relname, relkind FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1;
SELECT tgname FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1;
SELECT sequencename, last_value FROM pg_sequences ORDER BY 1;`;
