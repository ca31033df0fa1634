import type { Postgres } from "./postgres.ts";
import type { Redis } from "./redis.ts";
import { seedOf } from "./seed.ts";

export interface MailAppOptions {
  readonly seed: string;
  /** Default: 5. */
  readonly accounts?: number;
  /** Rows of message metadata, about 380 bytes each in a dump. Default: 200. */
  readonly messages?: number;
}

/** The database of the email client, and the role that owns it. */
export const mailAppDatabase = "mailapp";

/** Its tables, in an order in which each can be filled. */
export const mailAppTables = ["accounts", "credentials", "folders", "messages", "labels", "message_labels"] as const;

const schema = `
CREATE EXTENSION IF NOT EXISTS pg_trgm;
CREATE TYPE provider AS ENUM ('imap', 'gmail', 'exchange');
CREATE DOMAIN address AS text CHECK (VALUE LIKE '%_@_%');
CREATE TABLE accounts (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  email address NOT NULL UNIQUE,
  name text NOT NULL,
  provider provider NOT NULL,
  settings jsonb NOT NULL DEFAULT '{}'
);
CREATE TABLE credentials (
  account_id bigint PRIMARY KEY REFERENCES accounts ON DELETE CASCADE,
  sealed bytea NOT NULL,
  rotated_at timestamptz NOT NULL
);
CREATE TABLE folders (
  id serial PRIMARY KEY,
  account_id bigint NOT NULL REFERENCES accounts ON DELETE CASCADE,
  path text NOT NULL,
  uidvalidity bigint NOT NULL,
  message_count integer NOT NULL DEFAULT 0,
  UNIQUE (account_id, path)
);
CREATE TABLE messages (
  id bigserial PRIMARY KEY,
  folder_id integer NOT NULL REFERENCES folders ON DELETE CASCADE,
  uid bigint NOT NULL,
  subject text,
  sender address NOT NULL,
  received_at timestamptz NOT NULL,
  flags text[] NOT NULL,
  size integer NOT NULL,
  headers jsonb NOT NULL,
  preview text,
  UNIQUE (folder_id, uid)
);
CREATE INDEX messages_unread ON messages (folder_id) WHERE NOT flags @> '{\\\\Seen}';
CREATE INDEX accounts_name ON accounts USING gin (name gin_trgm_ops);
CREATE TABLE labels (id serial PRIMARY KEY, account_id bigint NOT NULL REFERENCES accounts ON DELETE CASCADE, name text NOT NULL);
CREATE TABLE message_labels (
  message_id bigint REFERENCES messages ON DELETE CASCADE,
  label_id integer REFERENCES labels ON DELETE CASCADE,
  PRIMARY KEY (message_id, label_id)
);
CREATE VIEW unread AS SELECT folder_id, count(*) AS messages FROM messages WHERE NOT flags @> '{\\\\Seen}' GROUP BY folder_id;
CREATE FUNCTION count_message() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE folders f SET message_count = message_count + n.added
    FROM (SELECT folder_id, count(*) AS added FROM arrived GROUP BY folder_id) n WHERE f.id = n.folder_id;
  RETURN NULL;
END $$;
CREATE TRIGGER message_counted AFTER INSERT ON messages REFERENCING NEW TABLE AS arrived
  FOR EACH STATEMENT EXECUTE FUNCTION count_message();`;

/**
 * Makes the email client's database with its role, and fills it. The same options always make the same rows.
 *
 * @throws MailarkError `PROGRAM_FAILED`, also when the database is there already.
 */
export async function populateMailApp(postgres: Postgres, options: MailAppOptions): Promise<void> {
  const { accounts = 5, messages = 200 } = options;
  const seed = seedOf(options.seed);
  const sealed = Array.from({ length: accounts }, (_, index) => {
    const secret = Buffer.concat([Buffer.from([0, 39, 92, 255]), seed.bytes(200)]).toString("hex");
    return `(${index + 1}, '\\x${secret}', '2025-06-01 12:00+00')`;
  });
  const salt = `'${options.seed.replaceAll("'", "''")}'`;
  await postgres.sql(`CREATE ROLE ${mailAppDatabase} LOGIN PASSWORD 'app-${seed.bytes(8).toString("hex")}';`);
  await postgres.sql(`CREATE DATABASE ${mailAppDatabase} OWNER ${mailAppDatabase};`);
  await postgres.sql(
    `SET ROLE ${mailAppDatabase};
${schema}
INSERT INTO accounts (email, name, provider, settings)
  SELECT 'person' || n || '@example.org', 'Person № ' || n || ' 🙂', (enum_range(NULL::provider))[1 + n % 3],
    jsonb_build_object('signature', E'Grüße\\n— ' || n, 'theme', CASE WHEN n % 2 = 0 THEN 'dark' END)
  FROM generate_series(1, ${accounts}) n;
INSERT INTO credentials VALUES ${sealed.join(",")};
INSERT INTO folders (account_id, path, uidvalidity)
  SELECT a.id, p.path, 1700000000 + a.id FROM accounts a, (VALUES ('INBOX'), ('Sent'), ('Entwürfe'), ('日本')) p(path)
  ORDER BY a.id, p.path;
INSERT INTO messages (folder_id, uid, subject, sender, received_at, flags, size, headers, preview)
  SELECT 1 + n % ${accounts * 4}, n, 'Re: ✉ ' || md5(${salt} || n), 'sender' || n % 97 || '@example.com',
    timestamptz '2025-01-01 00:00+00' + n * interval '7 minutes',
    CASE WHEN n % 3 = 0 THEN '{}'::text[] ELSE ARRAY['\\Seen'] END, 1000 + n % 50000,
    jsonb_build_object('message-id', '<' || md5(n || ${salt}) || '@example.com>', 'references', jsonb_build_array(n - 1, n - 2)),
    repeat('lorem ipsum ' || n % 13 || ' ', 12)
  FROM generate_series(1, ${messages}) n;
INSERT INTO labels (account_id, name) SELECT id, unnest(ARRAY['work', 'privé', '★']) FROM accounts ORDER BY id;
INSERT INTO message_labels SELECT id, 1 + id % ${accounts * 3} FROM messages WHERE id % 5 = 0;`,
    mailAppDatabase,
  );
}

/**
 * Fills Redis as the email client does: cached folders, sessions that expire in a day, a queue of tasks.
 * Keys, values and types are the same for the same seed; only the time of expiry moves with the clock.
 */
export async function populateRedis(
  redis: Redis,
  options: { readonly seed: string; readonly keys?: number },
): Promise<void> {
  const { keys = 200 } = options;
  const seed = seedOf(options.seed);
  const lines: string[] = [];
  for (let index = 0; index < keys; index++) {
    const value = seed.bytes(40).toString("base64");
    lines.push(
      [
        `SET cache:message:${index} "${value} ✉"`,
        `SET session:${seed.bytes(8).toString("hex")} "${value}" EX 86400`,
        `HSET cache:folder:${index} path INBOX unread ${seed.integer(100)} token "${value}"`,
        `ZADD recent:${index % 7} ${index} "${value}"`,
      ][index % 4]!,
    );
  }
  for (let task = 0; task < 5; task++) lines.push(`LPUSH celery "{\\"task\\": \\"send_mail\\", \\"id\\": ${task}}"`);
  await redis.commands(`${lines.join("\n")}\n`);
}
