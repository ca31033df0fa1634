/**
 * What pg_restore complains of, without what it repeats of the data: the lines that it begins itself, cut where the server's own words may be of a row.
 * The server repeats rows, values and whole statements (`CONTEXT`, `DETAIL`, `Command was`), and any of it may be a password's hash.
 *
 * @param text the end of what the program wrote, which may begin anywhere, in any language.
 */
export function withoutRows(text: string): string {
  const own = text.split("\n").filter((line) => line.startsWith("pg_restore: "));
  // Words of docker, of sh or of libpq are few; the end of a long statement is not theirs.
  if (own.length === 0) return text.length < 1000 && !text.includes("Command was: ") ? text : "";
  return own.map(withoutValues).join("\n");
}

/** The server's words begin after the severity and two blanks (libpq). Those about a COPY are of rows; those about a definition may end on a value. */
function withoutValues(line: string): string {
  const [, ours, words] = /^(.*?: \p{Lu}+: {2})(.*)$/u.exec(line) ?? [];
  if (ours === undefined || words === undefined) return line;
  const from = words.search(/\bCOPY\b/.test(ours) ? /["'»«„“”‚‘]/ : /: ["'»«„“”‚‘]/);
  return from < 0 ? line : `${ours}${words.slice(0, from)}…`;
}
