/** The addresses of the mailboxes that were staged, by the layout of the mail root. */
import { type Files, isAbsent } from "../../../core/ports/files.ts";
import { bytePath } from "../../components/byte-path.ts";
import type { StagedHost } from "../../components/staged-host.ts";

/** At most so many, in the order of their names. */
export function stagedAddresses(mail: NonNullable<StagedHost["mail"]>, most: number, files: Files): string[] {
  const elements = mail.layout.split("/");
  const found: string[] = [];
  const walk = (path: string, depth: number, user: string, domain: string) => {
    if (found.length >= most) return;
    const element = elements[depth];
    if (element === undefined) {
      found.push(domain === "" ? user : `${user}@${domain}`);
      return;
    }
    for (const name of folders(path, files)) {
      if (!element.startsWith("{") && element !== name) continue;
      const isUser = element === "{user}";
      walk(`${path}/${name}`, depth + 1, isUser ? name : user, element === "{domain}" ? name : domain);
    }
  };
  walk(mail.root, 0, "", "");
  return found;
}

function folders(path: string, files: Files): string[] {
  try {
    const entries = files.readdirSync(bytePath(path), { withFileTypes: true, encoding: "latin1" });
    return entries
      .filter((entry) => entry.isDirectory() && !entry.name.startsWith("."))
      .map(({ name }) => name)
      .sort();
  } catch (error) {
    if (isAbsent(error)) return [];
    throw error;
  }
}
