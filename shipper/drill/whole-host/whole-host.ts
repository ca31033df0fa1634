/**
 * Whether what was staged is a mail host: a message that is sent through the staged Postfix arrives in the staged mailbox of an account of the staged
 * database, signed with the staged key. Private servers do it, on the staged files, without a network, and are gone afterwards.
 */
import { posix } from "node:path";
import { asMailarkError, MailarkError } from "../../../core/errors.ts";
import type { Check, World } from "../../components/component.ts";
import type { StagedHost } from "../../components/staged-host.ts";
import { CheckList } from "./check-list.ts";
import { signaturesOf } from "./dkim-signature.ts";
import { type ImapSession, logIn } from "./imap.ts";
import { type MailUser, type PrivateDovecot, startDovecot } from "./private-dovecot.ts";
import { type PrivateOpendkim, signs, startOpendkim } from "./private-opendkim.ts";
import { type PrivatePostfix, startPostfix } from "./private-postfix.ts";
import { differenceFrom, type Probe, probeMessage, probePassword } from "./probe.ts";
import { type Stage, setStage } from "./set-stage.ts";
import { askRecipient, submit } from "./smtp.ts";
import { stagedAddresses } from "./staged-mailboxes.ts";

export type { Probe } from "./probe.ts";

export interface WholeHostOptions {
  /** Absent, in a directory that every account may pass through; of less than 70 characters. */
  readonly path: string;
  /** Default: the first staged mailbox that has an account, and no password. */
  readonly probe?: Probe;
}

const names = {
  dovecot: "Dovecot runs on the staged configuration",
  account: "the mailbox has an account",
  password: "its password opens it, and another one does not",
  opendkim: "OpenDKIM runs on the staged keys",
  postfix: "Postfix runs on the staged configuration",
  closed: "nothing can leave",
  message: "a message arrives in the mailbox, whole",
  signature: "the message is signed with the staged key",
} as const;

/** Staged mailboxes that are tried for one with an account. */
const mostMailboxes = 40;
const arrivalSeconds = 20;

/**
 * The staged mailbox holds the message afterwards: judge the mail before. One check for each step; those that could not be made because of an earlier one, of
 * a program that is not there or of a component that was not staged are `unproven` with the reason.
 *
 * @throws MailarkError `ARGUMENT_INVALID` for a password file that does not hold one line; the signal's reason.
 */
export async function checkWholeHost(
  staged: StagedHost,
  { path, probe }: WholeHostOptions,
  world: World,
): Promise<readonly Check[]> {
  const password = probePassword(probe, world.files);
  const list = new CheckList(names, world.signal);
  if (staged.configs === undefined || staged.mail === undefined) {
    const missing = staged.configs === undefined ? "configuration" : "mail";
    return list.allUnproven(`no ${missing} was staged`);
  }
  let stage: Stage;
  try {
    stage = await setStage(staged, path, world);
  } catch (error) {
    world.signal.throwIfAborted();
    const { message, detail } = asMailarkError(error);
    return list.allUnproven([message, detail].filter(Boolean).join("; "));
  }
  try {
    await perform(stage, probe?.address, password, list);
    return list.checks();
  } finally {
    await stage.remove();
  }
}

async function perform(
  stage: Stage,
  wanted: string | undefined,
  password: string | undefined,
  list: CheckList<keyof typeof names>,
) {
  const { ground, config } = stage;
  const { world } = ground;
  world.progress("starting Dovecot and OpenDKIM on what was staged");
  const [running, opendkim] = await Promise.all([
    list.step("dovecot", async () => {
      const server = await startDovecot(ground, needed(config.dovecot, "dovecot.conf"));
      return { value: server, detail: "it came up on a copy of dovecot.conf" };
    }),
    list.step("opendkim", () => bringUpOpendkim(stage)),
  ]);
  const found = await list.step("account", async () =>
    findAccount(stage, after(running, names.dovecot), wanted, opendkim),
  );
  const dovecot = found?.dovecot ?? running;
  const proven = await list.step("password", () => tryPassword(stage, dovecot, found?.address, password));
  const postfix = await list.step("postfix", async () => {
    if (!ground.isRoot) throw open("only root can run Postfix");
    const { lmtpSocket, saslSocket } = after(dovecot, names.dovecot);
    const milterSocket = stage.usesMilter ? opendkim?.socket : undefined;
    const server = await startPostfix(ground, needed(config.postfix, "main.cf"), {
      lmtpSocket,
      saslSocket,
      milterSocket,
    });
    return { value: server, detail: "it came up on a copy of main.cf" };
  });
  await list.step("closed", () => tryToLeave(stage, after(postfix, names.postfix), found?.address));
  const arrived = await list.step("message", () =>
    send(stage, after(dovecot, names.dovecot), after(postfix, names.postfix), {
      address: after(found, names.account).address,
      password: proven === true ? password : undefined,
    }),
  );
  await list.step("signature", async () =>
    judgeSignature(stage, opendkim, after(arrived, names.message), after(found, names.account).address),
  );
}

