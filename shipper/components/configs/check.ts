/** What the services' own checkers say of staged configuration files. None of them touches a service that runs. */
import { dirname } from "node:path/posix";
import { asMailarkError } from "../../../core/errors.ts";
import type { SnapshotReader } from "../../../core/snapshot-reader.ts";
import type { Tools } from "../../doctor/tools.ts";
import { pathText } from "../byte-path.ts";
import type { Check, World } from "../component.ts";
import type { StagedTree } from "../tree/staged-tree.ts";
import { TreeView } from "../tree/tree-view.ts";
import { checkDkimKeys } from "./dkim-keys.ts";
import { copyPrivately, type PrivateCopy, temporaryPlaces } from "./private-copy.ts";

type Verdict = Pick<Check, "outcome" | "detail">;

interface Checker {
  readonly name: string;
  readonly program: string;
  /** A file that says that there is something to check. */
  readonly file: RegExp;
  readonly judge: (copy: PrivateCopy, path: string, view: TreeView) => Promise<Verdict>;
}

const checkers: readonly Checker[] = [
  { name: "postfix", program: "postconf", file: /\/main\.cf$/, judge: judgePostfix },
  { name: "dovecot", program: "doveconf", file: /\/dovecot\.conf$/, judge: judgeDovecot },
  { name: "opendkim", program: "opendkim", file: /\/opendkim\.conf$/, judge: judgeOpendkim },
];

/** The programs that are asked, as far as the names of the paths tell. */
export const checkersOf = (paths: readonly string[]): readonly Tools[] =>
  checkers
    .filter(({ name }) => paths.some((path) => path.split("/").some((each) => each.startsWith(name))))
    .map(({ name, program }) => ({
      names: [program],
      package: name === "dovecot" ? "dovecot-core" : name,
      for: "restore",
    }));

/** One check for each configuration that a checker is known for, and those of the DKIM keys. */
export async function checkConfigs(staged: StagedTree, world: World, _: SnapshotReader): Promise<Check[]> {
  const view = new TreeView(staged, world.files);
  const found = checkers.flatMap((checker) =>
    view.paths
      .filter((path) => checker.file.test(path) && view.read(path) !== undefined)
      .map((path) => ({ checker, path })),
  );
  const checks = found.length === 0 ? [] : await askCheckers(view, found, staged, world);
  return [...checks, ...checkDkimKeys(view)];
}

async function askCheckers(
  view: TreeView,
  found: readonly { readonly checker: Checker; readonly path: string }[],
  { facts }: StagedTree,
  world: World,
): Promise<Check[]> {
  const nameOf = ({ name }: Checker, path: string) => `${name} ${pathText(path)}`;
  // What a checker reads is at, or beside, what it is asked for; not the code of an application.
  const isRead = (root: string) =>
    found.some(({ path }) => path.startsWith(`${root}/`) || dirname(path) === dirname(root));
  const roots = facts.roots.map((root) => `/${root}`).filter(isRead);
  const checks: Check[] = [];
  const copy = await copyPrivately(view, roots, world);
  if (copy === undefined) {
    const detail = `checkers run as nobody, who may not enter ${temporaryPlaces().join(" or ")}: set TMPDIR to a place that everybody may pass`;
    return found.map(({ checker, path }) => ({ name: nameOf(checker, path), outcome: "unproven", detail }));
  }
  try {
    for (const { checker, path } of found) {
      world.progress(`checking ${checker.name}`);
      checks.push({ name: nameOf(checker, path), ...(await judged(checker, copy, path, view)) });
    }
  } finally {
    await copy.remove();
  }
  return checks;
}

async function judged({ name, judge }: Checker, copy: PrivateCopy, path: string, view: TreeView): Promise<Verdict> {
  try {
    return await judge(copy, path, view);
  } catch (error) {
    const { code } = asMailarkError(error);
    if (code !== "PROGRAM_MISSING") throw error;
    return { outcome: "unproven", detail: `${name} is not installed here: nothing has read this configuration` };
  }
}

