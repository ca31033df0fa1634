import type { Guard } from "./guard.ts";

const fan = "test/core/stores/fan-out.test.ts";
const two = "test/shipper/commands/two-stores.test.ts";
const watched = "test/core/stores/watched-body.test.ts";
const runStore = "test/shipper/stores/run-store.test.ts";
const backlog = "test/shipper/stores/backlog.test.ts";
const partial = "makes the run partial, is named, and gets what it missed from the next run";

/** Several stores at once. */
export const severalStoresGuards: readonly Guard[] = [
  {
    guard: "a store that lacks something gets nothing more in that run",
    file: "core/stores/fan-out.ts",
    find: "const asked = members.filter(isIn);",
    replace: "const asked = members;",
    test: { file: fan, name: "gets nothing more, and the others everything" },
  },
  {
    guard: "a put under way keeps no store in that another put found lacking",
    file: "core/stores/fan-out.ts",
    find: "const left = answers.filter(isIn);",
    replace: "const left = answers;",
    test: {
      file: fan,
      name: "is out also for what was under way at the same time, and the last one stays in whatever it fails at",
    },
  },
  {
    guard: "a body that fails is no fault of a store",
    file: "core/stores/fan-out.ts",
    find: "if (failure) throw asMailarkError(failure.reason);",
    replace: "",
    test: { file: fan, name: "the body fails, whatever each store makes of it" },
  },
  {
    guard: "an interruption is no fault of a store",
    file: "core/stores/fan-out.ts",
    find: "if (options.signal?.aborted) throw asMailarkError(options.signal.reason);",
    replace: "",
    test: { file: fan, name: "the run is interrupted" },
  },
  {
    guard: "what a store has under a key is not taken for what was sent",
    file: "core/stores/fan-out.ts",
    find: "same(key) ? [...stored, ...taken] : stored",
    replace: "[...stored, ...taken]",
    test: { file: fan, name: "has something else under the key: it is out, and keeps what it has" },
  },
  {
    guard: "stores that say different things of the same bytes are not all believed",
    file: "core/stores/fan-out.ts",
    find: "if (others.length === 0 || stored.every(isSame)) return first;",
    replace: "if (others) return first;",
    test: { file: fan, name: "says that it received other bytes than the others: it is out, whichever it is" },
  },
  {
    guard: "a store that says no checksum vouches for no other",
    file: "core/stores/fan-out.ts",
    find: "receipt!.crc64nvme !== undefined && agree(receipt!, first.receipt!)",
    replace: "agree(receipt!, first.receipt!)",
    test: { file: fan, name: "a store that says a wrong checksum is out also where the other says none, the %s" },
  },
  {
    guard: "a store is not asked again for what the body failed with",
    file: "core/stores/watched-body.ts",
    find: "throw lasting(reason);",
    replace: "throw reason;",
    test: {
      file: watched,
      name: "a body that fails is sent once: the store is not asked again for what is not its fault",
    },
  },
  {
    guard: "a body that failed before is not to blame for what fails now",
    file: "core/stores/watched-body.ts",
    find: "        watched.failure = undefined;\n",
    replace: "",
    test: { file: watched, name: "a failure of before says nothing of the next time that it is sent" },
  },
  {
    guard: "a store that refuses to say what it has is asked once in a run",
    file: "shipper/stores/run-store.ts",
    find: "if (refusal) throw refusal;",
    replace: "",
    test: { file: runStore, name: "says whether it has an object is asked no more, and may still be read" },
  },
  {
    guard: "a store that could not be read is not read again in a run",
    file: "shipper/stores/run-store.ts",
    find: "if (failure) throw failure;",
    replace: "",
    test: { file: runStore, name: "could not be read or listed is read no more" },
  },
  {
    guard: "a kill between two stores is seen: the intention is written first",
    file: "shipper/stores/noting-writer.ts",
    find: "      backlog.begin(key);\n      const receipt = await all.put(key, body, options);\n",
    replace: "      const receipt = await all.put(key, body, options);\n      backlog.begin(key);\n",
    test: {
      file: backlog,
      name: "what a store may lack is on disk before the first store gets it, and is settled by those that have it",
    },
  },
  {
    guard: "a damaged list of what a store lacks is told",
    file: "shipper/stores/backlog.ts",
    find: "key: z.string().refine(isKey),",
    replace: "key: z.string(),",
    test: { file: backlog, name: "a list that is damaged is told, with what to do: %j" },
  },
  {
    guard: "a run that left a store out, or left something owed to it, is not said to be whole",
    file: "shipper/commands/stores-report.ts",
    find: "owed.length > 0 || lost",
    replace: "lost",
    test: { file: two, name: partial },
  },
  {
    guard: "what one store damaged is not handed on to another",
    file: "shipper/stores/copy-object.ts",
    find: 'if (measured.digest("hex") === sha256 && (bytes ?? length) === length) return;',
    replace: "if (length >= 0) return;",
    test: { file: two, name: "and was damaged in the other (%s) is not handed on, nor the record of its run" },
  },
  {
    guard: "the record of a run is not copied without the snapshots that it names",
    file: "shipper/stores/copy-owed.ts",
    find: 'if ((await inTarget(manifestKey({ hostId, component, snapshotId }))) !== "absent") continue;',
    replace: "if (hostId) continue;",
    test: { file: two, name: "and was damaged in the other (%s) is not handed on, nor the record of its run" },
  },
  {
    guard: "what a store has in the place of something missed is compared",
    file: "shipper/stores/copy-object.ts",
    find: "    await refuseUnlessSame(key, expected);",
    replace: "",
    test: { file: two, name: "and where something else stands under one of its keys is not believed to be there" },
  },
  {
    guard: "nothing is given up while a store that may have it is away",
    file: "shipper/stores/catch-up.ts",
    find: 'away ? { judgement: "unknown", error: away } : { judgement: "gone" }',
    replace: '{ judgement: "gone" }',
    test: { file: two, name: "waits where the store that has it is away" },
  },
  {
    guard: "a run is not said to be whole that lost something of a store by an error",
    file: "shipper/commands/stores-report.ts",
    find: " || lost.some(({ error }) => error)",
    replace: "",
    test: { file: two, name: "and was damaged in the other (%s) is not handed on, nor the record of its run" },
  },
  {
    guard: "a snapshot is replaced by one of its own component alone",
    file: "shipper/stores/catch-up.ts",
    find: "component === undefined || stored.includes(component)",
    replace: "component === undefined || stored",
    test: {
      file: two,
      name: "can hand nothing on: what no newer snapshot stands in for stays owed, until its component is configured no more",
    },
  },
  {
    guard: "a new signing key does not make what the old one signed worthless",
    file: "shipper/stores/catch-up.ts",
    find: "return [own, ...keys.map(({ verifier }) => verifier)];",
    replace: "return [own, ...keys.map(() => own)];",
    test: { file: two, name: "and was signed with a key that this host had before is copied" },
  },
  {
    guard: "what an unknown key signed is not given up",
    file: "shipper/stores/catch-up.ts",
    find: ' && error.code !== "SIGNER_UNTRUSTED"',
    replace: "",
    test: { file: two, name: "and was signed by nobody who is introduced there stays owed" },
  },
  {
    guard: "an interrupted run does not wait for ever for a store that is silent",
    file: "shipper/backup.ts",
    find: "if (signal.aborted) hurry();\n  else signal.addEventListener",
    replace: "signal.removeEventListener",
    hangs: true,
    test: {
      file: "test/shipper/backup.test.ts",
      name: "a run that is interrupted %s waits ten seconds for a store that is silent, and is interrupted all the same",
    },
  },
  {
    guard: "a run without a record is not said to be whole",
    file: "shipper/backup.ts",
    find: "isShort ? exitCodes.partial : exitCode",
    replace: "exitCode",
    test: {
      file: "test/shipper/backup.test.ts",
      name: "a run whose record alone is refused says how each component went, and is partial",
    },
  },
  {
    guard: "a restore script that is damaged in the store is told",
    file: "shipper/stores/break-glass-faults.ts",
    find: "if (!found.equals(breakGlass[file])) throw",
    replace: "if (found.length < 0) throw",
    test: {
      file: "test/shipper/commands/backup.test.ts",
      name: "is told when the store says so, and by each later backup until it is erased",
    },
  },
  {
    guard: "a key is sealed with only where every store of the run has it",
    file: "shipper/sealing-keys.ts",
    find: "if (!(await isIn(place, key, ownEntry(load(place)[kind], name)))) return undefined;",
    replace: "await isIn(place, key, ownEntry(load(place)[kind], name));",
    test: {
      file: two,
      name: "can hand nothing on: what the other missed is given up, and sealed with new keys from then on",
    },
  },
  {
    guard: "keys are brought from one store to another before new ones are made",
    file: "shipper/sealing-keys.ts",
    find: "return (await bring?.(object, key.sha256)) ?? false;",
    replace: "return false;",
    test: { file: two, name: partial },
  },
  {
    guard: "no path of a store is in the record of a run",
    file: "shipper/commands/stores-report.ts",
    find: "error: storedError(error)",
    replace: "error: { ...storedError(error), detail: error.detail }",
    test: { file: two, name: "is left out from the start, and is brought up to date when it is there again" },
  },
];
