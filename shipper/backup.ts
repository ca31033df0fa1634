/**
 * A run: several components captured one after the other, each a snapshot of its own or none, and a signed record of it all.
 */

import { type BreakGlass, breakGlassVersion, damagedBreakGlass } from "../core/break-glass.ts";
import { asMailarkError, exitCodes, type MailarkError } from "../core/errors.ts";
import { breakGlassKey, runKey } from "../core/keys.ts";
import { type Manifest, type RunRecord, storedBytes } from "../core/manifest.ts";
import { type Signer, signDocument } from "../core/signed-document.ts";
import { newSnapshotId } from "../core/snapshot-id.ts";
import { putWhole } from "../core/stores/put-whole.ts";
import type { ObjectWriter } from "../core/stores/store.ts";
import type { Component, World } from "./components/component.ts";
import type { Comparison } from "./consistency/comparison.ts";
import type { Finding } from "./consistency/report.ts";
import { SnapshotWriter, type SnapshotWriterOptions } from "./pipeline/snapshot-writer.ts";
import type { BackupRequest } from "./request.ts";
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

export interface BackupOptions {
  readonly observer?: BackupObserver;
  /** Looks at the host before, between and after the captures. */
  readonly comparison?: Comparison | undefined;
  /** Whose wish the run is, and what it may build on. Default: this machine's own, and nothing. */
  readonly request?: BackupRequest;
}

/** How one component of a run went. */
export type ComponentOutcome = {
  readonly component: Component["name"];
  readonly startedAt: number;
  readonly finishedAt: number;
  /** Of what was captured, before compression; also where it failed in the end. */
  readonly bytesRead: number;
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
 * @throws MailarkError when nothing can be stored at all, or when interrupted; what failed with a component is in its outcome.
 */
export async function backup(
  components: readonly Component[],
  destination: Destination,
  world: World,
  { observer = {}, comparison, request = { bases: new Map() } }: BackupOptions = {},
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
  const record = runRecord(destination, { runId, startedAt, finishedAt: clock.now(), request, outcomes, findings });
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
  let bytesRead = 0;
  const ended = () => ({ component: component.name, startedAt, finishedAt: world.clock.now(), bytesRead });
  const writer = new SnapshotWriter({
    address: { hostId, component: component.name, snapshotId: newSnapshotId(startedAt) },
    runId,
    store,
    signer,
    breakGlass,
    signal,
    sealed: (bytes) => {
      bytesRead += bytes.plain;
      observer.sealed?.(component, bytes);
    },
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
    return { ...ended(), manifest };
  } catch (thrown) {
    const error = asMailarkError(thrown);
    failed.abort(error);
    await writer.abandon(error);
    return { ...ended(), error };
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

interface EndedRun extends Pick<BackupResult, "runId" | "outcomes" | "findings"> {
  readonly startedAt: number;
  readonly finishedAt: number;
  readonly request: BackupRequest;
}

function runRecord(
  { hostId, stores }: Destination,
  { runId, startedAt, finishedAt, request, outcomes, findings }: EndedRun,
): RunRecord {
  return {
    format: "mailark-run/1",
    hostId,
    runId,
    ...(request.requestId !== undefined && { requestId: request.requestId }),
    startedAt: timestamp(startedAt),
    finishedAt: timestamp(finishedAt),
    tools: { mailark: version },
    components: outcomes.map(({ component, startedAt, finishedAt, bytesRead, manifest, error }) => ({
      component,
      startedAt: timestamp(startedAt),
      finishedAt: timestamp(finishedAt),
      ...(request.bases.has(component) && { offered: request.bases.get(component)! }),
      bytesRead,
      ...(manifest
        ? {
            cutAt: manifest.cutAt,
            outcome: manifest.completeness,
            snapshotId: manifest.snapshotId,
            kind: manifest.kind,
            ...(manifest.base !== undefined && { base: manifest.base }),
            bytesStored: storedBytes(manifest),
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
