import { spawn, spawnSync } from "node:child_process";
import { constants } from "node:os";
import { delimiter, join } from "node:path";
import { isInPath, isRoot } from "./machine.js";
import { projectNode } from "./modules.js";
import { Refusal, say } from "./say.js";

const passed = /^(CI|TERM|TMPDIR|LANG|NO_COLOR|FORCE_COLOR|MAILARK_.*)$/;

/**
 * The words before a command that has to run as root: none for root itself. `sudo` drops the environment, so what the target
 * is told by it is named again.
 *
 * @param {{ root: boolean, sudo: boolean, canAsk: boolean }} person
 * @param {NodeJS.ProcessEnv} environment
 * @returns {string[] | undefined} `undefined` when there is no way to become root
 */
export function rootPrefix({ root, sudo, canAsk }, environment) {
  if (root) return [];
  if (!sudo) return undefined;
  const kept = Object.entries(environment).filter(([name]) => name === "PATH" || passed.test(name));
  return ["sudo", ...(canAsk ? [] : ["-n"]), "env", ...kept.map(([name, value]) => `${name}=${value}`)];
}

/**
 * Runs a target on the project's own Node, in place of this process as far as that goes: same input and output, signals
 * passed on, and its exit status (128 + number for a signal, as shells have it).
 *
 * @param {string} root the project's folder
 * @param {import("./targets.js").Target} target
 * @param {string[]} args
 * @returns {Promise<number>}
 */
export async function launch(root, target, args) {
  const environment = {
    ...process.env,
    ...target.environment,
    // So that a `node` that the target starts is the project's own too.
    PATH: `${join(root, "node_modules", ".bin")}${delimiter}${process.env.PATH ?? ""}`,
  };
  const canAsk = Boolean(process.stdin.isTTY);
  const prefix = target.host ? rootPrefix({ root: isRoot(), sudo: isInPath("sudo"), canAsk }, environment) : [];
  if (!prefix) {
    throw new Refusal("the mail host needs root (Postfix does), and this is neither root nor a user with sudo");
  }
  if (prefix.length > 0) say("the mail host needs root (Postfix does): running with sudo");

  const [program = "", ...words] = [...prefix, projectNode(root), ...absolute(root, target.command), ...args];
  // npm goes to the project's folder first; the mailark program works where it was called.
  const calledFrom = process.env.npm_lifecycle_event === "mailark" ? process.env.INIT_CWD : undefined;
  const cwd = target.host ? root : (calledFrom ?? process.cwd());
  const child = spawn(program, words, { cwd, stdio: "inherit", env: environment });
  const code = await ended(child);
  if (prefix.length > 0) giveBack(root);
  return code;
}

/** @param {string} root @param {string[]} command */
function absolute(root, [script = "", ...rest]) {
  return [join(root, script), ...rest];
}

/** @param {import("node:child_process").ChildProcess} child @returns {Promise<number>} */
function ended(child) {
  /** @type {NodeJS.Signals[]} */
  const names = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"];
  const forward = (/** @type {NodeJS.Signals} */ name) => {
    child.kill(name);
  };
  for (const name of names) process.on(name, forward);
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code, signal) => {
      for (const name of names) process.off(name, forward);
      resolve(code ?? 128 + (signal ? constants.signals[signal] : 0));
    });
  });
}

/**
 * What root made in the project's folder belongs to its owner again.
 *
 * @param {string} root
 */
function giveBack(root) {
  const owner = `${process.getuid?.()}:${process.getgid?.()}`;
  spawnSync("sudo", ["-n", "chown", "--recursive", "--no-dereference", "--from=root", owner, root], {
    stdio: "ignore",
  });
}
