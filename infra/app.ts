/** `node infra/app.ts` writes `cdk.out`, without a network and without credentials. A mistake in the configuration ends it with the fix. */
import { mailarkApp } from "./mailark-app.ts";
import { ownConfig } from "./own-config.ts";

try {
  mailarkApp(await ownConfig(), { outdir: process.env.CDK_OUTDIR ?? "cdk.out" }).synth();
} catch (error) {
  process.stderr.write(`mailark: ${(error as Error).message}\n`);
  process.exitCode = 1;
}
