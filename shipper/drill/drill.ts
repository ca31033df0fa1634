/**
 * A restore drill: every component is brought back into a scratch place and judged as an application would judge it, by the very code that
 * a restore runs, and then the mail services are run once on what was brought back. Nothing of it stays.
 */
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { asMailarkError, MailarkError } from "../../core/errors.ts";
import { isAbsent } from "../../core/ports/files.ts";
import type { SnapshotReader } from "../../core/snapshot-reader.ts";
import type { Check, Component, Staged, World } from "../components/component.ts";
import { leftoversIn } from "../components/leftovers.ts";
import { openShelter } from "../components/shelter.ts";
import type { StagedHost } from "../components/staged-host.ts";
import { processTag, tagPattern } from "../process-tag.ts";
import { outputOf } from "../processes.ts";
import { isOfSurroundings } from "./surroundings.ts";

/** One snapshot to be proven. */
export interface Subject {
  readonly component: Component;
  readonly snapshot: SnapshotReader;
}

export type Verdict = "proven" | "failed" | "unproven";

/** How long something took, in milliseconds. */
export interface Phase {
  readonly phase: "stage" | "check";
  readonly milliseconds: number;
}

export interface ComponentDrill {
  readonly subject: Subject;
  readonly verdict: Verdict;
  readonly phases: readonly Phase[];
  readonly checks: readonly Check[];
}

export interface DrillResult {
  readonly components: readonly ComponentDrill[];
  /** The mail services on what was staged. */
  readonly host: { readonly verdict: Verdict; readonly milliseconds: number; readonly checks: readonly Check[] };
}

export interface DrillOptions {
  /** A directory that every account may pass through, with room for everything. */
  readonly scratch: string;
  /** Runs the staged mail services; its path is absent, in a directory that every account may pass through. */
  readonly checkHost: (staged: StagedHost, path: string, world: World) => Promise<readonly Check[]>;
  readonly ended?: (outcome: ComponentDrill) => void;
}

/** How many components are staged at a time: each has a server and a client that work. */
const atOnce = 2;

/**
 * Drills all subjects. One that fails does not stop the others.
 *
 * @throws MailarkError `ARGUMENT_INVALID` when there is no scratch place that every account may pass into; the signal's reason when it is interrupted. Nothing is left then either.
 */
export async function drill(subjects: readonly Subject[], options: DrillOptions, world: World): Promise<DrillResult> {
  const { clock, signal } = world;
  const place = await openScratch(options.scratch, world);
  const standing: Staged[] = [];
  let removed = false;
  try {
    const outcomes: ComponentDrill[] = [];
    const waiting = subjects.entries();
    const work = async () => {
      for (const [position, subject] of waiting) {
        const path = join(place.path, subject.component.name);
        const outcome = await drillOne(subject, path, world, (staged) => standing.push(staged));
        outcomes[position] = outcome;
        options.ended?.(outcome);
      }
    };
    const workers = await Promise.allSettled(Array.from({ length: atOnce }, work));
    for (const worker of workers) if (worker.status === "rejected") throw worker.reason;
    world.progress("running the mail services on what was staged");
    const startedAt = clock.now();
    const offers: StagedHost = Object.assign({}, ...standing.map((staged) => staged.offers));
    const judged = await options.checkHost(offers, join(place.path, "host"), world);
    const milliseconds = clock.now() - startedAt;
    const checks = [...judged, ...(await removeAll())];
    return { components: outcomes, host: { verdict: verdictOf(checks), milliseconds, checks } };
  } finally {
    for (const { name, detail } of await removeAll()) world.warn?.(`a drill that failed: ${name}`, detail);
    signal.throwIfAborted();
  }

  /** What could not be removed. Removes nothing twice. */
  async function removeAll(): Promise<Check[]> {
    const ends = await Promise.allSettled(standing.splice(0).map((staged) => staged.remove()));
    if (!removed) ends.push(...(await Promise.allSettled([place.remove()])));
    removed = true;
    return ends
      .filter((end) => end.status === "rejected")
      .map(({ reason }) => {
        const { message, detail, hint } = asMailarkError(reason);
        return { name: "nothing stays", outcome: "failed", detail: [message, detail, hint].filter(Boolean).join("; ") };
      });
  }
}

