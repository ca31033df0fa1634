import { join } from "node:path";
import { listComponents, type Moment } from "../../core/catalog.ts";
import { asMailarkError, exitCodes, MailarkError } from "../../core/errors.ts";
import type { ComponentName } from "../../core/keys.ts";
import type { PlannedItem } from "../components/component.ts";
import { configuredNames } from "../composition.ts";
import { type Config, readConfig } from "../config.ts";
import { Journal } from "../restore/journal.ts";
import {
  type HostOutcome,
  type ItemOutcome,
  isConfiguration,
  restoreItem,
  restoreOrder,
  restoreServices,
} from "../restore/restore-host.ts";
import { control } from "../restore/services.ts";
import { errorDocument, errorText } from "../terminal/error-text.ts";
import { printable } from "../terminal/printable.ts";
import { countOf, durationText, sizeText, timeText } from "../terminal/quantity.ts";
import { facts, table } from "../terminal/table.ts";
import { momentOf } from "./arguments.ts";
import { type ChosenSnapshot, chooseSnapshot } from "./chosen-snapshot.ts";
import { type CommandContext, type Outcome, worldOf } from "./command.ts";
import { contentsText, storedBytes } from "./contents.ts";
import { readIdentities } from "./identity.ts";
import { openSource, type Source, type SourceOptions, warnUnlessPinned } from "./source.ts";

/** Which moment is brought back, and with which key. */
export interface RestoreAllOptions extends SourceOptions {
  readonly at?: string;
  readonly identity?: string;
  readonly dryRun?: boolean;
}

/** A snapshot with what it would bring back. */
interface Choice extends ChosenSnapshot {
  readonly name: ComponentName;
  readonly items: readonly PlannedItem[];
  readonly bytes: number;
}

interface Plan {
  readonly source: Source;
  readonly choices: readonly Choice[];
}

/** Brings the whole host back onto a machine whose services are installed and empty. */
export async function restoreAll(context: CommandContext, options: RestoreAllOptions): Promise<Outcome> {
  const { composition, reporter } = context;
  const startedAt = composition.clock.now();
  const plan = await prepare(context, options);
  if (options.dryRun) return reportPlan(plan);
  const outcomes: ItemOutcome[] = [];
  const world = worldOf(context);
  const bringBack = async (choice: Choice, config: Config | undefined, journal: Journal | undefined) => {
    const component = composition.component(choice.name, config?.components);
    reporter.begin(`restoring ${choice.name}`, storedBytes(choice.manifest));
    try {
      const outcome = await restoreItem({ component, snapshot: choice.snapshot }, journal, world);
      outcomes.push(outcome);
      return outcome.state !== "failed";
    } finally {
      reporter.end();
    }
  };
  const before = plan.source.config;
  const early = before && journalOf(context, before, plan.source);
  if (before && early) await refuseUnlessEmpty(context, plan, before, early);
  if (before?.services) await control(before.services, "stop", before.services.mail, world);
  let whole = true;
  for (const choice of plan.choices.filter(({ name }) => isConfiguration(name))) {
    whole = (await bringBack(choice, before, early)) && whole;
  }
  const done = (mail: HostOutcome["mail"]) =>
    report(plan, { items: outcomes, mail }, composition.clock.now() - startedAt);
  if (!whole) return done("left down");

  const config = configNow(context, plan);
  const journal = early ?? journalOf(context, config, plan.source);
  for (const { component, snapshotId } of outcomes) journal.note(component, { snapshotId, state: "done" });
  if (before === undefined && config.services) await control(config.services, "stop", config.services.mail, world);
  const items = plan.choices
    .filter(({ name }) => !isConfiguration(name))
    .map(({ name, snapshot }) => ({ component: composition.component(name, config.components), snapshot }));
  const result = await restoreServices({ items, services: config.services, journal }, world, {
    began: ({ component, snapshot }) => reporter.begin(`restoring ${component.name}`, storedBytes(snapshot.manifest)),
    ended(outcome) {
      reporter.end();
      outcomes.push(outcome);
    },
    services: reporter.doing,
  });
  return done(result.mail);
}

async function prepare(context: CommandContext, options: RestoreAllOptions): Promise<Plan> {
  const { composition, reporter } = context;
  const moment = momentOf(options.at ?? "latest");
  if (typeof moment === "object" && "snapshotId" in moment) {
    throw new MailarkError("ARGUMENT_INVALID", "a snapshot is of one component, and this restores all", {
      hint: "name a time with --at: of each component the last snapshot up to then is taken",
    });
  }
  const identities = await readIdentities(context, options.identity);
  const source = await openSource(context, options, { beforeConfig: true });
  warnUnlessPinned(context, source);
  const { config } = source;
  const journal = config && journalOf(context, config, source);
  const stored = await listComponents(source.reader, source.hostId);
  const missing = (config ? configuredNames(config) : []).filter((name) => !stored.includes(name));
  if (missing.length > 0) reporter.warn(`the store has no snapshot of ${missing.join(", ")}: that will not come back`);
  const choices: Choice[] = [];
  for (const name of restoreOrder.filter((each) => stored.includes(each))) {
    const begun = journal?.step(name);
    const wanted: Moment = begun ? { snapshotId: begun.snapshotId } : moment;
    if (begun) reporter.warn(`an earlier restore has ${begun.state} ${name}: it is finished with the same snapshot`);
    const chosen = await chooseSnapshot(context, source, name, wanted, identities);
    reporter.begin(`planning ${name}`);
    const items = await composition.component(name, config?.components).plan(chosen.quiet, {});
    reporter.end();
    choices.push({ ...chosen, name, items, bytes: sum(items) });
  }
  if (choices.length > 0) return { source, choices };
  throw new MailarkError("SNAPSHOT_UNKNOWN", "the store has no snapshot of this host", {
    hint: "`mailark list --hosts` shows which hosts it knows",
  });
}

