// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the text of the product is quoted as it is
import type { Guard } from "./guard.ts";

const broken = "test/shipper/components/mysql/broken-dump.test.ts";
const split = "test/shipper/components/mysql/split-dump.test.ts";
const stage = "test/shipper/components/mysql/stage.test.ts";
const roundTrip = "test/shipper/components/mysql/round-trip.test.ts";
const optionFiles = "test/shipper/components/mysql/option-files.test.ts";
const accounts = "test/shipper/components/mysql/accounts.test.ts";
const dumpArguments = "test/shipper/components/mysql/dump-arguments.test.ts";
const pulse = "test/shipper/components/mysql/pulse.test.ts";
const containers = "test/e2e/containers.test.ts";
const elsewhere = "test/shipper/components/elsewhere.test.ts";

const watchedOutput = "shipper/watched-output.ts";
const at = (name: string) => `shipper/components/mysql/${name}`;

/** Databases: no dump that is not whole becomes a snapshot, and no restore touches what is there. */
export const databaseGuards: readonly Guard[] = [
  {
    guard: "a dump without triggers and events is not complete",
    file: "shipper/components/mysql/capture.ts",
    find: "accounts === undefined || hidden > 0",
    replace: "accounts === undefined",
    test: {
      file: "test/shipper/components/mysql/rights.test.ts",
      name: "a backup by an account that does not see triggers or events is partial, and says so",
    },
  },
  {
    guard: "a dump is judged by its program's exit status",
    file: at("dump-output.ts"),
    find: "if (exit.code === 0) return;",
    replace: "if (exit) return;",
    test: { file: broken, name: "fails at its end, after all its output, gives no snapshot" },
  },
  {
    guard: "a dump has its completion mark",
    file: at("split-dump.ts"),
    find: " || !completionMark.test(text.slice(-200))",
    replace: "",
    test: { file: split, name: "is refused as cut off wherever it ends too early" },
  },
  {
    guard: "a dump has its footer",
    file: at("split-dump.ts"),
    find: "if (closing < 0 || ",
    replace: "if (",
    test: { file: split, name: "is refused when its footer is missing, although its last line is there" },
  },
  {
    guard: "a dump holds every table",
    file: at("write-parts.ts"),
    find: "missing.length > 0 || ",
    replace: "",
    test: { file: broken, name: "leaves %s out, and yet ends well, gives no snapshot" },
  },
  {
    guard: "a dump holds every view",
    file: at("write-parts.ts"),
    find: " || definitions.views.size < (counts.get(database)?.views ?? 0)",
    replace: "",
    test: { file: broken, name: "leaves %s out, and yet ends well, gives no snapshot" },
  },
  {
    guard: "of an option file only what says how to reach the server counts",
    file: at("option-files.ts"),
    find: ".filter(({ name }) => isConnecting(name));",
    replace: ";",
    test: {
      file: optionFiles,
      name: "what says how to reach a server goes from one option file into another as it is, and nothing else does",
    },
  },
  {
    guard: "the dump program reads no option file of the host",
    file: at("connection.ts"),
    find: '`--defaults-${settings ? "file" : "extra-file"}=${secret.path}`',
    replace: "`--defaults-extra-file=${secret.path}`",
    test: {
      file: optionFiles,
      name: "%s does nothing in section %s of the home's option file or of the one that is configured",
    },
  },
  {
    guard: "where the option files are out of reach, what they take out of a dump is told",
    file: at("capture.ts"),
    find: "await connection.refuseForeignOptions(dump);",
    replace: "",
    test: { file: optionFiles, name: "%s is told, and nothing is stored, where the program runs elsewhere" },
  },
  {
    guard: "a dump holds every database",
    file: at("split-dump.ts"),
    find: "if (left !== 0 && left !== this.#names.length) {",
    replace: "if (left < 0) {",
    test: { file: split, name: "is refused when a database is missing in it" },
  },
  {
    guard: "only the boundary that must come next splits a dump",
    file: at("split-dump.ts"),
    find: "const [next] = this.#boundaries;",
    replace:
      "const next = this.#boundaries.findLast((one) => findBoundary(this.#held, one, this.#searched)) ?? this.#boundaries[0];",
    test: { file: split, name: "is not fooled by the boundary of a database whose turn it is not" },
  },
  {
    guard: "a dump without boundaries does not fill the memory",
    file: at("split-dump.ts"),
    find: "if (this.#held.length <= headerBytes) return;",
    replace: "if (this.#held) return;",
    test: { file: split, name: "without comments is refused before it fills the memory" },
  },
  {
    guard: "the dump of programs has its completion mark",
    file: at("dump-output.ts"),
    find: 'if (!completionMark.test(end.toString("latin1"))) throw',
    replace: "if (end.length < 0) throw",
    test: { file: broken, name: "loses the programs of a database gives no snapshot" },
  },
  {
    guard: "a dump that stalls is ended",
    file: watchedOutput,
    find: "watchForStalls(clock, stallSeconds)",
    replace: "watchForStalls(clock, stallSeconds + 600)",
    test: { file: broken, name: "prints nothing for too long is ended, together with what waits for it" },
    hangs: true,
  },
  {
    guard: "a dump program does not outlive its dump",
    file: watchedOutput,
    find: 'running.kill("SIGKILL");',
    replace: "",
    test: { file: broken, name: "nobody reads any more is ended" },
  },
  {
    guard: "what fails ends all that runs beside it",
    file: "shipper/components/together.ts",
    find: "first ??= { error };\n      failed.abort(error);",
    replace: "first ??= { error };",
    test: { file: broken, name: "fails for the programs ends the one for the tables, however long that would take" },
    hangs: true,
  },
  {
    guard: "a dump says its position in the binary log",
    file: at("write-parts.ts"),
    find: "if (server.binlog && position === undefined) {",
    replace: "if (server.binlog && bytes < 0) {",
    test: { file: broken, name: "does not say its position gives no snapshot of a server with a binary log" },
  },
  {
    guard: "views that are not counted are not dropped in silence",
    file: at("write-parts.ts"),
    find: 'if (chunk.toString("latin1").trim() !== "") throw changed();',
    replace: 'if (chunk.toString("latin1").trim() === "never") throw changed();',
    test: {
      file: broken,
      name: "brings a view that was not there when it began ends with an error that says to try again",
    },
  },
  {
    guard: "programs and views are the same before and after a dump",
    file: at("capture.ts"),
    find: "if (JSON.stringify(before) !== JSON.stringify(after.get(database))) throw changed();",
    replace: "if (!before) throw changed();",
    test: { file: broken, name: "is accompanied by a new routine ends with an error that says to try again" },
  },
  {
    guard: "facts of a table that was changed are not believed",
    file: at("capture.ts"),
    find: "const frozen = table.transactional && !altered.has(table);",
    replace: "const frozen = table.transactional;",
    test: { file: roundTrip, name: "is brought back, and its facts are marked as not frozen" },
  },
  {
    guard: "dump, facts and position are of one moment",
    file: at("capture.ts"),
    find: 'await view.query("START TRANSACTION WITH CONSISTENT SNAPSHOT");',
    replace: "",
    test: {
      file: roundTrip,
      name: "gives a dump, facts and a position that agree: the binary log from there leads to the present",
    },
  },
  {
    guard: "a server without databases is not captured as an empty one",
    file: at("server.ts"),
    find: "if (present.length > 0) return [...present];",
    replace: "return [...present];",
    test: { file: broken, name: "that shows no database is not captured as an empty one" },
  },
  {
    guard: "a database that is to be captured and is not there is told",
    file: at("server.ts"),
    find: "if (missing.length > 0) {",
    replace: "if (missing.length < 0) {",
    test: { file: roundTrip, name: "is captured by name as well, and a name that is not there is refused" },
  },
  {
    guard: "accounts that could not be read make a snapshot partial",
    file: at("capture.ts"),
    find: "completeness: accounts === undefined || ",
    replace: "completeness: ",
    test: { file: broken, name: "gets a snapshot whose facts are marked as independent" },
  },
  {
    guard: "facts from beside the dump are marked as such",
    file: at("capture.ts"),
    find: 'factsFrom: frozen ? "view" : "independent"',
    replace: 'factsFrom: "view"',
    test: { file: broken, name: "gets a snapshot whose facts are marked as independent" },
  },
  {
    guard: "a database's name is no option",
    file: at("dump-arguments.ts"),
    find: '"--databases",\n    "--",',
    replace: '"--databases",',
    test: { file: dumpArguments, name: "a database's name is never taken for an option" },
  },
  {
    guard: "the stream that is split holds no programs",
    file: at("dump-arguments.ts"),
    find: '"--skip-triggers",\n    "--skip-routines",\n    "--skip-events",\n    ...(server',
    replace: "...(server",
    test: {
      file: dumpArguments,
      name: "the stream that is split holds no programs, and those of a database are asked for apart",
    },
  },
  {
    guard: "a copy that is loaded does not change the live database",
    file: at("programs.ts"),
    find: 'lines.join("\\nALTER DATABASE CHARACTER SET ")',
    replace: "lines.join(`\\n${alter}`)",
    test: {
      file: accounts,
      name: "a dump of programs changes the collation of the database that it is loaded into, never of the live one",
    },
  },

  {
    guard: "a server that holds databases is not restored into",
    file: "shipper/components/target-names.ts",
    find: "if (names.length === 0) return;",
    replace: "if (names) return;",
    test: { file: stage, name: "is refused while the server holds any database, and nothing is touched" },
  },
  {
    guard: "a directory that holds something is not restored into",
    file: at("stage.ts"),
    find: 'if (place.kind !== "service") refuseUnlessEmpty(world.files, place.path);',
    replace: "",
    test: { file: stage, name: "is refused where the directory is not empty" },
  },
  {
    guard: "a load that fails is taken back",
    file: at("stage.ts"),
    find: "await unload(made, added, connection, {",
    replace: "await unload([], [], connection, {",
    test: { file: stage, name: "is taken back when a part does not load, with the accounts that came with it" },
  },
  {
    guard: "accounts that were there before stay when a load is taken back",
    file: at("stage.ts"),
    find: '({ user, host }) => user !== "PUBLIC" && !known.has(JSON.stringify([user, host])),',
    replace: '({ user }) => user !== "PUBLIC",',
    test: { file: stage, name: "is taken back without the accounts that were there before" },
  },
  {
    guard: "the account that restores is left alone",
    file: at("accounts.ts"),
    find: "return database === undefined ? heading !== account : kept.has(database);",
    replace: "return database === undefined || kept.has(database);",
    test: { file: accounts, name: "leave out the account that the restore itself runs with" },
  },
  {
    guard: "a scratch server that failed leaves nothing",
    file: at("stage.ts"),
    find: "await scratch.remove();\n      throw error;",
    replace: "throw error;",
    test: { file: stage, name: "leaves neither files nor a server behind when it fails" },
  },
  {
    guard: "nobody reaches a scratch server by the network",
    file: at("scratch-server.ts"),
    find: '"--skip-networking",',
    replace: "",
    test: { file: stage, name: "is narrowed to the databases asked for, and gone afterwards" },
  },
  {
    guard: "no event runs in a scratch server",
    file: at("scratch-server.ts"),
    find: '"--event-scheduler=OFF",',
    replace: '"--event-scheduler=ON",',
    test: { file: stage, name: "is narrowed to the databases asked for, and gone afterwards" },
  },
  {
    guard: "rows are counted and compared",
    file: at("check.ts"),
    find: "if (found.rows !== table.rows) return",
    replace: "if (found.rows < 0) return",
    test: { file: stage, name: "is judged by what it holds: every kind of difference is found" },
  },
  {
    guard: "checksums are compared",
    file: at("check.ts"),
    find: "return expected === undefined || expected === actual\n    ? undefined",
    replace: "return expected !== null\n    ? undefined",
    test: { file: stage, name: "is judged by what it holds: every kind of difference is found" },
  },
  {
    guard: "programs are counted and compared",
    file: at("check.ts"),
    find: "if (wrong.length === 0) return",
    replace: "if (wrong) return",
    test: { file: stage, name: "is judged by what it holds: every kind of difference is found" },
  },
  {
    guard: "a view that can not be read is found",
    file: at("check.ts"),
    find: "if (broken.length > 0) return broken;",
    replace: "",
    test: { file: stage, name: "is judged by what it holds: every kind of difference is found" },
  },
  {
    guard: "accounts that are missing are found",
    file: at("check.ts"),
    find: "if (missing.length > 0) return",
    replace: "if (missing.length < 0) return",
    test: { file: stage, name: "is judged by what it holds: every kind of difference is found" },
  },
  {
    guard: "files of SQL are whole",
    file: at("check.ts"),
    find: "const broken = written.filter((file) => !isWhole(files, file));",
    replace: "const broken = written.filter((file) => !files || !isWhole.name || !file);",
    test: {
      file: stage,
      name: "is SQL in files of harmless names, that load in the order that is written beside them",
    },
  },
  {
    guard: "a file for a person is what was written",
    file: "shipper/components/staged-files.ts",
    find: 'return hash.digest("hex") === sha256;',
    replace: 'return hash.digest("hex") !== "";',
    test: {
      file: "test/shipper/components/staged-files.test.ts",
      name: "is another with a single byte changed, or one more",
    },
  },
  {
    guard: "a database that was asked for and is not there is told",
    file: "shipper/components/select-databases.ts",
    find: "if (unknown.length > 0) {",
    replace: "if (unknown.length < 0) {",
    test: { file: stage, name: "is refused for a database that the snapshot does not hold, naming those that it does" },
  },
  {
    guard: "an error at the accounts tells no password hash",
    file: at("load.ts"),
    find: 'part === "accounts" ? (/ERROR',
    replace: 'part === "" ? (/ERROR',
    test: { file: stage, name: "that fails at its $at tells nothing of what stands there" },
  },
  {
    guard: "the file with the password is gone afterwards",
    file: at("connection.ts"),
    find: "close: () => secret?.remove(),",
    replace: "close: () => {},",
    test: {
      file: roundTrip,
      name: "is on no command line, in no environment and in no error, and the file that hands it over is gone afterwards",
    },
  },
  {
    guard: "the file with the password of a run that goes on is left to it",
    file: "shipper/components/leftovers.ts",
    find: " && !isHolder(files, tag)",
    replace: "",
    test: {
      file: "test/shipper/components/secret-file.test.ts",
      name: "goes with the next run when its own was killed, whoever has its number now, and not before",
    },
  },
  {
    guard: "a password is on no command line",
    file: at("connection.ts"),
    find: "...(options.user === undefined ? [] : [`--user=${options.user}`]),",
    replace:
      "...(options.user === undefined ? [] : [`--user=${options.user}`]),\n    ...(password === undefined ? [] : [`--password=${password}`]),",
    test: {
      file: roundTrip,
      name: "is on no command line, in no environment and in no error, and the file that hands it over is gone afterwards",
    },
  },
  {
    guard: "a password is on no command line of a container either",
    file: at("connection.ts"),
    find: "if (told) leading = [`--defaults-extra-file=${toldFile}`];",
    replace: "if (told) leading = [`--password=${password}`];",
    test: {
      file: containers,
      name: "tells its password to nobody: not to a command line, an environment, a file or the container engine",
    },
  },
  {
    guard: "a program in a container does not outlive the run that started it",
    file: "shipper/components/elsewhere.ts",
    find: '{ read -r end <&9; kill -KILL "$program"; } > /dev/null 2>&1 &',
    replace: "sleep 0 &",
    test: { file: elsewhere, name: "ends when its input does, and not before" },
    hangs: true,
  },
  {
    guard: "a container that is stopped or paused is told as such",
    file: "shipper/components/elsewhere.ts",
    find: "sign: /container state improper|is paused|is not running|paused/i,",
    replace: "sign: /this is never said/i,",
    test: { file: elsewhere, name: "is told in words of ours: %s" },
  },
  {
    guard: "a session with a server that hangs is given up",
    file: "shipper/components/dialogue.ts",
    find: 'return whileAnswering(pulse, world, answer, () => running.kill("SIGKILL"));',
    replace: "return answer;",
    test: { file: pulse, name: "a session with a server that answers nobody any more is given up" },
    hangs: true,
  },
  {
    guard: "a load into a server that hangs is given up",
    file: at("load.ts"),
    find: "await whileAnswering(pulseOf(connection, processes), world, loading, () => stalled.abort());",
    replace: "await loading;",
    test: { file: pulse, name: "a load into a server that answers nobody any more is given up" },
    hangs: true,
  },
  {
    guard: "a statement does not wait for a lock for ever",
    file: at("session.ts"),
    find: ", lock_wait_timeout=${patience}`);",
    replace: ", lock_wait_timeout=${patience + 86_000}`);",
    test: { file: pulse, name: "a statement that waits for somebody's lock is given up, and says so" },
    hangs: true,
  },
  {
    guard: "a manifest lists parts in the order in which they are loaded",
    file: at("capture.ts"),
    find: "context.writer.arrange(inLoadingOrder);",
    replace: "",
    test: { file: roundTrip, name: "says what it is and what is not exact, by numbers only" },
  },
  {
    guard: "rows that came after a restore of mysql was ended are not taken back with it",
    file: at("filling.ts"),
    find: 'refuseArrivals("rows or tables have come", await arrivals(connection, databases, present, world));',
    replace: "",
    test: { file: stage, name: "that was ended is taken back only while nothing came afterwards" },
  },
];
