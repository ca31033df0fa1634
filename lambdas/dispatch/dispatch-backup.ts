/**
 * Starts a backup on the fleet. Each host is told the last snapshot of each component that is known to be intact: it can not read what it stored, so
 * it can not know by itself.
 */
import { MailarkError } from "../../core/errors.ts";
import { type ComponentName, componentNames, isComponentName, latestPrefix, machineOf } from "../../core/keys.ts";
import type { Clock } from "../../core/ports/clock.ts";
import type { ControlStore } from "../control/control-store.ts";
import { type Dispatch, type GoodSnapshot, readRecord } from "../control/records.ts";
import { claim, settle } from "./claim.ts";
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

/** What came of a request. */
export interface Started {
  readonly record: Dispatch;
  /** It was started by this call, and not by another before it or at the same time. */
  readonly now: boolean;
}

export interface DispatchTime {
  /** Milliseconds since 1970: then this attempt has certainly ended, and another may go on in its place. */
  readonly endsAt: number;
  readonly signal?: AbortSignal;
}

/**
 * Starts the backup on every machine where none runs yet, and writes down what was started, by whose wish. The same request a second time, also at the
 * same time, starts nothing and returns what was written. After a failure in the middle, the next attempt goes on with the machines that are left; where
 * a function was ended in the middle, it passes over those on which the backup still runs.
 *
 * @throws what SSM and the store throw; then the request may be made again.
 */
export async function dispatchBackup(
  ports: DispatchPorts,
  request: DispatchRequest,
  { endsAt, signal }: DispatchTime,
): Promise<Started> {
  const { control, clock } = ports;
  const wanted = { ...request, components: [...request.components] };
  const { record, held } = await claim(ports, wanted, endsAt, signal);
  if (held === undefined) return { record, now: false };
  const commands = [...record.commands];
  const time = () => new Date(clock.now()).toISOString();
  try {
    const skipped = await startOn(ports, record, commands, signal);
    const done: Dispatch = { ...record, at: time(), commands, skipped, claim: undefined };
    await settle(control, held, done, signal);
    return { record: done, now: true };
  } catch (error) {
    // Also where time is up: this is what the last seconds are for. Where it fails as well, the claim ends by itself.
    await settle(control, held, { ...record, commands, claim: { ...record.claim!, until: time() } }).catch((second) => {
      throw new MailarkError("STORE_UNREACHABLE", "what was started before a failure could not be written down", {
        retryable: true,
        cause: new AggregateError([error, second]),
      });
    });
    throw error;
  }
}

/** Adds each command to `commands` as soon as it was sent. Returns the machines that were passed over. */
async function startOn(
  { fleet, control }: DispatchPorts,
  { requestId, components }: Dispatch,
  commands: Dispatch["commands"],
  signal: AbortSignal | undefined,
): Promise<Dispatch["skipped"]> {
  const before = new Set(commands.flatMap(({ machines }) => machines));
  const machines = (await fleet.machines(signal)).filter(({ id }) => !before.has(id));
  const running = await fleet.running(signal);
  const free = machines.filter(({ id }) => !running.has(id));
  const bases = await basesOf(control, new Set(free.map(({ id }) => id)), components, signal);
  for (const [base, group] of grouped(free, bases)) {
    for (let at = 0; at < group.length; at += machinesPerCommand) {
      const batch = group.slice(at, at + machinesPerCommand);
      const parameters = { Components: components.join(" "), Base: base, RequestId: requestId };
      commands.push({ commandId: await fleet.start(batch, parameters, signal), machines: batch, base });
    }
  }
  const busy = machines.filter(({ id }) => running.has(id));
  return busy.map(({ id }) => ({ machine: id, reason: "a backup runs there already" }));
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
    const machine = machineOf(hostId);
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