/** `postconf` reads what `postfix check` reads, and unlike that makes no directories. */
async function judgePostfix(copy: PrivateCopy, path: string, view: TreeView): Promise<Verdict> {
  const directory = copy.at(dirname(path));
  const main = await copy.ask(["postconf", "-c", directory, "-n"]);
  if (!main.ok) return { outcome: "failed", detail: lastLines(copy, main.said) };
  const services = view.read(`${dirname(path)}/master.cf`);
  const master = services ? await copy.ask(["postconf", "-c", directory, "-M"]) : undefined;
  if (master && !master.ok) return { outcome: "failed", detail: lastLines(copy, master.said) };
  const lookups = main.printed.matchAll(
    /\b(?:hash|btree|cdb|lmdb|texthash|regexp|pcre|cidr|mysql|pgsql|ldap):([^\s,}]+)/g,
  );
  const top = copy.at("");
  const inCopy = [...lookups].map(([, file = ""]) => file).filter((file) => file.startsWith(`${top}/`));
  const missing = inCopy
    .map((file) => Buffer.from(file.slice(top.length), "utf8").toString("latin1"))
    .filter((file) => ["", ".db", ".cdb", ".lmdb"].every((ending) => view.resolve(`${file}${ending}`) === undefined));
  // Whatever was captured is there: that was compared before.
  if (missing.length > 0) {
    const detail = `tables were not there when it was captured: ${missing.map(pathText).join(", ")}`;
    return { outcome: "unproven", detail };
  }
  const settings = main.printed.split("\n").filter((line) => /^\w/.test(line)).length;
  const count = master?.printed.split("\n").filter((line) => /^\S/.test(line)).length;
  if (count === undefined) return { outcome: "unproven", detail: "there is no master.cf beside it" };
  return {
    outcome: "passed",
    detail: `postconf reads ${settings} settings and ${count} services, and finds all ${inCopy.length} tables`,
  };
}

async function judgeDovecot(copy: PrivateCopy, path: string, view: TreeView): Promise<Verdict> {
  const { ok, said, printed } = await copy.ask(["doveconf", "-c", copy.at(path), "-n"]);
  if (!ok) return refused(copy, said, absentInclude(copy, said, view));
  const settings = printed.split("\n").filter((line) => / = /.test(line)).length;
  return { outcome: "passed", detail: `doveconf reads it with its includes: ${settings} settings` };
}

async function judgeOpendkim(copy: PrivateCopy, path: string): Promise<Verdict> {
  const { ok, said } = await copy.ask(["opendkim", "-n", "-x", copy.at(path)]);
  if (ok) return { outcome: "passed", detail: "opendkim reads it, and opens its tables" };
  return refused(copy, said);
}

/** What Dovecot found nothing at: it names the line that includes it, and not what that line says. */
function absentInclude(copy: PrivateCopy, said: string, view: TreeView): string | undefined {
  const [, file, line] = /Error in configuration file (.+) line (\d+): No matches$/m.exec(said) ?? [];
  if (file === undefined || !file.startsWith(copy.at("/"))) return undefined;
  const path = Buffer.from(file.slice(copy.at("").length), "utf8").toString("latin1");
  const text = view.read(path)?.toString("latin1").split("\n")[Number(line) - 1];
  const included = /^\s*!include(?:_try)?\s+(\/\S+)/.exec(text ?? "")?.[1];
  return included !== undefined && !view.holds(included) ? included : undefined;
}

/** That a file is missing, or closed to nobody, which is no part of the snapshot says nothing against it. */
function refused(copy: PrivateCopy, said: string, absent?: string): Verdict {
  const detail = lastLines(copy, said);
  const missing = said.split("\n").find((line) => /No such file or directory|Permission denied/.test(line));
  const file = absent ?? missing?.match(/\/[^\s:]+/g)?.at(-1);
  return file === undefined || file.startsWith(copy.at(""))
    ? { outcome: "failed", detail }
    : { outcome: "unproven", detail: `it asks for a file that was not captured with it: ${detail}` };
}

const lastLines = (copy: PrivateCopy, text: string) =>
  text.split("\n").slice(-4).join("\n").replaceAll(copy.at(""), "") || "without a word";