async function bringUpOpendkim(stage: Stage) {
  const { ground, config } = stage;
  const path = needed(config.opendkim, "opendkim.conf");
  if (!signs(path, ground.world.files)) throw open("its configuration only verifies, it does not sign");
  const server = await startOpendkim(ground, path);
  const domains = new Set(server.keys.map(({ domain }) => domain)).size;
  return { value: server, detail: `it came up with ${server.keys.length} keys of ${domains} domains` };
}

interface Found {
  readonly address: string;
  readonly dovecot: PrivateDovecot;
}

/** The address that is asked for, or else the first with an account: those of domains that sign come first. */
async function findAccount(
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
  if (candidates.length === 0) throw open("no mailbox was staged");
  for (const address of candidates) {
    const user = await asked(stage, dovecot, address);
    if (user === undefined) continue;
    const place = placeOf(user);
    const detail = `${address} has one in the staged ${stage.databases.join(" and ") || "files"}; its mail is at ${place}`;
    if (ground.isStagedMail(place)) return { value: { address, dovecot }, detail };
    const moved = { home: stage.translate(user.home), mail: stage.translate(user.mail) };
    if (!ground.isStagedMail(placeOf({ ...user, ...moved }))) {
      throw open(`the account of ${address} says that its mail is at ${place}, which was not staged`);
    }
    // The database itself says where: as nothing live may be touched, it is told better.
    await dovecot.end();
    const pinned = await startDovecot(ground, needed(stage.config.dovecot, "dovecot.conf"), moved);
    const now = placeOf((await asked(stage, pinned, address)) ?? user);
    if (!ground.isStagedMail(now)) throw open(`the mail of ${address} stays at ${now}, which was not staged`);
    return { value: { address, dovecot: pinned }, detail: `${detail}, read from ${now}` };
  }
  const who = wanted ?? `any of the ${candidates.length} staged mailboxes that were tried`;
  throw new MailarkError("CHECK_FAILED", `there is no account of ${who} in what was staged`);
}

