import { accessSync, constants, readdirSync } from "node:fs";
import { delimiter, join } from "node:path";
import { MailarkError } from "../../core/errors.ts";

/** Where Debian keeps the servers; an ordinary user's PATH does not name these. */
const serverFolders = ["/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/lib/postfix/sbin", "/usr/libexec/postfix"];

function postgresFolders(): string[] {
  const versions = "/usr/lib/postgresql";
  try {
    return readdirSync(versions)
      .sort((a, b) => Number(b) - Number(a))
      .map((version) => join(versions, version, "bin"));
  } catch {
    return [];
  }
}

function executable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * The absolute path of a program, found in PATH and where Debian keeps servers; PostgreSQL's own folder comes first, because
 * its programs look for each other beside themselves.
 *
 * @throws MailarkError `PROGRAM_MISSING`, naming the Debian package.
 */
export function programPath(name: string, debianPackage: string): string {
  const folders = [
    ...(debianPackage === "postgresql" ? postgresFolders() : []),
    ...(process.env.PATH ?? "").split(delimiter),
    ...serverFolders,
  ];
  const found = folders.map((folder) => join(folder, name)).find(executable);
  if (found === undefined) {
    throw new MailarkError("PROGRAM_MISSING", `the sandbox needs ${name}, which is not installed`, {
      hint: `install the Debian package ${debianPackage}, or run "npm run demo" once, which offers to`,
    });
  }
  return found;
}
