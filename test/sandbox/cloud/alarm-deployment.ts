import { join } from "node:path";
import example from "../../../infra/config.example.ts";
import { mailarkApp } from "../../../infra/mailark-app.ts";
import { virtualClock } from "../../../sandbox/cloud/clock.ts";
import { type RunningCloud, startCloud } from "../../../sandbox/cloud/cloud.ts";
import type { Cloud, Service } from "../../../sandbox/cloud/service.ts";
import { cloudwatchService } from "../../../sandbox/cloud/services/cloudwatch/cloudwatch-service.ts";
import { eventsService } from "../../../sandbox/cloud/services/events/events-service.ts";
import { iamService } from "../../../sandbox/cloud/services/iam/iam-service.ts";
import { kmsService } from "../../../sandbox/cloud/services/kms/kms-service.ts";
import { snsService } from "../../../sandbox/cloud/services/sns/sns-service.ts";
import { sqsService } from "../../../sandbox/cloud/services/sqs/sqs-service.ts";
import { stsService } from "../../../sandbox/cloud/services/sts/sts-service.ts";
import { readAssembly, type SynthesizedStack } from "../../../sandbox/cloud/template/assembly.ts";
import { type Resource, resolveStacks } from "../../../sandbox/cloud/template/stack.ts";
import { confirmMail } from "../../../sandbox/fleet/confirm-mail.ts";
import { mailIn } from "../../fixtures/operator-mail.ts";
import { ownDirectory } from "../../fixtures/scratch.ts";

export const minute = 60_000;
export const hour = 60 * minute;
const start = Date.parse("2026-11-22T00:00:00Z");
const given = { parameterStore: { "/cdk-bootstrap/hnb659fds/version": "21" } };

export type Change = (stacks: readonly SynthesizedStack[]) => readonly SynthesizedStack[];

/** What the CDK writes for the example, functions not bundled. */
export function synthesizedAssembly(): { readonly assembly: string; readonly remove: () => void } {
  const { path, remove } = ownDirectory();
  const assembly = join(path, "cdk.out");
  mailarkApp(example, { outdir: assembly, context: { "aws:cdk:bundling-stacks": [] } }).synth();
  return { assembly, remove };
}

export const resourcesOf = (assembly: string, type: string, change: Change = (stacks) => stacks): readonly Resource[] =>
  resolveStacks(change(readAssembly(assembly)), given)
    .flatMap(({ resources }) => resources)
    .filter((each) => each.type === type);

/** The deployed stacks, in which nothing runs but what tells somebody. */
export interface Deployment {
  readonly cloud: RunningCloud;
  /** A call of KMS on a key by one of its names, as the owner of the account. */
  kms(operation: string, key: string): Promise<unknown>;
  /** Subjects and texts of all mail but what asks for a confirmation. */
  mail(): readonly { readonly subject: string; readonly text: string }[];
  readonly notes: readonly string[];
  readonly directory: string;
  close(): Promise<void>;
}

export async function deploy(
  assembly: string,
  { change = (stacks) => stacks, confirmed = true }: { readonly change?: Change; readonly confirmed?: boolean } = {},
): Promise<Deployment> {
  const { path: directory, remove } = ownDirectory();
  const notes: string[] = [];
  let kms!: Service;
  const keys = (cloud: Cloud) => {
    kms = kmsService(cloud);
    return kms;
  };
  const makers = [iamService, stsService, keys, snsService, sqsService, cloudwatchService, eventsService];
  const idle = (): Service => ({
    name: "idle",
    types: typesOf(assembly).filter((type) => idleTypes.test(type)),
    make() {},
  });
  const cloud = await startCloud({
    ...{ assembly, directory, choose: change, given, clock: virtualClock(start) },
    services: [...makers, idle],
    note: (line) => void notes.push(line),
  });
  if (confirmed) await confirmMail(cloud);
  return {
    ...{ cloud, notes, directory },
    async kms(operation, KeyId) {
      const caller = { kind: "root", account: cloud.accountId } as const;
      try {
        return await kms.answer!({ operation, input: { KeyId }, caller });
      } finally {
        await cloud.settle();
      }
    },
    mail: () => mailIn(cloud),
    async close() {
      await cloud.close();
      remove();
    },
  };
}

/** What starts something and is started: none of it is needed to tell somebody. */
const idleTypes = /^AWS::(ApiGatewayV2|Lambda|Logs|SSM|Scheduler)::/;

const typesOf = (assembly: string) => [
  ...new Set(
    resolveStacks(readAssembly(assembly), given).flatMap(({ resources }) => resources.map(({ type }) => type)),
  ),
];
