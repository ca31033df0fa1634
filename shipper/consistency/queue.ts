import { pathText } from "../components/byte-path.ts";
import type { World } from "../components/component.ts";
import type { QueueConfig } from "../components/queue/config.ts";
import { queuedMessages } from "../components/queue/domains.ts";
import { textOf } from "../components/queue/programs.ts";
import { instance } from "../components/queue/spool.ts";
import type { QueuedFile } from "./report.ts";

/** What waits in the queue. Throws as `queuedMessages` does. */
export async function queuedFiles(config: QueueConfig, world: World): Promise<QueuedFile[]> {
  const messages = await queuedMessages(config, [], world);
  return messages.map(({ id, sender, recipients }) => ({
    id,
    sender: pathText(sender),
    recipients: recipients.map(pathText),
  }));
}

const settings = [
  "myhostname",
  "mydomain",
  "myorigin",
  "mydestination",
  "relay_domains",
  "virtual_alias_domains",
  "virtual_mailbox_domains",
];

/** The domains that Postfix's configuration names itself; those of its tables (`mysql:…`) are not looked up. Throws as `textOf` does. */
export async function postfixDomains(config: QueueConfig, world: World): Promise<string[]> {
  const text = await textOf(config, ["postconf", ...instance(config), "-x", "-h", ...settings], world);
  return text.split(/[\s,]+/).filter((word) => /^[^:/$]+$/.test(word));
}
