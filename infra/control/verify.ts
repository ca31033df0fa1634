import { Duration } from "aws-cdk-lib";
import { Rule } from "aws-cdk-lib/aws-events";
import { LambdaFunction } from "aws-cdk-lib/aws-events-targets";
import type { Construct } from "constructs";
import type { Deployment } from "../deployment.ts";
import { bucketName } from "../names.ts";
import { alarm } from "./alarm.ts";
import type { Alerts } from "./alerts.ts";
import { grantAnnounce } from "./bus-access.ts";
import { MailarkFunction } from "./mailark-function.ts";
import type { VaultAccess } from "./vault-access.ts";

/** Judges every snapshot that arrives, and writes down what hosts say of runs that they were asked for. */
export function verifyFunction(
  scope: Construct,
  deployment: Deployment,
  alerts: Alerts,
  vault: VaultAccess,
): MailarkFunction {
  const verify = new MailarkFunction(scope, "Verify", {
    name: "verify",
    deployment,
    alerts,
    timeoutMinutes: 15,
    memoryMb: 1024,
  });
  vault.grantRead(verify);
  vault.grantControl(verify, {
    read: ["hosts", "latest", "verdicts", "runs"],
    write: ["latest", "verdicts", "runs"],
  });
  grantAnnounce(verify, deployment, ["Snapshot Judged", "Verification Requested"]);
  const target = () =>
    new LambdaFunction(verify.function, {
      deadLetterQueue: alerts.deadLetters,
      retryAttempts: 24,
      maxEventAge: Duration.hours(12),
    });
  new Rule(scope, "ManifestArrived", {
    ruleName: `${deployment.name}-manifest-arrived`,
    description: "A snapshot is complete: judge it",
    eventPattern: {
      source: ["aws.s3"],
      detailType: ["Object Created"],
      detail: { bucket: { name: [bucketName(deployment, "data")] }, object: { key: [{ suffix: "/manifest.json" }] } },
    },
    targets: [target()],
  });
  new Rule(scope, "RunEnded", {
    ruleName: `${deployment.name}-run-ended`,
    description: "A host says what became of a run: write it down for whoever asked",
    eventPattern: {
      source: ["aws.s3"],
      detailType: ["Object Created"],
      detail: {
        bucket: { name: [bucketName(deployment, "data")] },
        object: { key: [{ wildcard: "hosts/*/runs/*.json" }] },
      },
    },
    targets: [target()],
  });
  new Rule(scope, "VerificationRequested", {
    ruleName: `${deployment.name}-verification-requested`,
    description: "A sweep asks for a snapshot to be judged",
    eventPattern: { source: ["mailark"], detailType: ["Verification Requested"] },
    targets: [target()],
  });
  alarm(scope, alerts, {
    entry: "no-good-snapshot",
    severity: "critical",
    says: "no snapshot was found intact for a day",
    metric: verify.metric("SnapshotsIntact", Duration.hours(1)),
    least: 1,
    periods: 24,
  });
  alarm(scope, alerts, {
    entry: "no-sweep",
    severity: "warning",
    says: "nobody has looked for two days for snapshots whose event was lost",
    metric: verify.metric("SweepsDone", Duration.hours(1)),
    least: 1,
    periods: 48,
  });
  return verify;
}
