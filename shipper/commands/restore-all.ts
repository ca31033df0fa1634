import { createHash } from "node:crypto";
import { asMailarkError, MailarkError } from "../../core/errors.ts";
import { storedBytes } from "../../core/manifest.ts";
import { journalPath, lockPath } from "../composition.ts";
import { type Config, readConfig } from "../config.ts";
import { type Demand, filesOf, refuseWithoutRoom, shareOf, targetOf } from "../free-space.ts";
import { lock } from "../lock.ts";
import type { Journal } from "../restore/journal.ts";
import {
  type HostOutcome,
  type Item,
  type ItemOutcome,
  isConfiguration,
  restoreItem,
  restoreServices,
} from "../restore/restore-host.ts";
import { control } from "../restore/services.ts";
import { type CommandContext, type Outcome, worldOf } from "./command.ts";
import {
  type Choice,
  type HostPlan,
  journalOf,
  neverCaptured,
  planHost,
  type RestoreAllOptions,
} from "./restore-all-plan.ts";
import { reportHost, reportPlan } from "./restore-all-report.ts";

/** Brings the whole host back onto a machine whose services are installed and empty. */
export async function restoreAll(context: CommandContext, options: RestoreAllOptions): Promise<Outcome> {
  const { composition } = context;
  const startedAt = composition.clock.now();
  const plan = await planHost(context, options);
  if (options.dryRun) return reportPlan(plan);
  if (!plan.source.pinned && !options.unpinned) throw unpinned();
  const { source } = plan;
  const outcomes: ItemOutcome[] = [...plan.lacking];
  const release = source.config && lockOf(context, source.config);
  let releaseLater: (() => void) | undefined;
  try {
    const early = source.config && journalOf(context, source.config, source);
    if (source.config && early) {
      await refuseUnlessEmpty(context, plan, source.config, early);
      early.plan(plan.choices.map(({ name, manifest: { snapshotId } }) => ({ name, snapshotId })));
      await stopMail(context, source.config);
    }
    for (const choice of plan.choices.filter(({ name }) => isConfiguration(name))) {
      outcomes.push(await bringBack(context, choice, source.config, early));
    }
    const config = configNow(context, plan);
    if (source.config === undefined) {
      releaseLater = lockOf(context, config);
      await stopMail(context, config);
    }
    const journal = early ?? journalOf(context, config, source);
    journal.moveTo(journalPath(config));
    journal.plan(plan.choices.map(({ name, manifest: { snapshotId } }) => ({ name, snapshotId })));
    if (early === undefined) {
      for (const { component, snapshotId, state } of outcomes) {
        if (snapshotId && state !== "failed") {
          journal.note(component, { snapshotId, state: state === "questionable" ? state : "done" });
        }
      }
    }
    outcomes.push(...neverCaptured(config, plan));
    const result = await fill(context, { plan, config, journal, outcomes, accept: options.accept === true });
    return reportHost(plan, result, config, composition.clock.now() - startedAt);
  } finally {
    releaseLater?.();
    release?.();
  }
}

async function bringBack(
  context: CommandContext,
  choice: Choice,
  config: Config | undefined,
  journal: Journal | undefined,
): Promise<ItemOutcome> {
  const { reporter } = context;
  reporter.begin(`restoring ${choice.name}`, storedBytes(choice.manifest));
  try {
    return await restoreItem(itemOf(context, choice, config), journal, worldOf(context));
  } finally {
    reporter.end();
  }
}

function itemOf({ composition }: CommandContext, { name, snapshot }: Choice, config: Config | undefined): Item {
  const service = createHash("sha256")
    .update(JSON.stringify(config?.components[name] ?? null))
    .digest("hex");
  return { component: composition.component(name, config?.components), snapshot, service };
}

