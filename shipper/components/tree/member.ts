/** What an archive says of one thing in a tree. Names and texts are bytes in latin1. */
export interface Member {
  /** As it stands in the archive, without slashes at its end. */
  readonly path: string;
  readonly kind: Kind;
  /** The letter of its kind in the header, to name what is unknown. */
  readonly flag: string;
  /** Permission bits, with set-user-ID, set-group-ID and sticky: 0 to 0o7777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Empty: none was stored. */
  readonly user: string;
  readonly group: string;
  /** Seconds since 1970, possibly negative, with up to nine decimals and no zero at their end. */
  readonly modified: string;
  /** Of a regular file; of a sparse one with its holes. */
  readonly size: number;
  /** Bytes that follow in the archive, without the map of a sparse file. */
  readonly stored: number;
  /** Of a sparse file: where in it the stored bytes belong. */
  readonly extents?: readonly SparseExtent[];
  /** Of links. */
  readonly target: string;
  /** Extended attributes: name → value. */
  readonly attributes: ReadonlyMap<string, string>;
  /** POSIX access control lists as text. */
  readonly acl: { readonly access?: string; readonly default?: string };
}

export type Kind = "file" | "directory" | "symlink" | "hardlink" | "device" | "fifo" | "unknown";

export interface SparseExtent {
  readonly offset: number;
  readonly bytes: number;
}

/** A member on its way out of an archive; its bytes must be taken before the next one is asked for. */
export interface Entry {
  readonly member: Member;
  readonly chunks: AsyncIterable<Buffer>;
}
