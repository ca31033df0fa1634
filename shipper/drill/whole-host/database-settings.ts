/** What the configuration of Dovecot and Postfix says about databases, turned to the scratch servers that have what was staged of them. */

export type DatabaseKind = "mysql" | "pgsql";

/** Whom the configuration logs in as, from where the host was. */
export interface DatabaseLogin {
  readonly kind: DatabaseKind;
  readonly user: string;
  readonly host: string;
}

/** Where the scratch servers are: a socket for MySQL, the directory of one for PostgreSQL. */
export type DatabasePlaces = Readonly<Record<DatabaseKind, string>>;

/**
 * A configuration file with its database turned to the scratch server; any other text as it is.
 *
 * @param found is told of each login that the text has.
 */
export function turnDatabases(text: string, places: DatabasePlaces, found: (login: DatabaseLogin) => void): string {
  const driver = /^[ \t]*driver[ \t]*=[ \t]*(mysql|pgsql)\b/m.exec(text)?.[1] as DatabaseKind | undefined;
  if (driver !== undefined && /^[ \t]*connect[ \t]*=/m.test(text)) return turnDovecot(text, driver, places, found);
  const isMap = /^[ \t]*dbname[ \t]*=/m.test(text) && /^[ \t]*(query|table|select_field)[ \t]*=/m.test(text);
  return isMap ? turnPostfix(text, places, found) : text;
}

/** `connect = host=… dbname=… user=… password=…`, which a backslash at its end continues. */
function turnDovecot(
  text: string,
  kind: DatabaseKind,
  places: DatabasePlaces,
  found: (login: DatabaseLogin) => void,
): string {
  const joined = text.replace(/\\\n\s*/g, " ");
  return joined.replace(/^([ \t]*connect[ \t]*=[ \t]*)(.*)$/gm, (_, start: string, words: string) => {
    const value = (name: string) => new RegExp(`(?:^|\\s)${name}=(\\S+)`).exec(words)?.[1];
    found({ kind, user: value("user") ?? "", host: value("host") ?? "" });
    const kept = words.replace(/(^|\s)(host|hostaddr|port|ssl\w*|client_flags|option_file|option_group)=\S*/g, " ");
    return `${start}host=${places[kind]} ${kept.trim()}`;
  });
}

/** `hosts`, `user`, `password`, `dbname` (mysql_table(5), pgsql_table(5)): the two look the same but for what they ask. */
function turnPostfix(text: string, places: DatabasePlaces, found: (login: DatabaseLogin) => void): string {
  const value = (name: string) => new RegExp(`^[ \\t]*${name}[ \\t]*=[ \\t]*(\\S+)`, "m").exec(text)?.[1];
  const kind = /^#.*pgsql/m.test(text) || places.mysql === "" ? "pgsql" : "mysql";
  found({ kind, user: value("user") ?? "", host: value("hosts") ?? "" });
  const kept = text.replace(/^[ \t]*(hosts|tls_\w+|option_file|option_group)[ \t]*=.*$/gm, "");
  return `${kept}\nhosts = unix:${places[kind]}\n`;
}
