/**
 * Brings a whole host back onto a machine where its services are installed and empty: configuration, databases, mail, queue, in the order in
 * which each finds what it needs. Nothing that is there is written over, and the mail services stay down unless all of it came back.
 */
import { asMailarkError, MailarkError } from "../../core/errors.ts";
import type { ComponentName } from "../../core/keys.ts";
import type { SnapshotReader } from "../../core/snapshot-reader.ts";
import type { Check, Component, Filling, World } from "../components/component.ts";
import type { Journal } from "./journal.ts";
import { restore } from "./restore.ts";
import { control, type ServicesConfig } from "./services.ts";

/** Configuration first, so that the services can be started; the queue last, so that nothing of it can be delivered before there are mailboxes. */
export const restoreOrder = [
  "configs",
  "certs",
  "mysql",
  "postgres",
  "redis",
  "mail",
  "queue",
] as const satisfies ComponentName[];

/** What stands before everything else: with it, a machine is a host again. */
export const isConfiguration = (name: ComponentName) => name === "configs" || name === "certs";

export interface Item {
  readonly component: Component;
  readonly snapshot: SnapshotReader;
  /** SHA-256 of what says where its service is. */
  readonly service: string;
}

/** What became of one component. */
export interface ItemOutcome {
  readonly component: ComponentName;
  readonly snapshotId?: string;
  readonly milliseconds: number;
  /**
   * `restored before`: by an earlier run of this restore. `questionable`: all of it is in place, and a check failed, now or in an earlier run.
   * `failed`: nothing of it is there, or what is left is told by the error.
   */
  readonly state: "restored" | "restored before" | "questionable" | "failed";
  readonly checks: readonly Check[];
  readonly error?: MailarkError;
}

export interface HostObserver {
  readonly began?: (item: Item) => void;
  readonly ended?: (outcome: ItemOutcome) => void;
  readonly services?: (doing: string) => void;
}

/**
 * Brings one component back into its service, or finishes what an earlier run began.
 *
 * @param journal absent while no configuration says where it is: then nothing has been begun.
 * @throws the signal's reason when it is interrupted; what failed is in the outcome.
 */
export async function restoreItem(
  { component, snapshot, service }: Item,
  journal: Journal | undefined,
  world: World,
): Promise<ItemOutcome> {
  const { clock, signal } = world;
  const { name, filling } = component;
  const { snapshotId } = snapshot.manifest;
  const startedAt = clock.now();
  const outcome = () => ({ component: name, snapshotId, milliseconds: clock.now() - startedAt, checks: [] });
  const note = (state: "planned" | "begun" | "done" | "questionable") =>
    journal?.note(name, { snapshotId, state, service });
  let begun = false;
  try {
    const step = journal?.step(name);
    if (step && (await stands(step.state, filling, world))) {
      return { ...outcome(), state: step.state === "done" ? "restored before" : "questionable" };
    }
    if (filling && step?.state === "begun") {
      refuseElsewhere(step.service, service);
      world.progress("taking back what an earlier restore left when it was ended");
      await filling.takeBack(snapshot, world);
    }
    await filling?.refuseUnlessEmpty(world);
    begun = true;
    note("begun");
    const { checks, failed } = await restore(component, snapshot, { kind: "service" }, {}, world);
    note(failed ? "questionable" : "done");
    return { ...outcome(), state: failed ? "questionable" : "restored", checks };
  } catch (thrown) {
    // A stage that fails takes back what it did; where it could not, or a check was interrupted, the next run does.
    if (begun && (await isEmpty(filling, world))) note("planned");
    signal.throwIfAborted();
    return { ...outcome(), state: "failed", error: asMailarkError(thrown) };
  }
}

/** What was done before is still so, unless the service was lost since. */
async function stands(state: string, filling: Filling | undefined, world: World): Promise<boolean> {
  if (state !== "done" && state !== "questionable") return false;
  return filling === undefined || !(await isEmpty(filling, world));
}

/** Asked also when the work was interrupted. */
async function isEmpty(filling: Filling | undefined, world: World): Promise<boolean> {
  try {
    await filling?.refuseUnlessEmpty({ ...world, signal: AbortSignal.timeout(60_000) });
    return true;
  } catch {
    return false;
  }
}

function refuseElsewhere(begun: string | undefined, now: string): void {
  if (begun === undefined || begun === now) return;
  throw new MailarkError(
    "RESTORE_FAILED",
    "the configuration names another service than the one that was being filled",
    {
      hint: "put the configuration of this component back as it was, run the same command again, and change it afterwards",
    },
  );
}

export interface HostRestore {
  /** In the order of {@link restoreOrder}, without configuration: that is back already. */
  readonly items: readonly Item[];
  readonly services: ServicesConfig | undefined;
  readonly journal: Journal;
  /** Something is amiss already. */
  readonly amiss: boolean;
  /** The operator takes what is questionable, or missing. */
  readonly accept: boolean;
}

/** What came back, and whether the mail services run on it. */
export interface HostOutcome {
  readonly items: readonly ItemOutcome[];
  readonly mail: "started" | "not started" | "left down" | "not ours to start";
  /** Of services that could not be restarted or started. */
  readonly complaints: readonly MailarkError[];
}

/**
 * Fills the databases, the mailboxes and the queue, and starts the mail services when all of it is there. One that fails does not stop the
 * others.
 *
 * @throws the signal's reason when it is interrupted.
 */
export async function restoreServices(
  { items, services, journal, amiss, accept }: HostRestore,
  world: World,
  observer: HostObserver = {},
): Promise<HostOutcome> {
  const complaints: MailarkError[] = [];
  const attempt = async (verb: "restart" | "start", units: readonly string[]) => {
    observer.services?.(`${verb}ing ${units.join(", ")}`);
    try {
      await control(services!, verb, units, world);
      return true;
    } catch (thrown) {
      world.signal.throwIfAborted();
      complaints.push(asMailarkError(thrown));
      return false;
    }
  };
  // One by one: a server that does not start keeps its own component from coming back, and no other.
  for (const unit of services?.databases ?? []) await attempt("restart", [unit]);
  const outcomes: ItemOutcome[] = [];
  for (const item of items) {
    world.signal.throwIfAborted();
    observer.began?.(item);
    const outcome = await restoreItem(item, journal, world);
    outcomes.push(outcome);
    observer.ended?.(outcome);
  }
  const whole = !amiss && outcomes.every(({ state }) => state === "restored" || state === "restored before");
  if (!whole && !accept) return { items: outcomes, mail: "left down", complaints };
  if (!services || services.mail.length === 0) {
    journal.close();
    return { items: outcomes, mail: "not ours to start", complaints };
  }
  if (!(await attempt("start", services.mail))) return { items: outcomes, mail: "not started", complaints };
  journal.close();
  return { items: outcomes, mail: "started", complaints };
}
