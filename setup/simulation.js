/**
 * What `apt-get --simulate install` says it would do.
 *
 * @typedef {object} Simulation
 * @property {string[]} installs packages that are not there yet
 * @property {string[]} upgrades packages that are there in another version
 * @property {string[]} removes packages that would go
 */

/**
 * Reads the lines `Inst name (version …)`, `Inst name [old version] (version …)` and `Remv name [version]`.
 *
 * @param {string} output
 * @returns {Simulation}
 */
export function readSimulation(output) {
  /** @type {Simulation} */
  const found = { installs: [], upgrades: [], removes: [] };
  for (const line of output.split("\n")) {
    const [, verb, name, old] = /^(Inst|Remv|Purg) (\S+)(?: \[([^\]]*)\])?/.exec(line) ?? [];
    if (name === undefined) continue;
    if (verb !== "Inst") found.removes.push(name);
    else if (old === undefined) found.installs.push(name);
    else found.upgrades.push(name);
  }
  return found;
}
