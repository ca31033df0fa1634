/** Whether a staged mailbox has an account in the staged database, and its password. */
import { posix } from "node:path";
import { asMailarkError, MailarkError } from "../../../core/errors.ts";
import { logIn } from "./imap.ts";
import { type MailUser, type PrivateDovecot, startDovecot } from "./private-dovecot.ts";
import type { PrivateOpendkim } from "./private-opendkim.ts";
import type { Stage } from "./set-stage.ts";
import { stagedAddresses } from "./staged-mailboxes.ts";
import { after, domainOf, names, needed, unproven } from "./steps.ts";

export interface Found {
  readonly address: string;
  readonly dovecot: PrivateDovecot;
}

/** Staged mailboxes that are tried for one with an account. */
const mostMailboxes = 40;

/** The address that is asked for, or else the first with an account: those of domains that sign come first. */
export async function findAccount(
  stage: Stage,
  dovecot: PrivateDovecot & { end(): Promise<void> },
  wanted: string | undefined,
  opendkim: PrivateOpendkim | undefined,
): Promise<{ value: Found; detail: string }> {
  const { ground, mail } = stage;
  const signing = new Set(opendkim?.keys.map(({ domain }) => domain));
  const all = stagedAddresses(mail, mostMailboxes, ground.world.files);
  const isFirst = (address: string) => signing.has(domainOf(address));
  const candidates =
    wanted === undefined ? [...all.filter(isFirst), ...all.filter((each) => !isFirst(each))] : [wanted];
  if (candidates.length === 0) throw unproven("no mailbox was staged");
  if (stage.unstaged.length > 0) throw unproven(`the ${stage.unstaged.join(" and ")} databases were not staged`);
  for (const address of candidates) {
    const user = await asked(dovecot, address);
    if (user === undefined) continue;
    const place = placeOf(user);
    const detail = `${address} has one in the staged ${stage.databases.join(" and ") || "files"}; its mail is at ${place}`;
    if (ground.isStagedMail(place)) return { value: { address, dovecot }, detail };
    const moved = { home: stage.translate(user.home), mail: stage.translate(user.mail) };
    if (!ground.isStagedMail(placeOf({ ...user, ...moved }))) {
      throw unproven(`the account of ${address} says that its mail is at ${place}, which was not staged`);
    }
    // The database itself says where: as nothing live may be touched, it is told better.
    await dovecot.end();
    const pinned = await startDovecot(ground, needed(stage.config.dovecot, "dovecot.conf"), moved);
    const now = placeOf((await asked(pinned, address)) ?? user);
    if (!ground.isStagedMail(now)) throw unproven(`the mail of ${address} stays at ${now}, which was not staged`);
    return { value: { address, dovecot: pinned }, detail: `${detail}, read from ${now}` };
  }
  const who = wanted ?? `any of the ${candidates.length} staged mailboxes that were tried`;
  throw new MailarkError("CHECK_FAILED", `there is no account of ${who} in what was staged`);
}

async function asked(dovecot: PrivateDovecot, address: string): Promise<MailUser | undefined> {
  try {
    return await dovecot.lookUp(address);
  } catch (error) {
    const { message, detail } = asMailarkError(error);
    const said = [detail, await dovecot.complaints()].filter(Boolean).join("; ");
    throw new MailarkError("CHECK_FAILED", `${address} could not be looked up: ${message}`, {
      detail: said,
      cause: error,
    });
  }
}

/** `maildir:~/Maildir:INDEX=…` of a user, as an absolute path. */
function placeOf({ home, mail }: Pick<MailUser, "home" | "mail">): string {
  const path = mail.split(":")[1] ?? "";
  return posix.normalize(path.replace(/^(~(?=\/|$)|%h)/, home) || home);
}

export async function tryPassword(
  stage: Stage,
  dovecot: PrivateDovecot | undefined,
  address: string | undefined,
  password: string | undefined,
) {
  if (password === undefined)
    throw unproven("no password is known here: give --probe ADDRESS and --probe-password-file FILE");
  after(dovecot, names.dovecot);
  const { imapSocket, world } = stage.ground;
  const user = after(address, names.account);
  const session = await logIn(imapSocket, user, password, world);
  session?.close();
  if (session === undefined) throw new MailarkError("CHECK_FAILED", `Dovecot refused the given password of ${user}`);
  const wrong = await logIn(imapSocket, user, `${password}.`, world);
  wrong?.close();
  if (wrong !== undefined) throw new MailarkError("CHECK_FAILED", `Dovecot took another password for ${user}, too`);
  return { value: true as const, detail: `Dovecot took the given password of ${user}, and refused another` };
}
