/**
 * The names that folders get in a private copy of a mailbox: their own, where IMAP can say it.
 *
 * A Maildir folder is `.A.B` in its mailbox (Maildir++) or `A/B` (Dovecot's `LAYOUT=fs`), in modified UTF-7 (RFC 3501 §5.1.3). A server
 * renames what is no such name, so those are shown under a number instead.
 */

/**
 * Folder path → its IMAP name, with `.` between levels. `top`, which is the INBOX of its user, is shown as `above`, and all others below that.
 *
 * @param numbered all others by number.
 */
export function imapNames(
  folders: Iterable<string>,
  top: string,
  above: string,
  numbered = false,
): Map<string, string> {
  const names = new Map<string, string>();
  const taken = new Set<string>();
  for (const path of folders) {
    if (path === top) {
      names.set(path, above);
      continue;
    }
    const below = top === "." ? path : path.startsWith(`${top}/`) ? path.slice(top.length + 1) : path;
    const own = below
      .split("/")
      .map((element) => element.replace(/^\./, ""))
      .join(".");
    const name = !numbered && isImapName(own) && !taken.has(own.toLowerCase()) ? own : `${substitute}${names.size}`;
    taken.add(name.toLowerCase());
    names.set(path, `${above}.${name}`);
  }
  return names;
}

/** Begins a name that is not the folder's own. */
export const substitute = "mailark-folder-";

/** The folder that is the mailbox's INBOX: the one that is least deep, and of several the first of the usual names. */
export function topFolder(folders: Iterable<string>): string | undefined {
  const depth = (path: string) => (path === "." ? 0 : path.split("/").length);
  const rank = (path: string) => (/(^|\/)(Maildir|INBOX|mail)$/i.test(path) ? 0 : 1);
  const [first] = [...folders].sort((a, b) => depth(a) - depth(b) || rank(a) - rank(b) || (a < b ? -1 : 1));
  return first;
}

function isImapName(name: string): boolean {
  if (name.length > 150 || name.startsWith(substitute) || /^inbox(\.|$)/i.test(name)) return false;
  return name.split(".").every(isLevel);
}

const isLevel = (level: string) =>
  /^(?! )(?:[A-Za-z0-9 _+@=,:;!?#()'$-]|&-|&[A-Za-z0-9+,]+-)+$/.test(level) &&
  !level.endsWith(" ") &&
  (level.match(/&[^-]+-/g) ?? []).every(isEncoded);

/** What stands between `&` and `-` is UTF-16 of nothing that could stand for itself. */
function isEncoded(sequence: string): boolean {
  const base64 = sequence.slice(1, -1).replaceAll(",", "/");
  const bytes = Buffer.from(base64, "base64");
  if (bytes.length % 2 !== 0 || bytes.toString("base64").replace(/=+$/, "") !== base64) return false;
  const text = bytes.swap16().toString("utf16le");
  return text.isWellFormed() && !/[\x20-\x7e]/.test(text) && !/\p{Cc}/u.test(text);
}
