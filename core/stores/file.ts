/**
 * A store in a local directory, `file:///DIR`. An object is written beside, flushed, and then linked to its name: so it is
 * whole or absent, and a name that is taken stays as it is.
 */
import { randomBytes } from "node:crypto";
import type { Dirent } from "node:fs";
import { constants } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { crc64nvme } from "../crc64nvme.ts";
import { asMailarkError, MailarkError } from "../errors.ts";
import { checkedKey, checkedPrefix, isKey } from "../keys.ts";
import type { Clock } from "../ports/clock.ts";
import { type Files, flushDirectory, isAbsent, writeWhole } from "../ports/files.ts";
import { interruptible } from "./interruptible.ts";
import type { Body, Listed, ObjectEraser, ObjectHead, ObjectReader, ObjectWriter, Receipt } from "./store.ts";

/** Below the store's directory; a name that no key can have. */
const incoming = ".incoming";
const incomingLifetime = 24 * 3600 * 1000;
const readBytes = 1024 * 1024;
/** Opening a pipe that stands in an object's place must not wait for somebody to write to it. */
const reading = constants.O_RDONLY | constants.O_NONBLOCK;

export interface FileStore extends ObjectWriter, ObjectReader, ObjectEraser {}

/**
 * @param directory absolute path; it and all below it is made with mode 0700, objects with 0600. Only regular files whose
 *   path can be a key are objects.
 */
