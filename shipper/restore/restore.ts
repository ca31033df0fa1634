/**
 * Brings a snapshot back: stage beside everything live, then check. What was staged stays only if nothing failed, unless the operator wants
 * to look at it.
 */
import type { SnapshotReader } from "../../core/snapshot-reader.ts";
import type { Check, Component, Place, Selection, World } from "../components/component.ts";

export interface RestoreResult {
  readonly checks: readonly Check[];
  readonly failed: boolean;
}

/**
 * Stages a snapshot into a directory or an empty service, and judges it. What failed a check is left where it is, and said: it may be all
 * that there is.
 *
 * @throws MailarkError `TARGET_NOT_EMPTY` before anything is touched; what staging failed with, then nothing of it is left.
 */
export async function restore(
  component: Component,
  snapshot: SnapshotReader,
  place: Place,
  selection: Selection,
  world: World,
): Promise<RestoreResult> {
  const staged = await component.stage(snapshot, place, selection, world);
  try {
    const checks = await component.check(staged, world);
    return { checks, failed: checks.some(({ outcome }) => outcome === "failed") };
  } finally {
    // Ends what was started for the check; what was staged anywhere but in a scratch place stays.
    await staged.remove();
  }
}
