/**
 * Tells the person at the keyboard.
 *
 * @param {string} text
 */
export function say(text) {
  process.stderr.write(`${text.replaceAll(/^/gm, "mailark: ")}\n`);
}

/** A reason not to go on, told without a stack. */
export class Refusal extends Error {
  /**
   * @param {string} message what is wrong and what to do, for the person at the keyboard
   * @param {number} [exitCode] 1 failed, 2 usage, 7 refused for safety, 130 interrupted
   */
  constructor(message, exitCode = 1) {
    super(message);
    this.exitCode = exitCode;
  }
}
