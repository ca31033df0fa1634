import { dirname, resolve } from "node:path";
import { listComponents } from "../../core/catalog.ts";
import { asMailarkError, exitCodes, MailarkError } from "../../core/errors.ts";
import type { ComponentName } from "../../core/keys.ts";
import { storedBytes } from "../../core/manifest.ts";
import type { Check } from "../components/component.ts";
import { configuredNames } from "../composition.ts";
import {
  type ComponentDrill,
  type DrillResult,
  drill as run,
  type Subject,
  usualScratch,
  type Verdict,
  verdictOf,
} from "../drill/drill.ts";
import { probePassword } from "../drill/whole-host/probe.ts";
import { checkWholeHost, type Probe } from "../drill/whole-host/whole-host.ts";
import { type Demand, filesOf, refuseWithoutRoom, shareOf } from "../free-space.ts";
import { writeDurably } from "../state-files.ts";
import { countOf, durationText } from "../terminal/quantity.ts";
import { facts, table } from "../terminal/table.ts";
import { componentsNamed, momentOf } from "./arguments.ts";
import { checksTable, outcomeText } from "./checks-table.ts";
import { type ChosenSnapshot, chooseSnapshot } from "./chosen-snapshot.ts";
import { type CommandContext, type Outcome, worldOf } from "./command.ts";
import { readIdentities } from "./identity.ts";
import { openSource, type Source, type SourceOptions, warnUnlessPinned } from "./source.ts";

/** What is drilled, where, and with which key. */
export interface DrillOptions extends SourceOptions {
  /** None: all that are configured, or all that the store has of the host. */
  readonly components: readonly string[];
  readonly at?: string;
  readonly identity?: string;
  /** Directory with room for everything, on which every account may pass. */
  readonly scratch?: string;
  /** A mailbox of the host that the test message is sent to. */
  readonly probe?: string;
  readonly probePasswordFile?: string;
  /** A file that the report is written to, as JSON. */
  readonly report?: string;
}

/** A drill as it was asked for. */
interface Plan {
  readonly source: Source;
  readonly chosen: readonly ChosenSnapshot[];
  readonly subjects: readonly Subject[];
  /** Components that there is nothing to prove of: that is a failure of the backup, not of the drill. */
  readonly lacking: readonly Lacking[];
  readonly startedAt: number;
}

interface Lacking {
  readonly component: ComponentName;
  readonly check: Check;
}

/** Brings everything back into a scratch place, proves it, measures it, and leaves nothing. */
export async function drill(context: CommandContext, options: DrillOptions): Promise<Outcome> {
  const { composition, reporter } = context;
  const startedAt = composition.clock.now();
  const probe = probeOf(context, options);
  probePassword(probe, composition.files);
  refuseUnlessWritable(context, options);
  const scratch = resolve(context.cwd, options.scratch ?? usualScratch);
  const plan = { ...(await prepare(context, options)), startedAt };
  await refuseUnlessRoom(context, plan, scratch);
  const total = plan.chosen.reduce((sum, { manifest }) => sum + storedBytes(manifest), 0);
  reporter.begin("drilling", total);
  let result: DrillResult;
  try {
    result = await run(
      plan.subjects,
      {
        scratch,
        checkHost: (staged, path, world) => checkWholeHost(staged, { path, ...(probe && { probe }) }, world),
      },
      worldOf(context),
    );
  } finally {
    reporter.end();
  }
  const outcome = report(plan, result, composition.clock.now());
  return options.report === undefined ? outcome : writeReport(context, options.report, outcome);
}

/** Found out before hours of work, not after. */
function refuseUnlessWritable({ composition, cwd }: CommandContext, { report }: DrillOptions): void {
  if (report === undefined) return;
  const path = resolve(cwd, report);
  const folder = composition.files.statSync(dirname(path), { throwIfNoEntry: false });
  const there = composition.files.statSync(path, { throwIfNoEntry: false });
  if (folder?.isDirectory() && (there === undefined || there.isFile())) return;
  throw new MailarkError("ARGUMENT_INVALID", "the report can not be written there", {
    detail: path,
    hint: "name a file in a directory that exists",
  });
}

