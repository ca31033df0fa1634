import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { SandboxHost } from "./host.ts";
import { makeQueue } from "./postfix.ts";

/** What can be lost, in the words of the backup: its components. */
export type Destroyable = "mysql" | "postgres" | "redis" | "mail" | "queue" | "configs";

/**
 * Loses one component of the host for good, as a disaster would. Databases come back empty, with nothing of what they held;
 * the mail tree and the queue are there and empty; of the configuration nothing is left, while the servers run on.
 *
 * @throws MailarkError `ARGUMENT_INVALID` when the host was started without that service.
 */
export async function destroy(host: SandboxHost, component: Destroyable): Promise<void> {
  switch (component) {
    case "mysql":
      return host.mariadb.wipe();
    case "postgres":
      return host.postgres.wipe();
    case "redis":
      return host.redis.wipe();
    case "mail":
      return empty(host.vmail);
    case "configs":
      return empty(host.etc);
    case "queue": {
      await host.postfix.stop();
      rmSync(host.postfix.queueDirectory, { recursive: true, force: true });
      return host.postfix.start();
    }
  }
}

/**
 * Loses the machine: what is there afterwards is a new one, on which the services are installed, the databases run and hold nothing, and the
 * mail services are down and know only what their packages brought along.
 */
export async function destroyMachine(host: SandboxHost): Promise<void> {
  await Promise.all([host.postfix.stop(), host.dovecot.stop(), host.opendkim.stop()]);
  await Promise.all([host.mariadb.wipe(), host.postgres.wipe(), host.redis.wipe()]);
  empty(host.vmail);
  empty(host.etc);
  rmSync(host.letsencrypt, { recursive: true, force: true });
  rmSync(host.apiDirectory, { recursive: true, force: true });
  rmSync(host.postfix.queueDirectory, { recursive: true, force: true });
  makeQueue(host.postfix.queueDirectory);
  mkdirSync(join(host.etc, "postfix"), { mode: 0o755 });
  writeFileSync(join(host.etc, "postfix", "main.cf"), "# as the package brings it along\ncompatibility_level = 3.6\n");
}

function empty(directory: string): void {
  for (const name of readdirSync(directory)) rmSync(join(directory, name), { recursive: true, force: true });
}
