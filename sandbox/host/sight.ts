import { createHash } from "node:crypto";
import { lstatSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { agencyTables } from "./agency-schema.ts";
import type { SandboxHost } from "./host.ts";
import { type FolderView, viewMailbox } from "./imap.ts";
import { mailAppDatabase, mailAppTables } from "./mail-app.ts";

/** What a host holds, as programs see it that are not mailark: two of them are compared as a whole. */
export interface Sight {
  /** Over IMAP: by address, by folder. */
  readonly mailboxes: Readonly<Record<string, Readonly<Record<string, FolderView>>>>;
  /** `CHECKSUM TABLE` of the agency's database. */
  readonly mariadb: string;
  /** Rows and digests of the email client's database. */
  readonly postgres: string;
  /** Keys with their type and a digest of their value, those on hold by the name that they had. */
  readonly redis: readonly string[];
  /** Senders and recipients of what waits in the queue. */
  readonly queue: readonly string[];
  /** Configuration, certificates and application: type, mode, owner, time and content by path. */
  readonly files: Readonly<Record<string, string>>;
}

/** Looks at everything. The services must be up. */
export async function look(host: SandboxHost, addresses: readonly string[]): Promise<Sight> {
  const mailboxes: Record<string, Readonly<Record<string, FolderView>>> = {};
  for (const address of addresses) mailboxes[address] = (await viewMailbox(host, address)).folders;
  const names = agencyTables.map((table) => `mailserver.${table}`).join(", ");
  return {
    mailboxes,
    mariadb: String(await host.mariadb.sql(`CHECKSUM TABLE ${names} EXTENDED`)),
    postgres: await host.postgres.sql(postgresDigests, mailAppDatabase),
    redis: (await host.redis.command("EVAL", redisDigests, "0")).split("\n"),
    queue: await waiting(host),
    files: Object.assign({}, ...[host.etc, host.letsencrypt, host.apiDirectory].map((root) => filesBelow(root))),
  };
}

const postgresDigests = mailAppTables
  .map((table) => `SELECT '${table}', count(*), sum(hashtextextended(t::text, 0)::numeric) FROM ${table} t;`)
  .join("\n");

const redisDigests = `local found = {}
for _, key in ipairs(redis.call('KEYS', '*')) do
  local name = string.gsub(key, '^mailark:held:', '')
  found[#found + 1] = name .. ' ' .. redis.call('TYPE', key).ok .. ' ' .. redis.sha1hex(redis.call('DUMP', key))
end
table.sort(found)
return found`;

async function waiting(host: SandboxHost): Promise<string[]> {
  const lines = (await host.postfix.command("postqueue", "-j")).split("\n").filter((line) => line !== "");
  return lines
    .map((line) => JSON.parse(line) as { sender: string; recipients: { address: string }[] })
    .map(({ sender, recipients }) => `${sender} → ${recipients.map(({ address }) => address).join(", ")}`)
    .sort();
}

function filesBelow(root: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const name of ["", ...readdirSync(root, { recursive: true, encoding: "utf8" })]) {
    const path = join(root, name);
    const { mode, uid, gid, mtimeMs } = lstatSync(path);
    const kind = lstatSync(path);
    const content = kind.isSymbolicLink()
      ? readlinkSync(path)
      : kind.isFile()
        ? createHash("sha256").update(readFileSync(path)).digest("hex")
        : "";
    // The times of directories above what was brought back are those of the restore.
    const time = kind.isDirectory() ? "" : Math.floor(mtimeMs);
    found[path] = `${mode.toString(8)} ${uid}:${gid} ${time} ${content}`;
  }
  return found;
}
