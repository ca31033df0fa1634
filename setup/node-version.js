const oldest = 20;

/**
 * What is wrong with this version of Node, or `undefined` when it is new enough to run the setup. The program itself runs on
 * the Node that the setup installs beside it.
 *
 * @param {string} version such as `20.11.1`
 * @returns {string | undefined}
 */
export function nodeComplaint(version) {
  if (Number.parseInt(version, 10) >= oldest) return undefined;
  return `this is Node ${version}, and the setup needs Node ${oldest} or newer: install it from https://nodejs.org`;
}
