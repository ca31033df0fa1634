/**
 * A run: several components captured one after the other, each a snapshot of its own or none, and a signed record of it all.
 */

import { type BreakGlass, breakGlassVersion, damagedBreakGlass } from "../core/break-glass.ts";
import { asMailarkError, exitCodes, type MailarkError } from "../core/errors.ts";
import { breakGlassKey, runKey } from "../core/keys.ts";
import type { Manifest, RunRecord } from "../core/manifest.ts";
import { type Signer, signDocument } from "../core/signed-document.ts";
import { newSnapshotId } from "../core/snapshot-id.ts";
import { putWhole } from "../core/stores/put-whole.ts";
import type { ObjectWriter } from "../core/stores/store.ts";
import type { Component, World } from "./components/component.ts";
import type { Comparison } from "./consistency/comparison.ts";
import type { Finding } from "./consistency/report.ts";
import { SnapshotWriter, type SnapshotWriterOptions } from "./pipeline/snapshot-writer.ts";
import type { SealingKeys } from "./sealing-keys.ts";
import { version } from "./version.ts";

/** How long an interrupted run tries to store its record, in milliseconds. */
const grace = 10_000;

/** Where a host writes, and as whom. */
export interface Destination {
  readonly store: ObjectWriter;
  readonly hostId: string;
  readonly signer: Signer;
  readonly keys: SealingKeys;
  readonly breakGlass: BreakGlass;
  /** Where there are several stores: how each of them went so far. */
  readonly stores?: () => RunRecord["stores"];
  /** Zstandard's level. */
  readonly level?: number;
}

export interface BackupObserver {
  readonly began?: (component: Component) => void;
  readonly sealed?: (component: Component, bytes: { readonly plain: number; readonly stored: number }) => void;
  readonly ended?: (outcome: ComponentOutcome) => void;
}

/** How one component of a run went. */
export type ComponentOutcome = {
  readonly component: Component["name"];
  readonly startedAt: number;
  readonly finishedAt: number;
} & (
  | { readonly manifest: Manifest; readonly error?: undefined }
  | { readonly manifest?: undefined; readonly error: MailarkError }
);

export interface BackupResult {
  readonly runId: string;
  readonly outcomes: readonly ComponentOutcome[];
  /** What does not fit together on the host; it does not change the exit status. `undefined`: nothing was compared. */
  readonly findings: readonly Finding[] | undefined;
  /** Why the record of the run is in no store. The snapshots are what they are, and the run is `partial` at best. */
  readonly recordError: MailarkError | undefined;
  readonly exitCode: number;
}

/**
 * Captures the components in their order. One that fails does not stop the others.
 *
 * @param comparison looks at the host before, between and after the captures.
 * @throws MailarkError when nothing can be stored at all, or when interrupted; what failed with a component is in its outcome.
 */
export async function backup(
  components: readonly Component[],
  destination: Destination,
  world: World,
  observer: BackupObserver = {},
  comparison?: Comparison,
): Promise<BackupResult> {
  const { clock, signal } = world;
  const startedAt = clock.now();
  const runId = newSnapshotId(startedAt);
  const breakGlass = await storeBreakGlass(destination, signal);
  const outcomes: ComponentOutcome[] = [];
  await comparison?.begin();
  for (const component of components) {
    if (signal.aborted) break;
    observer.began?.(component);
    const outcome = await captureComponent(component, { runId, breakGlass }, destination, world, observer);
    outcomes.push(outcome);
    if (outcome.manifest) await comparison?.captured(component.name);
    observer.ended?.(outcome);
  }
  const findings = signal.aborted ? undefined : await comparison?.finish();
  const record = runRecord(destination, runId, startedAt, clock.now(), outcomes, findings);
  const recordError = await storeRecord(record, destination, world);
  signal.throwIfAborted();
  const exitCode = exitCodeOf(outcomes);
  const isShort = recordError !== undefined && exitCode === exitCodes.ok;
  return { runId, outcomes, findings, recordError, exitCode: isShort ? exitCodes.partial : exitCode };
}