export function fileStore(directory: string, { files, clock }: { files: Files; clock: Clock }): FileStore {
  const top = resolve(directory);
  const pathOf = (key: string) => join(top, checkedKey(key));
  const known = new Set<string>();
  let swept = false;

  return {
    async put(key, body, { signal } = {}) {
      return translate(async () => {
        signal?.throwIfAborted();
        const path = pathOf(key);
        if (!swept) sweep();
        swept = true;
        if (exists(path)) throw taken(key);
        makeDirectory(join(top, incoming));
        const temporary = join(top, incoming, randomBytes(12).toString("hex"));
        try {
          const receipt = await write(temporary, body, signal);
          makeDirectory(dirname(path));
          publish(temporary, path, key);
          return receipt;
        } catch (error) {
          known.clear();
          throw error;
        } finally {
          discard(temporary);
        }
      });
    },

    async *get(key, { range, signal } = {}) {
      const path = pathOf(key);
      try {
        signal?.throwIfAborted();
        const descriptor = files.openSync(path, reading);
        try {
          const status = files.fstatSync(descriptor);
          if (!status.isFile()) throw missing(key);
          const { start, end } = range ?? { start: 0, end: status.size };
          for (let position = start; position < end; ) {
            signal?.throwIfAborted();
            const chunk = Buffer.allocUnsafe(Math.min(readBytes, end - position));
            const read = files.readSync(descriptor, chunk, 0, chunk.length, position);
            if (read === 0) throw new MailarkError("OBJECT_CORRUPT", `the object ends before byte ${end}: ${key}`);
            yield chunk.subarray(0, read);
            position += read;
          }
        } finally {
          files.closeSync(descriptor);
        }
      } catch (error) {
        // ENXIO: a socket stands there.
        throw isAbsent(error) || errno(error) === "ENXIO" ? missing(key) : asMailarkError(error);
      }
    },

    async head(key, { signal } = {}) {
      return translate(async () => {
        signal?.throwIfAborted();
        return headOf(checkedKey(key));
      });
    },

    async *list(prefix, { startAfter = "", delimiter, signal } = {}) {
      const folder = checkedPrefix(prefix).slice(0, prefix.lastIndexOf("/") + 1);
      yield* translateEach(walk(folder, { prefix, startAfter, delimiter }), signal);
    },

    async erase(key, { signal } = {}) {
      await translate(async () => {
        signal?.throwIfAborted();
        const path = pathOf(key);
        if (headOf(key) === undefined) return;
        removeIfThere(path);
        flushDirectory(files, dirname(path));
      });
    },
  };

  async function write(path: string, body: Body, signal: AbortSignal | undefined): Promise<Receipt> {
    const measured = crc64nvme();
    let bytes = 0;
    const descriptor = files.openSync(path, "wx", 0o600);
    try {
      files.chmodSync(path, 0o600);
      for await (const chunk of interruptible(body, signal)) {
        writeWhole(files, descriptor, chunk);
        measured.update(chunk);
        bytes += chunk.length;
      }
      files.fsyncSync(descriptor);
    } finally {
      files.closeSync(descriptor);
    }
    signal?.throwIfAborted();
    return { bytes, crc64nvme: measured.digest() };
  }

  /** Gives a whole file its name, unless that is taken. */
  function publish(temporary: string, path: string, key: string) {
    try {
      files.linkSync(temporary, path);
    } catch (error) {
      if (errno(error) === "EEXIST") throw taken(key);
      if (!["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS"].includes(errno(error) ?? "")) throw error;
      throw new MailarkError("FILE_FAILED", "the file system of the store can not make hard links", {
        hint: "put the store on a file system that can: ext4, xfs, btrfs, zfs or NFS",
        detail: top,
        cause: error,
      });
    }
    try {
      flushDirectory(files, dirname(path));
    } catch (error) {
      removeIfThere(path);
      throw error;
    }
  }

  function headOf(key: string): ObjectHead | undefined {
    try {
      const status = files.lstatSync(join(top, key));
      return status.isFile() ? { key, bytes: status.size, receivedAt: Math.floor(status.mtimeMs) } : undefined;
    } catch (error) {
      if (isAbsent(error)) return undefined;
      throw error;
    }
  }

  /** Everything below `folder` (empty, or ending in a slash) in the order of keys. */
  function* walk(
    folder: string,
    wanted: { prefix: string; startAfter: string; delimiter: "/" | undefined },
  ): Generator<Listed> {
    let entries: Dirent[];
    try {
      entries = files.readdirSync(join(top, folder), { withFileTypes: true });
    } catch (error) {
      if (isAbsent(error)) return;
      throw error;
    }
    const names = entries
      .filter((entry) => isKey(folder + entry.name) && (entry.isFile() || entry.isDirectory()))
      .map((entry) => folder + entry.name + (entry.isDirectory() ? "/" : ""))
      .sort((a, b) => (a < b ? -1 : 1));
    for (const name of names) {
      const { prefix, startAfter, delimiter } = wanted;
      if (!name.startsWith(prefix)) continue;
      if (name.endsWith("/")) {
        if (name <= startAfter && !startAfter.startsWith(name)) continue;
        if (delimiter && name.length > prefix.length) {
          if (!isEmpty(name, startAfter)) yield { prefix: name };
        } else yield* walk(name, wanted);
      } else if (name > startAfter) {
        const object = headOf(name);
        if (object) yield object;
      }
    }
  }

  function isEmpty(folder: string, startAfter: string): boolean {
    return walk(folder, { prefix: folder, startAfter, delimiter: undefined }).next().done === true;
  }

  /** What a killed writer left is harmless, but takes room. */
  function sweep() {
    const folder = join(top, incoming);
    let names: string[] = [];
    try {
      names = files.readdirSync(folder);
    } catch (error) {
      if (!isAbsent(error)) throw error;
    }
    for (const name of names) {
      try {
        const path = join(folder, name);
        if (files.lstatSync(path).mtimeMs < clock.now() - incomingLifetime) files.unlinkSync(path);
      } catch (error) {
        if (!isAbsent(error)) throw error;
      }
    }
  }

  /** Makes a directory and its missing parents. In the store each is durable, also one that a killed writer made. */
  function makeDirectory(path: string) {
    if (known.has(path)) return;
    const inside = path.startsWith(`${top}/`);
    if (inside) makeDirectory(dirname(path));
    if (madeNow(path) || inside) flushDirectory(files, dirname(path));
    known.add(path);
  }

  function madeNow(path: string): boolean {
    try {
      files.mkdirSync(path, { mode: 0o700 });
    } catch (error) {
      if (errno(error) === "EEXIST") return false;
      if (errno(error) !== "ENOENT") throw error;
      makeDirectory(dirname(path));
      files.mkdirSync(path, { mode: 0o700 });
    }
    files.chmodSync(path, 0o700);
    return true;
  }

  function discard(temporary: string) {
    try {
      files.unlinkSync(temporary);
    } catch {
      // It is no object, and a later sweep takes it.
    }
  }

  function removeIfThere(path: string) {
    try {
      files.unlinkSync(path);
    } catch (error) {
      if (!isAbsent(error)) throw error;
    }
  }

  function exists(path: string): boolean {
    try {
      files.lstatSync(path);
      return true;
    } catch (error) {
      if (isAbsent(error)) return false;
      throw error;
    }
  }
}

async function translate<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw asMailarkError(error);
  }
}

function* translateEach<T>(rows: Iterable<T>, signal: AbortSignal | undefined): Generator<T> {
  try {
    signal?.throwIfAborted();
    for (const row of rows) {
      yield row;
      signal?.throwIfAborted();
    }
  } catch (error) {
    throw asMailarkError(error);
  }
}

const errno = (error: unknown) => (error as NodeJS.ErrnoException).code;
const taken = (key: string) => new MailarkError("OBJECT_EXISTS", `the object exists already: ${key}`);
const missing = (key: string) => new MailarkError("OBJECT_MISSING", `there is no object ${key}`);
