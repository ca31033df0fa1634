import type { Guard } from "./guard.ts";

const file = "core/stores/file.ts";
const contract = "test/contract/file-store.test.ts";

/** The store in a directory: an object is whole or absent, durable, and never replaced. */
export const storeGuards: readonly Guard[] = [
  {
    guard: "an object gets its name by a link, which never replaces",
    file,
    find: "files.linkSync(temporary, path);",
    replace: "files.renameSync(temporary, path);",
    test: { file: contract, name: "lets exactly one of many writers of a key win, and its object is whole" },
  },
  {
    guard: "a manifest is stored when the store says that it received it",
    file: "shipper/pipeline/snapshot-writer.ts",
    find: "await putWhole(store, manifestKey(address), signDocument(manifest, signer), { signal });",
    replace: "putWhole.name; await store.put(manifestKey(address), [signDocument(manifest, signer)], { signal });",
    test: {
      file: "test/shipper/backup.test.ts",
      name: "a run is no success where the store received something else as %s",
    },
  },
  {
    guard: "a name that is taken is told",
    file,
    find: 'if (errno(error) === "EEXIST") throw taken(key);',
    replace: 'if (errno(error) === "EEXIST") return;',
    test: { file: contract, name: "lets exactly one of many writers of a key win, and its object is whole" },
  },
  {
    guard: "a file is flushed before it gets its name",
    file,
    find: "bytes += chunk.length;\n      }\n      files.fsyncSync(descriptor);",
    replace: "bytes += chunk.length;\n      }",
    test: {
      file: contract,
      name: "has flushed the file before it gets its name, and every directory before put resolves",
    },
  },
  {
    guard: "a directory is flushed before put resolves",
    file: "core/ports/files.ts",
    find: "files.fsyncSync(descriptor);",
    replace: "",
    test: {
      file: contract,
      name: "has flushed the file before it gets its name, and every directory before put resolves",
    },
  },
  {
    guard: "a directory that a killed writer made is flushed",
    file,
    find: "if (madeNow(path) || inside) flushDirectory",
    replace: "if (madeNow(path)) flushDirectory",
    test: { file: contract, name: "flushes a directory that a killed writer made and may not have flushed" },
  },
  {
    guard: "an object whose directory could not be flushed is taken back",
    file,
    find: "removeIfThere(path);\n      throw error;",
    replace: "throw error;",
    test: { file: contract, name: "survives %s at every single call" },
  },
  {
    guard: "what is known of directories is forgotten after a failure",
    file,
    find: "known.clear();",
    replace: "",
    test: { file: contract, name: "survives a directory that was removed beside it, once it has told of it" },
  },
  {
    guard: "what was begun is removed when a put fails",
    file,
    find: "discard(temporary);\n        }",
    replace: "}",
    test: { file: contract, name: "says so where the file system has no hard links" },
  },
  {
    guard: "an abort that comes with the last byte leaves nothing",
    file,
    find: "signal?.throwIfAborted();\n    return { bytes, crc64nvme",
    replace: "return { bytes, crc64nvme",
    test: { file: contract, name: "leaves nothing when it is aborted with its last byte" },
  },
  {
    guard: "a short write is gone on with",
    file: "core/ports/files.ts",
    find: "written += files.writeSync(descriptor, bytes, written, bytes.length - written);",
    replace: "files.writeSync(descriptor, bytes); written = bytes.length;",
    test: { file: contract, name: "writes on after a short write" },
  },
  {
    guard: "objects are their owner's alone, whatever the umask",
    file,
    find: "files.chmodSync(path, 0o600);",
    replace: "files.chmodSync(path, 0o644);",
    test: { file: contract, name: "is readable by its owner alone, with umask %o" },
  },
  {
    guard: "directories are their owner's alone",
    file,
    find: "files.chmodSync(path, 0o700);",
    replace: "files.chmodSync(path, 0o755);",
    test: { file: contract, name: "is readable by its owner alone, with umask %o" },
  },
  {
    guard: "another writer's object on its way is not swept",
    file,
    find: "if (files.lstatSync(path).mtimeMs < clock.now() - incomingLifetime) files.unlinkSync(path);",
    replace: "files.unlinkSync(path);",
    test: { file: contract, name: "never lists what is on its way, and sweeps it after a day" },
  },
  {
    guard: "an object that ends before the range is told",
    file,
    find: "if (read === 0) throw",
    replace: "if (read === 0) return;\n            if (read < 0) throw",
    test: { file: contract, name: "tells a range that reaches past the end" },
  },
  {
    guard: "a key never names something outside the store",
    file,
    find: "join(top, checkedKey(key))",
    replace: "join(top, key)",
    test: { file: contract, name: "%s refuses what is not a key" },
  },
  {
    guard: "a link is no object",
    file,
    find: "return status.isFile() ? {",
    replace: "return status ? {",
    test: { file: contract, name: "does not list what can not be an object: foreign names, links" },
  },
  {
    guard: "a socket in an object's place is no object",
    file,
    find: ' || errno(error) === "ENXIO"',
    replace: "",
    test: { file: contract, name: "has no object where a %s stands, and does not wait for one" },
  },
  {
    guard: "a read that fails is not taken for absence",
    file,
    find: 'throw isAbsent(error) || errno(error) === "ENXIO" ? missing(key) : asMailarkError(error);',
    replace: "throw missing(key);",
    test: {
      file: contract,
      name: "says what failed when a listing or a read fails, and never that something is absent",
    },
  },
  {
    guard: "a head that fails is not taken for absence",
    file,
    find: "if (isAbsent(error)) return undefined;",
    replace: "return undefined;",
    test: {
      file: contract,
      name: "says what failed when a listing or a read fails, and never that something is absent",
    },
  },
  {
    guard: "a listing that fails is not taken for an empty one",
    file,
    find: "if (isAbsent(error)) return;",
    replace: "return;",
    test: {
      file: contract,
      name: "says what failed when a listing or a read fails, and never that something is absent",
    },
  },
  {
    guard: "an abort does not wait for a body that has nothing to give",
    file: "core/stores/interruptible.ts",
    find: "const onAbort = () => reject(signal.reason);",
    replace: "const onAbort = () => {};",
    test: {
      file: contract,
      name: "ends at an abort also while the body has nothing to give, with the abort's own reason",
    },
    hangs: true,
  },
  {
    guard: "a small object that is none does not fill the memory",
    file: "core/stores/read-whole.ts",
    find: "if (bytes > limit) throw",
    replace: "if (bytes < 0) throw",
    test: { file: "test/core/keyring.test.ts", name: "refuses an object that is too large for a key" },
  },
];
