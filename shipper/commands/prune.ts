import { asMailarkError, exitCodes, MailarkError } from "../../core/errors.ts";
import { readInventory } from "../../core/inventory.ts";
import {
  carryOut,
  type Erasure,
  type ErasureReason,
  newestReceipt,
  type PrunePlan,
  planPrune,
} from "../../core/prune.ts";
import { parseRetentionPolicy, type RetentionPolicy } from "../../core/retention-policy.ts";
import { explainReason } from "../../core/retention-reason.ts";
import { lockPath } from "../composition.ts";
import { lock } from "../lock.ts";
import { errorDocument, errorText } from "../terminal/error-text.ts";
import { printable } from "../terminal/printable.ts";
import { countOf, durationText, sizeText } from "../terminal/quantity.ts";
import { table } from "../terminal/table.ts";
import type { CommandContext, Outcome } from "./command.ts";
import { openSource, type Source, type SourceOptions, warnUnlessPinned } from "./source.ts";

/** The rules that a command line may set, on top of those of the configuration. */
type RuleOptions = Partial<Record<Exclude<keyof RetentionPolicy, "components">, number>>;

export interface PruneOptions extends SourceOptions, RuleOptions {
  /** Erases. Without it the plan is only told. */
  readonly delete?: boolean;
  /** Ids of snapshots that stay. */
  readonly hold?: readonly string[];
  /** Ids of snapshots that can not be used, and are given up. */
  readonly drop?: readonly string[];
  /** Ages count by this machine's clock, however long the host has stored nothing. */
  readonly trustClock?: boolean;
}

/** For so many days a host may have stored nothing before it is as likely that this machine's clock is ahead. */
const silentDays = 3;
const day = 24 * 3_600_000;

/** Says what of a host expires by its policy, and why; erases it when that is wanted. */
export async function prune(context: CommandContext, options: PruneOptions): Promise<Outcome> {
  const { composition, reporter, signal } = context;
  const startedAt = composition.clock.now();
  const source = await openSource(context, options);
  const policy = policyOf(source, options);
  if (options.delete && !source.pinned) throw unpinned(source);
  warnUnlessPinned(context, source);
  const release = options.delete ? lockOf(context, source) : () => {};
  try {
    const plan = await planned();
    const done = options.delete ? await erase(plan) : undefined;
    return report(source, plan, policy, done, composition.clock.now() - startedAt);
  } finally {
    release();
  }

  async function planned(): Promise<PrunePlan> {
    reporter.begin("reading manifests");
    try {
      const inventory = await readInventory(source.reader, source.hostId, source.trusted, {
        signal,
        judging: ({ component, snapshotId }) => reporter.doing(`${component} ${snapshotId}`),
      });
      const now = composition.clock.now();
      if (!options.trustClock) doubt(policy, now - newestReceipt(inventory));
      return planPrune(inventory, policy, {
        now,
        ...(options.hold && { held: options.hold }),
        ...(options.drop && { dropped: options.drop }),
      });
    } finally {
      reporter.end();
    }
  }

  /** @throws MailarkError `CLOCK_DOUBTFUL` where something is to be erased by its age; in a dry run that is a warning. */
  function doubt({ components, ...common }: RetentionPolicy, silence: number): void {
    const byAge = [common, ...Object.values(components)].some(
      (rules) => (rules?.keepWithinDays ?? 0) > 0 || rules?.maximumAgeDays !== undefined,
    );
    if (!byAge || silence <= silentDays * day || silence === Number.POSITIVE_INFINITY) return;
    const error = new MailarkError(
      "CLOCK_DOUBTFUL",
      `by this machine's clock the host has stored nothing for ${Math.floor(silence / day)} days`,
      { hint: "look at the clock of this machine; if it is right, say so with --trust-clock, or ages do not count" },
    );
    if (options.delete) throw error;
    reporter.warn(error.message, error.hint);
  }

  /** A failure after the first erasure is told with what is gone. */
  async function erase(plan: PrunePlan): Promise<Done> {
    const erased: Erasure[] = [];
    reporter.begin("erasing", sum(plan.erasures));
    try {
      await carryOut(plan, source.reader, composition.openEraser(source.url), {
        signal,
        erased: (erasure) => {
          erased.push(erasure);
          reporter.advance(erasure.bytes);
          reporter.doing(erasure.key);
        },
      });
      return { erased };
    } catch (thrown) {
      if (erased.length === 0) throw thrown;
      return { erased, error: asMailarkError(thrown) };
    } finally {
      reporter.end();
    }
  }
}

/** What was erased, and what ended it before it was through. */
interface Done {
  readonly erased: readonly Erasure[];
  readonly error?: MailarkError;
}

/** @throws MailarkError `ARGUMENT_INVALID` where nothing says what to keep; `CONFIG_INVALID` for rules that contradict each other. */
function policyOf({ config, url }: Source, options: PruneOptions): RetentionPolicy {
  const plain = (text: string) => text.replace(/\/+$/, "");
  const configured = config?.stores.find((store) => plain(store.url) === plain(url))?.retention;
  const named = Object.fromEntries(
    ruleNames.flatMap((name) => (options[name] === undefined ? [] : [[name, options[name]]])),
  );
  if (configured !== undefined || Object.keys(named).length > 0)
    return parseRetentionPolicy({ ...configured, ...named });
  throw new MailarkError("ARGUMENT_INVALID", "nothing says what to keep in this store", {
    hint: "name rules, such as --daily 7 --weekly 4 --monthly 12, or write them in the configuration as retention of the store",
  });
}

