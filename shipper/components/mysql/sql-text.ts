/** Names and values on their way into SQL, and out of what the client program prints. */

/** A name as an identifier. */
export function quoteName(name: string): string {
  return `\`${name.replaceAll("`", "``")}\``;
}

/** A text as a string literal, for a session whose `sql_mode` is empty. */
export function quoteText(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "''")}'`;
}

/** A list for `IN (…)`; of nothing, a list that contains nothing. */
export function quoteTexts(texts: readonly string[]): string {
  return texts.length === 0 ? "NULL" : texts.map(quoteText).join(", ");
}

const escapes: Record<string, string> = { n: "\n", t: "\t", "0": "\0", "\\": "\\" };

/** One line of `--batch` output as its fields. A NULL is the text `NULL`. */
export function fieldsOf(line: string): string[] {
  return line.split("\t").map((field) => field.replace(/\\([nt0\\])/g, (_, letter: string) => escapes[letter]!));
}
