import { Aws } from "aws-cdk-lib";
import { PolicyStatement } from "aws-cdk-lib/aws-iam";
import type { Deployment } from "../deployment.ts";
import type { MailarkFunction } from "./mailark-function.ts";

/** Lets a function put events of mailark on the account's default bus, of these types alone: each has somebody act on it. */
export function grantAnnounce(
  to: MailarkFunction,
  { account, region }: Pick<Deployment, "account" | "region">,
  detailTypes: readonly string[],
): void {
  to.allow(
    new PolicyStatement({
      sid: "Announce",
      actions: ["events:PutEvents"],
      resources: [`arn:${Aws.PARTITION}:events:${region}:${account}:event-bus/default`],
      conditions: { StringEquals: { "events:source": "mailark", "events:detail-type": [...detailTypes] } },
    }),
  );
}
