import { resolve } from "node:path";
import { exitCodes, MailarkError } from "../../core/errors.ts";
import type { ComponentName } from "../../core/keys.ts";
import { type Manifest, storedBytes } from "../../core/manifest.ts";
import type { SnapshotReader } from "../../core/snapshot-reader.ts";
import type { Check, Component, Place, PlannedItem, Selection } from "../components/component.ts";
import { refuseUnlessEmpty } from "../components/target-names.ts";
import { filesOf, freeSpace, refuseWithoutRoom, shareOf, targetOf } from "../free-space.ts";
import { restore as bringBack } from "../restore/restore.ts";
import { countOf, durationText, sizeText, timeText } from "../terminal/quantity.ts";
import { facts, table } from "../terminal/table.ts";
import { componentNamed, momentOf } from "./arguments.ts";
import { checksTable } from "./checks-table.ts";
import { chooseSnapshot } from "./chosen-snapshot.ts";
import { type CommandContext, type Outcome, worldOf } from "./command.ts";
import { contentsText } from "./contents.ts";
import { readIdentities } from "./identity.ts";
import { restoreAll } from "./restore-all.ts";
import { openSource, type Source, type SourceOptions, warnUnlessPinned } from "./source.ts";

/** What is brought back, where to, and with which key. */
export interface RestoreOptions extends SourceOptions {
  /** Absent with `all`. */
  readonly component?: string;
  /** The whole host. */
  readonly all?: boolean;
  /** With `all`: see {@link restoreAll}. */
  readonly accept?: boolean;
  readonly unpinned?: boolean;
  /** `latest`, an id, or a time. */
  readonly at?: string;
  /** A directory that is absent or empty. */
  readonly to?: string;
  /** The service that the configuration names, which must be empty. */
  readonly intoService?: boolean;
  readonly identity?: string;
  readonly mailbox?: readonly string[];
  readonly database?: readonly string[];
  /** Absolute paths of the host, of what is files. */
  readonly path?: readonly string[];
  readonly dryRun?: boolean;
}

/** @throws MailarkError `ARGUMENT_INVALID` when something is said that goes with one component only. */
function wholeHost(options: RestoreOptions): RestoreOptions {
  const { component, to, intoService, mailbox, database, path } = options;
  const narrow = [component, to, intoService, mailbox, database, path].some((given) => given !== undefined);
  if (!narrow) return options;
  throw new MailarkError("ARGUMENT_INVALID", "--all restores every component into its service", {
    hint: "leave the rest away; to bring back one component, or into a directory, leave --all away",
  });
}

/** Everything that is known before anything is touched. */
interface Plan {
  readonly source: Source;
  readonly component: Component;
  readonly manifest: Manifest;
  readonly snapshot: SnapshotReader;
  readonly place: Place;
  readonly selection: Selection;
  readonly items: readonly PlannedItem[];
  /** The directory that is filled, where it is known; and what is free there. */
  readonly target: string | undefined;
  readonly freeBytes: number | undefined;
}

/** Brings a snapshot back beside everything live and judges it, or says what it would bring back. */
export async function restore(context: CommandContext, options: RestoreOptions): Promise<Outcome> {
  if (options.all) return restoreAll(context, wholeHost(options));
  const plan = await prepare(context, options);
  if (options.dryRun) return reportPlan(plan);
  const { reporter, composition, signal } = context;
  const { component, manifest, snapshot, place, selection, target } = plan;
  if (target !== undefined) {
    refuseWithoutRoom(
      composition.files,
      [{ what: component.name, path: target, bytes: neededBytes(plan), files: filesOf(plan.items) }],
      "free space, restore to another disk with --to, or bring back a part with --mailbox, --database or --path",
    );
  }
  signal.throwIfAborted();
  const startedAt = composition.clock.now();
  const narrowed = Object.keys(selection).length > 0;
  reporter.begin(`restoring ${manifest.component}`, narrowed ? undefined : storedBytes(manifest));
  try {
    const { checks, failed } = await bringBack(component, snapshot, place, selection, worldOf(context));
    return reportChecks(plan, checks, failed, composition.clock.now() - startedAt);
  } finally {
    reporter.end();
  }
}

async function prepare(context: CommandContext, options: RestoreOptions): Promise<Plan> {
  const { composition, reporter } = context;
  if (options.component === undefined) {
    throw new MailarkError("ARGUMENT_INVALID", "what to restore is not said", {
      hint: "name a component, such as mail, or give --all for the whole host",
    });
  }
  const name = componentNamed(options.component);
  const moment = momentOf(options.at ?? "latest");
  const place = placeOf(context, options);
  const selection = selectionOf(name, options);
  const identities = await readIdentities(context, options.identity);
  const source = await openSource(context, options);
  warnUnlessPinned(context, source);
  const configured = source.config?.components[name as "mail" | "mysql"] !== undefined;
  if (place.kind === "service" && !configured) {
    throw new MailarkError("CONFIG_MISSING", `no configuration says where the ${name} service is`, {
      hint: `restore into a directory with --to DIR, or write ${context.configPath} with ${name} below components`,
    });
  }
  const component = composition.component(name, source.config?.components);
  // Told before the store is read for long; staging looks again.
  if (place.kind === "directory") refuseUnlessEmpty(composition.files, place.path);
  const { manifest, quiet, snapshot } = await chooseSnapshot(context, source, name, moment, identities);
  reporter.begin("planning");
  try {
    const items = await component.plan(quiet, selection);
    const target = await targetOf(component, place, worldOf(context));
    const freeBytes = target === undefined ? undefined : freeSpace(composition.files, target);
    return { source, component, manifest, snapshot, place, selection, items, target, freeBytes };
  } finally {
    reporter.end();
  }
}

