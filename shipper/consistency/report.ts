/**
 * Compares what the parts of a mail host say of each other. Addresses and domains are compared without regard to case; an account that is
 * switched off is an account.
 */

/** What the mail system's own database says. */
export interface Accounts {
  /** Addresses, or names where a host has no domains. */
  readonly mailboxes: readonly string[];
  /** `undefined`: not asked. */
  readonly domains?: readonly string[] | undefined;
  /** Source and destination; a destination may be several, separated by commas. `undefined`: not asked. */
  readonly aliases?: readonly (readonly [source: string, destination: string])[] | undefined;
}

/** What else was seen; what is `undefined` is not compared. */
export interface Seen {
  /** Addresses that the directories of mailboxes stand for. */
  readonly directories?: readonly string[] | undefined;
  readonly queue?: readonly QueuedFile[] | undefined;
  /** Domains that Postfix names without a table, its own name among them. */
  readonly postfixDomains?: readonly string[] | undefined;
  /** Whether aliases are judged. */
  readonly aliases?: boolean;
}

/** A message that waits. */
export interface QueuedFile {
  readonly id: string;
  /** Empty for a bounce. */
  readonly sender: string;
  readonly recipients: readonly string[];
}

/** What a comparison can find, as docs/format.md §6 describes it. */
export const findingCodes = [
  "MAILBOX_WITHOUT_DIRECTORY",
  "DIRECTORY_WITHOUT_ACCOUNT",
  "QUEUE_FOR_UNKNOWN_DOMAIN",
  "ALIAS_TO_NOWHERE",
  "CONSISTENCY_UNKNOWN",
] as const;

export interface Finding {
  readonly code: (typeof findingCodes)[number];
  /** Of what it is about: addresses, aliases, queue files. For people on this host, and never stored. */
  readonly names: readonly string[];
}

/**
 * Findings in the order of their codes, names sorted; without those that are none.
 *
 * @param before the accounts before the first of the others was looked at.
 * @param after the accounts after the last. Only what is found with both is told: what came or went meanwhile is no contradiction.
 */
export function compare(before: Accounts, after: Accounts, seen: Seen): Finding[] {
  const then = judge(before, seen);
  const now = judge(after, seen);
  return findingCodes.flatMap((code) => {
    const still = now.get(code);
    const names = [...(then.get(code) ?? [])].filter((name) => still?.has(name)).sort();
    return names.length > 0 ? [{ code, names }] : [];
  });
}

/** Whether directories and mailboxes are named alike: a layout without domains says nothing of addresses that have one. */
export function areComparable({ mailboxes }: Accounts, directories: readonly string[]): boolean {
  if (mailboxes.length === 0 || directories.length === 0) return true;
  const hasDomain = (address: string) => address.includes("@");
  return mailboxes.some(hasDomain) === directories.some(hasDomain);
}

function judge(accounts: Accounts, { directories, queue, postfixDomains, aliases }: Seen) {
  const found = new Map<Finding["code"], ReadonlySet<string>>();
  const mailboxes = new Set(accounts.mailboxes.map(plain));
  if (directories !== undefined) {
    const present = new Set(directories.map(plain));
    found.set("MAILBOX_WITHOUT_DIRECTORY", without(mailboxes, present));
    found.set("DIRECTORY_WITHOUT_ACCOUNT", without(present, mailboxes));
  }
  const book: Book = { mailboxes, sources: sourcesOf(accounts), domains: domainsOf(accounts) };
  if (queue !== undefined) {
    const known = new Set([...book.domains, ...targetsOf(accounts), ...(postfixDomains ?? []).map(plain)]);
    found.set("QUEUE_FOR_UNKNOWN_DOMAIN", new Set(queue.flatMap((file) => strangerOf(file, known))));
  }
  if (aliases) found.set("ALIAS_TO_NOWHERE", new Set((accounts.aliases ?? []).flatMap((alias) => dead(alias, book))));
  return found;
}

interface Book {
  readonly mailboxes: ReadonlySet<string>;
  /** Of aliases. `@example.com` takes all that is not there otherwise. */
  readonly sources: ReadonlySet<string>;
  /** Those that this host answers for. */
  readonly domains: ReadonlySet<string>;
}

const sourcesOf = ({ aliases = [] }: Accounts) => new Set(aliases.map(([source]) => plain(source)));

function domainsOf({ mailboxes, domains, aliases = [] }: Accounts): Set<string> {
  const named = domains ?? aliases.flatMap(([source]) => domainOf(source) ?? []);
  return new Set([...named.map(plain), ...mailboxes.flatMap((address) => domainOf(address) ?? [])]);
}

/** Where aliases forward to: mail from anybody waits for those, and belongs here. */
const targetsOf = ({ aliases = [] }: Accounts): string[] =>
  aliases.flatMap(([, destination]) => addressesOf(destination).flatMap((address) => domainOf(address) ?? []));

/**
 * Mail that goes out has a sender of ours, mail that comes in a recipient of ours: what has neither waits for a domain that was here once, or
 * should never have been taken. A bounce has no sender and goes to strangers by nature.
 */
function strangerOf({ id, sender, recipients }: QueuedFile, known: ReadonlySet<string>): string[] {
  const from = domainOf(sender);
  const to = recipients.flatMap((address) => domainOf(address) ?? []);
  if (from === undefined || to.length === 0) return [];
  return [from, ...to].some((domain) => known.has(domain)) ? [] : [`${id}: ${from} → ${[...new Set(to)].join(", ")}`];
}

/** The destinations of an alias, in a domain of ours, that are neither a mailbox nor the source of another alias. */
function dead([source, destination]: readonly [string, string], { mailboxes, sources, domains }: Book): string[] {
  const own = plain(source);
  return addressesOf(destination).flatMap((address) => {
    const domain = domainOf(address);
    // `@example.com` keeps the local part: who that is, nobody can say beforehand.
    if (domain === undefined || address.startsWith("@") || !domains.has(domain)) return [];
    const names = [address, withoutExtension(address)];
    const leads = (name: string) => name !== own && sources.has(name);
    return names.some((name) => mailboxes.has(name) || leads(name)) || leads(`@${domain}`)
      ? []
      : [`${own} → ${address}`];
  });
}

const addressesOf = (destination: string): string[] => destination.split(",").map(plain).filter(isAddress);

/** Not a program, a file or a list to include; of what is quoted, nothing is said. */
const isAddress = (text: string) => /^[^|/:"\s]\S*$/.test(text);

/** `alice+work@example.com` is Alice's, by Postfix's usual `recipient_delimiter`. */
const withoutExtension = (address: string): string => address.replace(/^([^+]+)\+.*(@[^@]*)$/, "$1$2");

/** `undefined`: a name without a domain. */
function domainOf(address: string): string | undefined {
  const at = address.lastIndexOf("@");
  return at < 0 || at === address.length - 1 ? undefined : plain(address.slice(at + 1));
}

const without = (all: ReadonlySet<string>, others: ReadonlySet<string>) =>
  new Set([...all].filter((each) => !others.has(each)));

const plain = (address: string): string => address.trim().toLowerCase();
