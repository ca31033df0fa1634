/**
 * Dovecot's `dovecot-keywords`: lines `N NAME`, where the Nth letter from `a` on in a file name stands for the keyword NAME. There is room for
 * 26. Source: doc.dovecot.org, "Maildir mailbox format".
 */
export function parseKeywords(content: Buffer): Map<string, string> {
  const keywords = new Map<string, string>();
  for (const line of content.toString("latin1").split("\n")) {
    const [, number, name] = /^(\d+) (.+)$/.exec(line) ?? [];
    if (number !== undefined && Number(number) < 26) keywords.set(letterOf(Number(number)), name!);
  }
  return keywords;
}

const letterOf = (number: number) => String.fromCharCode("a".charCodeAt(0) + number);

const systemFlags: ReadonlyMap<string, string> = new Map([
  ["D", "\\Draft"],
  ["F", "\\Flagged"],
  ["R", "\\Answered"],
  ["S", "\\Seen"],
  ["T", "\\Deleted"],
]);

/** The flags that a file name's info (`:2,FSa`) stands for; `undefined` where it has a letter without a known keyword. */
export function flagsOf(info: string, keywords: ReadonlyMap<string, string>): string[] | undefined {
  const flags: string[] = [];
  const letters = new Set(/^:2,([^,]*)/.exec(info)?.[1]);
  for (const letter of letters) {
    const flag = systemFlags.get(letter) ?? keywords.get(letter);
    if (flag !== undefined) flags.push(flag);
    else if (/[a-z]/.test(letter)) return undefined;
  }
  return flags;
}

/** An IMAP atom (RFC 3501 §9) that no program takes for an option. */
export const isKeyword = (name: string): boolean =>
  /^[!#$&'+,./0-9:;<=>?@A-Z[^_`a-z|}~][!#$&'+,./0-9:;<=>?@A-Z[^_`a-z|}~-]{0,254}$/.test(name);
