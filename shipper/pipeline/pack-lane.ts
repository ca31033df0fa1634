import { createHash } from "node:crypto";
import type { Room } from "../../core/age/age.ts";
import { crc64nvme } from "../../core/crc64nvme.ts";
import type { Extent, Pack } from "../../core/manifest.ts";
import { maximumSealedBytes } from "../../core/segment.ts";
import { agree, uploadMismatch } from "../../core/stores/receipt.ts";
import type { ObjectWriter, Receipt } from "../../core/stores/store.ts";
import { GrowingBody } from "./growing-body.ts";

/** A pack is closed once it has this many bytes: requests cost by bytes and not by mailbox, and one pack is kept in memory. */
export const packBytes = 32 * 1024 * 1024;

/** Where a segment was put: see docs/format.md §4. */
export interface SegmentLocation {
  /** `SNAPSHOT/NNNN` */
  readonly pack: Extent["pack"];
  readonly offset: number;
  readonly bytes: number;
}

export interface PackLaneOptions {
  readonly store: ObjectWriter;
  readonly signal: AbortSignal;
  /** Names the next pack: its number as text, its reference and its key. Shared by all lanes of a snapshot. */
  readonly next: () => { readonly name: string; readonly reference: string; readonly key: string };
  /** Called once for each pack, when the store has it. */
  readonly stored: (pack: Pack) => void;
  readonly limit?: number;
}

interface OpenPack {
  readonly name: string;
  readonly reference: string;
  readonly body: GrowingBody;
  readonly sha256: ReturnType<typeof createHash>;
  readonly crc64nvme: ReturnType<typeof crc64nvme>;
  readonly put: Promise<Receipt>;
  bytes: number;
  failure?: { readonly reason: unknown };
}

/**
 * Packs that are filled one after the other, each on its way to the store from its first segment on. Only one is in memory:
 * the next is opened when the store has the last.
 */
export class PackLane {
  readonly #options: PackLaneOptions;
  readonly #limit: number;
  /** Of every pack in turn. What was never written to takes no memory. */
  #memory: Buffer | undefined;
  #open: OpenPack | undefined;

  constructor(options: PackLaneOptions) {
    this.#options = options;
    this.#limit = options.limit ?? packBytes;
  }

  /**
   * Appends a segment, which `write` writes into the room that it asks for, once. Calls must not overlap.
   *
   * @throws what the store throws, or MailarkError `UPLOAD_MISMATCH`.
   */
  async add(write: (room: Room) => Buffer): Promise<SegmentLocation> {
    this.#options.signal.throwIfAborted();
    if (this.#open?.failure) throw this.#open.failure.reason;
    this.#memory ??= Buffer.allocUnsafeSlow(this.#limit + maximumSealedBytes);
    const free = this.#memory.subarray(this.#open?.bytes ?? 0);
    const segment = write((bytes) => free.subarray(0, bytes));
    this.#open ??= this.#begin();
    const pack = this.#open;
    const location = { pack: pack.reference, offset: pack.bytes, bytes: segment.length };
    pack.body.add(segment);
    pack.sha256.update(segment);
    pack.crc64nvme.update(segment);
    pack.bytes += segment.length;
    if (pack.bytes >= this.#limit) await this.close();
    return location;
  }

  /** Ends the open pack, if there is one, and waits until the store has it. */
  async close(): Promise<void> {
    const pack = this.#open;
    if (pack === undefined) return;
    this.#open = undefined;
    pack.body.end();
    const receipt = await pack.put;
    const measured = { bytes: pack.bytes, crc64nvme: pack.crc64nvme.digest() };
    if (!agree(receipt, measured)) throw uploadMismatch();
    this.#options.stored({ name: pack.name, ...measured, sha256: pack.sha256.digest("hex") });
  }

  /** Gives up: the open pack does not come to be. Resolves when the store has let go of it. */
  async abandon(reason: unknown): Promise<void> {
    const pack = this.#open;
    this.#open = undefined;
    pack?.body.fail(reason);
    await pack?.put.catch(() => {});
  }

  #begin(): OpenPack {
    const { store, signal, next } = this.#options;
    const { name, reference, key } = next();
    const body = new GrowingBody();
    const put = store.put(key, body, { signal });
    const pack: OpenPack = {
      name,
      reference,
      body,
      put,
      bytes: 0,
      sha256: createHash("sha256"),
      crc64nvme: crc64nvme(),
    };
    put.catch((reason) => {
      pack.failure = { reason };
    });
    return pack;
  }
}