async function asked(stage: Stage, dovecot: PrivateDovecot, address: string): Promise<MailUser | undefined> {
  try {
    return await dovecot.lookUp(address);
  } catch (error) {
    if (stage.unstaged.length > 0) throw open(`the ${stage.unstaged.join(" and ")} databases were not staged`);
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

async function tryPassword(
  stage: Stage,
  dovecot: PrivateDovecot | undefined,
  address: string | undefined,
  password: string | undefined,
) {
  const { world } = stage.ground;
  if (password === undefined)
    throw open("no password is known here: give --probe ADDRESS and --probe-password-file FILE");
  const { imapSocket } = after(dovecot, names.dovecot);
  const user = after(address, names.account);
  const session = await logIn(imapSocket, user, password, world);
  session?.close();
  if (session === undefined) throw new MailarkError("CHECK_FAILED", `Dovecot refused the given password of ${user}`);
  const wrong = await logIn(imapSocket, user, `${password}.`, world);
  wrong?.close();
  if (wrong !== undefined) throw new MailarkError("CHECK_FAILED", `Dovecot took another password for ${user}, too`);
  return { value: true as const, detail: `Dovecot took the given password of ${user}, and refused another` };
}

/** No such domain can be (RFC 6761, 6.4). */
const elsewhere = "someone@elsewhere.invalid";

async function tryToLeave({ ground }: Stage, postfix: PrivatePostfix, address = "drill@mailark.invalid") {
  const answer = await askRecipient(postfix.smtpSocket, address, elsewhere, ground.world);
  const { missing } = ground.isolation;
  const said = `Postfix, which had no service that sends to other hosts, answered to ${elsewhere}: ${answer}`;
  if (missing === undefined) return { value: true, detail: `the servers had no network at all; ${said}` };
  if (answer.startsWith("5")) return { value: true, detail: `${said} (without a network namespace: ${missing})` };
  throw open(`${said}, and the system gives no network namespace: ${missing}`);
}

async function send(
  stage: Stage,
  dovecot: PrivateDovecot,
  postfix: PrivatePostfix,
  { address, password }: { address: string; password: string | undefined },
) {
  const { world } = stage.ground;
  const { clock, signal } = world;
  world.progress(`sending a message to ${address} in the scratch place`);
  const message = probeMessage(address, clock.now());
  const socket = password === undefined ? postfix.smtpSocket : postfix.submissionSocket;
  const failed = async (why: string) => {
    const said = [postfix.complaints(), await dovecot.complaints(), await stage.opendkimComplaints()];
    return new MailarkError("CHECK_FAILED", why, { detail: said.filter(Boolean).join("; ") });
  };
  try {
    await submit(
      socket,
      { from: address, to: address, message: message.whole, ...(password !== undefined && { password }) },
      world,
    );
  } catch (error) {
    signal.throwIfAborted();
    const { message: what, detail } = asMailarkError(error);
    throw await failed([what, detail].filter(Boolean).join(": "));
  }
  const sentAt = clock.now();
  let session: ImapSession | undefined;
  try {
    for (;;) {
      const failure = postfix.failure();
      if (failure !== undefined) throw await failed(`Postfix could not deliver it: ${failure}`);
      session ??= await logIn(dovecot.imapSocket, `${address}${dovecot.master.suffix}`, dovecot.master.password, world);
      const fetched = await session?.find(message.messageId);
      if (fetched !== undefined) {
        const difference = differenceFrom(message, fetched);
        if (difference !== undefined) throw await failed(`it arrived, but ${difference}`);
        const how = password === undefined ? "sent from this machine" : "sent after a login";
        return {
          value: fetched,
          detail: `${how}, it was in the inbox of ${address} and read by IMAP; ${fetched.length} bytes`,
        };
      }
      if (clock.now() - sentAt > arrivalSeconds * 1000)
        throw await failed(`it did not arrive within ${arrivalSeconds} seconds`);
      await clock.sleep(25, signal);
    }
  } finally {
    session?.close();
  }
}

function judgeSignature(stage: Stage, opendkim: PrivateOpendkim | undefined, message: Buffer, address: string) {
  if (!stage.usesMilter) throw open("the staged Postfix hands no mail to a milter");
  const domain = domainOf(address);
  const keys = after(opendkim, names.opendkim).keys.filter((key) => key.domain === domain);
  if (keys.length === 0) throw open(`the staged tables have no key for ${domain}`);
  const signatures = signaturesOf(message).filter((signature) => signature.domain === domain);
  if (signatures.length === 0) {
    throw new MailarkError("CHECK_FAILED", `the message came without a signature of ${domain}`);
  }
  for (const { selector, problemWith } of signatures) {
    const key = keys.find((each) => each.selector === selector);
    const name = `${selector}._domainkey.${domain}`;
    const problem = key === undefined ? "the staged tables have no key for it" : problemWith(key.publicKey);
    if (problem !== undefined)
      throw new MailarkError("CHECK_FAILED", `the signature of ${name} does not hold: ${problem}`);
    if (key?.published !== undefined && key.published !== key.record) {
      throw new MailarkError(
        "CHECK_FAILED",
        `the staged key of ${name} is not the one of the record that was kept beside it`,
      );
    }
    const compared = key?.published === undefined ? "" : ", which is that of the record kept beside the key";
    const detail = `verified with the public half of the staged key of ${name}${compared}; DNS was not asked: it must have p=${key!.record}`;
    return { value: true, detail };
  }
  throw new MailarkError("CHECK_FAILED", "the message came without a signature");
}

const domainOf = (address: string) => address.slice(address.lastIndexOf("@") + 1);

/** What an earlier check was to give. */
function after<T>(value: T | undefined, name: string): T {
  if (value === undefined) throw open(`it needs that: ${name}`);
  return value;
}

function needed(path: string | undefined, name: string): string {
  if (path === undefined) throw open(`there is no ${name} in the staged configuration`);
  return path;
}

/** Nothing is wrong, it is just not proven. */
const open = (why: string) => new MailarkError("PROGRAM_MISSING", why);