/**
 * A machine that is configured may be one that works: it is looked at before anything is stopped.
 *
 * @throws MailarkError `TARGET_NOT_EMPTY` naming the components whose services hold something that no restore of this host has begun.
 */
async function refuseUnlessEmpty(context: CommandContext, { choices }: Plan, config: Config, journal: Journal) {
  const occupied: string[] = [];
  for (const { name } of choices.filter((choice) => journal.step(choice.name) === undefined)) {
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
function configNow({ composition, configPath }: CommandContext, { source }: Plan): Config {
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

const journalOf = ({ composition }: CommandContext, config: Config, { hostId }: Source) =>
  new Journal(composition.files, join(config.state, "restore.json"), hostId);

function headOf({ source, choices }: Plan): string {
  const runs = new Set(choices.map(({ manifest }) => manifest.runId));
  return facts([
    ["from", `${source.url}, host ${source.hostId}`],
    [
      "cut",
      runs.size === 1 ? `one run, ${[...runs][0]}` : `${runs.size} runs: the components are of different moments`,
    ],
    ["size", sizeText(sum(choices))],
  ]);
}

function reportPlan(plan: Plan): Outcome {
  const columns = [
    { title: "ORDER", right: true },
    { title: "COMPONENT" },
    { title: "SNAPSHOT" },
    { title: "TIME" },
    { title: "SIZE", right: true },
    { title: "CONTENT" },
  ];
  const rows = plan.choices.map(({ name, manifest, bytes }, position) => [
    `${position + 1}`,
    name,
    manifest.snapshotId,
    timeText(manifest.cutAt),
    sizeText(bytes),
    contentsText(manifest),
  ]);
  return {
    exitCode: exitCodes.ok,
    text: `${headOf(plan)}\n${table(columns, rows)}\n${placesOf(plan)}Nothing was written: this was a dry run. The services must be installed and hold nothing.\n`,
    document: { ...documentOf(plan), dryRun: true, exitCode: exitCodes.ok },
  };
}

/** What the snapshot of a host puts into the file system of this machine, which an operator should see before it does. */
function placesOf({ choices }: Plan): string {
  const places = choices.filter(({ name }) => isConfiguration(name)).flatMap(({ items }) => items);
  if (places.length === 0) return "";
  const lines = places.map(({ what }) => `  ${printable(what)}\n`).join("");
  return `Files that are put in their place; what is there is kept beside, as NAME.before-mailark-…:\n${lines}\n`;
}

function documentOf({ source, choices }: Plan): object {
  return {
    command: "restore",
    all: true,
    hostId: source.hostId,
    store: source.url,
    pinned: source.pinned,
    bytes: sum(choices),
    components: choices.map(({ name, bytes, items, manifest: { snapshotId, runId, cutAt } }) => ({
      component: name,
      items,
      snapshotId,
      runId,
      cutAt,
      bytes,
    })),
  };
}

function report(plan: Plan, { items, mail }: HostOutcome, milliseconds: number): Outcome {
  const failed = items.filter(({ state }) => state === "failed");
  const unproven = items.flatMap(({ checks }) => checks.filter(({ outcome }) => outcome === "unproven"));
  const summary = table(
    [{ title: "COMPONENT" }, { title: "RESULT" }, { title: "SNAPSHOT" }, { title: "TIME", right: true }],
    items.map(({ component, state, snapshotId, milliseconds }) => [
      component,
      state === "failed" ? "FAILED" : state,
      snapshotId,
      durationText(milliseconds),
    ]),
  );
  const checks = items.flatMap(({ component, checks }) =>
    checks.map(({ name, outcome, detail }) => [component, name, outcome === "failed" ? "FAILED" : outcome, detail]),
  );
  const details = table(
    [{ title: "COMPONENT" }, { title: "CHECK" }, { title: "OUTCOME" }, { title: "DETAIL" }],
    checks,
  );
  const errors = items.flatMap(({ component, error }) => (error ? [`\n${component}: ${errorText(error)}`] : []));
  const exitCode =
    failed.length === 0 ? exitCodes.ok : failed.length < items.length ? exitCodes.partial : exitCodes.verification;
  const ends: Record<HostOutcome["mail"], string> = {
    started: "The mail services run again.",
    "left down":
      "The mail services were left down: with a part of the host missing they would refuse or lose mail. Mend what failed, and run the same command again.",
    "not ours to start": "No mail services are named below services in the configuration: start them now.",
  };
  const open = unproven.length > 0 ? ` ${countOf(unproven.length, "check")} could not be made here.` : "";
  const end = `${items.length - failed.length} of ${plan.choices.length} components are back, after ${durationText(milliseconds)}.${open} ${ends[mail]}\n`;
  return {
    exitCode,
    text: `${headOf(plan)}\n${summary}\n${details}${errors.join("")}\n${end}`,
    document: {
      ...documentOf(plan),
      exitCode,
      milliseconds,
      mailServices: mail,
      results: items.map(({ error, ...item }) => ({ ...item, error: error && errorDocument(error) })),
    },
  };
}

const sum = (items: readonly Pick<PlannedItem, "bytes">[]) => items.reduce((total, { bytes }) => total + bytes, 0);
