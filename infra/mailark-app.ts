import { App, type AppProps, DefaultStackSynthesizer, Validations } from "aws-cdk-lib";
import { AwsSolutionsChecks } from "cdk-nag";
import type { Config } from "./config.ts";
import { ControlStack } from "./control/control-stack.ts";
import { readConfig } from "./deployment.ts";
import { ReplicaStack } from "./vault/replica-stack.ts";
import { VaultStack } from "./vault/vault-stack.ts";

/** What newer versions of the CDK do by default, for everybody who synthesizes this app, with the CLI or without it. */
const features = {
  "@aws-cdk/aws-s3:serverAccessLogsUseBucketPolicy": true,
  "@aws-cdk/aws-iam:minimizePolicies": false,
  "@aws-cdk/core:checkSecretUsage": true,
};

/**
 * The stacks of a deployment, with the checks of cdk-nag.
 *
 * @throws Error that names every mistake in the configuration, with its fix.
 */
export function mailarkApp(config: Config, { context, ...props }: AppProps = {}): App {
  const deployment = readConfig(config);
  const { name, replicaRegion } = deployment;
  const app = new App({
    ...props,
    context: { ...features, ...context },
    analyticsReporting: false,
    // The CLI asks for the bootstrap's version itself.
    defaultStackSynthesizer: new DefaultStackSynthesizer({ generateBootstrapVersionRule: false }),
  });
  Validations.of(app).addPlugins(new AwsSolutionsChecks(app));
  const vault = new VaultStack(app, `${name}-vault`, deployment);
  if (replicaRegion !== undefined) {
    vault.addStackDependency(new ReplicaStack(app, `${name}-replica`, deployment, replicaRegion));
  }
  new ControlStack(app, `${name}-control`, deployment, vault).addStackDependency(vault);
  return app;
}
