import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { Config } from "./config.ts";
import { checkConfig } from "./config-check.ts";

const own = fileURLToPath(new URL("../mailark.config.ts", import.meta.url));
const example = fileURLToPath(new URL("./config.example.ts", import.meta.url));

/**
 * The configuration of this deployment: the file that the environment names, or `mailark.config.ts` at the top of the repository, or the example.
 *
 * @throws Error that says why it can not be loaded, or names every mistake in it with its fix.
 */
export async function ownConfig({ MAILARK_DEPLOYMENT } = process.env): Promise<Config> {
  const path = MAILARK_DEPLOYMENT ? resolve(MAILARK_DEPLOYMENT) : existsSync(own) ? own : example;
  const { default: config } = await import(pathToFileURL(path).href).catch((cause) => {
    throw new Error(`${path} can not be loaded: ${cause.message}\n  write it as infra/config.example.ts is written`, {
      cause,
    });
  });
  checkConfig(config);
  return config;
}
