/**
 * What can be run.
 *
 * @typedef {object} Target
 * @property {string[]} command arguments of the Node that the setup installed
 * @property {Record<string, string>} [environment]
 * @property {boolean} host whether it starts mail hosts, and so needs the Debian packages and root
 */

/** @param {string[]} projects */
const tests = (projects) => [
  "node_modules/vitest/vitest.mjs",
  "run",
  ...projects.flatMap((name) => ["--project", name]),
];

/** @type {Record<string, Target>} */
export const targets = {
  demo: { command: ["sandbox/demo.ts"], host: true },
  sandbox: { command: ["sandbox/run.ts"], host: true },
  test: { command: tests(["unit", "contract", "infra", "e2e"]), host: true },
  "test:long": { command: tests(["long"]), environment: { MAILARK_LONG: "1" }, host: true },
  "test:guards": { command: ["test/guards/run.ts"], host: true },
  bench: { command: ["bench/run.ts"], host: true },
  synth: { command: ["infra/app.ts"], host: false },
  mailark: { command: ["shipper/mailark.ts"], host: false },
};

/**
 * The target that is asked for, and what is left for it. `--yes` is the setup's own word where the setup may have a question;
 * after `--` it is the target's.
 *
 * @param {readonly string[]} words the command line
 * @returns {{ target: Target, args: string[], yes: boolean } | undefined} `undefined` when there is no such target
 */
export function readCommandLine([name = "", ...rest]) {
  const target = Object.hasOwn(targets, name) ? targets[name] : undefined;
  if (!target) return undefined;
  if (!target.host) return { target, args: rest, yes: false };
  const end = rest.indexOf("--");
  const ours = end === -1 ? rest : rest.slice(0, end);
  const args = [...ours.filter((word) => word !== "--yes"), ...(end === -1 ? [] : rest.slice(end + 1))];
  return { target, args, yes: ours.includes("--yes") };
}
