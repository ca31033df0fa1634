/**
 * What there is to capture on a host, found by looking: for `init`, which writes it down for a person to check.
 */
import type { Dirent } from "node:fs";
import type { Files } from "../core/ports/files.ts";
import { bytePath } from "./components/byte-path.ts";
import { usualConfigs } from "./components/configs/config.ts";
import { outputOf, type Processes } from "./processes.ts";

/** What a survey found. */
export interface Survey {
  readonly mail: FoundMail | undefined;
  /** Socket of a MariaDB or MySQL server. */
  readonly mysqlSocket: string | undefined;
  /** Configuration files of mail services, by their paths. */
  readonly configs: readonly string[];
  /** Things that a mail host has and that the first configuration proposes or lacks, for people. */
  readonly others: readonly string[];
}

/** Mailboxes in Maildir below one root. */
export interface FoundMail {
  readonly root: string;
  /** `undefined`: no mailbox says how they lie. */
  readonly layout: string | undefined;
  /** How it was found. */
  readonly from: string;
}

const mailRoots = ["/var/vmail", "/var/mail/vhosts", "/home/vmail", "/srv/vmail", "/var/spool/vmail"];
const mysqlSockets = [
  "/run/mysqld/mysqld.sock",
  "/var/run/mysqld/mysqld.sock",
  "/var/lib/mysql/mysql.sock",
  "/run/mysql/mysql.sock",
  "/tmp/mysql.sock",
];
const otherThings = [
  ["/etc/postfix", "Postfix configuration"],
  ["/var/spool/postfix", "Postfix queue"],
  ["/etc/dovecot", "Dovecot configuration"],
  ["/etc/opendkim", "OpenDKIM configuration and keys"],
  ["/etc/letsencrypt", "certificates"],
  ["/var/run/postgresql", "PostgreSQL"],
  ["/etc/redis", "Redis"],
] as const;

/** How to look. */
export interface SurveyOptions {
  readonly files: Files;
  readonly processes: Processes;
  readonly signal: AbortSignal;
  /** The operator says where the mail is. */
  readonly mailRoot?: string | undefined;
}

/** Looks at the host. What can not be looked at counts as not there. */
export async function survey({ files, processes, signal, mailRoot }: SurveyOptions): Promise<Survey> {
  return {
    mail:
      mailRoot === undefined
        ? await findMail(files, processes, signal)
        : { root: mailRoot, layout: layoutOf(files, mailRoot), from: "--mail-root" },
    configs: usualConfigs.filter((path) => quietly(() => files.statSync(path)) !== undefined),
    mysqlSocket: mysqlSockets.find((path) => quietly(() => files.statSync(path).isSocket())),
    others: otherThings.filter(([path]) => isDirectory(files, path)).map(([path, what]) => `${what} (${path})`),
  };
}

async function findMail(files: Files, processes: Processes, signal: AbortSignal): Promise<FoundMail | undefined> {
  const told = await askDovecot(processes, signal);
  if (told !== undefined && isDirectory(files, told.root)) {
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
  for (const first of directoriesIn(files, root).slice(0, 20)) {
    const path = `${root}/${first}`;
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
  const entries = quietly(
    () => files.readdirSync(bytePath(path), { withFileTypes: true, encoding: "latin1" }) as Dirent[],
  );
  return (entries || []).filter((entry) => entry.isDirectory()).map(({ name }) => name);
}

const isDirectory = (files: Files, path: string) =>
  quietly(() => files.statSync(bytePath(path)).isDirectory()) === true;

function quietly<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch {
    return undefined;
  }
}
