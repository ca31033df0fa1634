import { join } from "node:path";
import { hostTag } from "../../infra/names.ts";
import type { RunningCloud } from "../cloud/cloud.ts";
import { populateAgency } from "../host/agency.ts";
import type { SandboxHost } from "../host/host.ts";
import { populateMailApp, populateRedis } from "../host/mail-app.ts";
import { writeMaildir } from "../host/maildir.ts";
import { type FleetHost, type HostPlan, startFleetHost } from "./fleet-host.ts";
import { controlBucket } from "./operator.ts";

export interface FleetOptions {
  /** Of the operator, for what a host must not have. */
  readonly directory: string;
  /** Default: an agency's host on EC2, with MariaDB and Dovecot, and an email client's elsewhere, with PostgreSQL and Redis. */
  readonly plans?: readonly HostPlan[];
  /** Called around each part of the work. */
  readonly step?: <T>(what: string, work: () => Promise<T>) => Promise<T>;
  readonly signal?: AbortSignal;
}

export interface Fleet {
  readonly hosts: readonly FleetHost[];
  /** Ends every host. The cloud goes on. */
  stop(): Promise<void>;
}

/**
 * Starts mail hosts in the cloud and enrols and approves each, as an operator does who follows docs/cloud.md.
 *
 * @throws what starting a host throws, and Error where the cloud refuses one; nothing of the fleet is left then.
 */
export async function startFleet(
  cloud: RunningCloud,
  { directory, plans = usualPlans, step = (_, work) => work(), signal }: FleetOptions,
): Promise<Fleet> {
  const tags = { [hostTag.key]: hostTag.value };
  const hosts: FleetHost[] = [];
  const stop = async () => {
    await Promise.all(hosts.map((host) => host.stop()));
  };
  const control = controlBucket(cloud);
  try {
    for (const plan of plans) {
      const { name, services } = plan;
      const host = await step(
        `${name}: ${services.join(", ")} and mailboxes are up; \`mailark init\` asked who it is`,
        () => startFleetHost(cloud, plan, { directory, tags, signal }),
      );
      hosts.push(host);
      const { key, record } = host.approval;
      if (!(await control.replace(key, Buffer.from(JSON.stringify(record)), undefined, signal))) {
        throw new Error(`${key} was there before`);
      }
    }
  } catch (error) {
    await stop();
    throw error;
  }
  return { hosts, stop };
}

const usualPlans: readonly HostPlan[] = [
  {
    name: "mail-1",
    instanceId: "i-0a11ce00000000001",
    services: ["mariadb", "dovecot"],
    async populate(host) {
      const { addresses } = await populateAgency(host.mariadb, { seed: "mail-1", mailboxes: 3 });
      mailboxes(host, addresses);
    },
  },
  {
    name: "mail-2",
    instanceId: "mi-0b0b0000000000002",
    services: ["postgres", "redis"],
    async populate(host) {
      await populateMailApp(host.postgres, { seed: "mail-2" });
      await populateRedis(host.redis, { seed: "mail-2" });
      mailboxes(host, ["bob@customer-9.test"]);
    },
  },
];

function mailboxes({ vmail, mailOwner }: SandboxHost, addresses: readonly string[]): void {
  for (const address of addresses) {
    const [user = "", domain = ""] = address.split("@");
    writeMaildir(join(vmail, domain, user, "Maildir"), {
      seed: address,
      messages: 40,
      folders: ["Sent"],
      owner: mailOwner,
    });
  }
}
