/** Compares staged trees with what was captured, by reading them in the way in which they were captured. */
import { pathText } from "../byte-path.ts";
import type { Check, World } from "../component.ts";
import { gate } from "./gate.ts";
import type { RestoredTree } from "./restore-tree.ts";
import type { StagedTree } from "./staged-tree.ts";
import { createCommands } from "./tar-command.ts";
import { tarOutput } from "./tar-output.ts";
import { measured, type TreeEntry, type TreeFacts } from "./tree-facts.ts";
import { type Finding, type Problem, Vetting } from "./vet.ts";
import { isWanted } from "./wanted.ts";

const words: Record<Problem, string> = {
  name: "a name that would leave its tree",
  below: "below what is no directory",
  duplicate: "a second thing at one path",
  hardlink: "a hard link to what is no file of the archive",
  special: "a device or a FIFO",
  size: "larger than there is room for",
  unknown: "of an unknown kind",
  rights: "came back without its set-user-ID or set-group-ID bit",
  attribute: "came back without an attribute",
};

/** What holds of every staged tree: nothing unsafe was in the archive, and the files are what was captured. */
export async function checkTree(staged: StagedTree, world: World): Promise<Check[]> {
  const findings = staged.trees.flatMap((tree) => tree.findings);
  return [checkFindings(findings), await checkContent(staged, world), ...(await checkOwners(staged, world))];
}

function checkFindings(findings: readonly Finding[]): Check {
  const name = "archive";
  if (findings.length === 0) return { name, outcome: "passed", detail: "holds nothing that could leave its tree" };
  const shown = listed(findings.map(({ path, problem }) => `${pathText(path)}: ${words[problem]}`));
  return { name, outcome: "failed", detail: shown };
}

async function checkContent({ trees, facts, wanted }: StagedTree, world: World): Promise<Check> {
  const name = "files";
  let count = 0;
  const differences: string[] = [];
  const uncounted: string[] = [];
  const bare: string[] = [];
  for (const tree of trees) {
    const found = await readStaged(tree, world);
    const expected = tree.facts.entries.filter(({ path }) => isWanted(path, wanted));
    count = expected.length;
    for (const entry of expected) {
      if (!tree.paths.has(entry.path) && trees.some(({ paths }) => paths.has(entry.path))) continue;
      const restored = found.get(entry.path);
      const difference = differenceOf(entry, restored, tree, facts);
      if (difference !== undefined) differences.push(`${pathText(entry.path)}: ${difference}`);
      else if (restored && isBare(entry, restored)) bare.push(pathText(entry.path));
      else if (entry.kind === "file" && entry.sha256 === undefined) uncounted.push(pathText(entry.path));
    }
    const known = new Set(expected.map(({ path }) => path));
    for (const path of tree.paths) if (!known.has(path)) differences.push(`${pathText(path)}: was not captured`);
  }
  if (differences.length > 0) return { name, outcome: "failed", detail: listed(differences) };
  if (bare.length > 0) {
    const detail = `all is there but attributes or access lists, which this file system did not take: ${listed(bare)}`;
    return { name, outcome: "unproven", detail };
  }
  if (uncounted.length > 0) {
    return { name, outcome: "unproven", detail: `too large to be counted when captured: ${listed(uncounted)}` };
  }
  const owners = trees.every((tree) => tree.owners) ? "owners, " : "";
  const detail = `${count} have the content, ${owners}modes, times, links and attributes of the capture`;
  return { name, outcome: "passed", detail };
}

/** The staged tree as a capture would see it. */
async function readStaged(tree: RestoredTree, world: World): Promise<Map<string, TreeEntry>> {
  const entries = new Map<string, TreeEntry>();
  const tops = [...new Set([...tree.paths].map((path) => path.split("/")[0]!))];
  if (tops.length === 0) return entries;
  const commands = createCommands(
    { paths: tops.map((top) => `/${pathText(top)}`), command: [], stallSeconds: 600 },
    tree.root,
  );
  const archive = gate(
    commands.map(({ words }) => tarOutput(words, 600, world, () => {})),
    {
      vetting: new Vetting(),
      found: () => {},
      watch: (entry) => measured(entry, (one) => entries.set(one.path, one)),
    },
  );
  for await (const _ of archive);
  return entries;
}

