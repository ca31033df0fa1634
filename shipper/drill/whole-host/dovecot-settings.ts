/**
 * The settings of a Dovecot 2.3 as `doveconf -n` prints them, and which of them a private instance takes over: those that say who has a mailbox, where it is
 * and how it is read. Everything that names the live machine, or sends anything anywhere, stays behind.
 */

export interface Section {
  /** `namespace inbox`, `passdb`; empty for the whole. */
  readonly name: string;
  readonly settings: readonly (readonly [name: string, value: string])[];
  readonly sections: readonly Section[];
}

/** Reads what `doveconf -n` prints: one setting or brace a line. */
export function parseSettings(text: string): Section {
  const open = (name: string) => ({ name, settings: [] as [string, string][], sections: [] as Section[] });
  const stack = [open("")];
  for (const raw of text.split("\n")) {
    const line = raw.trim();
    if (line === "" || line.startsWith("#")) continue;
    const top = stack.at(-1)!;
    const at = line.indexOf("=");
    if (line === "}") {
      if (stack.length > 1) stack.pop();
    } else if (line.endsWith("{") && (at === -1 || line.indexOf("{") < at)) {
      const section = open(line.slice(0, -1).trim());
      top.sections.push(section);
      stack.push(section);
    } else if (at !== -1) top.settings.push([line.slice(0, at).trim(), line.slice(at + 1).trim()]);
  }
  return stack[0]!;
}

export function printSettings({ settings, sections }: Section, indent = ""): string {
  const lines = settings.map(([name, value]) => `${indent}${name} = ${value}\n`);
  const inner = sections.map((each) => `${indent}${each.name} {\n${printSettings(each, `${indent}  `)}${indent}}\n`);
  return [...lines, ...inner].join("");
}

export interface SettingsGround {
  idOf(kind: "uid" | "gid", name: string): string;
  /** Whether an absolute path is one where mail was staged: others, of indexes and the like, are left out. */
  isStagedMail(path: string): boolean;
}

/** Those without which a stored message can not be read. */
const storagePlugins = new Set(["zlib", "mail_compress", "mail_crypt", "mail_crypt_acl", "mailbox_alias"]);

const taken =
  /^(mail_(location|home|uid|gid|plugins|access_groups|privileged_group|save_crlf|full_filesystem_access)|first_valid_[ug]id|last_valid_[ug]id|auth_(username_\w+|default_realm|realms)|recipient_delimiter|lda_mailbox_auto\w+|lmtp_\w*detail\w*|lmtp_rcpt_check_quota|maildir_\w+|mdbox_\w+|dbox_\w+|mailbox_\w+|postmaster_address|hostname|separator|prefix|inbox|hidden|list|subscriptions|type|location|alias_for|order|driver|args|default_fields|override_fields|pass|deny|skip|result_\w+|username_filter|mechanisms|auth_verbose|master|name|auto|special_use|autoexpunge|comment|disabled|ignore_on_failure)$/;
const takenPlugin = /^(zlib|mail_crypt)_/;
const takenSection = /^(namespace|passdb|userdb|plugin|mailbox|protocol (imap|lmtp))\b/;

/**
 * What a private instance takes over.
 *
 * Whose mailboxes they are is said in numbers where this machine has no such name.
 */
export function privateSettings(section: Section, ground: SettingsGround): Section {
  const isPlugin = section.name === "plugin";
  const settings = section.settings.flatMap(([name, value]): [string, string][] => {
    if (isPlugin) return takenPlugin.test(name) ? [[name, value]] : [];
    if (!taken.test(name)) return [];
    if (name === "mail_plugins") {
      return [
        [
          name,
          value
            .split(/\s+/)
            .filter((plugin) => storagePlugins.has(plugin))
            .join(" "),
        ],
      ];
    }
    if (name === "mail_uid" || name === "mail_gid")
      return [[name, ground.idOf(name === "mail_uid" ? "uid" : "gid", value)]];
    if (/^(args|default_fields|override_fields)$/.test(name)) {
      return [[name, value.replace(/\b([ug]id)=(\S+)/g, (_, kind, id) => `${kind}=${ground.idOf(kind, id)}`)]];
    }
    if (name !== "location" && name !== "mail_location") return [[name, value]];
    const location = ownLocation(value, ground.isStagedMail);
    return location === undefined ? [] : [[name, location]];
  });
  const sections = section.sections
    .filter(({ name }) => takenSection.test(name))
    .filter((each) => !each.name.startsWith("namespace") || !isElsewhere(each, ground.isStagedMail))
    .map((each) => privateSettings(each, ground));
  return { name: section.name, settings, sections };
}

/** `maildir:~/Maildir:INDEX=/var/index/%u` without what is elsewhere; `undefined` when the mail itself is. */
function ownLocation(value: string, below: (path: string) => boolean): string | undefined {
  const [driver = "", path = "", ...options] = value.split(":");
  if (path.startsWith("/") && !below(path)) return undefined;
  const own = options.filter((option) => {
    const named = /^\w+=(\/.*)$/.exec(option)?.[1];
    return named === undefined || below(named);
  });
  return [driver, ...(value.includes(":") ? [path] : []), ...own].join(":");
}

/** A namespace of mail that was not staged: shared or public folders, as a rule. */
function isElsewhere({ settings }: Section, below: (path: string) => boolean): boolean {
  const location = settings.find(([name]) => name === "location")?.[1] ?? "";
  return location !== "" && ownLocation(location, below) === undefined;
}
