import {
  DescribeInstanceInformationCommand,
  ListCommandInvocationsCommand,
  SendCommandCommand,
  type SSMClient,
} from "@aws-sdk/client-ssm";
import { MailarkError } from "../../core/errors.ts";
import type { Fleet, Machine } from "../dispatch/fleet.ts";

export interface SsmFleetOptions {
  readonly document: string;
  /** Tag of mail hosts. */
  readonly tag: { readonly key: string; readonly value: string };
}

/** Seconds that a command waits for a machine that is away. */
const deliverySeconds = 3600;

/** Machines that SSM manages, and one document on them. */
export function ssmFleet(client: SSMClient, { document, tag }: SsmFleetOptions): Fleet {
  return {
    async machines(signal) {
      const machines: Machine[] = [];
      let NextToken: string | undefined;
      do {
        const asked = new DescribeInstanceInformationCommand({
          Filters: [{ Key: `tag:${tag.key}`, Values: [tag.value] }],
          MaxResults: 50,
          ...(NextToken !== undefined && { NextToken }),
        });
        const page = await client.send(asked, options(signal));
        for (const { InstanceId, PingStatus } of page.InstanceInformationList ?? []) {
          if (InstanceId !== undefined) machines.push({ id: InstanceId, online: PingStatus === "Online" });
        }
        NextToken = page.NextToken;
      } while (NextToken !== undefined);
      return machines;
    },

    async running(signal) {
      const found = new Set<string>();
      for (const status of ["Pending", "InProgress"] as const) {
        let NextToken: string | undefined;
        do {
          const asked = new ListCommandInvocationsCommand({
            Filters: [
              { key: "DocumentName", value: document },
              { key: "Status", value: status },
            ],
            MaxResults: 50,
            ...(NextToken !== undefined && { NextToken }),
          });
          const page = await client.send(asked, options(signal));
          for (const { InstanceId } of page.CommandInvocations ?? [])
            if (InstanceId !== undefined) found.add(InstanceId);
          NextToken = page.NextToken;
        } while (NextToken !== undefined);
      }
      return found;
    },

    async start(machines, parameters, signal) {
      const asked = new SendCommandCommand({
        DocumentName: document,
        InstanceIds: [...machines],
        Parameters: Object.fromEntries(Object.entries(parameters).map(([name, value]) => [name, [value]])),
        Comment: `request ${parameters.RequestId}`.slice(0, 100),
        TimeoutSeconds: deliverySeconds,
      });
      const { Command } = await client.send(asked, options(signal));
      if (Command?.CommandId !== undefined) return Command.CommandId;
      throw new MailarkError("PROGRAM_FAILED", "the command was sent, and has no id", { retryable: true });
    },
  };
}

const options = (abortSignal: AbortSignal | undefined) => ({ ...(abortSignal && { abortSignal }) });
