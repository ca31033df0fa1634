import { randomUUID } from "node:crypto";
import { tmpdir } from "node:os";
import { MailarkError } from "../../../core/errors.ts";
import { feed } from "../../processes.ts";
import { pathText } from "../byte-path.ts";
import type { World } from "../component.ts";
import { openShelter, type Shelter } from "../shelter.ts";
import { padding } from "../tree/read-tar.ts";
import { extractCommand } from "../tree/tar-command.ts";
import type { TreeView } from "../tree/tree-view.ts";
import { parentsOf } from "../tree/vet.ts";
import { endOfArchive, headersOf } from "../tree/write-tar.ts";

/** Configuration files for a checker's eyes: a copy of its own, below which absolute paths of the host lead to the copy. */
export interface PrivateCopy {
  /** Where a path of the host is in the copy. */
  at(path: string): string;
  /**
   * What a checker says: its standard error, and how it ended. It runs as nobody, under a number of its own, for what it reads was written by others.
   *
   * @throws MailarkError `PROGRAM_MISSING`.
   */
  ask(words: readonly string[]): Promise<{ readonly ok: boolean; readonly said: string; readonly printed: string }>;
  remove(): Promise<void>;
}

/**
 * Copies the regular files that came back below some directories, links as what they lead to.
 *
 * @param roots paths that lead to the copy where they stand in a file's text.
 * @returns `undefined` where there is no place for it that its account may enter.
 */
export async function copyPrivately(
  view: TreeView,
  roots: readonly string[],
  world: World,
): Promise<PrivateCopy | undefined> {
  const parent = temporaryPlaces().find((each) => process.getuid?.() !== 0 || isOpen(each, world));
  if (parent === undefined) return undefined;
  const path = `${parent}/mailark-check-${randomUUID()}`;
  const shelter = await openShelter({ path, accounts: [`+${ownNumber()}`, "nobody"] }, world);
  try {
    const [extract, ...words] = extractCommand(shelter.path, { owners: false, numeric: false });
    await feed(world.processes, shelter.command([extract, ...words]), copyOf(view, roots, shelter), world);
  } catch (error) {
    await shelter.remove();
    throw error;
  }
  return {
    at: (path) => pathText(`${Buffer.from(shelter.path).toString("latin1")}${path}`),
    async ask(words) {
      const running = await world.processes.start(shelter.command(words), { signal: world.signal });
      running.stdin.end();
      let printed = "";
      for await (const chunk of running.stdout) if (printed.length < 1_000_000) printed += chunk;
      const exit = await running.exited;
      world.signal.throwIfAborted();
      if (exit.code === 127) throw new MailarkError("PROGRAM_MISSING", `can not start ${words[0]}`);
      return { ok: exit.code === 0, said: running.complaint(), printed };
    },
    remove: () => shelter.remove(),
  };
}

/**
 * An account that nobody has: what runs as `nobody` may be other programs that must not read secrets. Above all numbers that systemd
 * hands out (its UIDS-GIDS.md), with room for each process (proc(5), pid_max).
 */
const ownNumber = () => 0x70000000 + process.pid;

/** A login may have a temporary directory of its own, which nobody else may enter (pam_tmpdir(8)). */
export const temporaryPlaces = () => [tmpdir(), "/var/tmp"];

/** Whether every account may pass to there. */
function isOpen(path: string, { files }: World): boolean {
  const names = path.split("/").filter((name) => name !== "");
  const passed = names.map((_, index) => `/${names.slice(0, index + 1).join("/")}`);
  return passed.every((each) => {
    const status = files.statSync(each, { throwIfNoEntry: false });
    return status !== undefined && (status.mode & 0o001) !== 0;
  });
}

async function* copyOf(view: TreeView, roots: readonly string[], { path: top }: Shelter): AsyncGenerator<Buffer> {
  const made = new Set<string>();
  const prefix = Buffer.from(top, "utf8").toString("latin1");
  for (const path of view.paths.filter((each) => roots.some((root) => each === root || each.startsWith(`${root}/`)))) {
    const content = view.read(path);
    if (content === undefined) continue;
    for (const parent of parentsOf(path.slice(1))) {
      if (made.has(parent)) continue;
      made.add(parent);
      yield headersOf(plain("directory", parent, 0));
    }
    const copied = content.includes(0)
      ? content
      : Buffer.from(redirected(content.toString("latin1"), roots, prefix), "latin1");
    yield headersOf(plain("file", path.slice(1), copied.length));
    yield copied;
    yield Buffer.alloc(padding(copied.length));
  }
  yield endOfArchive;
}

/** A text in which every path of the host that begins with a root begins with the copy. */
function redirected(text: string, roots: readonly string[], top: string): string {
  const any = roots.map((root) => root.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("|");
  return text.replace(new RegExp(`(?<![A-Za-z0-9_./-])(?:${any})(?![A-Za-z0-9_.-])`, "g"), (path) => `${top}${path}`);
}

const plain = (kind: "file" | "directory", path: string, bytes: number) => ({
  path,
  kind,
  flag: "",
  mode: kind === "file" ? 0o600 : 0o700,
  uid: 0,
  gid: 0,
  user: "",
  group: "",
  modified: "0",
  size: bytes,
  stored: bytes,
  target: "",
  attributes: new Map<string, string>(),
  acl: {},
});
