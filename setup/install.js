import { spawnSync } from "node:child_process";
import { createInterface } from "node:readline/promises";
import { decide, newUnits, objection } from "./decision.js";
import { hasApt, isInPath, isRoot, packageListsAge, signsOfMailService } from "./machine.js";
import { missingHere } from "./programs.js";
import { Refusal, say } from "./say.js";
import { readSimulation } from "./simulation.js";

/** Hours after which a mirror may have dropped what a package list names. */
const listsTooOld = 24;

/**
 * Installs, as one process of root's, so that what it puts in the way of starting servers is taken away again even when it is
 * interrupted. A policy that the machine has already is left alone: then that one decides.
 */
const installation = `
set -e
units=$1
shift
policy=/usr/sbin/policy-rc.d
mark='# made by the mailark setup, which removes it again'
if [ ! -e "$policy" ] || grep -qxF "$mark" "$policy"; then
  trap 'rm -f "$policy"' EXIT
  trap 'exit 130' HUP INT TERM
  printf '#!/bin/sh\\n%s\\nexit 101\\n' "$mark" > "$policy"
  chmod 755 "$policy"
fi
case " $* " in
  *" postfix "*) echo 'postfix postfix/main_mailer_type select No configuration' | debconf-set-selections ;;
esac
export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1
apt-get install --yes --no-remove --no-install-recommends "$@"
if [ -n "$units" ] && command -v systemctl > /dev/null; then
  systemctl --quiet disable $units || true
fi
`;

/**
 * Makes sure that the servers of a mail host are installed. Says and does nothing when they are.
 *
 * @param {boolean} yes the person agreed on the command line
 * @throws {Refusal} when they are not, and can not or must not be installed
 */
export async function ensurePackages(yes) {
  const missing = missingHere();
  if (missing.length === 0) return;
  const names = missing.map(({ name }) => name);
  const agreed = yes || Boolean(process.env.CI);
  const canAsk = Boolean(process.stdin.isTTY && process.stderr.isTTY);
  const decision = decide({
    missing,
    apt: hasApt(),
    root: isRoot(),
    sudo: isInPath("sudo"),
    mailService: signsOfMailService(),
    agreed,
    canAsk,
  });
  if (!decision.go) throw new Refusal(decision.message, decision.exitCode);
  const { prefix } = decision;

  say(`the demo and the tests run a whole mail host; Debian packages that are missing: ${names.join(" ")}`);
  if (packageListsAge() > listsTooOld) refreshLists(prefix);
  let simulated = simulate(names);
  if (simulated.status !== 0) {
    refreshLists(prefix);
    simulated = simulate(names);
  }
  if (simulated.status !== 0) throw new Refusal(`apt-get can not install them:\n${simulated.stderr.trim()}`);
  const simulation = readSimulation(simulated.stdout);
  const refused = objection(simulation);
  if (refused) throw new Refusal(refused, 7);

  say(`would install ${simulation.installs.length} packages: ${simulation.installs.join(" ")}`);
  if (simulation.upgrades.length > 0) say(`would upgrade: ${simulation.upgrades.join(" ")}`);
  say("no server is started by this, neither now nor at the next boot");
  if (!agreed && !(await ask("Install them? [y/N] "))) throw new Refusal("nothing was installed");

  const [program = "sh", ...args] = [
    ...prefix,
    "sh",
    "-c",
    installation,
    "install",
    newUnits(simulation).join(" "),
    ...names,
  ];
  const installed = spawnSync(program, args, { stdio: ["inherit", 2, "inherit"] });
  if (installed.status !== 0) throw new Refusal("the installation failed: see apt-get's own words above");
  const still = missingHere();
  if (still.length > 0) {
    const lacks = still.map(({ name, lacks }) => `${lacks.join(" ")} (of ${name})`).join(", ");
    throw new Refusal(`the packages are installed, and still there is no ${lacks}`);
  }
}

/** @param {string[]} names */
function simulate(names) {
  return spawnSync("apt-get", ["--simulate", "--no-install-recommends", "install", ...names], {
    encoding: "utf8",
    env: { ...process.env, LC_ALL: "C" },
  });
}

/** @param {string[]} prefix */
function refreshLists(prefix) {
  say("fetching the package lists (apt-get update)");
  const [program = "apt-get", ...args] = [...prefix, "apt-get", "update", "--quiet=2"];
  const updated = spawnSync(program, args, { stdio: ["inherit", 2, "inherit"] });
  if (updated.status !== 0) throw new Refusal("apt-get update failed: see its own words above");
}

/** @param {string} question */
async function ask(question) {
  const prompt = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return /^y(es)?$/i.test((await prompt.question(question)).trim());
  } finally {
    prompt.close();
  }
}
