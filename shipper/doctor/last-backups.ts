/** What a host that may not ask its store knows of its own backups: its audit file names the snapshots that each stored. */
import { z } from "zod";
import { type ComponentName, patterns } from "../../core/keys.ts";
import type { Files } from "../../core/ports/files.ts";
import { readText } from "../state-files.ts";

const ended = z.object({
  event: z.literal("ended"),
  command: z.literal("backup"),
  hostId: z.string(),
  stores: z.array(z.string()),
  snapshots: z.array(z.object({ component: z.string(), snapshotId: z.string().regex(patterns.snapshotId) })),
});

/** The newest snapshot of each component that a store has, by its identity; of the audit file and of the one that was put aside before it. */
export function lastBackups(
  files: Files,
  path: string,
  hostId: string,
  store: string,
): ReadonlyMap<ComponentName, string> {
  const newest = new Map<ComponentName, string>();
  for (const text of [readText(files, `${path}.1`), readText(files, path)]) {
    for (const line of (text ?? "").split("\n")) {
      const { success, data } = ended.safeParse(documentOf(line));
      if (!success || data.hostId !== hostId || !data.stores.includes(store)) continue;
      for (const { component, snapshotId } of data.snapshots) newest.set(component as ComponentName, snapshotId);
    }
  }
  return newest;
}

/** A line that a crash cut off is none. */
function documentOf(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