/** A drill that is done is told, also where its report could not be kept. */
function writeReport({ composition, cwd, reporter }: CommandContext, report: string, outcome: Outcome): Outcome {
  try {
    writeDurably(composition.files, resolve(cwd, report), `${JSON.stringify(outcome.document, null, 2)}\n`);
    return outcome;
  } catch (thrown) {
    const { message, detail } = asMailarkError(thrown);
    reporter.warn(`the report could not be written: ${message}`, detail);
    return { ...outcome, exitCode: outcome.exitCode === exitCodes.ok ? exitCodes.failed : outcome.exitCode };
  }
}

function probeOf(context: CommandContext, { probe, probePasswordFile }: DrillOptions): Probe | undefined {
  if (probe === undefined && probePasswordFile !== undefined) {
    throw new MailarkError("ARGUMENT_INVALID", "a password without a mailbox", {
      hint: "name the mailbox that it belongs to with --probe ADDRESS",
    });
  }
  if (probe === undefined) return undefined;
  const file = probePasswordFile === undefined ? undefined : resolve(context.cwd, probePasswordFile);
  return { address: probe, ...(file !== undefined && { passwordFile: file }) };
}

async function prepare(context: CommandContext, options: DrillOptions): Promise<Omit<Plan, "startedAt">> {
  const { composition } = context;
  const moment = momentOf(options.at ?? "latest");
  const identities = await readIdentities(context, options.identity);
  const source = await openSource(context, options);
  warnUnlessPinned(context, source);
  const names = await namesOf(source, options.components);
  const chosen: ChosenSnapshot[] = [];
  const lacking: Lacking[] = [];
  for (const name of names) {
    try {
      chosen.push(await chooseSnapshot(context, source, name, moment, identities));
    } catch (thrown) {
      context.signal.throwIfAborted();
      const error = asMailarkError(thrown);
      if (error.code !== "SNAPSHOT_UNKNOWN" && error.exitCode !== exitCodes.verification) throw error;
      const detail = [error.message, error.hint].filter(Boolean).join("; ");
      lacking.push({ component: name, check: { name: "there is a snapshot", outcome: "failed", detail } });
      if (names.length === lacking.length) throw error;
    }
  }
  const subjects = chosen.map(({ manifest, snapshot }) => ({
    component: composition.component(manifest.component, source.config?.components),
    snapshot,
  }));
  return { source, chosen, subjects, lacking };
}

/** A component that is configured and was never captured must be missed, not passed over. */
async function namesOf(source: Source, words: readonly string[]): Promise<ComponentName[]> {
  if (words.length > 0) return componentsNamed(words);
  const own = source.config?.host.id === source.hostId ? configuredNames(source.config) : [];
  return componentsNamed([...own, ...(await listComponents(source.reader, source.hostId))]);
}

async function refuseUnlessRoom(
  { composition, reporter }: CommandContext,
  { chosen, subjects }: Omit<Plan, "startedAt">,
  scratch: string,
) {
  reporter.begin("planning");
  try {
    const demands: Demand[] = [];
    for (const [position, { component }] of subjects.entries()) {
      const items = await component.plan(chosen[position]!.quiet, {});
      const bytes = items.reduce((sum, item) => sum + item.bytes, 0);
      demands.push({
        what: component.name,
        path: scratch,
        bytes: bytes * shareOf(component, { kind: "scratch" }),
        files: filesOf(items),
      });
    }
    refuseWithoutRoom(
      composition.files,
      demands,
      "give a directory with more room with --scratch, or name the components to drill one by one",
    );
  } finally {
    reporter.end();
  }
}

const exitCodeOf: Record<Verdict, number> = {
  proven: exitCodes.ok,
  failed: exitCodes.verification,
  unproven: exitCodes.partial,
};

