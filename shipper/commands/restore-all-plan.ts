/** What a restore of everything would bring back, found out before anything is touched. */
import type { Identity } from "../../core/age/age.ts";
import { listComponents, type Moment } from "../../core/catalog.ts";
import { asMailarkError, exitCodes, MailarkError } from "../../core/errors.ts";
import type { ComponentName } from "../../core/keys.ts";
import type { PlannedItem } from "../components/component.ts";
import { configuredNames, journalPath } from "../composition.ts";
import type { Config } from "../config.ts";
import { Journal } from "../restore/journal.ts";
import { type ItemOutcome, restoreOrder } from "../restore/restore-host.ts";
import { momentOf } from "./arguments.ts";
import { type ChosenSnapshot, chooseSnapshot } from "./chosen-snapshot.ts";
import type { CommandContext } from "./command.ts";
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
export interface Choice extends ChosenSnapshot {
  readonly name: ComponentName;
  readonly items: readonly PlannedItem[];
  readonly bytes: number;
}

export interface HostPlan {
  readonly source: Source;
  readonly choices: readonly Choice[];
  /** Components that no snapshot can bring back. */
  readonly lacking: readonly ItemOutcome[];
}

/**
 * Finds the snapshots: those that an earlier run chose, or the last of each component up to a moment. A component without one is told, and the
 * others are planned.
 *
 * @throws MailarkError when there is none at all; `ARGUMENT_INVALID` when an earlier run has chosen others than are asked for now.
 */
export async function planHost(context: CommandContext, options: RestoreAllOptions): Promise<HostPlan> {
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
    return { ...chosen, name, items, bytes: items.reduce((total, { bytes }) => total + bytes, 0) };
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
export function neverCaptured(config: Config, { choices, lacking }: HostPlan): ItemOutcome[] {
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

/** What an earlier run wrote down, and where this one does. */
export const journalOf = ({ composition }: CommandContext, config: Config, { hostId }: Source) =>
  new Journal(composition.files, composition.clock, journalPath(config), hostId);
