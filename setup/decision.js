/**
 * What is known about the machine when Debian packages are missing.
 *
 * @typedef {object} Situation
 * @property {{ name: string, lacks: string[] }[]} missing packages, never empty
 * @property {boolean} apt packages can be installed the Debian way
 * @property {boolean} root
 * @property {boolean} sudo there is a sudo
 * @property {string[]} mailService signs that the machine serves mail
 * @property {boolean} agreed the person said yes beforehand
 * @property {boolean} canAsk there is a person to ask
 */

/**
 * @typedef {{ go: true, prefix: string[] }} Go with the words that make a command run as root
 * @typedef {{ go: false, message: string, exitCode: number }} Stop
 */

/**
 * Whether to try an installation. Pure, and asked before anything is touched.
 *
 * @param {Situation} situation
 * @returns {Go | Stop}
 */
export function decide({ missing, apt, root, sudo, mailService, agreed, canAsk }) {
  const names = missing.map(({ name }) => name).join(" ");
  const byHand = `apt-get install --no-install-recommends ${names}`;
  if (!apt) {
    const programs = missing.map(({ name, lacks }) => `  ${name}: ${lacks.join(" ")}`).join("\n");
    return {
      go: false,
      exitCode: 1,
      message:
        "the demo and the tests run a whole mail host, and this machine lacks parts of it. The setup can install them on " +
        `Debian and Ubuntu only. By Debian package, these programs and files are missing:\n${programs}`,
    };
  }
  if (mailService.length > 0) {
    return {
      go: false,
      exitCode: 7,
      message:
        `this machine serves mail (${mailService.join("; ")}), and installing mail servers here could disturb that. ` +
        `Use another machine or a container, or install the packages yourself:\n  ${byHand}`,
    };
  }
  if (!root && !sudo) {
    return {
      go: false,
      exitCode: 1,
      message: `packages are missing, and this is neither root nor a user with sudo. As root, run:\n  ${byHand}`,
    };
  }
  if (!agreed && !canAsk) {
    return {
      go: false,
      exitCode: 1,
      message: `packages are missing, and nobody can be asked. Run this again with --yes, or as root:\n  ${byHand}`,
    };
  }
  return { go: true, prefix: root ? [] : agreed && !canAsk ? ["sudo", "-n"] : ["sudo"] };
}

/**
 * Why a simulated installation must not become a real one, or `undefined` when it may.
 *
 * @param {import("./simulation.js").Simulation} simulation
 * @returns {string | undefined}
 */
export function objection({ removes }) {
  if (removes.length === 0) return undefined;
  return (
    `installing would remove ${removes.join(", ")} from this machine, which the setup never does. ` +
    "Use another machine or a container"
  );
}

/** @type {Record<string, string | string[]>} by the package that brings it */
const units = {
  "mariadb-server": "mariadb",
  "postgresql-common": "postgresql",
  "redis-server": "redis-server",
  postfix: "postfix",
  "dovecot-core": "dovecot",
  opendkim: "opendkim",
  podman: [
    "podman.socket",
    "podman.service",
    "podman-auto-update.timer",
    "podman-auto-update.service",
    "podman-restart.service",
  ],
};

/**
 * The systemd units of servers that come new to the machine, and so must not start at its next boot. A server that was there
 * before is its owner's business.
 *
 * @param {import("./simulation.js").Simulation} simulation
 * @returns {string[]}
 */
export function newUnits({ installs }) {
  return installs.flatMap((name) => units[name] ?? []);
}
