/** Names and values on their way into SQL and into libpq's connection strings. */

/** A name as an identifier. */
export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** A text as a string literal, whatever `standard_conforming_strings` says. */
export function quoteText(text: string): string {
  const escaped = text.replaceAll("'", "''");
  return escaped.includes("\\") ? ` E'${escaped.replaceAll("\\", "\\\\")}'` : `'${escaped}'`;
}

/** A connection string of these settings; those without a value are left out. */
export function connectionString(settings: Readonly<Record<string, string | number | undefined>>): string {
  return Object.entries(settings)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}='${String(value).replace(/[\\']/g, "\\$&")}'`)
    .join(" ");
}

/** Settings of a server's session, as the `options` of a connection. */
export function sessionOptions(settings: Readonly<Record<string, string>>): string {
  return Object.entries(settings)
    .map(([name, value]) => `-c ${name}=${value.replace(/[\\ ]/g, "\\$&")}`)
    .join(" ");
}
