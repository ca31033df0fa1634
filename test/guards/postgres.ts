import type { Guard } from "./guard.ts";

const broken = "test/shipper/components/postgres/broken-dump.test.ts";
const archive = "test/shipper/components/postgres/archive.test.ts";
const stage = "test/shipper/components/postgres/stage.test.ts";
const elsewhere = "test/shipper/components/postgres/elsewhere.test.ts";

const at = (name: string) => `shipper/components/postgres/${name}`;

/** PostgreSQL: no archive that is not whole becomes a snapshot, and no restore touches what is there. */
export const postgresGuards: readonly Guard[] = [
  {
    guard: "a dump of PostgreSQL is judged by its program's exit status",
    file: at("dump-output.ts"),
    find: "if (exit.code === 0) return;",
    replace: "if (exit) return;",
    test: { file: broken, name: "fails at its end, after all its output, gives no snapshot" },
  },
  {
    guard: "an archive ends where a block ends",
    file: at("archive.ts"),
    find: 'this.#state === "block" && this.#filled === 0 && ',
    replace: "",
    test: { file: archive, name: "is refused wherever it ends too early" },
  },
  {
    guard: "an archive has all the data that its table of contents promises",
    file: at("archive.ts"),
    find: " && this.#missing.size === 0",
    replace: "",
    test: { file: archive, name: "is refused wherever it ends too early" },
  },
  {
    guard: "an archive has no data that its table of contents does not promise",
    file: at("archive.ts"),
    find: "if (!this.#missing.delete(value)) throw truncated();",
    replace: "this.#missing.delete(value);",
    test: { file: archive, name: "is refused when something follows it, or stands in the place of its data" },
  },
  {
    guard: "an archive that is cut off gives no snapshot",
    file: at("archive.ts"),
    find: "  walker.end();",
    replace: "",
    test: { file: broken, name: "is cut off, and yet ends well, gives no snapshot" },
  },
  {
    guard: "the roles of a server have their completion mark",
    file: at("globals.ts"),
    find: "if (completionMark.test(sql.slice(-300))) return sql;",
    replace: "if (sql) return sql;",
    test: { file: broken, name: "loses roles gives no snapshot" },
  },
  {
    guard: "the dump holds every role",
    file: at("capture.ts"),
    find: "const missing = roles.filter(({ name }) => !dumped.has(name));",
    replace: "const missing = roles.filter(({ name }) => !dumped.has(name) && name === undefined);",
    test: { file: broken, name: "loses roles gives no snapshot" },
  },
  {
    guard: "an archive holds every table",
    file: at("capture.ts"),
    find: "if (missing.length === 0) return bytes;",
    replace: "if (bytes) return bytes;",
    test: { file: broken, name: "leaves a table out, and yet ends well, gives no snapshot" },
  },
  {
    guard: "a PostgreSQL server without databases is not captured as an empty one",
    file: at("server.ts"),
    find: "if (all.length > 0) return all;",
    replace: "if (all) return all;",
    test: { file: broken, name: "that shows no database is not captured as an empty one" },
  },
  {
    guard: "what the environment says of another server is not taken for this one",
    file: at("connection.ts"),
    find: '["env", ...foreign.flatMap((name) => ["-u", name])]',
    replace: "[]",
    test: { file: broken, name: "is reached by nothing that the environment says of another one" },
  },
  {
    guard: "programs at another place are handed the password",
    file: at("connection.ts"),
    find: "[...options.command, ...hand, ...words(program, args)]",
    replace: "[...options.command, ...words(program, args)]",
    test: {
      file: elsewhere,
      name: "programs at another place (%#) are handed the password, and no command line or local file has it",
    },
  },
  {
    guard: "a service that holds databases is not restored into",
    file: at("server.ts"),
    find: "if (!ownDatabases.includes(name)) filled.push(name);\n    else if (own",
    replace: "if (ownDatabases.includes(name) && own",
    test: { file: stage, name: "gets databases and roles, and people log in with the password that they had" },
  },
  {
    guard: "a database that every server has is looked into before it is made anew",
    file: at("server.ts"),
    find: "    else if (own.includes(name) && (await withSession(connection, world, isChanged, name))) filled.push(name);",
    replace: "",
    test: { file: stage, name: "whose own database holds something is not empty where that would come back" },
  },
  {
    guard: "a load of PostgreSQL that failed is taken back",
    file: at("stage.ts"),
    find: "await unload(made, connection, ",
    replace: "await unload([], connection, ",
    test: { file: stage, name: "is empty again after a load that failed" },
  },
  {
    guard: "a row that the server did not accept is not shown",
    file: at("load.ts"),
    find: 'withoutRows(error.detail ?? "")',
    replace: '(error.detail ?? withoutRows(""))',
    test: { file: stage, name: "is empty again after a load that failed" },
  },
  {
    guard: "roles come back all or none",
    file: at("load.ts"),
    find: 'await session.run("BEGIN");',
    replace: "",
    test: { file: stage, name: "gets a role with its password or not at all" },
  },
  {
    guard: "directories of tablespaces are looked for before a role is made",
    file: at("load.ts"),
    find: "if (missing.length === 0) return;",
    replace: "if (missing) return;",
    test: { file: stage, name: "without the directory of a tablespace is refused before anything is made" },
  },
  {
    guard: "a load is taken back whoever is connected by now",
    file: at("unload.ts"),
    find: " WITH (FORCE)",
    replace: "",
    test: { file: stage, name: "is empty again after a load that failed" },
  },
  {
    guard: "what could not be taken back is told",
    file: at("stage.ts"),
    find: "stayed.length === 0 ? error : leaving(stayed, error)",
    replace: "error",
    test: { file: stage, name: "that can not be emptied again after a load that failed is told by name" },
  },
  {
    guard: "an object that came back with another owner is not taken for one that is written otherwise",
    file: at("check.ts"),
    find: "before?.names !== after?.names",
    replace: "before === undefined",
    test: { file: stage, name: "holds what was selected, and what was changed there is noticed" },
  },
  {
    guard: "a server that does not answer any more is not waited for",
    file: "shipper/components/dialogue.ts",
    find: 'return whileAnswering(pulse, world, answer, () => running.kill("SIGKILL"));',
    replace: "return answer;",
    test: { file: elsewhere, name: "a server that does not answer any more is given up" },
    hangs: true,
  },
  {
    guard: "rows that came after a restore of postgres was ended are not taken back with it",
    file: at("filling.ts"),
    find: 'refuseArrivals("rows or tables have come", await arrivals(connection, filled, world));',
    replace: "",
    test: { file: stage, name: "whose restore was ended is emptied again only while nothing came afterwards" },
  },
];