const ruleNames = [
  "keepLast",
  "hourly",
  "daily",
  "weekly",
  "monthly",
  "yearly",
  "keepWithinDays",
  "maximumAgeDays",
  "maximumExpireShare",
] as const;

/** Only where the host is this machine is it known whether a backup runs. */
function lockOf({ composition }: CommandContext, { config, hostId }: Source): () => void {
  return config?.host.id === hostId ? lock(composition.files, lockPath(config)) : () => {};
}

const unpinned = ({ keyFailure }: Source) =>
  new MailarkError("SIGNER_UNTRUSTED", "nothing proves which snapshots your host has written, so nothing is erased", {
    hint: "give the fingerprint on the recovery sheet with --fingerprint",
    ...(keyFailure && { detail: `this host's own key: ${keyFailure.message}`, cause: keyFailure }),
  });

const kinds: Record<ErasureReason, readonly [one: string, many?: string]> = {
  run: ["record of a run", "records of runs"],
  expired: ["snapshot"],
  dropped: ["snapshot that was given up", "snapshots that were given up"],
  unneeded: ["pack of them, or closure", "packs and closures of them"],
  orphan: ["object that a run left unfinished", "objects that runs left unfinished"],
  probe: ["probe"],
  "break-glass": ["file of an old restore script", "files of old restore scripts"],
};

function report(
  source: Source,
  plan: PrunePlan,
  policy: RetentionPolicy,
  done: Done | undefined,
  milliseconds: number,
): Outcome {
  const { state, decisions, unusable } = plan;
  const erasures = done?.erased ?? plan.erasures;
  const ofState = { ready: exitCodes.ok, stopped: exitCodes.verification, refused: exitCodes.refused }[state];
  const exitCode = done?.error?.exitCode ?? ofState;
  const reasons = decisions.map(({ reasons }) => reasons.map(explainReason));
  const columns = [
    { title: "COMPONENT" },
    { title: "SNAPSHOT" },

    { title: "" },
    { title: "BECAUSE" },
  ];
  const rows = decisions.map(({ component, snapshotId, decision }, index) => [
    component,
    snapshotId,
    decision,
    reasons[index]!.join("; "),
  ]);
  return {
    exitCode,
    text: [
      rows.length > 0 ? `${table(columns, rows)}\n` : "",
      state === "ready" ? summary(plan, done, milliseconds) : obstacle(plan),
    ].join(""),
    document: {
      command: "prune",
      hostId: source.hostId,
      store: source.url,
      pinned: source.pinned,
      deleted: done !== undefined && done.error === undefined && state === "ready",
      exitCode,
      state,
      why: state === "ready" ? undefined : plan.why,
      error: done?.error && errorDocument(done.error),
      policy,
      decisions: decisions.map(({ hostId: _, ...decision }, index) => ({ ...decision, because: reasons[index] })),
      unusable: unusable.map(({ component, snapshotId, error }) => ({
        component,
        snapshotId,
        error: errorDocument(error),
      })),
      erasures,
      bytes: sum(erasures),
      storedBytes: plan.bytes,
    },
  };
}

function summary(plan: PrunePlan, done: Done | undefined, milliseconds: number): string {
  const { bytes } = plan;
  if (plan.erasures.length === 0) return `Nothing expires. ${sizeText(bytes)} are stored.\n`;
  const erasures = done?.erased ?? plan.erasures;
  const left = plan.erasures.length - erasures.length;
  const groups = Map.groupBy(erasures, ({ reason }) => reason);
  const lines = [...groups].map(([reason, group]) => {
    const [one, many] = kinds[reason];
    return `  ${countOf(group.length, one, many)}, ${sizeText(sum(group))}\n`;
  });
  const total = `${sizeText(sum(erasures))} of ${sizeText(bytes)}`;
  if (done === undefined) {
    return `Would be erased: ${total}\n${lines.join("")}Nothing was erased: this was a dry run. Run it again with --delete to erase.\n`;
  }
  return [
    `Erased, in ${durationText(milliseconds)}: ${total}\n${lines.join("")}`,
    left > 0 ? `Left for the next pass: ${countOf(left, "object")}` : "",
    left > 0 ? (done.error ? ".\n" : ", because a snapshot was brought to the store meanwhile.\n") : "",
    done.error ? `\n${errorText(done.error)}` : "",
  ].join("");
}

function obstacle({ state, why = "", unusable }: PrunePlan): string {
  if (state === "refused") return `Nothing is erased: ${why} (--maximum-expire-share 1).\n`;
  const lines = unusable.map(
    ({ component, snapshotId, error }) =>
      `  ${component} ${snapshotId}: ${printable(`${error.code}: ${error.message}`)}\n`,
  );
  return [
    "Nothing is erased, because it is not known what these need, and who damaged them:\n",
    ...lines,
    "Find out with: mailark verify. What can not be put back from another copy is given up with --drop and its id; its packs go 14 days after they came.\n",
  ].join("");
}

const sum = (erasures: readonly Erasure[]) => erasures.reduce((total, { bytes }) => total + bytes, 0);
