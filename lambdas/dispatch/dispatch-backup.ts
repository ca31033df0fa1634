/**
 * Starts a backup on the fleet. Each host is told the last snapshot of each component that is known to be intact: it can not read what it stored, so
 * it can not know by itself.
 */
import { type ComponentName, componentNames, dispatchKey, isComponentName, latestPrefix } from "../../core/keys.ts";
import type { Clock } from "../../core/ports/clock.ts";
import type { ControlStore } from "../control/control-store.ts";
import { type Dispatch, type GoodSnapshot, readRecord, recordBytes } from "../control/records.ts";
import { type Fleet, type Machine, machinesPerCommand } from "./fleet.ts";

export interface DispatchPorts {
  readonly fleet: Fleet;
  readonly control: ControlStore;
  readonly clock: Clock;
}

export interface DispatchRequest {
  /** The same for every attempt at one thing. */
  readonly requestId: string;
  /** A schedule, or who asked. */
  readonly requestedBy: string;
  readonly tier: string;
  readonly components: readonly ComponentName[];
}

/**
 * Starts the backup on every machine where none runs yet, and writes down what was started, by whose wish. The same request a second time does nothing
 * and returns what was written; after a failure in the middle, it passes over the machines that were started.
 *
 * @throws what SSM and the store throw; then the request may be made again.
 */
export async function dispatchBackup(
  { fleet, control, clock }: DispatchPorts,
  { requestId, requestedBy, tier, components }: DispatchRequest,
  signal?: AbortSignal,
): Promise<Dispatch> {
  const key = dispatchKey(requestId);
  const before = await readRecord(control, "dispatch", key, signal);
  if (before) return before.record;

  const machines = await fleet.machines(signal);
  const running = await fleet.running(signal);
  const free = machines.filter(({ id }) => !running.has(id));
  const bases = await basesOf(control, new Set(free.map(({ id }) => id)), components, signal);
  const commands: Dispatch["commands"] = [];
  for (const [base, group] of grouped(free, bases)) {
    for (let at = 0; at < group.length; at += machinesPerCommand) {
      const batch = group.slice(at, at + machinesPerCommand);
      const parameters = { Components: components.join(" "), Base: base, RequestId: requestId };
      commands.push({ commandId: await fleet.start(batch, parameters, signal), machines: batch, base });
    }
  }
  const busy = machines.filter(({ id }) => running.has(id));
  const record: Dispatch = {
    format: "mailark-dispatch/1",
    requestId,
    requestedBy,
    tier,
    components: [...components],
    at: new Date(clock.now()).toISOString(),
    commands,
    skipped: busy.map(({ id }) => ({ machine: id, reason: "a backup runs there already" })),
  };
  await control.replace(key, recordBytes(record), undefined, signal);
  return record;
}

/** Machines that are told the same. */
function grouped(machines: readonly Machine[], bases: ReadonlyMap<string, string>): Map<string, string[]> {
  const groups = new Map<string, string[]>();
  for (const { id } of machines) {
    const base = bases.get(id) ?? "";
    groups.set(base, [...(groups.get(base) ?? []), id]);
  }
  return groups;
}

/** By machine. A host's storage id ends in the name of its machine: see the host identity in infra. */
async function basesOf(
  control: ControlStore,
  machines: ReadonlySet<string>,
  components: readonly ComponentName[],
  signal: AbortSignal | undefined,
): Promise<Map<string, string>> {
  const newest = new Map<string, Map<ComponentName, GoodSnapshot>>();
  for await (const key of control.list(latestPrefix, { ...(signal && { signal }) })) {
    const [hostId = "", file = ""] = key.slice(latestPrefix.length).split("/");
    const component = file.replace(/\.json$/, "");
    const machine = hostId.slice(hostId.lastIndexOf(":") + 1);
    if (!isComponentName(component) || !components.includes(component) || !machines.has(machine)) continue;
    const good = (await readRecord(control, "latest", key, signal))?.record.good[0];
    const known = newest.get(machine) ?? new Map<ComponentName, GoodSnapshot>();
    const other = known.get(component);
    // A machine whose role was replaced has stored under two ids.
    if (good && (other === undefined || good.receivedAt > other.receivedAt)) known.set(component, good);
    newest.set(machine, known);
  }
  return new Map([...newest].map(([machine, known]) => [machine, baseText(known)]));
}

const baseText = (known: ReadonlyMap<ComponentName, GoodSnapshot>) =>
  componentNames.flatMap((name) => (known.has(name) ? [`${name}=${known.get(name)!.snapshotId}`] : [])).join(" ");
