/** What a stage leaves for the checks. */
import type { Staged } from "../component.ts";
import type { StagedFile } from "../staged-files.ts";
import type { Connection } from "./connection.ts";
import type { Facts } from "./facts.ts";
import type { Keyspace } from "./server.ts";

export interface StagedRedis extends Staged {
  readonly facts: Facts;
  /** The server that holds it; undefined for files, and where there is no program of a server. */
  readonly connection?: Connection;
  /** As loaded into the scratch server, before anything could expire. */
  readonly loaded?: readonly Keyspace[];
  /** What the checker of RDB files said against the file; undefined where there was none. */
  readonly verdict?: { readonly problem: string | undefined };
  /** Append-only files that came along, and what their checker said. */
  readonly appendOnly?: { readonly files: number; readonly checked: boolean; readonly problem?: string };
  /** What was counted anew in the file as it was staged. */
  readonly recounted?: Pick<Facts, "databases" | "libraries">;
  /** Keys on hold in a service, by database. */
  readonly held?: ReadonlyMap<number, number>;
  readonly written?: readonly StagedFile[];
}