function placeOf({ cwd }: CommandContext, { to, intoService }: RestoreOptions): Place {
  if ((to === undefined) === !intoService) {
    throw new MailarkError(
      "ARGUMENT_INVALID",
      to === undefined ? "where to restore to is not said" : "two places to restore to",
      {
        hint: "give --to DIR (an empty or a new directory) or --into-service, and not both",
      },
    );
  }
  if (to === undefined) return { kind: "service" };
  if (to !== "") return { kind: "directory", path: resolve(cwd, to) };
  throw new MailarkError("ARGUMENT_INVALID", "--to names no directory", { hint: "give an empty or a new directory" });
}

function selectionOf(name: ComponentName, { mailbox, database, path }: RestoreOptions): Selection {
  const wrong =
    mailbox && name !== "mail"
      ? "--mailbox"
      : database && name !== "mysql" && name !== "postgres"
        ? "--database"
        : path && name !== "configs" && name !== "certs"
          ? "--path"
          : undefined;
  if (wrong === undefined) {
    return {
      ...(mailbox && { mailboxes: mailbox }),
      ...(database && { databases: database }),
      ...(path && { paths: path }),
    };
  }
  throw new MailarkError("ARGUMENT_INVALID", `${wrong} does not go with ${name}`, {
    hint: "--mailbox goes with mail, --database with a database, --path with configs and certs",
  });
}

function whereText({ place, manifest }: Plan): string {
  return place.kind === "directory" ? place.path : `the ${manifest.component} service of this machine`;
}

function headOf(plan: Plan): string {
  const { source, manifest, items, freeBytes } = plan;
  return facts([
    ["from", `${source.url}, host ${source.hostId}`],
    [
      "snapshot",
      `${manifest.snapshotId}, ${manifest.completeness}, of ${timeText(manifest.cutAt)}: ${contentsText(manifest)}`,
    ],
    ["to", whereText(plan)],
    ["size", `${sizeText(sum(items))}${freeBytes === undefined ? "" : `; ${sizeText(freeBytes)} are free there`}`],
  ]);
}

function documentOf({ source, manifest, place, items, freeBytes }: Plan): object {
  const { component, snapshotId, cutAt, completeness } = manifest;
  const to = place.kind === "directory" ? place.path : "service";
  return {
    command: "restore",
    hostId: source.hostId,
    store: source.url,
    pinned: source.pinned,
    component,
    snapshotId,
    cutAt,
    completeness,
    to,
    bytes: sum(items),
    freeBytes,
    items,
  };
}

function reportPlan(plan: Plan): Outcome {
  const { items, freeBytes } = plan;
  const fits = freeBytes === undefined || freeBytes >= neededBytes(plan);
  const columns = [{ title: "SIZE", right: true }, { title: "CONTENT" }];
  const rows = items.map(({ what, bytes }) => [sizeText(bytes), what]);
  const end = fits
    ? "Nothing was written: this was a dry run. Run it again without --dry-run to restore.\n"
    : "It does not fit: give another place with --to. Nothing was written.\n";
  const exitCode = fits ? exitCodes.ok : exitCodes.failed;
  return {
    exitCode,
    text: `${headOf(plan)}\n${table(columns, rows)}\n${end}`,
    document: { ...documentOf(plan), dryRun: true, exitCode },
  };
}

function reportChecks(plan: Plan, checks: readonly Check[], failed: boolean, milliseconds: number): Outcome {
  const unproven = checks.filter(({ outcome }) => outcome === "unproven").length;
  const end = failed
    ? "Something is not as it was captured. What was restored is left in place: look at it, and try an older snapshot with --at.\n"
    : `Restored to ${whereText(plan)} in ${durationText(milliseconds)}.${unproven > 0 ? ` ${countOf(unproven, "check")} could not be made here.` : ""}\n`;
  const exitCode = failed ? exitCodes.verification : exitCodes.ok;
  return {
    exitCode,
    text: `${headOf(plan)}\n${checksTable([{ checks }])}\n${end}`,
    document: { ...documentOf(plan), exitCode, failed, milliseconds, checks },
  };
}

const neededBytes = ({ component, place, items }: Plan) => sum(items) * shareOf(component, place);
const sum = (items: readonly PlannedItem[]) => items.reduce((total, { bytes }) => total + bytes, 0);
