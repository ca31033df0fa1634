import { MailarkError } from "../../../core/errors.ts";
import type { ComponentName } from "../../../core/keys.ts";
import type { SnapshotReader } from "../../../core/snapshot-reader.ts";
import type { Tools } from "../../doctor/tools.ts";
import { pathText } from "../byte-path.ts";
import type { Check, Component, Estimate, PlannedItem, Selection, World } from "../component.ts";
import type { StagedHost } from "../staged-host.ts";
import { captureTree, treeParts } from "./capture-tree.ts";
import { checkTree } from "./check-tree.ts";
import { diagnoseTree } from "./diagnose.ts";
import { gate } from "./gate.ts";
import { stageTree, wantedPaths } from "./stage-tree.ts";
import type { StagedTree } from "./staged-tree.ts";
import type { TreeSource } from "./tar-command.ts";
import { measured, readTreeFacts, readTreeRows, rowsOf, type TreeEntry } from "./tree-facts.ts";
import { Vetting } from "./vet.ts";

export interface TreeComponentOptions extends Omit<TreeSource, "paths"> {
  /** Absent: whatever a snapshot has can be restored, and nothing captured. */
  readonly paths?: readonly string[] | undefined;
  /** What others may use of trees that stand below a root: the paths as they were on the host. */
  readonly offers: (root: string, paths: readonly string[]) => StagedHost;
  /** The programs that {@link judge} asks, where these paths are captured. */
  readonly readers?: (paths: readonly string[]) => readonly Tools[];
  /** What the services say of the staged files. */
  readonly judge: (staged: StagedTree, world: World, snapshot: SnapshotReader) => Promise<readonly Check[]>;
}

interface Staged extends StagedTree {
  readonly snapshot: SnapshotReader;
}

/** A component that is files. */
export function treeComponent(name: ComponentName, options: TreeComponentOptions): Component<Staged> {
  const source = { ...options, paths: options.paths ?? [] };
  return {
    name,
    diagnose: (world) => diagnoseTree(source, world, options.readers?.(source.paths)),
    estimate: (world) => estimate(source, world),
    capture: (context) => captureTree(source, context),
    plan: planTree,
    async stage(snapshot, place, selection, world) {
      const judge = (staged: StagedTree, inner: World) => options.judge(staged, inner, snapshot);
      const staged = await stageTree(snapshot, place, selection, world, { ...options, judge });
      if (place.kind !== "scratch") return { ...staged, snapshot };
      return {
        ...staged,
        snapshot,
        offers: options.offers(
          place.path,
          staged.facts.roots.map((path) => `/${pathText(path)}`),
        ),
      };
    },
    examine: examineTree,
    async check(staged, world) {
      if (staged.judged === undefined) {
        return [...(await checkTree(staged, world)), ...(await options.judge(staged, world, staged.snapshot))];
      }
      const kept = (staged.kept ?? []).map(({ live, kept }) => `${pathText(live)} is kept as ${pathText(kept)}`);
      const detail = kept.length > 0 ? kept.join(", ") : "nothing was there before";
      return [...staged.judged, { name: "switched", outcome: "passed", detail }];
    },
  };
}

/** Each path with the bytes below it. */
async function estimate({ paths, command }: TreeSource, { processes, signal }: World): Promise<Estimate[]> {
  const estimates: Estimate[] = [];
  for (const path of paths) {
    const words = [...command, "du", "--summarize", "--bytes", "--", path];
    const running = await processes.start(words as unknown as [string, ...string[]], { signal });
    running.stdin.end();
    let said = "";
    for await (const chunk of running.stdout) said += chunk;
    await running.exited;
    signal.throwIfAborted();
    const bytes = /^\d+/.exec(said)?.[0];
    estimates.push({ what: bytes === undefined ? `${path}: is not there` : path, bytes: Number(bytes ?? 0) });
  }
  return estimates;
}

async function planTree(snapshot: SnapshotReader, selection: Selection): Promise<PlannedItem[]> {
  const facts = await readTreeFacts(snapshot);
  return wantedPaths(facts, selection).map((wanted) => {
    const below = facts.entries.filter(({ path }) => path === wanted || path.startsWith(`${wanted}/`));
    const bytes = below.reduce((sum, { size }) => sum + size, 0);
    const files = below.filter(({ kind }) => kind !== "directory").length;
    return { what: `/${pathText(wanted)}: ${files} file${files === 1 ? "" : "s"}`, bytes };
  });
}

/** The archive holds what the facts say, in that order, and nothing that would not be restored. */
async function examineTree(snapshot: SnapshotReader): Promise<void> {
  // Both are in the same order: nothing is held in memory but names.
  const rows = readTreeRows(snapshot);
  const nextExpected = async (): Promise<TreeEntry | undefined> => {
    for (;;) {
      const { done, value } = await rows.next();
      if (done) return undefined;
      if (typeof value === "object") return value;
    }
  };
  const wrong = (what: string, path: string) =>
    new MailarkError("OBJECT_CORRUPT", `the archive of files has ${what}`, { detail: pathText(path) });
  const part = snapshot.part(treeParts.files);
  const archive = gate([snapshot.readPart(part)], {
    limit: part.bytes,
    vetting: new Vetting(),
    found({ path, problem }) {
      throw wrong(`a member that would not be restored (${problem})`, path);
    },
    watch: (entry) =>
      measured(entry, async (found) => {
        const next = await nextExpected();
        if (next === undefined || rowsOf(next) !== rowsOf(found)) throw wrong("what was not captured", found.path);
      }),
  });
  try {
    for await (const _ of archive);
    const missing = await nextExpected();
    if (missing !== undefined) throw wrong("not all that was captured", missing.path);
  } finally {
    await rows.return(undefined);
  }
}
