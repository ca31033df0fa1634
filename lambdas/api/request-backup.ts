import type { z } from "zod";
import { dispatchKey, machineOf, requestRunKey, requestRunsPrefix } from "../../core/keys.ts";
import type { Clock } from "../../core/ports/clock.ts";
import type { ControlStore } from "../control/control-store.ts";
import { type Dispatch, type RequestRun, readRecord } from "../control/records.ts";
import type { dispatchRequest } from "../dispatch/request.ts";

export interface RequestPorts {
  readonly control: ControlStore;
  readonly clock: Clock;
  /** Has the function dispatch start it. It may be told more than once. */
  readonly ask: (request: z.infer<typeof dispatchRequest>) => Promise<void>;
}

/** API Gateway waits 30 seconds for an answer; a large fleet takes longer to start. */
const patienceMs = 12_000;
const pauseMs = 300;

/**
 * Asks for a backup, once for each `requestId`, and waits a moment for what was started.
 *
 * @returns `undefined`: asked for, and not yet written down as started. {@link readDispatch} knows later.
 */
export async function requestBackup(
  { control, clock, ask }: RequestPorts,
  request: z.infer<typeof dispatchRequest>,
  signal?: AbortSignal,
): Promise<Dispatch | undefined> {
  const before = await readDispatch(control, request.requestId, signal);
  if (isStarted(before)) return before;
  await ask(request);
  for (let waited = 0; waited < patienceMs; waited += pauseMs) {
    await clock.sleep(pauseMs, signal);
    const started = await readDispatch(control, request.requestId, signal);
    if (isStarted(started)) return started;
  }
  return undefined;
}

/** Everything that should be was started: nobody is at it any more, or was ended in the middle of it. */
export const isStarted = (record: Dispatch | undefined): record is Dispatch =>
  record !== undefined && record.claim === undefined;

/** What was started for a request, as far as that has come; `undefined`: nothing, or not yet. */
export async function readDispatch(
  control: ControlStore,
  requestId: string,
  signal?: AbortSignal,
): Promise<Dispatch | undefined> {
  return (await readRecord(control, "dispatch", dispatchKey(requestId), signal))?.record;
}

/**
 * What hosts said of their runs for a request, by host: of those alone on whose machine it was started. A host that is missing has not ended yet, or
 * could not say so.
 */
export async function readRuns(
  control: ControlStore,
  { requestId, commands }: Dispatch,
  signal?: AbortSignal,
): Promise<readonly Omit<RequestRun, "format" | "requestId">[]> {
  const machines = new Set(commands.flatMap((command) => command.machines));
  const prefix = requestRunsPrefix(requestId);
  const runs = [];
  for await (const key of control.list(prefix, { ...(signal && { signal }) })) {
    const hostId = key.slice(prefix.length).replace(/\.json$/, "");
    const isAsked = machines.has(machineOf(hostId));
    if (!isAsked || key !== requestRunKey(requestId, hostId)) continue;
    const run = await readRecord(control, "run", key, signal);
    if (run === undefined) continue;
    const { format: _, requestId: __, ...said } = run.record;
    runs.push(said);
  }
  return runs;
}
