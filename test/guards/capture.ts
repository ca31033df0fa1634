import type { Guard } from "./guard.ts";

const lane = "test/shipper/pipeline/pack-lane.test.ts";
const writer = "test/shipper/pipeline/snapshot-writer.test.ts";
const keys = "test/shipper/sealing-keys.test.ts";
const circle = "test/shipper/commands/circle.test.ts";
const backup = "test/shipper/commands/backup.test.ts";
const processes = "test/shipper/processes.test.ts";
const state = "test/shipper/state-files.test.ts";
const run = "test/shipper/backup.test.ts";

/** The way into the store: a manifest comes last and says the truth, and the host keeps nothing that can read. */
export const captureGuards: readonly Guard[] = [
  {
    guard: "the store's count of bytes is compared",
    file: "core/stores/receipt.ts",
    find: "one.bytes === other.bytes &&",
    replace: "",
    test: { file: lane, name: "refuses a receipt for other %s, and does not list the pack" },
  },
  {
    guard: "the store's checksum is compared",
    file: "core/stores/receipt.ts",
    find: " || one.crc64nvme === other.crc64nvme",
    replace: " || true",
    test: { file: lane, name: "refuses a receipt for other %s, and does not list the pack" },
  },
  {
    guard: "a pack that failed takes no more",
    file: "shipper/pipeline/pack-lane.ts",
    find: "if (this.#open?.failure) throw this.#open.failure.reason;",
    replace: "",
    test: { file: lane, name: "tells of a failed store at the next segment, long before the pack is full" },
  },
  {
    guard: "a pack that was given up does not come to be",
    file: "shipper/pipeline/pack-lane.ts",
    find: "pack?.body.fail(reason);",
    replace: "pack?.body.end();",
    test: {
      file: lane,
      name: "leaves nothing of the open pack when it is abandoned, and waits until the store has let go",
    },
  },
  {
    guard: "giving up waits until the store has let go",
    file: "shipper/pipeline/pack-lane.ts",
    find: "await pack?.put.catch(() => {});",
    replace: "pack?.put.catch(() => {});",
    test: {
      file: lane,
      name: "leaves nothing of the open pack when it is abandoned, and waits until the store has let go",
    },
  },
  {
    guard: "the manifest is stored last",
    file: "shipper/pipeline/snapshot-writer.ts",
    find: "await lane.packs.close();",
    replace: "lane.packs.close().catch(() => {});",
    test: { file: writer, name: "has its manifest stored last, and no pack that the manifest does not list" },
  },
  {
    guard: "a failure anywhere in a snapshot leaves no manifest",
    file: "shipper/pipeline/snapshot-writer.ts",
    find: "await lane.tail;\n      if (this.#failure) throw this.#failure.reason;",
    replace: "await lane.tail;",
    test: { file: writer, name: "does not become one once it was abandoned" },
  },
  {
    guard: "a manifest that contradicts itself is never signed",
    file: "shipper/pipeline/snapshot-writer.ts",
    find: "const manifest = checkReferences({",
    replace: "const manifest = ((read: Manifest) => read)({",
    test: { file: writer, name: "with two parts of one name has no manifest" },
  },
  {
    guard: "what comes after a failure is refused",
    file: "shipper/pipeline/snapshot-writer.ts",
    find: "const frame = await compressing;\n        if (this.#failure) throw this.#failure.reason;",
    replace: "const frame = await compressing;",
    test: { file: writer, name: "in sealing fails whatever was submitted after it, and begins no pack for that" },
  },
  {
    guard: "few segments are in memory",
    file: "shipper/pipeline/snapshot-writer.ts",
    find: "    if (this.#free > 0) {",
    replace: "    if (this.#free > -1000) {",
    test: { file: writer, name: "takes few segments at a time into memory" },
  },
  {
    guard: "a failed component is given up",
    file: "shipper/backup.ts",
    find: "await writer.abandon(error);",
    replace: "",
    test: { file: run, name: "leaves nothing of it under way when its run ends" },
  },
  {
    guard: "one component that fails does not stop the others",
    file: "shipper/backup.ts",
    find: "failed.abort(error);",
    replace: "if (error) throw error;",
    test: {
      file: backup,
      name: "one component that fails does not stop the others, and the exit status says that it is done in part",
    },
  },
  {
    guard: "the tools of a failed component are ended",
    file: "shipper/backup.ts",
    find: "failed.abort(error);",
    replace: "",
    test: { file: run, name: "ends its own tools, and not those of the others" },
  },
  {
    guard: "a run in which a component failed is partial",
    file: "shipper/backup.ts",
    find: "return errors.length > 0 || partial ? exitCodes.partial : exitCodes.ok;",
    replace: "return partial ? exitCodes.partial : exitCodes.ok;",
    test: {
      file: backup,
      name: "one component that fails does not stop the others, and the exit status says that it is done in part",
    },
  },
  {
    guard: "a run with a partial snapshot is partial",
    file: "shipper/backup.ts",
    find: "return errors.length > 0 || partial ? exitCodes.partial : exitCodes.ok;",
    replace: "return errors.length > 0 ? exitCodes.partial : exitCodes.ok;",
    test: {
      file: "test/shipper/components/mail/naming.test.ts",
      name: "a mailbox that could not be captured is named to the operator, and only counted in the manifest",
    },
  },
  {
    guard: "a run in which all failed has failed",
    file: "shipper/backup.ts",
    find: "if (errors.length > 0 && errors.length === outcomes.length) return errors[0]!.exitCode;",
    replace: "",
    test: { file: backup, name: "a mail root that is gone fails, and nothing is stored in its place" },
  },
  {
    guard: "an interrupted run ends as one",
    file: "shipper/backup.ts",
    find: "signal.throwIfAborted();\n  const exitCode",
    replace: "const exitCode",
    test: {
      file: run,
      name: "a run that is interrupted begins no other component, and has a record all the same",
    },
  },
  {
    guard: "an interrupted run begins no other component",
    file: "shipper/backup.ts",
    find: "if (signal.aborted) break;",
    replace: "",
    test: { file: run, name: "a run that is interrupted begins no other component, and has a record all the same" },
  },
  {
    guard: "a base that can not be read is refused",
    file: "shipper/request.ts",
    find: "if (!isBase || bases.has(name)) {",
    replace: "if (!isBase) continue;\n    if (bases.has(name)) {",
    test: { file: "test/shipper/request.test.ts", name: "is refused as a whole where a base has %s: %j" },
  },
  {
    guard: "a component has one base",
    file: "shipper/request.ts",
    find: "!isBase || bases.has(name)",
    replace: "!isBase",
    test: { file: "test/shipper/request.test.ts", name: "is refused as a whole where a base has %s: %j" },
  },
  {
    guard: "a backup hears what a controller says",
    file: "shipper/commands/backup.ts",
    find: "readRequest(context.env)",
    replace: "readRequest({})",
    test: { file: backup, name: "is refused before anything is done where its base can not be read: %s %s" },
  },
  {
    guard: "the record of a run says what it was offered to build on",
    file: "shipper/backup.ts",
    find: "...(request.bases.has(component) && { offered: request.bases.get(component)! }),",
    replace: "",
    test: {
      file: "test/e2e/host-in-aws.test.ts",
      name: "what was found intact comes back to its host with the next start, and the record says what came of it",
    },
  },
  {
    guard: "the name of a request is one",
    file: "shipper/request.ts",
    find: "requestId !== undefined && !patterns.requestId.test(requestId)",
    replace: "false",
    test: { file: "test/shipper/request.test.ts", name: "is refused where the request is called %j" },
  },
  {
    guard: "the record of a run names nobody",
    file: "shipper/backup.ts",
    find: "export const storedError = ({ code, message, hint }: MailarkError) => ({",
    replace: "export const storedError = ({ code, message, hint, detail }: MailarkError) => ({\n  detail,",
    test: { file: run, name: "says of a component that failed why, and how far it came, and not whom it failed with" },
  },
  {
    guard: "an interrupted run has a record",
    file: "shipper/backup.ts",
    find: "{ signal: late.signal }",
    replace: "{ signal }",
    test: { file: run, name: "a run that is interrupted begins no other component, and has a record all the same" },
  },
  {
    guard: "what restores without mailark is stored before a manifest names it",
    file: "shipper/backup.ts",
    find: "await putWhole(store, breakGlassKey(hostId, version, file), breakGlass[file], { signal });",
    replace: "await Promise.resolve(store.put.name + breakGlassKey(hostId, version, file) + signal);",
    test: {
      file: backup,
      name: "a backup that is interrupted at %s leaves no manifest and exit status 130, and the next one goes through",
    },
  },

  {
    guard: "a private half is in the store before anything is sealed",
    file: "shipper/sealing-keys.ts",
    find: "await putWhole(store, keyringKey(hostId, description.ownerId, keyId), sealed, { signal });",
    replace: "putWhole(store, keyringKey(hostId, description.ownerId, keyId), sealed, { signal }).catch(() => {});",
    test: {
      file: keys,
      name: "names no key that is not in the keyring, whatever call fails or is the last before death",
    },
  },
  {
    guard: "a key counts once it is on disk",
    file: "shipper/sealing-keys.ts",
    find: "      writeDurably(files, pathOf(place.stateDirectory), JSON.stringify(next));\n      states.set(place.stateDirectory, next);",
    replace:
      "      states.set(place.stateDirectory, next);\n      writeDurably(files, pathOf(place.stateDirectory), JSON.stringify(next));",
    test: {
      file: keys,
      name: "counts a key only once it is on disk: after a failed save the same keys are not given out",
    },
  },
  {
    guard: "no private half stays on the host",
    file: "shipper/sealing-keys.ts",
    find: "return { ownerId: description.ownerId, keyId, recipient, sha256 };",
    replace: "return Object.assign({ ownerId: description.ownerId, keyId, recipient, sha256 }, { identity });",
    test: {
      file: keys,
      name: "leave no private half on the host: the state has public ones, and is the owner's alone",
    },
  },
  {
    guard: "mail is sealed to its mailbox's key alone",
    file: "shipper/sealing-keys.ts",
    find: "sealingKey(keys.get(mailbox)!, [])",
    replace: "sealingKey(keys.get(mailbox)!, [recoveryRecipient])",
    test: { file: keys, name: "let the recovery key open what is not mail, and no mail" },
  },
  {
    guard: "new holders of the keyring get new keys",
    file: "shipper/sealing-keys.ts",
    find: "&& isDeepStrictEqual(read.holders, holders);",
    replace: ";",
    test: {
      file: keys,
      name: "change with the recovery and the drill key, so that nothing more is sealed to the old one alone",
    },
  },
  {
    guard: "another host id gets new keys",
    file: "shipper/sealing-keys.ts",
    find: "read?.hostId === hostId &&",
    replace: "read !== undefined &&",
    test: { file: keys, name: "that is another host's means new keys, which are in this host's keyring" },
  },
  {
    guard: "a key is used only where this store has its keyring object",
    file: "shipper/sealing-keys.ts",
    find: "if (isNoted && (has === undefined || (await has(object)))) return true;",
    replace: "if (isNoted) return true;",
    test: { file: circle, name: "a disk that was changed for a new one at the same place gets a keyring of its own" },
  },
  {
    guard: "keys are forgotten when the host is introduced to a new store",
    file: "shipper/commands/enrol.ts",
    find: 'if (known === "absent") forgetSealingKeys(files, stateDirectory(config, url));',
    replace: "",
    test: {
      file: "test/shipper/commands/init.test.ts",
      name: "the keys of another store are forgotten before the host is introduced to a new one",
    },
  },
  {
    guard: "an owner's id says nothing of the mailbox",
    file: "shipper/sealing-keys.ts",
    find: 'return Array.from(randomBytes(26), (byte) => base32[byte & 31]).join("");',
    replace: 'return "alice".padEnd(26, "a");',
    test: {
      file: keys,
      name: "name no one in public: owners are random, and the address stands in the sealed object alone",
    },
  },
  {
    guard: "two that ask at once get the same key",
    file: "shipper/sealing-keys.ts",
    find: "const done = last.then(() => work(...args));",
    replace: "const done = work(...args);",
    test: { file: keys, name: "are the same for those who ask at once" },
  },
  {
    guard: "damaged state is told",
    file: "shipper/sealing-keys.ts",
    find: "return stateSchema.parse(JSON.parse(text));",
    replace: "return JSON.parse(text);",
    test: { file: keys, name: "that is damaged is told, with what to do, and nothing is stored: %j" },
  },

  {
    guard: "state is replaced in one step",
    file: "shipper/state-files.ts",
    find: 'const descriptor = files.openSync(temporary, "wx", 0o600);',
    replace: 'const descriptor = files.openSync(path, "w", 0o600);\n  files.linkSync(path, temporary);',
    test: { file: state, name: "is the old or the new one, whole, when the writer %s any call" },
  },
  {
    guard: "state is flushed before it takes the place of the old",
    file: "shipper/state-files.ts",
    find: "files.fsyncSync(descriptor);",
    replace: "",
    test: { file: state, name: "is flushed before it gets its name, and its folder afterwards" },
  },
  {
    guard: "the folder of state is flushed",
    file: "shipper/state-files.ts",
    find: "flushDirectory(files, folder);",
    replace: "",
    test: { file: state, name: "is flushed before it gets its name, and its folder afterwards" },
  },
  {
    guard: "a failed save leaves nothing lying about",
    file: "shipper/state-files.ts",
    find: "discard(files, temporary);\n    throw error;",
    replace: "throw error;",
    test: { file: state, name: "is the old or the new one, whole, when the writer %s any call" },
  },
  {
    guard: "state is its owner's alone",
    file: "shipper/state-files.ts",
    find: 'files.openSync(temporary, "wx", 0o600)',
    replace: 'files.openSync(temporary, "wx", 0o644)',
    test: { file: state, name: "comes back as it was written, and is the owner's alone" },
  },

  {
    guard: "one backup runs at a time",
    file: "shipper/lock.ts",
    find: "if (attempt > 10 || isHolder(files, tagOf(held))) throw",
    replace: "if (attempt > 10) throw",
    test: { file: backup, name: "is refused while the first runs, with its process" },
  },
  {
    guard: "a lock of a process that can not be seen is not stolen",
    file: "shipper/process-tag.ts",
    find: "if (isHidden(files, tag)) return true;",
    replace: "",
    test: {
      file: "test/shipper/lock.test.ts",
      name: "of another namespace of process numbers is held, though nobody here has that number; of another boot it is not",
    },
  },
  {
    guard: "a process number that was used again holds no lock",
    file: "shipper/process-tag.ts",
    find: "return now !== undefined && now === start;",
    replace: "return now !== undefined;",
    test: { file: backup, name: "takes over a lock %s" },
  },
  {
    guard: "a lock is taken in one step",
    file: "shipper/lock.ts",
    find: 'if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;',
    replace: 'if ((error as NodeJS.ErrnoException).code === "EEXIST") return true;',
    test: { file: backup, name: "and the first give each other the lock in turn" },
  },
  {
    guard: "a lock that another took over is not given back",
    file: "shipper/lock.ts",
    find: "if (readText(files, path) === own) files.unlinkSync(path);",
    replace: "files.unlinkSync(path);",
    test: { file: "test/shipper/lock.test.ts", name: "that another took over is left to it" },
  },
  {
    guard: "a lock that was taken over meanwhile is put back",
    file: "shipper/lock.ts",
    find: "if (readText(files, aside) !== held) taken(files, aside, path);",
    replace: "",
    test: { file: "test/shipper/lock.test.ts", name: "that was replaced while it was found stale is put back" },
  },

  {
    guard: "a program is judged by its exit status",
    file: "shipper/processes.ts",
    find: "if (exit.code === 0) return;",
    replace: "if (exit) return;",
    test: { file: processes, name: "is judged by its exit status, with its last words" },
  },
  {
    guard: "a program that stopped reading has failed",
    file: "shipper/processes.ts",
    find: "if (!taken || stdin.errored) {",
    replace: "if (stdin.closed && stdin.writable) {",
    test: { file: processes, name: "fails when the program stops reading, though its exit status is 0" },
  },
  {
    guard: "an abort ends a program",
    file: "shipper/processes.ts",
    find: "...(signal && { cancelSignal: signal }),",
    replace: "",
    test: { file: processes, name: "ends a program of %s, and is what is thrown" },
    hangs: true,
  },
  {
    guard: "a program that is not wanted any more is ended",
    file: "shipper/processes.ts",
    find: "await succeed(command[0], running, options.signal);\n  } finally {\n    running.kill();",
    replace: "await succeed(command[0], running, options.signal);\n  } finally {",
    test: { file: processes, name: "ends the program when no more is wanted, and waits for that" },
    hangs: true,
  },
];
