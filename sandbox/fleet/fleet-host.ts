import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";
import type { RunningCloud } from "../cloud/cloud.ts";
import { localMachine } from "../cloud/services/ssm/local-machine.ts";
import { type RegisteredNode, ssmService } from "../cloud/services/ssm/ssm-service.ts";
import { nameServices } from "../host/configuration.ts";
import { type SandboxHost, type ServiceName, startHost } from "../host/host.ts";
import { outputOf } from "./outputs.ts";

/** A mail host before there is one. */
export interface HostPlan {
  /** What people call it. */
  readonly name: string;
  /** `i-…` of an EC2 instance, `mi-…` of a machine elsewhere. */
  readonly instanceId: string;
  readonly services: readonly ServiceName[];
  populate(host: SandboxHost): Promise<void>;
}

/** A mail host that takes commands from SSM and stores in the vault. */
export interface FleetHost {
  readonly name: string;
  /** In the store: ROLE-ID:MACHINE-ID. */
  readonly hostId: string;
  /** What a backup captures. */
  readonly components: readonly string[];
  readonly host: SandboxHost;
  readonly node: RegisteredNode;
  /** `mailark` as somebody calls it who is logged in on the host. */
  readonly program: string;
  /** File with the recovery key, in the operator's directory, which a host must not have. */
  readonly recoveryKey: string;
  /** Of the signing key, from the recovery sheet. */
  readonly fingerprint: string;
  /** What the operator has to store so that the controller believes this host: key and content. */
  readonly approval: { readonly key: string; readonly record: object };
  stop(): Promise<void>;
}

/** Names of tags and of the role as the stacks have them. */
export interface Enrolment {
  /** Directory for what the operator keeps: recovery keys. */
  readonly directory: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
}

const shipper = new URL("../../shipper/mailark.ts", import.meta.url).pathname;

/**
 * Starts a mail host and enrols it as docs/cloud.md has it: the role and the tag, `mailark init` with the store of the stack's outputs and the host's
 * own credentials. Only the approval is left.
 */
export async function startFleetHost(
  cloud: RunningCloud,
  { name, instanceId, services, populate }: HostPlan,
  { directory, tags, signal }: Enrolment,
): Promise<FleetHost> {
  const host = await startHost({ services, ...(signal && { signal }) });
  let node: RegisteredNode | undefined;
  const stop = async () => {
    await node?.terminate();
    await host.stop();
  };
  try {
    await populate(host);
    const config = join(host.etc, "mailark", "config.yaml");
    const program = installed(host, config);
    const own = { PATH: `${join(host.directory, "bin")}:${process.env.PATH}`, HOME: host.directory, TERM: "dumb" };
    const roleName = outputOf(cloud, "HostRoleName");
    node = cloud.made(ssmService).register({ instanceId, roleName, tags, run: localMachine(own) });
    const words = [
      ...["init", "--json", "--yes", "--name", name, "--store", outputOf(cloud, "Store")],
      ...["--state", join(host.directory, "mailark-state")],
      ...["--component", "mail", "--mail-root", host.vmail],
    ];
    const env = { ...own, ...(await node.environment()) };
    const { stdout } = await execa(program, words, { env, extendEnv: false, ...(signal && { cancelSignal: signal }) });
    const { hostId, recoveryKey: key, fingerprint, approval } = JSON.parse(stdout);
    const components = nameServices(host, config);
    const recoveryKey = join(directory, `${name}-recovery.key`);
    writeFileSync(recoveryKey, `${key}\n`, { mode: 0o600 });
    return { name, hostId, components, host, node, program, recoveryKey, fingerprint, approval, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** What `mailark-install` leaves in /usr/local/bin, in the host's directory. */
function installed(host: SandboxHost, config: string): string {
  const program = join(host.directory, "bin", "mailark");
  mkdirSync(join(host.directory, "bin"));
  writeFileSync(program, `#!/bin/sh\nexec '${process.execPath}' '${shipper}' --config '${config}' "$@"\n`);
  chmodSync(program, 0o755);
  return program;
}
