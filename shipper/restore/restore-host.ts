/**
 * Brings a whole host back onto a machine where its services are installed and empty: configuration, databases, mail, queue, in the order in
 * which each finds what it needs. Nothing that is there is written over, and the mail services stay down unless all of it came back.
 */
import { asMailarkError, type MailarkError } from "../../core/errors.ts";
import type { ComponentName } from "../../core/keys.ts";
import type { SnapshotReader } from "../../core/snapshot-reader.ts";
import type { Check, Component, World } from "../components/component.ts";
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
}

export type ItemOutcome = {
  readonly component: ComponentName;
  readonly snapshotId: string;
  readonly milliseconds: number;
} & (
  | { readonly state: "restored" | "failed"; readonly checks: readonly Check[]; readonly error?: undefined }
  | { readonly state: "failed"; readonly checks: readonly Check[]; readonly error: MailarkError }
  /** An earlier run of this restore did it. */
  | { readonly state: "was restored"; readonly checks: readonly Check[]; readonly error?: undefined }
);

export interface HostObserver {
  readonly began?: (item: Item) => void;
  readonly ended?: (outcome: ItemOutcome) => void;
  readonly services?: (doing: string) => void;
}

/**
 * Brings one component back into its service, or finishes what a killed restore began.
 *
 * @throws the signal's reason when it is interrupted; what failed is in the outcome.
 */
export async function restoreItem(
  { component, snapshot }: Item,
  journal: Journal | undefined,
  world: World,
): Promise<ItemOutcome> {
  const { clock, signal } = world;
  const { snapshotId } = snapshot.manifest;
  const startedAt = clock.now();
  const outcome = () => ({ component: component.name, snapshotId, milliseconds: clock.now() - startedAt });
  const step = journal?.step(component.name);
  if (step?.state === "done") return { ...outcome(), state: "was restored", checks: [] };
  let filling = false;
  try {
    const { filling: service } = component;
    if (service && step?.state === "begun") {
      world.progress("taking back what an earlier restore left when it was ended");
      await service.takeBack(snapshot, world);
    }
    await service?.refuseUnlessEmpty(world);
    filling = true;
    journal?.note(component.name, { snapshotId, state: "begun" });
    const { checks, failed } = await restore(component, snapshot, { kind: "service" }, {}, world);
    if (failed) {
      journal?.forget(component.name);
      return { ...outcome(), state: "failed", checks };
    }
    journal?.note(component.name, { snapshotId, state: "done" });
    return { ...outcome(), state: "restored", checks };
  } catch (thrown) {
    // What failed was taken back by the stage: only what was killed is left as begun, for nobody else has touched that.
    if (filling) journal?.forget(component.name);
    signal.throwIfAborted();
    return { ...outcome(), state: "failed", checks: [], error: asMailarkError(thrown) };
  }
}

export interface HostRestore {
  /** In the order of {@link restoreOrder}, without configuration: that is back already. */
  readonly items: readonly Item[];
  readonly services: ServicesConfig | undefined;
  readonly journal: Journal;
}

/** What came back, and whether the mail services run on it. */
export interface HostOutcome {
  readonly items: readonly ItemOutcome[];
  readonly mail: "started" | "left down" | "not ours to start";
}

/**
 * Fills the databases, the mailboxes and the queue, and starts the mail services when all of it is there. One that fails does not stop the
 * others.
 *
 * @throws MailarkError when services can not be stopped or started; the signal's reason when it is interrupted.
 */
export async function restoreServices(
  { items, services, journal }: HostRestore,
  world: World,
  observer: HostObserver = {},
): Promise<HostOutcome> {
  if (services && services.databases.length > 0) {
    observer.services?.(`restarting ${services.databases.join(", ")}`);
    await control(services, "restart", services.databases, world);
  }
  const outcomes: ItemOutcome[] = [];
  for (const item of items) {
    world.signal.throwIfAborted();
    observer.began?.(item);
    const outcome = await restoreItem(item, journal, world);
    outcomes.push(outcome);
    observer.ended?.(outcome);
  }
  if (outcomes.some(({ state }) => state === "failed")) return { items: outcomes, mail: "left down" };
  if (!services || services.mail.length === 0) return { items: outcomes, mail: "not ours to start" };
  observer.services?.(`starting ${services.mail.join(", ")}`);
  await control(services, "start", services.mail, world);
  journal.close();
  return { items: outcomes, mail: "started" };
}
