/** `node infra/app.ts` writes `cdk.out`, without a network and without credentials. A mistake in the configuration ends it with the fix. */
import { existsSync } from "node:fs";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { Config } from "./config.ts";
import { mailarkApp } from "./mailark-app.ts";

const own = fileURLToPath(new URL("../mailark.config.ts", import.meta.url));
const example = fileURLToPath(new URL("./config.example.ts", import.meta.url));
const { default: config } = (await import(pathToFileURL(existsSync(own) ? own : example).href)) as { default: Config };
try {
  mailarkApp(config, { outdir: process.env.CDK_OUTDIR ?? "cdk.out" }).synth();
} catch (error) {
  process.stderr.write(`mailark: ${(error as Error).message}\n`);
  process.exitCode = 1;
}
