import { MailarkError } from "../../../core/errors.ts";
import { signaturesOf } from "./dkim-signature.ts";
import type { PrivateOpendkim } from "./private-opendkim.ts";
import type { Stage } from "./set-stage.ts";
import { after, domainOf, names, unproven } from "./steps.ts";

/** Whether a message is signed with the key that was staged for its domain. */
export function judgeSignature(stage: Stage, opendkim: PrivateOpendkim | undefined, message: Buffer, address: string) {
  if (!stage.usesMilter) throw unproven("the staged Postfix hands no mail to a milter");
  const domain = domainOf(address);
  const keys = after(opendkim, names.opendkim).keys.filter((key) => key.domain === domain);
  if (keys.length === 0) throw unproven(`the staged tables have no key for ${domain}`);
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
