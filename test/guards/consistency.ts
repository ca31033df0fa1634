// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the text of the product is quoted as it is
import type { Guard } from "./guard.ts";

const report = "test/shipper/consistency/report.test.ts";
const accounts = "test/shipper/consistency/accounts.test.ts";
const onHost = "test/shipper/consistency/consistency.test.ts";

const at = (name: string) => `shipper/consistency/${name}`;

/** The consistency report of a run: it changes nothing, delays little, cries no wolf and names nobody in the store. */
export const consistencyGuards: readonly Guard[] = [
  {
    guard: "what came or went during a run is no finding",
    file: at("report.ts"),
    find: ".filter((name) => still?.has(name))",
    replace: "",
    test: { file: report, name: "an account that came or went during the run is no finding, one that stayed is" },
  },
  {
    guard: "an alias does not vouch for its own destination",
    file: at("report.ts"),
    find: "name !== own && sources.has(name)",
    replace: "sources.has(name)",
    test: { file: report, name: "when a catch-all leads to what only it would catch" },
  },
  {
    guard: "names that do not fit together stay out of a run's record",
    file: "shipper/backup.ts",
    find: "({ code, count: names.length })",
    replace: "({ code, count: names.length, names })",
    test: { file: onHost, name: "a mailbox without a directory" },
  },
  {
    guard: "accounts in MariaDB are asked in a transaction that can not write",
    file: at("accounts.ts"),
    find: "WITH CONSISTENT SNAPSHOT, READ ONLY",
    replace: "WITH CONSISTENT SNAPSHOT",
    test: { file: accounts, name: "an account that may read can not be made to write by what the configuration asks" },
  },
  {
    guard: "accounts in PostgreSQL are asked in a transaction that can not write",
    file: at("accounts.ts"),
    find: "REPEATABLE READ READ ONLY",
    replace: "REPEATABLE READ",
    test: { file: accounts, name: "accounts may be in PostgreSQL, where names are looked up as its own settings say" },
  },
  {
    guard: "the server ends a question for accounts that takes too long",
    file: at("accounts.ts"),
    find: "max_statement_time=${limit / 1000}",
    replace: "max_statement_time=0",
    test: { file: accounts, name: "a query that takes too long: the server ends it" },
    hangs: true,
  },
  {
    guard: "a backup does not wait for a report",
    file: at("comparison.ts"),
    find: "world.clock.sleep(limit, done.signal)",
    replace: "world.clock.sleep(limit * 100, done.signal)",
    test: { file: onHost, name: "a program that never answers: nothing waits for it" },
    hangs: true,
  },
  {
    guard: "a backup does not fail for a report",
    file: at("comparison.ts"),
    find: "const { message, detail } = asMailarkError(thrown);",
    replace: "throw thrown; const { message, detail } = asMailarkError(thrown);",
    test: { file: onHost, name: "a layout that does not say domains" },
  },
  {
    guard: "accounts are asked of a component that is configured",
    file: "shipper/config.ts",
    find: "if (accounts === undefined || components[accounts.component] !== undefined) return;",
    replace: "if (accounts !== undefined) return;",
    test: { file: onHost, name: "accounts of a component that is not configured are a mistake in the configuration" },
  },
];
