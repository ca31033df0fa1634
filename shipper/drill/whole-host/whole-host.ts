/**
 * Whether what was staged is a mail host: a message that is sent through the staged Postfix arrives in the staged mailbox of an account of the staged
 * database, signed with the staged key. Private servers do it, on the staged files, without a network, and are gone afterwards.
 */
import { asMailarkError } from "../../../core/errors.ts";
import type { Check, World } from "../../components/component.ts";
import type { StagedHost } from "../../components/staged-host.ts";
import { findAccount, tryPassword } from "./account.ts";
import { CheckList } from "./check-list.ts";
import { send, tryToLeave } from "./delivery.ts";
import { judgeSignature } from "./judge-signature.ts";
import { startDovecot } from "./private-dovecot.ts";
import { signs, startOpendkim } from "./private-opendkim.ts";
import { startPostfix } from "./private-postfix.ts";
import { type Probe, probePassword } from "./probe.ts";
import { type Stage, setStage } from "./set-stage.ts";
import { after, names, needed, unproven } from "./steps.ts";

export type { Probe } from "./probe.ts";

export interface WholeHostOptions {
  /** Absent, in a directory that every account may pass through; of at most 75 bytes. */
  readonly path: string;
  /** Default: the first staged mailbox that has an account, and no password. */
  readonly probe?: Probe;
}

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
  world.progress("starting the mail services on what was staged");
  const signing = list.step("opendkim", () => bringUpOpendkim(stage));
  const reading = async () => {
    const running = await list.step("dovecot", async () => {
      const server = await startDovecot(ground, needed(config.dovecot, "dovecot.conf"));
      return { value: server, detail: "it came up on a copy of dovecot.conf" };
    });
    const keys = await signing;
    const found = await list.step("account", async () =>
      findAccount(stage, after(running, names.dovecot), wanted, keys),
    );
    const dovecot = found?.dovecot ?? running;
    const proven = await list.step("password", () => tryPassword(stage, dovecot, found?.address, password));
    return { dovecot, found, proven };
  };
  const sending = async () => {
    const milterSocket = (await signing)?.socket;
    const postfix = await list.step("postfix", async () => {
      if (!ground.isRoot) throw unproven("only root can run Postfix");
      const path = needed(config.postfix, "main.cf");
      const server = await startPostfix(ground, path, stage.usesMilter ? milterSocket : undefined);
      return { value: server, detail: "it came up on a copy of main.cf" };
    });
    await list.step("closed", () => tryToLeave(stage, after(postfix, names.postfix)));
    return postfix;
  };
  const both = await Promise.allSettled([reading(), sending()]);
  world.signal.throwIfAborted();
  const [{ dovecot, found, proven }, postfix] = [settled(both[0]), settled(both[1])];
  const opendkim = await signing;
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

function settled<T>(result: PromiseSettledResult<T>): T {
  if (result.status === "rejected") throw result.reason;
  return result.value;
}

async function bringUpOpendkim(stage: Stage) {
  const { ground, config } = stage;
  const path = needed(config.opendkim, "opendkim.conf");
  if (!signs(path, ground.world.files)) throw unproven("its configuration only verifies, it does not sign");
  const server = await startOpendkim(ground, path);
  const domains = new Set(server.keys.map(({ domain }) => domain)).size;
  return { value: server, detail: `it came up with ${server.keys.length} keys of ${domains} domains` };
}
