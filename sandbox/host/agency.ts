import { createPrivateKey, createPublicKey } from "node:crypto";
import { hashPassword, mailboxPassword } from "./mailbox-password.ts";
import type { Mariadb } from "./mariadb.ts";
import { proseOf } from "./prose.ts";
import { type Seed, seedOf } from "./seed.ts";

export interface AgencyOptions {
  readonly seed: string;
  /** Default: 3. */
  readonly domains?: number;
  /** Mailboxes, spread over the domains. Default: 20. */
  readonly mailboxes?: number;
  /** About how many megabytes (10^6 bytes) a dump of the database has. Default: as few as the rest needs. */
  readonly megabytes?: number;
}

export interface Agency {
  readonly domains: readonly string[];
  /** Each can log in with `mailboxPassword`. */
  readonly addresses: readonly string[];
}

const people = [
  "anna",
  "björn",
  "chloé",
  "dmitri",
  "eszter",
  "farah",
  "giulia",
  "hiroshi",
  "ingrid",
  "joão",
  "kemal",
  "lin",
];
const pictures = ["🎉", "📦", "✉️", "🧾", "👩‍💻", "🇪🇺", "漢字", "Ω≈ç√", "naïve", "''quoted\\''"];
/** Of one row of `delivery_log` in a dump with `--hex-blob`. */
const logRowBytes = 327;

/**
 * Fills the agency's `mailserver` database: customers' domains with their DKIM keys, mailboxes, aliases, API keys and a log of
 * deliveries. The same options always make the same rows. `megabytes` of log are made by the server itself (about 20 MB a
 * second) and left out of its binary log.
 *
 * @throws MailarkError `PROGRAM_FAILED`, also when the database is filled already.
 */
export async function populateAgency(mariadb: Mariadb, options: AgencyOptions): Promise<Agency> {
  const { domains: domainCount = 3, mailboxes = 20, megabytes = 0 } = options;
  const seed = seedOf(options.seed);
  const prose = proseOf(seed.branch("prose"));
  const domains = Array.from({ length: domainCount }, (_, index) => `customer-${index + 1}.test`);
  const keys = domains.map((name, index) => {
    const { privateKey, publicKey } = dkimKey(seed);
    return `(${index + 1}, ${text(name)}, 'mail', ${text(privateKey)}, ${text(publicKey)})`;
  });
  const addresses: string[] = [];
  const users = Array.from({ length: mailboxes }, (_, index) => {
    const person = seed.pick(people);
    const domain = index % domainCount;
    const address = `${person.normalize("NFD").replace(/[^a-z]/g, "")}.${index + 1}@${domains[domain]}`;
    addresses.push(address);
    const name = `${person} ${prose.words(1)} ${seed.pick(pictures)}`;
    const quota = (1 + seed.integer(50)) * 2 ** 30;
    return `(${index + 1}, ${domain + 1}, ${text(address)}, '${hashPassword(mailboxPassword, address)}', ${text(name)}, ${quota})`;
  });
  const aliases = addresses.map((address, index) => {
    const domain = index % domainCount;
    return `(${index + 1}, ${domain + 1}, ${text(`alias-${index + 1}@${domains[domain]}`)}, ${text(address)})`;
  });
  const apiKeys = addresses.slice(0, Math.ceil(mailboxes / 2)).map((_, index) => {
    const permissions = JSON.stringify({ send: true, domains: [seed.pick(domains)], note: seed.pick(pictures) });
    return `(${index + 1}, ${index + 1}, ${text(prose.words(3))}, ${bytes(seed, 32)}, ${bytes(seed, 100 + seed.integer(4000))}, ${text(permissions)})`;
  });
  const rows = Math.max(100, Math.round((megabytes * 1e6) / logRowBytes));

  await mariadb.sql(
    `SET NAMES utf8mb4;
INSERT INTO virtual_domains (id, name, dkim_selector, dkim_private_key, dkim_public_key) VALUES ${keys.join(",\n")};
INSERT INTO virtual_users (id, domain_id, email, password, display_name, quota_bytes) VALUES ${users.join(",\n")};
INSERT INTO virtual_aliases (id, domain_id, source, destination) VALUES ${aliases.join(",\n")};
INSERT INTO api_keys (id, user_id, label, key_hash, sealed, permissions) VALUES ${apiKeys.join(",\n")};
${megabytes > 0 ? "SET sql_log_bin = 0, unique_checks = 0, foreign_key_checks = 0;" : ""}
INSERT INTO delivery_log (id, user_id, delivered_at, message_id, subject, fingerprint, detail)
${logRows(options.seed, mailboxes, rows)};`,
    "mailserver",
  );
  return { domains, addresses };
}

/** Rows that the server makes from a sequence: every value follows from its number and the seed. */
function logRows(seed: string, mailboxes: number, rows: number): string {
  const words = [
    "queued",
    "accepted",
    "deferred",
    "delivered to mailbox",
    "greylisted",
    "relayed",
    "retry in 300s",
    "TLSv1.3",
  ];
  const some = (salt: number) =>
    `ELT(1 + CRC32(CONCAT(seq, '/', ${salt})) % ${words.length}, ${words.map(text).join(", ")})`;
  const picture = `ELT(1 + seq % ${pictures.length}, ${pictures.map(text).join(", ")})`;
  return `SELECT seq, 1 + seq % ${mailboxes}, '2025-01-01' + INTERVAL seq * 7 SECOND,
  CONCAT('<', seq, '.', LEFT(MD5(CONCAT(${text(seed)}, seq)), 20), '@mx.example.test>'),
  CONCAT(${picture}, ' ', ${some(1)}, ' ', ${some(2)}),
  UNHEX(MD5(CONCAT(seq, ${text(seed)}))),
  CONCAT_WS(', ', ${[3, 4, 5, 6, 7, 8, 9, 10].map(some).join(", ")}, SHA2(CONCAT(seq, ${text(seed)}), 256), ${some(11)})
FROM seq_1_to_${rows}`;
}

/** A text as an SQL literal. */
function text(value: string): string {
  return `'${value.replaceAll("\\", "\\\\").replaceAll("'", "''")}'`;
}

/** Random bytes as an SQL literal, every byte value among them from 256 bytes on. */
function bytes(seed: Seed, length: number): string {
  const every = Buffer.from(Array.from({ length: 256 }, (_, value) => value));
  return `x'${(length < 256 ? seed.bytes(length) : Buffer.concat([every, seed.bytes(length - 256)])).toString("hex")}'`;
}

/** An Ed25519 key for DKIM (RFC 8463), made from the seed alone. */
function dkimKey(seed: Seed): { privateKey: string; publicKey: string } {
  const pkcs8 = Buffer.concat([Buffer.from("302e020100300506032b657004220420", "hex"), seed.bytes(32)]);
  const key = createPrivateKey({ key: pkcs8, format: "der", type: "pkcs8" });
  return {
    privateKey: key.export({ format: "pem", type: "pkcs8" }).toString(),
    publicKey: createPublicKey(key).export({ format: "der", type: "spki" }).toString("base64"),
  };
}
