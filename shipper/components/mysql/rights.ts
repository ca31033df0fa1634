/** What an account may do, read from SHOW GRANTS, and what a capture asks for. */
import type { Flavour } from "./connection.ts";
import type { Row } from "./session.ts";

export interface Grants {
  may(right: string, database: string): boolean;
}

/** Without SELECT or SHOW VIEW a dump fails; without TRIGGER or EVENT it leaves those out, and ends well. */
const reading = ["SELECT", "SHOW VIEW", "TRIGGER", "EVENT"] as const;
/** Where BACKUP STAGE holds commits back, so that dump and facts have one view. */
const freezing = "RELOAD";

const everything = "*";

/** @param rows of `SHOW GRANTS`, with the grants of roles that are in force. */
export function grantsOf(rows: readonly Row[]): Grants {
  const grants = rows.flatMap(([line = ""]) => {
    const [, rights = "", scope] = /^GRANT (.*?) ON (\*|`(?:[^`]|``)*`)\.\* TO /s.exec(line) ?? [];
    if (scope === undefined) return [];
    const database = scope === everything ? undefined : patternOf(scope.slice(1, -1).replaceAll("``", "`"));
    return [{ rights: rights.split(", "), database }];
  });
  return {
    may: (right, database) =>
      grants.some(
        (each) =>
          (each.rights.includes(right) || each.rights.includes("ALL PRIVILEGES")) &&
          (each.database === undefined || (database !== everything && each.database.test(database))),
      ),
  };
}

/** In a grant on a database `_` and `%` stand for anything, unless there is a `\` before them. */
function patternOf(name: string): RegExp {
  const text = name.replace(/\\[_%\\]|[_%]|[.*+?^${}()|[\]\\]/g, (sign) => {
    if (sign === "_") return ".";
    if (sign === "%") return ".*";
    return sign.length === 2 ? sign.slice(1).replace("\\", "\\\\") : `\\${sign}`;
  });
  return new RegExp(`^${text}$`, "s");
}

/** What is to be granted, each as it stands between `GRANT` and `TO`. */
export function missingRights(
  grants: Grants,
  databases: "all" | readonly string[],
  flavour: Flavour,
): { readonly needed: readonly string[]; readonly useful: readonly string[] } {
  const places = databases === "all" ? [everything] : databases;
  const lacking = (database: string) => {
    const rights = reading.filter((right) => !grants.may(right, database));
    return rights.length === 0 ? [] : [`${rights.join(", ")} ON ${database === everything ? "*" : quoted(database)}.*`];
  };
  const needed = places.flatMap(lacking);
  const selectsAll = needed.length > 0 && databases === "all";
  return {
    needed,
    useful: [
      ...(flavour === "mariadb" && !grants.may(freezing, everything) ? [`${freezing} ON *.*`] : []),
      ...(selectsAll || grants.may("SELECT", "mysql") ? [] : ["SELECT ON `mysql`.*"]),
    ],
  };
}

/** How many of these databases have triggers or events that a dump would leave out without a word, if they have any. */
export const halfHidden = (grants: Grants, databases: readonly string[]): number =>
  databases.filter((database) => !(grants.may("TRIGGER", database) && grants.may("EVENT", database))).length;

const quoted = (database: string) => `\`${database.replaceAll("`", "``").replace(/[_%]/g, "\\$&")}\``;
