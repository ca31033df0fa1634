/** Where the queue wants to: for the comparison of what the host knows with what it is asked to deliver. */
import type { World } from "../component.ts";
import type { QueueConfig } from "./config.ts";
import { domainOf } from "./envelope.ts";
import { textOf } from "./programs.ts";
import { instance } from "./spool.ts";

/**
 * The domains of all recipients that wait in the queue, in lower case and in order, each once. It names whom people write to: for encrypted parts only.
 *
 * @throws MailarkError `PROGRAM_FAILED` or `PROGRAM_MISSING` where `postqueue` can not say: it needs a running Postfix, or root.
 */
export async function queueDomains(config: QueueConfig, world: World): Promise<string[]> {
  const domains = new Set<string>();
  for (const { recipients } of await queuedMessages(config, [], world)) {
    for (const recipient of recipients) {
      const domain = domainOf(recipient);
      if (domain !== undefined) domains.add(domain);
    }
  }
  return [...domains].toSorted();
}

/** A message as `postqueue -j` shows it (postqueue(1), JSON OBJECT FORMAT); addresses as bytes in latin1. */
export interface QueuedMessage {
  readonly queue: string;
  readonly id: string;
  readonly size: number;
  readonly sender: string;
  readonly recipients: readonly string[];
}

/** @param where words that name another instance than the configuration does. Throws as {@link queueDomains}. */
export async function queuedMessages(
  config: QueueConfig,
  where: readonly string[],
  world: World,
): Promise<QueuedMessage[]> {
  const words = ["postqueue", ...(where.length > 0 ? where : instance(config)), "-j"] as [string, ...string[]];
  const text = await textOf(config, words, world);
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => {
      const row = JSON.parse(line) as Record<string, unknown>;
      const recipients = Array.isArray(row.recipients) ? (row.recipients as Record<string, unknown>[]) : [];
      return {
        queue: String(row.queue_name),
        id: String(row.queue_id),
        size: Number(row.message_size),
        sender: row.sender === "MAILER-DAEMON" ? "" : String(row.sender),
        recipients: recipients.map(({ address }) => String(address)),
      };
    });
}