async function drillOne(
  subject: Subject,
  path: string,
  world: World,
  stands: (staged: Staged) => void,
): Promise<ComponentDrill> {
  const { component, snapshot } = subject;
  const { clock, signal } = world;
  const phases: Phase[] = [];
  const timed = async <T>(phase: Phase["phase"], work: () => Promise<T>): Promise<T> => {
    const startedAt = clock.now();
    try {
      return await work();
    } finally {
      phases.push({ phase, milliseconds: clock.now() - startedAt });
    }
  };
  let checks: readonly Check[];
  try {
    const staged = await timed("stage", () => component.stage(snapshot, { kind: "scratch", path }, {}, world));
    stands(staged);
    checks = await timed("check", () => component.check(staged, world));
  } catch (thrown) {
    signal.throwIfAborted();
    checks = [checkOf(thrown)];
  }
  const partial: Check[] =
    snapshot.manifest.completeness === "complete"
      ? []
      : [{ name: "the snapshot is complete", outcome: "failed", detail: "its capture left something out" }];
  const all = [...partial, ...checks];
  return { subject, verdict: verdictOf(all), phases, checks: all };
}

/** Where the surroundings are the reason nothing is wrong with the snapshot: it is not proven here, that is all. */
function checkOf(thrown: unknown): Check {
  const { message, detail, hint } = asMailarkError(thrown);
  const outcome = isOfSurroundings(thrown) ? "unproven" : "failed";
  return { name: "it can be brought back", outcome, detail: [message, detail, hint].filter(Boolean).join("; ") };
}

/** Green means that something was proven, and nothing was left open. */
export function verdictOf(checks: readonly Check[]): Verdict {
  if (checks.some(({ outcome }) => outcome === "failed")) return "failed";
  return checks.length === 0 || checks.some(({ outcome }) => outcome === "unproven") ? "unproven" : "proven";
}

/** Where a drill makes its directory unless it is told. */
export const usualScratch = "/var/tmp";

/** A directory of this drill's own. What a drill left that ended with the machine is removed by the next. */
async function openScratch(base: string, world: World) {
  const { files } = world;
  await sweep(base, world);
  const path = join(base, `mailark-drill-${processTag(files)}-${randomBytes(2).toString("hex")}`);
  const shelter = await openShelter({ path, accounts: [] }, world);
  try {
    files.chmodSync(path, 0o711);
    if (process.getuid?.() === 0) await refuseUnlessOpen(path, world);
    return shelter;
  } catch (error) {
    await shelter.remove();
    throw error;
  }
}

/**
 * The servers of most components run as accounts of their own. `nobody` stands for all of them.
 *
 * @throws MailarkError `ARGUMENT_INVALID` where they can not pass into the directory; `PROGRAM_MISSING` without `setpriv`.
 */
export async function refuseUnlessOpen(
  path: string,
  { processes, signal }: Pick<World, "processes" | "signal">,
): Promise<void> {
  const asNobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"] as const;
  try {
    await outputOf(processes, [...asNobody, "test", "-x", path], { signal });
  } catch (error) {
    signal.throwIfAborted();
    if (asMailarkError(error).code !== "PROGRAM_FAILED") throw error;
    throw new MailarkError("ARGUMENT_INVALID", "the servers of a drill can not pass into the directory to drill in", {
      detail: path,
      hint: "give one with --scratch below which every account may pass, such as /var/tmp, or let them: chmod o+x each directory above",
      cause: error,
    });
  }
}

/** Accounts of scratch servers own what is below: only `rm`, which goes from directory to directory, can not be led out of it. */
async function sweep(base: string, { files, processes, signal }: World): Promise<void> {
  let left: string[];
  try {
    left = leftoversIn(files, base, new RegExp(`^mailark-drill-(${tagPattern})-[0-9a-f]{4}$`));
  } catch (error) {
    if (!isAbsent(error)) throw error;
    throw new MailarkError("ARGUMENT_INVALID", "the directory to drill in does not exist", {
      detail: base,
      hint: "give one with --scratch, with as much room as all components need",
    });
  }
  if (left.length > 0) await outputOf(processes, ["rm", "-rf", "--", ...left], { signal });
}
