import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Session } from "../../iam/account.ts";
import type { Cloud } from "../../service.ts";
import { startInstanceMetadata } from "./instance-metadata.ts";
import type { RunScript } from "./local-machine.ts";

export interface NodeOptions {
  /** `i-…` of an instance of EC2; `mi-…` of a machine elsewhere that was activated. */
  readonly instanceId: string;
  /** Whose sessions, named after the machine, its agent and its programs are. */
  readonly roleName: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly run: RunScript;
  /** @default the first that hands parameters over as variables */
  readonly agentVersion?: string;
  /**
   * Real milliseconds for which a running script holds the cloud's time still. One that takes longer goes on while time goes by.
   *
   * @default until it has ended
   */
  readonly patience?: number;
}

/** What an agent may use to receive commands and to report; the first is tried first ("ssmmessages, ec2messages, and other API operations"). */
const channels = [
  ["ssmmessages:CreateControlChannel", "ssmmessages:OpenControlChannel"],
  ["ec2messages:GetMessages", "ec2messages:AcknowledgeMessage", "ec2messages:SendReply", "ec2messages:DeleteMessage"],
];

/** Agents say every five minutes that they are there. After how many that are missing a node counts as lost is not documented: two, here. */
const pingEvery = 300_000;

/** "Data elements and parameters": `interpolationType`. */
const firstWithVariables = "3.3.2746.0";

/** A machine with an SSM agent, as the service sees it. */
export class ManagedNode {
  readonly options: NodeOptions;
  readonly arn: string;
  readonly directory: string;
  readonly #cloud: Cloud;
  readonly #session: Session;
  readonly #waiting = new Set<() => void>();
  #metadata: Awaited<ReturnType<typeof startInstanceMetadata>> | undefined;
  #registeredAt: number | undefined;
  #connectedAt: number | undefined;
  #lastPing = 0;
  #channel = false;

  constructor(options: NodeOptions, cloud: Cloud) {
    const { instanceId, roleName } = options;
    if (!/^(i|mi)-\w{17}$/.test(instanceId)) throw new Error(`${instanceId} is the id of no machine`);
    this.options = options;
    this.#cloud = cloud;
    this.#session = cloud.account.session(roleName, instanceId);
    this.arn = nodeArn(instanceId, cloud);
    this.directory = join(cloud.directory, "ssm", instanceId);
  }

  get id(): string {
    return this.options.instanceId;
  }

  get onEc2(): boolean {
    return this.id.startsWith("i-");
  }

  get agentVersion(): string {
    return this.options.agentVersion ?? firstWithVariables;
  }

  /** Whether its agent knows parameters that are variables. */
  get variables(): boolean {
    return this.agentVersion.localeCompare(firstWithVariables, "en", { numeric: true }) >= 0;
  }

  /** Milliseconds since 1970. `undefined`: its agent has never been let in, and to SSM there is no such node. */
  get registeredAt(): number | undefined {
    return this.#registeredAt;
  }

  get lastPing(): number {
    if (this.#connectedAt === undefined) return this.#lastPing;
    const now = this.#cloud.clock.now();
    return now - ((now - this.#connectedAt) % pingEvery);
  }

  get pingStatus(): "Online" | "ConnectionLost" {
    return this.#cloud.clock.now() - this.lastPing < 2 * pingEvery ? "Online" : "ConnectionLost";
  }

  /** The agent begins, or finds its way back: it does what the policies of its role let it do. */
  connect(): void {
    if (!this.#may("ssm:UpdateInstanceInformation", this.arn)) return;
    this.#registeredAt ??= this.#cloud.clock.now();
    this.#connectedAt ??= this.#cloud.clock.now();
    this.#channel = channels.some((actions) => actions.every((action) => this.#may(action, "*")));
    if (this.#channel) for (const work of [...this.#waiting]) work();
  }

  /** Nothing arrives any more, and nothing is reported; what runs on the machine goes on. */
  disconnect(): void {
    this.#lastPing = this.lastPing;
    this.#connectedAt = undefined;
    this.#channel = false;
  }

  /** Does something once the agent can be reached, now or later. Returns how to forget it. */
  reach(work: () => void): () => void {
    const once = () => {
      this.#waiting.delete(once);
      work();
    };
    if (this.#channel) work();
    else this.#waiting.add(once);
    return () => this.#waiting.delete(once);
  }

  /**
   * What a script finds in its environment of the cloud: where it is, and who it is. An instance of EC2 asks the metadata service for its
   * credentials; on a machine elsewhere the agent keeps them in a file.
   */
  async environment(): Promise<Record<string, string>> {
    const { endpoints, region } = this.#cloud;
    const here = {
      AWS_ENDPOINT_URL: endpoints.api,
      AWS_ENDPOINT_URL_S3: endpoints.s3,
      AWS_SSM_INSTANCE_ID: this.id,
      AWS_SSM_REGION_NAME: region,
      AWS_SSM_PLATFORM_NAME: "Debian GNU/Linux",
      AWS_SSM_PLATFORM_VERSION: "13",
    };
    if (!this.onEc2) {
      return { ...here, AWS_SHARED_CREDENTIALS_FILE: this.#credentialsFile(), AWS_EC2_METADATA_DISABLED: "true" };
    }
    const { roleName } = this.options;
    this.#metadata ??= await startInstanceMetadata({
      instanceId: this.id,
      region,
      roleName,
      credential: () => this.#cloud.credential(roleName, this.id),
      now: () => this.#cloud.clock.now(),
    });
    return { ...here, AWS_EC2_METADATA_SERVICE_ENDPOINT: this.#metadata.url };
  }

  async close(): Promise<void> {
    this.disconnect();
    this.#waiting.clear();
    await this.#metadata?.close();
  }

  #credentialsFile(): string {
    const { accessKeyId, secretAccessKey, sessionToken } = this.#cloud.credential(this.options.roleName, this.id);
    const lines = [
      "[default]",
      `aws_access_key_id = ${accessKeyId}`,
      `aws_secret_access_key = ${secretAccessKey}`,
      `aws_session_token = ${sessionToken}`,
    ];
    mkdirSync(this.directory, { recursive: true, mode: 0o700 });
    const path = join(this.directory, "credentials");
    writeFileSync(path, `${lines.join("\n")}\n`, { mode: 0o600 });
    return path;
  }

  #may(action: string, resource: string): boolean {
    return this.#cloud.allows(this.#session, { action, resource, context: {} });
  }
}

export function nodeArn(instanceId: string, { region, accountId }: Pick<Cloud, "region" | "accountId">): string {
  return instanceId.startsWith("mi-")
    ? `arn:aws:ssm:${region}:${accountId}:managed-instance/${instanceId}`
    : `arn:aws:ec2:${region}:${accountId}:instance/${instanceId}`;
}