function report(
  { source, chosen, lacking, startedAt }: Plan,
  { components, host }: DrillResult,
  finishedAt: number,
): Outcome {
  const everything = [
    ...lacking.map(({ check }) => check),
    ...components.flatMap(({ checks }) => checks),
    ...host.checks,
  ];
  const verdict = verdictOf(everything);
  const exitCode = exitCodeOf[verdict];
  const age = (cutAt: string) => startedAt - Date.parse(cutAt);
  const oldest = Math.max(...chosen.map(({ manifest }) => age(manifest.cutAt)));
  const runs = new Set(chosen.map(({ manifest }) => manifest.runId));
  const summary = table(
    [
      { title: "COMPONENT" },
      { title: "VERDICT" },
      { title: "SNAPSHOT" },
      { title: "AGE", right: true },
      { title: "STAGED IN", right: true },
      { title: "CHECKED IN", right: true },
      { title: "CHECKS", right: true },
    ],
    [
      ...components.map(({ subject: { snapshot }, verdict, phases, checks }) => {
        const { component, snapshotId, cutAt } = snapshot.manifest;
        return [
          component,
          outcomeText(verdict),
          snapshotId,
          durationText(age(cutAt)),
          timeOf(phases, "stage"),
          timeOf(phases, "check"),
          `${checks.length}`,
        ];
      }),
      ...lacking.map(({ component }) => [component, outcomeText("failed"), "none", "", "", "", "1"]),
      ["whole host", outcomeText(host.verdict), "", "", "", durationText(host.milliseconds), `${host.checks.length}`],
    ],
  );
  const details = checksTable([
    ...lacking.map(({ component, check }) => ({ name: component, checks: [check] })),
    ...components.map(({ subject, checks }) => ({ name: subject.component.name, checks })),
    { name: "whole host", checks: host.checks },
  ]);
  const count = (outcome: Check["outcome"]) => everything.filter((check) => check.outcome === outcome).length;
  const proven = `${countOf(count("passed"), "check")} passed, ${count("failed")} failed, ${count("unproven")} unproven, in ${durationText(finishedAt - startedAt)}`;
  const end: Record<Verdict, string> = {
    proven: `Proven: ${proven}. What is in the store can be brought back; at most ${durationText(oldest)} of changes would be lost.\n`,
    failed: `FAILED: ${proven}. Look at what failed above; try an older snapshot with --at; keep the store as it is.\n`,
    unproven: `Not proven: ${proven}. Nothing failed; what is unproven says above what it needs.\n`,
  };
  return {
    exitCode,
    text: `${facts([
      ["from", `${source.url}, host ${source.hostId}`],
      [
        "cut",
        runs.size === 1 ? `one run, ${[...runs][0]}` : `${runs.size} runs: the components are of different moments`,
      ],
    ])}\n${summary}\n${details}\n${end[verdict]}`,
    document: {
      format: "mailark-drill/1",
      command: "drill",
      hostId: source.hostId,
      store: source.url,
      pinned: source.pinned,
      startedAt: timestamp(startedAt),
      finishedAt: timestamp(finishedAt),
      milliseconds: finishedAt - startedAt,
      verdict,
      exitCode,
      /** Age of the oldest of the snapshots. */
      recoveryPointMilliseconds: oldest,
      lacking: lacking.map(({ component, check }) => ({ component, verdict: "failed", checks: [check] })),
      components: components.map(({ subject: { snapshot }, verdict, phases, checks }) => {
        const { component, snapshotId, runId, cutAt } = snapshot.manifest;
        return { component, snapshotId, runId, cutAt, ageMilliseconds: age(cutAt), verdict, phases, checks };
      }),
      wholeHost: host,
    },
  };
}

const timestamp = (time: number) => new Date(time).toISOString();

function timeOf(phases: ComponentDrill["phases"], wanted: "stage" | "check"): string {
  const found = phases.find(({ phase }) => phase === wanted);
  return found === undefined ? "" : durationText(found.milliseconds);
}