interface Filling {
  readonly plan: HostPlan;
  readonly config: Config;
  readonly journal: Journal;
  /** Of configuration, and of what no snapshot can bring back. */
  readonly outcomes: readonly ItemOutcome[];
  readonly accept: boolean;
}

async function fill(
  context: CommandContext,
  { plan, config, journal, outcomes, accept }: Filling,
): Promise<HostOutcome> {
  const { reporter, composition } = context;
  const demands: Demand[] = [];
  for (const { name, bytes, items } of plan.choices.filter(({ name }) => journal.step(name)?.state === "planned")) {
    const component = composition.component(name, config.components);
    const path = await targetOf(component, service, worldOf(context));
    const demand = { what: name, bytes: bytes * shareOf(component, service), files: filesOf(items) };
    if (path !== undefined) demands.push({ ...demand, path });
  }
  refuseWithoutRoom(composition.files, demands, "put a larger disk there, and run the same command again");
  const items = plan.choices
    .filter(({ name }) => !isConfiguration(name))
    .map((choice) => itemOf(context, choice, config));
  const amiss = outcomes.some(({ state }) => state === "failed" || state === "questionable");
  const result = await restoreServices({ items, services: config.services, journal, amiss, accept }, worldOf(context), {
    began: ({ component, snapshot }) => reporter.begin(`restoring ${component.name}`, storedBytes(snapshot.manifest)),
    ended: () => reporter.end(),
    services: reporter.doing,
  });
  return { ...result, items: [...outcomes, ...result.items] };
}

const service = { kind: "service" } as const;

/** Mail that comes in meanwhile would be refused, or lost. */
async function stopMail(context: CommandContext, { services }: Config): Promise<void> {
  if (services) await control(services, "stop", services.mail, worldOf(context));
}

/** A backup in the middle would store half a host; a second restore would take back what this one does. */
const lockOf = ({ composition }: CommandContext, config: Config) => lock(composition.files, lockPath(config));

const unpinned = () =>
  new MailarkError("SIGNER_UNTRUSTED", "nothing proves that your host wrote what would be put onto this machine", {
    hint: "give the fingerprint on the recovery sheet with --fingerprint; without a sheet, and only if nobody else could write to the store, say --unpinned",
  });

/**
 * A machine that is configured may be one that works: it is looked at before anything is stopped.
 *
 * @throws MailarkError `TARGET_NOT_EMPTY` naming the components whose services hold something that no restore of this host has put there.
 */
async function refuseUnlessEmpty(context: CommandContext, { choices }: HostPlan, config: Config, journal: Journal) {
  const occupied: string[] = [];
  const untouched = choices.filter(({ name }) => (journal.step(name)?.state ?? "planned") === "planned");
  for (const { name } of untouched) {
    try {
      await context.composition.component(name, config.components).filling?.refuseUnlessEmpty(worldOf(context));
    } catch (thrown) {
      context.signal.throwIfAborted();
      const { code, message } = asMailarkError(thrown);
      // A server that is not up yet may be empty: it is asked again when it was started.
      if (code === "TARGET_NOT_EMPTY") occupied.push(`${name}: ${message}`);
    }
  }
  if (occupied.length === 0) return;
  throw new MailarkError("TARGET_NOT_EMPTY", "this machine holds something already: nothing was stopped or changed", {
    detail: occupied.join("\n"),
    hint: "restore onto a machine whose services are empty, or one component at a time with --to DIR",
  });
}

/** What the restored files say: where the services are that are filled next. */
function configNow({ composition, configPath }: CommandContext, { source }: HostPlan): Config {
  try {
    return readConfig(composition.files, configPath);
  } catch (error) {
    if (!(error instanceof MailarkError) || error.code !== "CONFIG_MISSING") throw error;
    throw new MailarkError("CONFIG_MISSING", "no configuration says where the services are", {
      detail: `${configPath} is not among the restored files`,
      hint: `name the file with --config, or write one for host ${source.hostId}; then run the same command again`,
    });
  }
}