/** In spite of the signal: a run that was interrupted has an outcome too. But whoever interrupts it does not wait long for that. */
async function storeRecord(
  record: RunRecord,
  { store, hostId, signer }: Destination,
  { clock, signal }: World,
): Promise<MailarkError | undefined> {
  const [ended, late] = [new AbortController(), new AbortController()];
  const hurry = () =>
    clock.sleep(grace, ended.signal).then(
      () => late.abort(signal.reason),
      () => {},
    );
  if (signal.aborted) hurry();
  else signal.addEventListener("abort", hurry, { once: true, signal: ended.signal });
  try {
    await putWhole(store, runKey(hostId, record.runId), signDocument(record, signer), { signal: late.signal });
    return undefined;
  } catch (thrown) {
    return asMailarkError(thrown);
  } finally {
    ended.abort();
  }
}

async function captureComponent(
  component: Component,
  { runId, breakGlass }: Pick<SnapshotWriterOptions, "runId" | "breakGlass">,
  { store, hostId, signer, keys, level }: Destination,
  world: World,
  observer: BackupObserver,
): Promise<ComponentOutcome> {
  const startedAt = world.clock.now();
  // Stops the upload and every tool of this component, and only of this one, when one of its steps fails.
  const failed = new AbortController();
  const signal = AbortSignal.any([world.signal, failed.signal]);
  const writer = new SnapshotWriter({
    address: { hostId, component: component.name, snapshotId: newSnapshotId(startedAt) },
    runId,
    store,
    signer,
    breakGlass,
    signal,
    sealed: (bytes) => observer.sealed?.(component, bytes),
    ...(level !== undefined && { level }),
  });
  try {
    const { cutAt, tools, ...captured } = await component.capture({ ...world, signal, writer, keys });
    const manifest = await writer.finish({
      ...captured,
      tools: { mailark: version, ...tools },
      startedAt: timestamp(startedAt),
      cutAt: timestamp(cutAt),
      finishedAt: timestamp(world.clock.now()),
    });
    return { component: component.name, startedAt, finishedAt: world.clock.now(), manifest };
  } catch (thrown) {
    const error = asMailarkError(thrown);
    failed.abort(error);
    await writer.abandon(error);
    return { component: component.name, startedAt, finishedAt: world.clock.now(), error };
  }
}

/** Stored before the first manifest that names it; what is there already is the same, since the version is its hash. */
async function storeBreakGlass({ store, hostId, breakGlass }: Destination, signal: AbortSignal): Promise<string> {
  const version = breakGlassVersion(breakGlass);
  for (const file of ["restore.sh", "format.md"] as const) {
    try {
      await putWhole(store, breakGlassKey(hostId, version, file), breakGlass[file], { signal });
    } catch (thrown) {
      const error = asMailarkError(thrown);
      if (error.code === "UPLOAD_MISMATCH") throw damagedBreakGlass(error.code, breakGlassKey(hostId, version, file));
      if (error.code !== "OBJECT_EXISTS") throw error;
    }
  }
  return version;
}

function runRecord(
  { hostId, stores }: Destination,
  runId: string,
  startedAt: number,
  finishedAt: number,
  outcomes: readonly ComponentOutcome[],
  findings: readonly Finding[] | undefined,
): RunRecord {
  return {
    format: "mailark-run/1",
    hostId,
    runId,
    startedAt: timestamp(startedAt),
    finishedAt: timestamp(finishedAt),
    tools: { mailark: version },
    components: outcomes.map(({ component, startedAt, finishedAt, manifest, error }) => ({
      component,
      startedAt: timestamp(startedAt),
      finishedAt: timestamp(finishedAt),
      ...(manifest
        ? {
            cutAt: manifest.cutAt,
            outcome: manifest.completeness,
            snapshotId: manifest.snapshotId,
            warnings: manifest.warnings,
          }
        : {
            outcome: "failed" as const,
            error: storedError(error),
          }),
    })),
    // Names stay on the host: whoever watches over runs reads this.
    ...(findings && { warnings: findings.map(({ code, names }) => ({ code, count: names.length })) }),
    ...(stores && { stores: stores() }),
  };
}

/** What of an error names nobody. */
export const storedError = ({ code, message, hint }: MailarkError) => ({
  code,
  message,
  ...(hint !== undefined && { hint }),
});

function exitCodeOf(outcomes: readonly ComponentOutcome[]): number {
  const errors = outcomes.flatMap(({ error }) => error ?? []);
  if (errors.length > 0 && errors.length === outcomes.length) return errors[0]!.exitCode;
  const partial = outcomes.some(({ manifest }) => manifest?.completeness === "partial");
  return errors.length > 0 || partial ? exitCodes.partial : exitCodes.ok;
}

const timestamp = (milliseconds: number) => new Date(milliseconds).toISOString();
