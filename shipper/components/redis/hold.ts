/** Keys that a restore brings back under another name, so that nothing acts on them until a person says so. */

/** What the name of a key on hold begins with. */
export const heldPrefix = "mailark:held:";

/**
 * Whether a key is one of those. One that was on hold when it was captured is put on hold again, on top: what is let go later finds its name
 * free, and all that has the prefix twice had it once.
 *
 * @param patterns none: nothing is put on hold. With `*` for any bytes and `?` for one; the whole name must match. Their text is UTF-8.
 */
export function holder(patterns: readonly string[]): (key: Buffer) => boolean {
  const expressions = patterns.map((pattern) => {
    const bytes = Buffer.from(pattern).toString("latin1");
    const source = bytes
      .replace(/[\\^$.|+()[\]{}/]/g, "\\$&")
      .replaceAll("*", ".*")
      .replaceAll("?", ".");
    return new RegExp(`^${source}$`, "s");
  });
  return (key) => {
    const name = key.toString("latin1");
    return expressions.length > 0 && (name.startsWith(heldPrefix) || expressions.some((each) => each.test(name)));
  };
}
