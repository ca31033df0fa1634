/** Sends a message through the private servers: to the staged mailbox, and, in vain, to another host. */
import { asMailarkError, MailarkError } from "../../../core/errors.ts";
import { type ImapSession, logIn } from "./imap.ts";
import type { PrivateDovecot } from "./private-dovecot.ts";
import type { PrivatePostfix } from "./private-postfix.ts";
import { differenceFrom, probeMessage } from "./probe.ts";
import type { Stage } from "./set-stage.ts";
import { askRecipient, submit } from "./smtp.ts";
import { unproven } from "./steps.ts";

/** No such domain can be (RFC 6761, 6.4). */
const elsewhere = "someone@elsewhere.invalid";

export async function tryToLeave({ ground }: Stage, postfix: PrivatePostfix) {
  const answer = await askRecipient(postfix.smtpSocket, "drill@mailark.invalid", elsewhere, ground.world);
  const { missing } = ground.isolation;
  const said = `Postfix, which had no service that sends to other hosts, answered to ${elsewhere}: ${answer}`;
  if (missing === undefined) return { value: true, detail: `the servers had no network at all; ${said}` };
  if (answer.startsWith("5")) return { value: true, detail: `${said} (without a network namespace: ${missing})` };
  throw unproven(`${said}, and the system gives no network namespace: ${missing}`);
}

const arrivalSeconds = 20;

/** Sends a message, and waits until it is in the mailbox. Resolves with what was fetched from there. */
export async function send(
  stage: Stage,
  dovecot: PrivateDovecot,
  postfix: PrivatePostfix,
  { address, password }: { address: string; password: string | undefined },
) {
  const { ground } = stage;
  const { world } = ground;
  const { clock, signal } = world;
  world.progress(`sending a message to ${address} in the scratch place`);
  const message = probeMessage(address, clock.now());
  const socket = password === undefined ? postfix.smtpSocket : postfix.submissionSocket;
  const failed = (why: string) => {
    const said = [postfix.complaints(), dovecot.complaints(), stage.opendkimComplaints()];
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
    throw failed([what, detail].filter(Boolean).join(": "));
  }
  const sentAt = clock.now();
  let session: ImapSession | undefined;
  let fetched: Buffer | undefined;
  try {
    for (;;) {
      const failure = postfix.failure();
      try {
        session ??= await logIn(
          ground.imapSocket,
          `${address}${dovecot.master.suffix}`,
          dovecot.master.password,
          world,
        );
        fetched = await session?.find(message.messageId);
      } catch (error) {
        signal.throwIfAborted();
        const { message: what, detail } = asMailarkError(error);
        throw failed([what, detail].filter(Boolean).join(": "));
      }
      if (fetched !== undefined) {
        const difference = differenceFrom(message, fetched);
        if (difference !== undefined) throw failed(`it arrived, but ${difference}`);
        const how = password === undefined ? "sent from this machine" : "sent after a login";
        return {
          value: fetched,
          detail: `${how}, it was in the inbox of ${address} and read by IMAP; ${fetched.length} bytes`,
        };
      }
      // A copy that an alias sends to another host is not for this mailbox, and is refused as it must be.
      if (failure !== undefined) throw failed(`Postfix could not deliver it: ${failure}`);
      if (clock.now() - sentAt > arrivalSeconds * 1000)
        throw failed(`it did not arrive within ${arrivalSeconds} seconds`);
      await clock.sleep(25, signal);
    }
  } finally {
    session?.close();
  }
}
