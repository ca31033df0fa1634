/** An OpenDKIM that signs with the staged tables and keys, behind a Unix socket of its own; and the public halves of those keys. */
import { createPrivateKey, createPublicKey, type KeyObject } from "node:crypto";
import { posix } from "node:path";
import { MailarkError } from "../../../core/errors.ts";
import type { Files } from "../../../core/ports/files.ts";
import { readText } from "../../state-files.ts";
import type { Ground } from "./ground.ts";

export interface SigningKey {
  readonly domain: string;
  readonly selector: string;
  readonly publicKey: KeyObject;
  /** Base64 of what the domain's DNS record must have as `p=`. */
  readonly record: string;
  /** What `opendkim-genkey` wrote beside the key for the DNS, when it is there. */
  readonly published: string | undefined;
}

export interface PrivateOpendkim {
  readonly socket: string;
  readonly keys: readonly SigningKey[];
}

/** How it signs; where it listens, whom it asks and what it reports stay behind. */
const taken = new Set(
  `basedirectory canonicalization domain keyfile keytable maximumsignedbytes minimumkeybits omitheaders oversignheaders
  selector senderheaders signaturealgorithm signheaders signingtable subdomains on-badsignature multiplesignatures
  fixcrlf strictheaders allowsha1only`.split(/\s+/),
);

type Settings = readonly (readonly [name: string, value: string])[];

/**
 * @param config the copy of `opendkim.conf`.
 * @throws MailarkError `PROGRAM_MISSING`; `PROGRAM_FAILED` with its words when it does not come up.
 */
export async function startOpendkim(ground: Ground, config: string): Promise<PrivateOpendkim> {
  const { shelter, world, accountOf, write } = ground;
  const { files } = world;
  const settings = settingsOf(readText(files, config) ?? "");
  const home = `${shelter.path}/k`;
  ground.makeFolder(home);
  const account = accountOf("opendkim");
  files.chownSync(home, account.uid, account.gid);
  const socket = `${home}/s`;
  const lines = settings.filter(([name]) => taken.has(name.toLowerCase())).map(([name, value]) => `${name} ${value}\n`);
  const own = `Mode s\nSocket local:${socket}\nUMask 000\nSyslog no\nLogWhy yes\nInternalHosts 127.0.0.1\nRequireSafeKeys no\n`;
  write(`${home}/opendkim.conf`, lines.join("") + own, 0o644);
  const keys = keysOf(settings, files);
  await ground.serve({
    name: "opendkim",
    words: ["opendkim", "-f", "-x", `${home}/opendkim.conf`],
    as: account,
    ready: async () => files.statSync(socket).isSocket(),
  });
  return {
    socket,
    keys,
  };
}

/** Whether the configuration signs at all: the mode is `sv` unless it says otherwise. */
export const signs = (config: string, files: Files) =>
  /s/.test(settingOf(settingsOf(readText(files, config) ?? ""), "mode") ?? "sv");

/** `Name value`, a comment from `#` on (opendkim.conf(5)). */
function settingsOf(text: string): Settings {
  return text.split("\n").flatMap((line) => {
    const [, name, value] = /^\s*([A-Za-z][\w-]*)\s+(.*?)\s*(?:#.*)?$/.exec(line) ?? [];
    return name === undefined || value === undefined ? [] : [[name, value] as const];
  });
}

const settingOf = (settings: Settings, wanted: string) =>
  settings.findLast(([name]) => name.toLowerCase() === wanted)?.[1];

/**
 * The keys of `KeyTable`, or of `Domain`, `Selector` and `KeyFile`. Tables that are not files are passed over: what signs with them can not be told.
 *
 * @throws MailarkError `PROGRAM_FAILED` for a key that can not be read.
 */
function keysOf(settings: Settings, files: Files): SigningKey[] {
  const table = settingOf(settings, "keytable");
  const base = settingOf(settings, "basedirectory") ?? "/";
  if (table === undefined) {
    const [domain, selector, file] = ["domain", "selector", "keyfile"].map((name) => settingOf(settings, name));
    if (domain === undefined || selector === undefined || file === undefined) return [];
    return domain.split(/[\s,]+/).map((each) => keyOf(each, selector, posix.resolve(base, file), files));
  }
  const path = /^(?:file:|refile:)?(\/.*|[^:]+)$/.exec(table)?.[1];
  const text = path === undefined ? "" : (readText(files, posix.resolve(base, path)) ?? "");
  return text.split("\n").flatMap((line) => {
    const [, domain, selector, file] = /^\s*[^#\s]\S*\s+([^:\s]+):([^:\s]+):(\S+)/.exec(line) ?? [];
    // `%` stands for the domain of the sender.
    if (domain === undefined || selector === undefined || file === undefined || domain.includes("%")) return [];
    return [keyOf(domain, selector, posix.resolve(base, file), files)];
  });
}

function keyOf(domain: string, selector: string, path: string, files: Files): SigningKey {
  try {
    const publicKey = createPublicKey(createPrivateKey(readText(files, path) ?? ""));
    const der = publicKey.export({ type: "spki", format: "der" });
    // RFC 8463, 4.2: of an Ed25519 key the record has the bare 32 bytes.
    const record = publicKey.asymmetricKeyType === "ed25519" ? der.subarray(-32) : der;
    return { domain, selector, publicKey, record: record.toString("base64"), published: publishedBeside(path, files) };
  } catch (cause) {
    throw new MailarkError("PROGRAM_FAILED", "a staged signing key can not be read", {
      detail: `${selector} of ${domain}: ${path}: ${cause instanceof Error ? cause.message : cause}`,
      cause,
    });
  }
}

/** `mail.txt` beside `mail.private`: a zone file's line, in which the text is cut into strings. */
function publishedBeside(path: string, files: Files): string | undefined {
  const text = readText(files, path.replace(/(\.private|\.pem|\.key)?$/, ".txt"));
  const strings =
    text
      ?.match(/"[^"]*"/g)
      ?.map((each) => each.slice(1, -1))
      .join("") ?? "";
  return /(?:^|;)\s*p=([A-Za-z0-9+/=\s]+)/.exec(strings)?.[1]?.replace(/\s+/g, "");
}
