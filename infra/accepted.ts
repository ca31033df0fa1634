import { Aws, Validations } from "aws-cdk-lib";
import type { IConstruct } from "constructs";

/** Accepts findings of cdk-nag, such as `AwsSolutions-S1`, each with its reason. */
export function accept(construct: IConstruct, findings: Readonly<Record<string, string>>): void {
  for (const [id, reason] of Object.entries(findings)) {
    Validations.of(construct).acknowledge({ id: `AwsSolutions::${id}`, reason });
  }
}

/** Accepts that these resources of a policy end in a wildcard, and no others. Each must be the very text of the policy. */
export function acceptWildcards(construct: IConstruct, resources: readonly string[], reason: string): void {
  for (const resource of resources) {
    const text = resource.replaceAll(Aws.PARTITION, "<AWS::Partition>").replaceAll("${", "<").replaceAll("}", ">");
    accept(construct, { [`AwsSolutions-IAM5[Resource::${text}]`]: reason });
  }
}
