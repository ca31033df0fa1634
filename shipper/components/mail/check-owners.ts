import { MailarkError } from "../../../core/errors.ts";
import { outputOf } from "../../processes.ts";
import { bytePath } from "../byte-path.ts";
import type { Check, World } from "../component.ts";
import type { StagedMail } from "./stage.ts";

/**
 * Whether the owners of mailboxes are somebody on this machine. Numbers come back as they were; a package or an operator may have given the
 * mail user another one here, and then the mail server can not read what is there.
 */
export async function checkOwners({ mailboxes, root }: StagedMail, world: World): Promise<Check> {
  const name = "their owners are accounts of this machine";
  const numbers = new Set(mailboxes.map(({ path }) => world.files.lstatSync(bytePath(`${root}/${path}`)).uid));
  const known: string[] = [];
  const unknown: number[] = [];
  for (const number of numbers) {
    const account = await accountOf(number, world);
    if (account === undefined) unknown.push(number);
    else known.push(`${account} (${number})`);
  }
  if (unknown.length === 0) return { name, outcome: "passed", detail: known.join(", ") };
  return {
    name,
    outcome: "unproven",
    detail: `no account has the number ${unknown.join(", ")}: that is right where the mail server runs under the bare number; otherwise empty the mail root, set owner below components.mail to the mail user's numbers here, and restore again`,
  };
}

/** `getent` ends with 2 where there is none. */
async function accountOf(number: number, { processes, signal }: World): Promise<string | undefined> {
  try {
    const entry = await outputOf(processes, ["getent", "passwd", String(number)], { signal });
    return entry.toString("utf8").split(":")[0];
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof MailarkError && error.message.endsWith("exit status 2")) return undefined;
    throw error;
  }
}
