import { createHash } from "node:crypto";
import { join } from "node:path";
import type { Identity } from "../../core/age/age.ts";
import { listComponents, type Moment } from "../../core/catalog.ts";
import { asMailarkError, exitCodes, MailarkError } from "../../core/errors.ts";
import type { ComponentName } from "../../core/keys.ts";
import type { PlannedItem } from "../components/component.ts";
import { configuredNames, journalPath, stateDirectory } from "../composition.ts";
import { type Config, readConfig } from "../config.ts";
import { freeSpace } from "../free-space.ts";
import { lock } from "../lock.ts";
import { Journal } from "../restore/journal.ts";
import {
  type HostOutcome,
  type Item,
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
import { contentsText, storedBytes, warningsText } from "./contents.ts";
import { readIdentities } from "./identity.ts";
import { openSource, type Source, type SourceOptions, warnUnlessPinned } from "./source.ts";

/** Which moment is brought back, and with which key. */
export interface RestoreAllOptions extends SourceOptions {
  readonly at?: string;
  readonly identity?: string;
  readonly dryRun?: boolean;
  /** Takes what is questionable, or not there: the mail services start all the same. */
  readonly accept?: boolean;
  /** Believes whatever signing key the store introduces. */
  readonly unpinned?: boolean;
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
  /** Components that no snapshot can bring back. */
  readonly lacking: readonly ItemOutcome[];
}

/** Brings the whole host back onto a machine whose services are installed and empty. */
export async function restoreAll(context: CommandContext, options: RestoreAllOptions): Promise<Outcome> {
  const { composition } = context;
  const startedAt = composition.clock.now();
  const plan = await prepare(context, options);
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
    return report(plan, result, config, composition.clock.now() - startedAt);
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
  readonly plan: Plan;
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
  const mail = plan.choices.find(({ name }) => name === "mail");
  const root = config.components.mail?.root;
  if (mail && root && journal.step("mail")?.state === "planned") {
    const free = freeSpace(composition.files, root);
    if (free < mail.bytes) {
      throw new MailarkError(
        "FILE_FAILED",
        `the mailboxes need ${sizeText(mail.bytes)}, and ${sizeText(free)} are free`,
        {
          detail: root,
          hint: "put a larger disk there, and run the same command again",
        },
      );
    }
  }
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

/** Mail that comes in meanwhile would be refused, or lost. */
async function stopMail(context: CommandContext, { services }: Config): Promise<void> {
  if (services) await control(services, "stop", services.mail, worldOf(context));
}

/** A backup in the middle would store half a host; a second restore would take back what this one does. */
const lockOf = ({ composition }: CommandContext, config: Config) =>
  lock(composition.files, join(stateDirectory(config), "lock"));

const unpinned = () =>
  new MailarkError("SIGNER_UNTRUSTED", "nothing proves that your host wrote what would be put onto this machine", {
    hint: "give the fingerprint on the recovery sheet with --fingerprint; without a sheet, and only if nobody else could write to the store, say --unpinned",
  });

async function prepare(context: CommandContext, options: RestoreAllOptions): Promise<Plan> {
  const moment = momentOf(options.at ?? "latest");
  if (typeof moment === "object" && "snapshotId" in moment) {
    throw new MailarkError("ARGUMENT_INVALID", "a snapshot is of one component, and this restores all", {
      hint: "name a time with --at: of each component the last snapshot up to then is taken",
    });
  }
  const identities = await readIdentities(context, options.identity);
  const source = await openSource(context, options, { beforeConfig: true });
  if (options.dryRun || options.unpinned) warnUnlessPinned(context, source);
  const { config, reader, hostId } = source;
  const journal = config && journalOf(context, config, source);
  if (journal?.isOld) {
    context.reporter.warn(
      "an earlier restore is finished, with the snapshots that it chose",
      `it began at ${journal.startedAt}; ${journal.path}`,
    );
  }
  const stored = await listComponents(reader, hostId);
  const choices: Choice[] = [];
  const lacking: ItemOutcome[] = [];
  for (const name of restoreOrder.filter((each) => stored.includes(each) || config?.components[each])) {
    const pinned = journal?.isOld ? journal.step(name) : undefined;
    if (pinned && options.at !== undefined && options.at !== "latest") throw otherMoment(journal!.path);
    const wanted: Moment = pinned ? { snapshotId: pinned.snapshotId } : moment;
    try {
      choices.push(await choose(context, source, name, wanted, identities));
    } catch (thrown) {
      context.signal.throwIfAborted();
      const error = asMailarkError(thrown);
      if (error.code !== "SNAPSHOT_UNKNOWN" && error.exitCode !== exitCodes.verification) throw error;
      lacking.push({ component: name, milliseconds: 0, state: "failed", checks: [], error });
    }
  }
  if (choices.length > 0) return { source, choices, lacking };
  throw (
    lacking[0]?.error ??
    new MailarkError("SNAPSHOT_UNKNOWN", "the store has no snapshot of this host", {
      hint: "`mailark list --hosts` shows which hosts it knows",
    })
  );
}

async function choose(
  context: CommandContext,
  source: Source,
  name: ComponentName,
  moment: Moment,
  identities: readonly Identity[],
): Promise<Choice> {
  const chosen = await chooseSnapshot(context, source, name, moment, identities);
  context.reporter.begin(`planning ${name}`);
  try {
    const items = await context.composition.component(name, source.config?.components).plan(chosen.quiet, {});
    return { ...chosen, name, items, bytes: sum(items) };
  } finally {
    context.reporter.end();
  }
}

const otherMoment = (path: string) =>
  new MailarkError("ARGUMENT_INVALID", "an earlier restore is not finished, and has chosen its snapshots", {
    detail: path,
    hint: "leave --at away to finish it; to begin anew with others, empty the services and remove that file",
  });

/** What the configuration names and the store has never seen; where it came back just now, this is when it can be told. */
function neverCaptured(config: Config, { choices, lacking }: Plan): ItemOutcome[] {
  const known = new Set([...choices.map(({ name }) => name), ...lacking.map(({ component }) => component)]);
  return configuredNames(config)
    .filter((name) => !known.has(name))
    .map((component) => ({
      component,
      milliseconds: 0,
      state: "failed",
      checks: [],
      error: new MailarkError("SNAPSHOT_UNKNOWN", `there is no snapshot of ${component}`, {
        hint: "it is configured and was never captured: it starts empty",
      }),
    }));
}

/**
 * A machine that is configured may be one that works: it is looked at before anything is stopped.
 *
 * @throws MailarkError `TARGET_NOT_EMPTY` naming the components whose services hold something that no restore of this host has put there.
 */
async function refuseUnlessEmpty(context: CommandContext, { choices }: Plan, config: Config, journal: Journal) {
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
  new Journal(composition.files, composition.clock, journalPath(config), hostId);

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

const ends: Record<HostOutcome["mail"], string> = {
  started: "The mail services run.",
  "not started": "The mail services could not be started: see above. Start them yourself; everything else is done.",
  "left down": `The mail services were left down: with a part of the host missing they could refuse or lose mail.
Mend what failed, and run the same command again: it goes on where it was. What is QUESTIONABLE is in its place, and a check of it failed:
look at it; to take it as it is, and to start without what is missing, add --accept.`,
  "not ours to start": "No mail services are named below services in the configuration: start them now.",
};

const words: Record<ItemOutcome["state"], string> = {
  restored: "restored",
  "restored before": "restored before",
  questionable: "QUESTIONABLE",
  failed: "FAILED",
};

function report(plan: Plan, { items, mail, complaints }: HostOutcome, config: Config, milliseconds: number): Outcome {
  const back = items.filter(({ state }) => state === "restored" || state === "restored before");
  const partial = plan.choices.filter(({ manifest }) => manifest.completeness === "partial");
  const unproven = items.flatMap(({ checks }) => checks.filter(({ outcome }) => outcome === "unproven"));
  const summary = table(
    [{ title: "COMPONENT" }, { title: "RESULT" }, { title: "SNAPSHOT" }, { title: "TIME", right: true }],
    items.map(({ component, state, snapshotId = "none", milliseconds }) => [
      component,
      words[state],
      snapshotId,
      durationText(milliseconds),
    ]),
  );
  const details = table(
    [{ title: "COMPONENT" }, { title: "CHECK" }, { title: "OUTCOME" }, { title: "DETAIL" }],
    items.flatMap(({ component, checks }) =>
      checks.map(({ name, outcome, detail }) => [component, name, outcome === "failed" ? "FAILED" : outcome, detail]),
    ),
  );
  const errors = [
    ...items.flatMap(({ component, error }) => (error ? [`\n${component}: ${errorText(error)}`] : [])),
    ...complaints.map((error) => `\nservices: ${errorText(error)}`),
    ...partial.map(({ name, manifest }) => `\n${name}: its snapshot is partial: ${warningsText(manifest)}\n`),
  ];
  const exitCode = exitCodeOf(items, partial.length > 0 || complaints.length > 0);
  const open = unproven.length > 0 ? ` ${countOf(unproven.length, "check")} could not be made here.` : "";
  const unstopped =
    mail === "left down" && config.services === undefined
      ? " (They are not named below services: if they run, stop them.)"
      : "";
  const end = `${back.length} of ${items.length} components are back, after ${durationText(milliseconds)}.${open} ${ends[mail]}${unstopped}\n`;
  return {
    exitCode,
    text: `${headOf(plan)}\n${summary}\n${details}${errors.join("")}\n${end}`,
    document: {
      ...documentOf(plan),
      exitCode,
      milliseconds,
      mailServices: mail,
      results: items.map(({ error, ...item }) => ({ ...item, error: error && errorDocument(error) })),
      complaints: complaints.map((error) => errorDocument(error)),
    },
  };
}

/** 4 where something is in place that is not as it was captured; 3 where something is missing. */
function exitCodeOf(items: readonly ItemOutcome[], amiss: boolean): number {
  if (items.some(({ state }) => state === "questionable")) return exitCodes.verification;
  if (items.some(({ state }) => state === "failed") || amiss) return exitCodes.partial;
  return exitCodes.ok;
}

const sum = (items: readonly Pick<PlannedItem, "bytes">[]) => items.reduce((total, { bytes }) => total + bytes, 0);