/** In words, what is not as captured. */
function differenceOf(
  expected: TreeEntry,
  found: TreeEntry | undefined,
  tree: RestoredTree,
  facts: TreeFacts,
): string | undefined {
  if (found === undefined) return "is not there";
  if (expected.kind !== found.kind) return `is a ${found.kind}, and was a ${expected.kind}`;
  const compared =
    expected.kind === "hardlink" ? (["target"] as const) : (["mode", "size", "sha256", "target", "modified"] as const);
  for (const name of compared) {
    if (expected[name] !== found[name]) return `${name} is ${shown(found[name])}, and was ${shown(expected[name])}`;
  }
  if (expected.kind === "hardlink") return undefined;
  if (!isPart(found.attributes, expected.attributes)) return "its attributes are others";
  if (!isPart(Object.entries(found.acl), Object.entries(expected.acl))) return "its access list is another";
  if (!tree.owners) return undefined;
  const isSame = (one: "user" | "group", id: "uid" | "gid") =>
    expected[id] === found[id] || (!facts.elsewhere && expected[one] !== "" && expected[one] === found[one]);
  if (isSame("user", "uid") && isSame("group", "gid")) return undefined;
  return `belongs to ${found.user}:${found.group} (${found.uid}:${found.gid}), and belonged to ${expected.user}:${expected.group} (${expected.uid}:${expected.gid})`;
}

const shown = (value: string | number | undefined) => (typeof value === "string" ? pathText(value) : String(value));

/** Nothing is there that was not captured, as it was captured. */
function isPart(found: Iterable<readonly string[]>, captured: Iterable<readonly string[]>): boolean {
  const known = new Set([...captured].map((one) => JSON.stringify(one)));
  return [...found].every((one) => known.has(JSON.stringify(one)));
}

/** It lacks what some file systems can not hold (xattr(7), acl(5)). */
const isBare = (expected: TreeEntry, found: TreeEntry) =>
  expected.kind !== "hardlink" &&
  (found.attributes.size < expected.attributes.size ||
    Object.keys(found.acl).length < Object.keys(expected.acl).length);

/** Files of an account that this machine does not have belong to its old number, which may be somebody else's here. */
async function checkOwners({ trees, facts, wanted }: StagedTree, { processes, signal }: World): Promise<Check[]> {
  if (facts.elsewhere || !trees.every((tree) => tree.owners)) return [];
  const entries = facts.entries.filter(({ path, kind }) => kind !== "hardlink" && isWanted(path, wanted));
  const missing: string[] = [];
  for (const [database, one] of [
    ["passwd", "user"],
    ["group", "group"],
  ] as const) {
    const names = [...new Set(entries.map((entry) => entry[one]))].filter((name) => name !== "");
    for (const name of names) {
      const running = await processes.start(["getent", database, "--", name], { signal });
      running.stdin.end();
      running.stdout.resume();
      if ((await running.exited).code !== 0) missing.push(`${one} ${pathText(name)}`);
      signal.throwIfAborted();
    }
  }
  const name = "owners";
  if (missing.length === 0) return [{ name, outcome: "passed", detail: "every owner has an account on this machine" }];
  const detail = `this machine does not have ${listed(missing)}: their files have the old numbers; make the accounts, or chown them`;
  return [{ name, outcome: "unproven", detail }];
}

/** A few, and how many more. */
export function listed(all: readonly string[], most = 5): string {
  return [...all.slice(0, most), ...(all.length > most ? [`and ${all.length - most} more`] : [])].join(", ");
}
