import { ConfirmSubscriptionCommand, SNSClient } from "@aws-sdk/client-sns";
import type { RunningCloud } from "../cloud/cloud.ts";
import { lettersTo } from "../cloud/services/sns/inbox.ts";

/** Confirms every subscription whose question has arrived by mail, as whoever reads the mail. */
export async function confirmMail({ stacks, directory, endpoints, region, root }: RunningCloud): Promise<void> {
  const { accessKeyId, secretAccessKey } = root;
  const sns = new SNSClient({ endpoint: endpoints.api, region, credentials: { accessKeyId, secretAccessKey } });
  const subscriptions = stacks
    .flatMap(({ resources }) => resources)
    .filter(({ type, properties }) => type === "AWS::SNS::Subscription" && properties.Protocol === "email");
  for (const address of new Set(subscriptions.map(({ properties }) => properties.Endpoint as string))) {
    for (const { text } of lettersTo(directory, address)) {
      const [, TopicArn] = /topic:\n(\S+)/.exec(text) ?? [];
      const [, Token] = /^Token: (\S+)$/m.exec(text) ?? [];
      if (Token !== undefined) await sns.send(new ConfirmSubscriptionCommand({ TopicArn, Token }));
    }
  }
}
