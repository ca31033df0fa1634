/** Where the mailboxes of a host are. */
import type { Files } from "../../core/ports/files.ts";
import { outputOf, type Processes } from "../processes.ts";
import { entriesOf, isDirectory } from "./look.ts";

/** Mailboxes in Maildir below one root. */
export interface FoundMail {
  readonly root: string;
  /** `undefined`: no mailbox says how they lie. */
  readonly layout: string | undefined;
  /** How it was found. */
  readonly from: string;
}

const mailRoots = ["/var/vmail", "/var/mail/vhosts", "/home/vmail", "/srv/vmail", "/var/spool/vmail"];

/** How to look. */
export interface MailSearch {
  readonly files: Files;
  readonly processes: Processes;
  readonly signal: AbortSignal;
  /** The operator says where the mail is. */
  readonly mailRoot?: string | undefined;
}

/** Where the operator, Dovecot or a usual place says that the mail is; `undefined`: nowhere. */
export async function findMail({ files, processes, signal, mailRoot }: MailSearch): Promise<FoundMail | undefined> {
  if (mailRoot !== undefined) return { root: mailRoot, layout: layoutOf(files, mailRoot), from: "--mail-root" };
  const told = await askDovecot(processes, signal);
  if (told !== undefined && isDirectory(files, latin1(told.root))) {
    return { ...told, layout: layoutOf(files, told.root) ?? told.layout, from: "doveconf" };
  }
  const root = mailRoots.find((path) => isDirectory(files, path));
  return root === undefined ? undefined : { root, layout: layoutOf(files, root), from: "the usual place" };
}

/** Dovecot 2.3 has `mail_location`, 2.4 `mail_path`; either may begin with the home directory. */
async function askDovecot(processes: Processes, signal: AbortSignal) {
  const settings: string[] = [];
  for (const name of ["mail_location", "mail_path", "mail_home"]) {
    try {
      settings.push((await outputOf(processes, ["doveconf", "-h", name], { signal })).toString("utf8").trim());
    } catch {
      signal.throwIfAborted();
      settings.push("");
    }
  }
  const [location = "", path = "", home = ""] = settings;
  return placeOfMail(location || path, home);
}

/**
 * The mail root and the layout in Dovecot's words: `maildir:/var/vmail/%d/%n/Maildir`, or `maildir:~/Maildir` with a home of
 * `/var/vmail/%d/%n`. The home is what is captured, so that its Sieve scripts are too. `undefined`: not Maildir below one root.
 */
export function placeOfMail(location: string, home: string): { root: string; layout: string } | undefined {
  const path = location.replace(/^maildir:/, "").split(":")[0]!;
  if (/^[a-z]+:/.test(location) && !location.startsWith("maildir:")) return undefined;
  const whole = path.startsWith("~/") || path.startsWith("%h") || path.startsWith("%{home}") ? home : path;
  const words = whole
    .replace(/%\{user\s*\|\s*domain\}|%\{domain\}|%d/g, "{domain}")
    .replace(/%\{user\s*\|\s*username\}|%\{username\}|%\{user\}|%n|%u/g, "{user}");
  const match = /^((?:\/[^/{}%]+)+)\/((?:\{domain\}\/)?\{user\})(?:\/.*)?$/.exec(words);
  return match === null ? undefined : { root: match[1]!, layout: match[2]! };
}

/** How mailboxes lie below a root, judged by the first that are found. */
function layoutOf(files: Files, root: string): string | undefined {
  const top = latin1(root);
  for (const first of directoriesIn(files, top).slice(0, 20)) {
    const path = `${top}/${first}`;
    if (isMailbox(files, path)) return "{user}";
    for (const second of directoriesIn(files, path).slice(0, 20)) {
      if (isMailbox(files, `${path}/${second}`)) return "{domain}/{user}";
    }
  }
  return undefined;
}

/** A Maildir, or a home directory with one in it. */
function isMailbox(files: Files, path: string): boolean {
  return ["", "/Maildir", "/mail", "/.maildir"].some((inner) => {
    return isDirectory(files, `${path}${inner}/cur`) && isDirectory(files, `${path}${inner}/new`);
  });
}

function directoriesIn(files: Files, path: string): string[] {
  const directories = entriesOf(files, path).filter((entry) => entry.isDirectory());
  return directories.map(({ name }) => name);
}

const latin1 = (text: string) => Buffer.from(text, "utf8").toString("latin1");
