import { join } from "node:path";
import { populateAgency } from "./agency.ts";
import { correspond } from "./correspondence.ts";
import type { SandboxHost } from "./host.ts";
import { populateMailApp, populateRedis } from "./mail-app.ts";
import { writeMaildir } from "./maildir.ts";
import { queueSettled, send } from "./smtp.ts";

export interface PopulateOptions {
  readonly seed: string;
  /** At least 2; the first two get real mail by SMTP. */
  readonly mailboxes: number;
  /** In the inbox of each of the others. */
  readonly messages: number;
  /** Of rows in the agency's database. Default: none beyond the accounts. */
  readonly megabytes?: number;
  /** Letters that wait in the queue. */
  readonly queued: number;
  /** Called around each part of the work. */
  readonly step?: <T>(what: string, work: () => Promise<T>) => Promise<T>;
}

/**
 * Puts something into everything that a host has: both databases, Redis, mailboxes and the queue.
 *
 * @returns the addresses of the mailboxes.
 */
export async function populateHost(host: SandboxHost, options: PopulateOptions): Promise<readonly string[]> {
  const { seed, mailboxes, messages, megabytes, queued, step = (_, work) => work() } = options;
  const { addresses } = await step("an agency's MariaDB: domains, users, aliases, API keys, a log of deliveries", () =>
    populateAgency(host.mariadb, { seed, mailboxes, ...(megabytes !== undefined && { megabytes }) }),
  );
  const [first = "", second = "", ...others] = addresses;
  await step("an email client's PostgreSQL and Redis: accounts, messages, sessions", async () => {
    await populateMailApp(host.postgres, { seed, messages: 400 });
    await populateRedis(host.redis, { seed });
  });
  await step("letters sent by SMTP, signed, delivered; read, flagged, filed and deleted by IMAP", () =>
    correspond(host, { seed, addresses: [first, second] }),
  );
  if (others.length > 0) {
    await step(`${others.length} more mailboxes with ${messages} messages each`, async () => {
      for (const address of others) {
        const [user = "", domain = ""] = address.split("@");
        const maildir = join(host.vmail, domain, user, "Maildir");
        writeMaildir(maildir, { seed: address, messages, folders: ["Sent"], owner: host.mailOwner });
      }
    });
  }
  await step(`${queued} letters that can not be delivered yet`, async () => {
    const letters = Array.from({ length: queued }, (_, index) => ({
      from: first,
      to: `customer-${index + 1}@deferred.test`,
      subject: `waiting ${index + 1}`,
      text: `This letter waits in the queue, number ${index + 1}.`,
    }));
    await send(host, letters);
    await queueSettled(host);
  });
  return addresses;
}
