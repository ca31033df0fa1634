import type { Guard } from "./guard.ts";

const appendOnly = "test/shipper/components/redis/append-only.test.ts";
const broken = "test/shipper/components/redis/broken-transfer.test.ts";
const rdb = "test/shipper/components/redis/rdb.test.ts";
const stage = "test/shipper/components/redis/stage.test.ts";

const at = (name: string) => `shipper/components/redis/${name}`;

/** Redis: no file that is not whole becomes a snapshot, no restore touches what is there, and no queue runs by itself. */
export const redisGuards: readonly Guard[] = [
  {
    guard: "a transfer is judged by its program's exit status",
    file: at("rdb-stream.ts"),
    find: "if (exit.code === 0) return;",
    replace: "if (exit) return;",
    test: { file: broken, name: "fails at its end, after all its output, gives no snapshot" },
  },
  {
    guard: "a file has the checksum that it ends with",
    file: at("rdb-stream.ts"),
    find: "checked ? !crc.copy().update(before).digest().equals(stored) : !understood",
    replace: "!checked && !understood",
    test: { file: broken, name: "changes a single byte gives no snapshot" },
  },
  {
    guard: "a file has its end mark before the checksum",
    file: at("rdb-stream.ts"),
    find: "if ((before.at(-1) ?? last) !== 0xff) continue;",
    replace: "if (last < 0) continue;",
    test: { file: rdb, name: "is refused wherever it is cut off, with any other byte, and with something after it" },
  },
  {
    guard: "a file without a checksum ends where its structure does",
    file: at("rdb-stream.ts"),
    find: ".equals(stored) : !understood) continue;",
    replace: ".equals(stored) : false) continue;",
    test: { file: rdb, name: "without a checksum is believed only where its structure ends there" },
  },
  {
    guard: "keys count only where there are as many as the server announced",
    file: at("facts.ts"),
    find: "return (tally?.keys ?? 0) === keys &&",
    replace: "return keys >= 0 ||",
    test: { file: rdb, name: "with fewer keys than the server announced is not counted" },
  },
  {
    guard: "a password file of Redis that others can read is refused",
    file: "shipper/config.ts",
    find: '{ path: redis?.passwordFile, what: "the password file of Redis" },',
    replace: "",
    test: {
      file: "test/shipper/components/redis/config.test.ts",
      name: "a password file that others can read is refused",
    },
  },
  {
    guard: "a node of a cluster is not taken for all of it",
    file: at("capture.ts"),
    find: "if (server.cluster) {",
    replace: "if (server.cluster === undefined) {",
    test: { file: broken, name: "is a node of a cluster is refused" },
  },
  {
    guard: "an append-only file is judged by its program's exit status",
    file: at("append-only.ts"),
    find: 'await succeed("cat", running, signal);',
    replace: "await running.exited;",
    test: {
      file: appendOnly,
      name: "that end half-way, although the program was content to begin with, give no snapshot",
    },
  },
  {
    guard: "append-only files that were rewritten meanwhile are opened anew",
    file: at("append-only.ts"),
    find: "const gone = file.first.done === true && (await running.exited).code !== 0;",
    replace: "const gone = file.first.done === true && (await running.exited).code === -1;",
    test: {
      file: appendOnly,
      name: "are whole also when they are rewritten between the manifest and its files, or while they are read",
    },
  },
  {
    guard: "an append-only file stays in its directory",
    file: at("append-only.ts"),
    find: "([A-Za-z0-9_-][A-Za-z0-9._-]*) seq",
    replace: "(.+) seq",
    test: { file: appendOnly, name: "have names that stay where they are" },
  },
  {
    guard: "a service that holds something is not restored into",
    file: at("load-service.ts"),
    find: "if (found.length > 0) {",
    replace: "if (found.length > 100) {",
    test: { file: stage, name: "%s is refused before anything is touched" },
  },
  {
    guard: "a replica is not restored into",
    file: at("load-service.ts"),
    find: 'if (role === "master") return;',
    replace: "if (role) return;",
    test: { file: stage, name: "%s is refused before anything is touched" },
  },
  {
    guard: "what can be loaded only in part is not loaded",
    file: at("stage.ts"),
    find: 'if (!facts.counted) throw unloadable("it has values of a later release");',
    replace: 'if (!facts) throw unloadable("");',
    test: { file: stage, name: "could be given only a part of a snapshot is not touched" },
  },
  {
    guard: "what was loaded is taken back when the rest can not be",
    file: at("load-service.ts"),
    find: "await takeBack(connection, added, kept, world);",
    replace: "",
    test: { file: stage, name: "refuses a single key is empty again" },
  },
  {
    guard: "an interrupted load is taken back too",
    file: at("load-service.ts"),
    find: "connection.until(AbortSignal.timeout(300_000))",
    replace: "connection",
    test: { file: stage, name: "is filled when somebody interrupts is empty again" },
  },
  {
    guard: "queues and sessions come back under another name",
    file: at("load-service.ts"),
    find: "const hidden = isHeld(key.name);",
    replace: "const hidden = !isHeld(key.name) && false;",
    test: {
      file: stage,
      name: "has queues and sessions under another name until they are released, by the lines of the guide",
    },
  },
  {
    guard: "a server that loaded fewer keys fails the check",
    file: at("check.ts"),
    find: "if (loaded && (before",
    replace: "if (!loaded && (before",
    test: { file: stage, name: "notices a file of which the server loaded less" },
  },
  {
    guard: "other values fail the check",
    file: at("check.ts"),
    find: "expected.digest !== undefined && expected.digest !== found.digest",
    replace: "expected.digest !== undefined && found.digest === undefined",
    test: { file: stage, name: "notices every loss, and passes again when it is made good" },
  },
  {
    guard: "a key that is gone before its time fails the check",
    file: at("check.ts"),
    find: "if (present < due)",
    replace: "if (present < 0)",
    test: { file: stage, name: "notices every loss, and passes again when it is made good" },
  },
  {
    guard: "a directory that holds something is not written into",
    file: at("stage.ts"),
    find: 'if (place.kind === "directory") refuseUnlessEmpty(world.files, place.path);',
    replace: "if (refuseUnlessEmpty === undefined) return undefined as never;",
    test: { file: stage, name: "has the files that a fresh server starts with" },
  },
  {
    guard: "keys that were on hold when captured are counted under the names that they had then",
    file: "shipper/components/redis/count-keys.ts",
    find: 'onHold ? heldPrefix : ""',
    replace: "heldPrefix",
    test: { file: "test/shipper/components/redis/stage.test.ts", name: "is proven, and comes back, with %j" },
  },
  {
    guard: "what was on hold when captured does not stand in the way of what is put on hold",
    file: "shipper/components/redis/hold.ts",
    find: "name.startsWith(heldPrefix) || ",
    replace: "",
    test: { file: "test/shipper/components/redis/stage.test.ts", name: "is proven, and comes back, with %j" },
  },
  {
    guard: "keys that came after a restore was ended are not taken back with it",
    file: at("filling.ts"),
    find: "...(await arrivedKeys(snapshot, connection, config.hold)),",
    replace: "",
    test: { file: stage, name: "is left as it is when %s came afterwards" },
  },
  {
    guard: "what an application gave to a queue that is on hold is not taken for the restore's",
    file: at("arrivals.ts"),
    find: "known.has(own) && !waiting.has(own)",
    replace: "known.has(own)",
    test: { file: stage, name: "is left as it is when %s came afterwards" },
  },
];
