import type { Attributes } from "./attributes.ts";
import type { Checksum } from "./checksums.ts";
import type { ObjectLock } from "./object-lock.ts";
import type { StoredBody } from "./stored-body.ts";

/** What an object is made of. Tags and lock may change; nothing else ever does. */
export interface Content {
  readonly body: StoredBody;
  /** Without its quotation marks. */
  readonly etag: string;
  readonly checksum: Checksum;
  readonly attributes: Attributes;
  tags: ReadonlyMap<string, string>;
  lock: ObjectLock;
}
