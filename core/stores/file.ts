/**
 * A store in a local directory, `file:///DIR`. An object is written beside, flushed, and then linked to its name: so it is
 * whole or absent, and a name that is taken stays as it is.
 */
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { crc64nvme } from "../crc64nvme.ts";
import { asMailarkError, MailarkError } from "../errors.ts";
import { checkedKey } from "../keys.ts";
import type { Clock } from "../ports/clock.ts";
import type { Files } from "../ports/files.ts";
import type { Listed, ObjectEraser, ObjectReader, ObjectWriter } from "./store.ts";

/** Below the store's directory; a name that no key can have. */
const incoming = ".incoming";
const incomingLifetime = 24 * 3600 * 1000;
const readBytes = 1024 * 1024;

export interface FileStore extends ObjectWriter, ObjectReader, ObjectEraser {}

/**
 * @param directory absolute path; it and all below it is made with mode 0700, objects with 0600.
 */
export function fileStore(directory: string, { files, clock }: { files: Files; clock: Clock }): FileStore {
  const pathOf = (key: string) => join(directory, checkedKey(key));
  let swept = false;

  return {
    async put(key, body, { signal } = {}) {
      const path = pathOf(key);
      return translate(async () => {
        if (!swept) sweep();
        swept = true;
        if (exists(path)) throw taken(key);
        makeDirectory(join(directory, incoming));
        const temporary = join(directory, incoming, randomBytes(12).toString("hex"));
        const measured = crc64nvme();
        let bytes = 0;
        try {
          const descriptor = files.openSync(temporary, "wx", 0o600);
          try {
            for await (const chunk of body) {
              signal?.throwIfAborted();
              writeWhole(descriptor, chunk);
              measured.update(chunk);
              bytes += chunk.length;
            }
            files.fsyncSync(descriptor);
          } finally {
            files.closeSync(descriptor);
          }
          signal?.throwIfAborted();
          const parent = join(path, "..");
          makeDirectory(parent);
          try {
            files.linkSync(temporary, path);
          } catch (error) {
            if (errno(error) === "EEXIST") throw taken(key);
            throw error;
          }
          flushDirectory(parent);
        } finally {
          removeIfThere(temporary);
        }
        return { bytes, crc64nvme: measured.digest() };
      });
    },

    async *get(key, { range, signal } = {}) {
      const path = pathOf(key);
      let descriptor: number;
      try {
        descriptor = files.openSync(path, "r");
      } catch (error) {
        throw isAbsent(error) ? missing(key) : asMailarkError(error);
      }
      try {
        const end = range?.end ?? files.fstatSync(descriptor).size;
        let position = range?.start ?? 0;
        while (position < end) {
          signal?.throwIfAborted();
          const chunk = Buffer.allocUnsafe(Math.min(readBytes, end - position));
          const read = files.readSync(descriptor, chunk, 0, chunk.length, position);
          if (read === 0) throw new MailarkError("OBJECT_CORRUPT", `the object ends before byte ${end}: ${key}`);
          yield chunk.subarray(0, read);
          position += read;
        }
      } catch (error) {
        throw asMailarkError(error);
      } finally {
        files.closeSync(descriptor);
      }
    },

    async head(key) {
      const path = pathOf(key);
      try {
        const { size, mtimeMs } = files.statSync(path);
        return { key, bytes: size, receivedAt: Math.floor(mtimeMs) };
      } catch (error) {
        if (isAbsent(error)) return undefined;
        throw asMailarkError(error);
      }
    },

    async *list(prefix, { startAfter = "", delimiter, signal } = {}) {
      yield* translateEach(
        walk(prefix.slice(0, prefix.lastIndexOf("/") + 1), { prefix, startAfter, delimiter }),
        signal,
      );
    },

    async erase(key) {
      await translate(async () => removeIfThere(pathOf(key)));
    },
  };

  /** Everything below `folder` (empty, or ending in a slash) in the order of keys. */
  function* walk(
    folder: string,
    wanted: { prefix: string; startAfter: string; delimiter: "/" | undefined },
  ): Generator<Listed> {
    let entries: import("node:fs").Dirent[];
    try {
      entries = files.readdirSync(join(directory, folder), { withFileTypes: true });
    } catch (error) {
      if (isAbsent(error)) return;
      throw error;
    }
    const names = entries
      .filter(({ name }) => !name.startsWith("."))
      .map((entry) => folder + entry.name + (entry.isDirectory() ? "/" : ""))
      .sort((a, b) => (a < b ? -1 : 1));
    for (const name of names) {
      const { prefix, startAfter, delimiter } = wanted;
      if (!name.startsWith(prefix) && !prefix.startsWith(name)) continue;
      if (name.endsWith("/")) {
        if (name <= startAfter && !startAfter.startsWith(name)) continue;
        if (delimiter && name.length > prefix.length) {
          if (!isEmpty(name, startAfter)) yield { prefix: name };
        } else yield* walk(name, wanted);
      } else if (name > startAfter) {
        const { size, mtimeMs } = files.lstatSync(join(directory, name));
        yield { key: name, bytes: size, receivedAt: Math.floor(mtimeMs) };
      }
    }
  }

  function isEmpty(folder: string, startAfter: string): boolean {
    return walk(folder, { prefix: folder, startAfter, delimiter: undefined }).next().done === true;
  }

  /** What a killed writer left is harmless, but takes room. */
  function sweep() {
    const folder = join(directory, incoming);
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

  /** Makes a directory and its missing parents, each of them durable. */
  function makeDirectory(path: string) {
    try {
      files.mkdirSync(path, { mode: 0o700 });
    } catch (error) {
      if (errno(error) === "EEXIST") return;
      if (errno(error) !== "ENOENT") throw error;
      makeDirectory(join(path, ".."));
      makeDirectory(path);
      return;
    }
    flushDirectory(join(path, ".."));
  }

  function flushDirectory(path: string) {
    const descriptor = files.openSync(path, "r");
    try {
      files.fsyncSync(descriptor);
    } finally {
      files.closeSync(descriptor);
    }
  }

  function writeWhole(descriptor: number, chunk: Uint8Array) {
    for (let written = 0; written < chunk.length; ) {
      written += files.writeSync(descriptor, chunk, written, chunk.length - written);
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
    for (const row of rows) {
      signal?.throwIfAborted();
      yield row;
    }
  } catch (error) {
    throw asMailarkError(error);
  }
}

const errno = (error: unknown) => (error as NodeJS.ErrnoException).code;
const isAbsent = (error: unknown) => errno(error) === "ENOENT" || errno(error) === "ENOTDIR";
const taken = (key: string) => new MailarkError("OBJECT_EXISTS", `the object exists already: ${key}`);
const missing = (key: string) => new MailarkError("OBJECT_MISSING", `there is no object ${key}`);
