import { createHash } from "node:crypto";
import { asMailarkError, MailarkError } from "../../core/errors.ts";
import { agree, uploadMismatch } from "../../core/stores/receipt.ts";
import type { Body, ObjectReader, ObjectWriter } from "../../core/stores/store.ts";
import { watchedBody } from "../../core/stores/watched-body.ts";
import { isThere, type Presence } from "./run-store.ts";

export interface CopyOptions {
  readonly signal: AbortSignal;
  /** Called with the bytes that were read from the source, as they are. */
  readonly read?: ((bytes: number) => void) | undefined;
  /** Called when it is the target that failed, with what is thrown then. */
  readonly failed: (error: MailarkError) => void;
}

/** What is known of an object from what was signed. */
export interface Expected {
  readonly bytes?: number;
  readonly sha256: string;
  readonly crc64nvme?: string;
}

/** Brings single objects from one store to another. */
export interface ObjectCopier {
  /**
   * Puts an object of the source, or `body`, unless the target has the same, which is compared where it can be read.
   *
   * @throws MailarkError `OBJECT_CORRUPT` or `OBJECT_MISSING` when the source has not what was signed, or the target has something else;
   *   else what source or target throw.
   */
  bring(key: string, expected: Expected, body?: Body): Promise<void>;
  /** Whether the target has an object. */
  inTarget(key: string): Promise<Presence>;
}

export function objectCopier(
  source: ObjectReader,
  target: ObjectWriter & ObjectReader,
  { signal, read, failed }: CopyOptions,
): ObjectCopier {
  return { bring, inTarget };

  async function bring(key: string, expected: Expected, body: Body = compared(key, expected)): Promise<void> {
    if ((await inTarget(key)) !== "there") {
      const sent = watchedBody(body);
      try {
        const receipt = await target.put(key, sent.body, { signal });
        if (!agree({ ...receipt, ...expected }, receipt)) throw uploadMismatch();
        return;
      } catch (thrown) {
        if (sent.failure) throw sent.failure.reason;
        const error = asMailarkError(thrown);
        if (error.code !== "OBJECT_EXISTS") throw blamed(error);
      }
    }
    await refuseUnlessSame(key, expected);
  }

  async function inTarget(key: string): Promise<Presence> {
    try {
      return await isThere(target, key, signal);
    } catch (thrown) {
      throw blamed(thrown);
    }
  }

  /** The source's bytes. They end with an error, and so not as an object, unless they are what was signed. */
  function compared(key: string, { bytes, sha256 }: Expected): Body {
    return {
      async *[Symbol.asyncIterator]() {
        const measured = createHash("sha256");
        let length = 0;
        for await (const chunk of source.get(key, { signal })) {
          measured.update(chunk);
          length += chunk.length;
          read?.(chunk.length);
          yield chunk;
        }
        if (measured.digest("hex") === sha256 && (bytes ?? length) === length) return;
        throw new MailarkError("OBJECT_CORRUPT", "an object of the other store is not what was signed");
      },
    };
  }

  async function refuseUnlessSame(key: string, { sha256 }: Expected): Promise<void> {
    const measured = createHash("sha256");
    try {
      for await (const chunk of target.get(key, { signal })) measured.update(chunk);
    } catch (thrown) {
      // Who may only write is told that the key is taken, and no more: nobody but this host makes such keys.
      if (asMailarkError(thrown).code === "STORE_FORBIDDEN") return;
      throw blamed(thrown);
    }
    if (measured.digest("hex") === sha256) return;
    throw new MailarkError("OBJECT_CORRUPT", "the store has another object in the place of one that it lacks");
  }

  function blamed(thrown: unknown): MailarkError {
    const error = asMailarkError(thrown);
    if (!signal.aborted) failed(error);
    return error;
  }
}
