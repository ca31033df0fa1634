import type { Dirent } from "node:fs";
import { MailarkError } from "../../../core/errors.ts";
import { type Files, isAbsent } from "../../../core/ports/files.ts";
import { bytePath, pathText } from "../byte-path.ts";
import { type MailboxPlace, type MailConfig, placeOf, rootOf } from "./config.ts";

export interface Discovered {
  readonly mailboxes: readonly MailboxPlace[];
  /** Paths below the mail root that the layout does not explain, and that are therefore **not captured**. */
  readonly strays: readonly string[];
}

/**
 * All mailboxes below the mail root: every directory at the depth of the layout, sorted by path.
 *
 * @throws what the file system says when the root can not be listed.
 */
export function discover(files: Files, config: MailConfig): Discovered {
  const root = rootOf(config);
  const words = config.layout.split("/");
  const strays: string[] = [];
  let paths = [""];
  for (const word of words) {
    paths = paths.flatMap((parent) => {
      const kept: string[] = [];
      for (const entry of list(files, root, parent)) {
        const path = parent ? `${parent}/${entry.name}` : entry.name;
        if (entry.isDirectory() && (word.startsWith("{") || word === entry.name)) kept.push(path);
        else strays.push(path);
      }
      return kept;
    });
  }
  return { mailboxes: paths.sort().map((path) => placeOf(path, config)), strays };
}

/** A mail root that holds nothing may not be mounted: that must not pass for a host without mail. */
export const noMailboxes = (config: MailConfig): MailarkError =>
  new MailarkError("CAPTURE_FAILED", "there is no mailbox below the mail root", {
    detail: pathText(rootOf(config)),
    hint: "check that it is mounted, and that components.mail.layout has as many elements as the paths of mailboxes",
  });

/** A domain that is removed meanwhile has no mailboxes; a mail root that is not there is a failure. */
function list(files: Files, root: string, parent: string): Dirent[] {
  try {
    const path = bytePath(parent ? `${root}/${parent}` : root);
    return files.readdirSync(path, { withFileTypes: true, encoding: "latin1" }) as Dirent[];
  } catch (error) {
    if (parent !== "" && isAbsent(error)) return [];
    throw error;
  }
}
