import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  GetCommandInvocationCommand,
  ListCommandsCommand,
  SendCommandCommand,
  type SendCommandCommandInput,
  SSMClient,
} from "@aws-sdk/client-ssm";
import { onTestFinished } from "vitest";
import { virtualClock } from "../../../../sandbox/cloud/clock.ts";
import { startCloud } from "../../../../sandbox/cloud/cloud.ts";
import type { CloudEvent, Service } from "../../../../sandbox/cloud/service.ts";
import { iamService } from "../../../../sandbox/cloud/services/iam/iam-service.ts";
import { localMachine } from "../../../../sandbox/cloud/services/ssm/local-machine.ts";
import type { NodeOptions } from "../../../../sandbox/cloud/services/ssm/managed-node.ts";
import { ssmService } from "../../../../sandbox/cloud/services/ssm/ssm-service.ts";
import { stsService } from "../../../../sandbox/cloud/services/sts/sts-service.ts";
import type { SynthesizedStack } from "../../../../sandbox/cloud/template/assembly.ts";
import { ownDirectory } from "../../../fixtures/scratch.ts";
import { clientOf } from "../../../fixtures/small-cloud.ts";

/** Run Command, S3, and who there is, as the stacks describe them; nothing else of the stacks does anything. */
export async function ssmPlace(stacks: readonly SynthesizedStack[], start = Date.parse("2026-11-21T02:00:00.000Z")) {
  const events: CloudEvent[] = [];
  const made = ["AWS::SSM::Document", "AWS::S3::Bucket", "AWS::S3::BucketPolicy"];
  const all = stacks.flatMap(({ template }) => Object.values(template.Resources as Record<string, { Type: string }>));
  const idle = (known: readonly string[]): Service => ({
    name: "idle",
    types: [...new Set(all.map(({ Type }) => Type))].filter((type) => !known.includes(type)),
    make() {},
    publish: async (event) => void events.push(event),
  });
  const { path, remove } = ownDirectory();
  writeFileSync(join(path, "manifest.json"), JSON.stringify({ artifacts: {} }));
  let ssm!: ReturnType<typeof ssmService>;
  const cloud = await startCloud({
    assembly: path,
    directory: path,
    choose: () => stacks,
    clock: virtualClock(start),
    services: [
      (cloud) => {
        ssm = ssmService(cloud);
        return ssm;
      },
      iamService,
      stsService,
      (cloud) => idle([...made, ...iamService().types, ...stsService(cloud).types]),
    ],
  });
  const clients = new Map<string, SSMClient>();
  const ended: (() => Promise<void>)[] = [];
  let machines = 0;

  /** A client of the API with a session of the role. */
  function client(role: string, session: string): SSMClient {
    const name = `${role}/${session}`;
    const known = clients.get(name) ?? new SSMClient(clientOf(cloud, cloud.credential(role, session)));
    clients.set(name, known);
    return known;
  }

  return {
    cloud,
    ssm,
    events,
    client,
    /** Sessions of the function that starts backups, and of somebody who may do everything. */
    dispatcher: () => client("mailark-dispatch", "dispatch"),
    operator: () => client("operator", "alice"),

    /** A machine of this test's own, with programs of its own before the system's; its directory is `$PLACE` to them. */
    machine({
      programs = {},
      environment = {},
      places = {},
      lasting = false,
      ...options
    }: Partial<MachineOptions> = {}) {
      const { path: directory, remove } = ownDirectory();
      for (const [name, text] of Object.entries(programs)) {
        writeFileSync(join(directory, name), `#!/bin/sh\n${text}\n`);
        chmodSync(join(directory, name), 0o755);
      }
      machines += 1;
      const own = {
        PATH: `${directory}:${process.env.PATH}`,
        PLACE: directory,
        TMPDIR: directory,
        ...environment,
      };
      const node = ssm.register({
        instanceId: `i-${String(machines).padStart(17, "0")}`,
        roleName: "mailark-host",
        tags: { mailark: "host" },
        run: localMachine(own, placesBelow(directory, places)),
        ...options,
      });
      const end = async () => {
        await node.terminate();
        remove();
      };
      if (lasting) ended.push(end);
      else onTestFinished(end);
      return { ...node, directory };
    },

    /** One value for each parameter. */
    async send(
      as: SSMClient,
      document: string,
      to: readonly Machine[],
      parameters: Readonly<Record<string, string>> = {},
      more: Partial<SendCommandCommandInput> = {},
    ) {
      const InstanceIds = to.map(({ instanceId }) => instanceId);
      const Parameters = Object.fromEntries(Object.entries(parameters).map(([name, value]) => [name, [value]]));
      const { Command } = await as.send(
        new SendCommandCommand({ DocumentName: document, InstanceIds, Parameters, ...more }),
      );
      return Command!.CommandId!;
    },

    /** What became of a command on a machine. */
    async outcome(CommandId: string, { instanceId: InstanceId }: Machine, PluginName?: string) {
      await cloud.settle();
      return client("operator", "alice").send(new GetCommandInvocationCommand({ CommandId, InstanceId, PluginName }));
    },

    /** What became of the whole command. */
    async commandOf(CommandId: string) {
      await cloud.settle();
      const { Commands } = await client("operator", "alice").send(new ListCommandsCommand({ CommandId }));
      return Commands![0]!;
    },

    async close() {
      for (const end of ended) await end();
      for (const each of clients.values()) each.destroy();
      await cloud.close();
      remove();
    },
  };
}

interface MachineOptions extends NodeOptions {
  readonly programs: Readonly<Record<string, string>>;
  /** As an agent that systemd has started, it has no `HOME`. */
  readonly environment: Readonly<Record<string, string>>;
  /** Directories of its own that its scripts see at these paths, by their names below its directory. */
  readonly places: Readonly<Record<string, string>>;
  /** Until the end of the file, not of the test. */
  readonly lasting: boolean;
}

function placesBelow(directory: string, places: Readonly<Record<string, string>>) {
  return Object.fromEntries(
    Object.entries(places).map(([path, name]) => {
      mkdirSync(join(directory, name));
      return [path, join(directory, name)];
    }),
  );
}

type Machine = { readonly instanceId: string };

export type SsmPlace = Awaited<ReturnType<typeof ssmPlace>>;

/** The name of the error of a call. */
export const refusal = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => "allowed",
    (error: Error) => error.name,
  );
