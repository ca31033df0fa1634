/** Brings trees back into a directory of their own. */
import { MailarkError } from "../../../core/errors.ts";
import type { SnapshotReader } from "../../../core/snapshot-reader.ts";
import { feed } from "../../processes.ts";
import type { World } from "../component.ts";
import { removeTree } from "../remove-tree.ts";
import { type TreeParts, treeParts } from "./capture-tree.ts";
import { gate } from "./gate.ts";
import type { Member } from "./member.ts";
import { extractCommand } from "./tar-command.ts";
import { ofTar } from "./tar-output.ts";
import { readTreeFacts, type TreeFacts } from "./tree-facts.ts";
import { type Finding, Vetting } from "./vet.ts";
import { detached, isWanted, outerTargets } from "./wanted.ts";

/** What is in a directory after a restore. */
export interface RestoredTree {
  /** Absolute path; `ROOT/etc/postfix/main.cf` is what was `/etc/postfix/main.cf`. */
  readonly root: string;
  /** As what came back must be. */
  readonly facts: TreeFacts;
  /** What was in the archive and did not come back, or not whole. */
  readonly findings: readonly Finding[];
  /** The paths of the archive that came back, in latin1. */
  readonly paths: ReadonlySet<string>;
  /** Owners were set; only root can. */
  readonly owners: boolean;
}

export interface RestoreTreeOptions {
  /** Only these paths (in latin1, below the top), with all below them and the directories above them. */
  readonly only?: readonly string[];
  readonly parts?: TreeParts;
  /** The part `facts`, where it was read already. */
  readonly facts?: TreeFacts;
}

/**
 * Extracts a tree into an empty directory, which is there. No program sees a header that was not judged before.
 *
 * @throws MailarkError `OBJECT_CORRUPT` when the archive is not what was captured; `RESTORE_FAILED` when tar could not write it. What was
 *   written until then is left for the caller to remove.
 */
export async function restoreTree(
  snapshot: SnapshotReader,
  root: string,
  { files, processes, signal }: World,
  { only, parts = treeParts, facts: known }: RestoreTreeOptions = {},
): Promise<RestoredTree> {
  const captured = known ?? (await readTreeFacts(snapshot, parts.facts));
  const facts = only ? detached(captured, only) : captured;
  const outer = only ? outerTargets(captured, only) : new Set<string>();
  const part = snapshot.part(parts.files);
  const { bavail, blocks, bsize } = files.statfsSync(root);
  const owners = process.getuid?.() === 0;
  const findings: Finding[] = [];
  const paths = new Set<string>();
  const wanted = only && ((member: Member) => isWanted(member.path, only) || outer.has(member.path));
  const places = new Map([...outer].map((path, number) => [path, `${outside}/${number}`]));
  let broken: unknown;
  const passed = gate([snapshot.readPart(part)], {
    limit: part.bytes,
    vetting: new Vetting({ free: bavail * bsize, capacity: blocks * bsize }),
    ...(wanted && { wanted }),
    found: (finding) => findings.push(finding),
    place: ({ path, target, ...member }) => ({
      ...member,
      path: places.get(path) ?? path,
      target: member.kind === "hardlink" ? (places.get(target) ?? target) : target,
    }),
    watch({ member, chunks }) {
      if (!outer.has(member.path)) paths.add(member.path);
      return chunks;
    },
  });
  const source = (async function* () {
    try {
      yield* passed;
    } catch (error) {
      broken = error;
      throw error;
    }
  })();
  try {
    await feed(processes, extractCommand(root, { owners, numeric: facts.elsewhere }), source, { signal });
  } catch (error) {
    signal.throwIfAborted();
    if (broken !== undefined) throw broken;
    const { code, message, detail = "" } = ofTar(error);
    if (code === "PROGRAM_MISSING") throw ofTar(error);
    throw new MailarkError("RESTORE_FAILED", `files could not be written: ${message}`, {
      detail,
      ...(/No space left/.test(detail) && { hint: "free space on this file system, then run again" }),
      cause: error,
    });
  }
  if (outer.size > 0) removeTree(files, `${Buffer.from(root, "utf8").toString("latin1")}/${outside}`);
  return { root, facts, findings, paths, owners };
}

/** Below the top: for files that only links among what is wanted lead to. */
const outside = ".mailark-outside";
