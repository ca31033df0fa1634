import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { ensurePackages } from "./install.js";
import { launch } from "./launch.js";
import { ensureModules } from "./modules.js";
import { Refusal, say } from "./say.js";
import { readCommandLine, targets } from "./targets.js";

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/**
 * Makes the machine ready and runs the target.
 *
 * @param {string[]} words the command line
 * @returns {Promise<number>} the exit status
 */
export async function start(words) {
  const asked = readCommandLine(words);
  if (!asked) {
    say(`there is no target "${words[0] ?? ""}": run node setup/run.js ${Object.keys(targets).join("|")} [args…]`);
    return 2;
  }
  try {
    ensureModules(root);
    if (asked.target.host) await ensurePackages(asked.yes);
    return await launch(root, asked.target, asked.args);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    say(error.message);
    return error.exitCode;
  }
}
