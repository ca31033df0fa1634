import { RemovalPolicy } from "aws-cdk-lib";
import { AnyPrincipal, Effect, PolicyStatement } from "aws-cdk-lib/aws-iam";
import { Key } from "aws-cdk-lib/aws-kms";
import type { Construct } from "constructs";

/** Calls that would make everything that the key has sealed unreadable. The control stack tells of each that is tried. */
export const keyEndingCalls = ["ScheduleKeyDeletion", "DisableKey"] as const;

/**
 * The key that S3 seals everything in the vault with. It turns once a year; nobody may end it while this policy stands, and it outlives its stack.
 *
 * @param alias without `alias/`
 */
export function vaultKey(scope: Construct, id: string, alias: string): Key {
  const key = new Key(scope, id, {
    alias,
    description: `${alias}: seals what S3 stores; without it no backup can be read`,
    enableKeyRotation: true,
    removalPolicy: RemovalPolicy.RETAIN,
  });
  key.addToResourcePolicy(
    new PolicyStatement({
      sid: "NeverEnd",
      effect: Effect.DENY,
      principals: [new AnyPrincipal()],
      actions: keyEndingCalls.map((call) => `kms:${call}`),
      resources: ["*"],
    }),
  );
  return key;
}
