/** The same for PostgreSQL; `$SOURCE` and `$TARGET` are directories of sockets. */
import { join } from "node:path";
import { generateIdentity } from "../core/age/age.ts";
import { ownNode, type Way } from "./database.ts";

const server = "host=$SOURCE user=postgres passfile=$SOURCE_PASSFILE";
const target = "host=$TARGET user=postgres passfile=$TARGET_PASSFILE";
const plain = `pg_dump --dbname="${server} dbname=mailapp"`;
const archive = `pg_dump --format=custom --compress=0 --dbname="${server} dbname=mailapp"`;
const client = `psql -X -q -o /dev/null -v ON_ERROR_STOP=1 --dbname="${target} dbname=mailapp"`;
const make = `psql -X -q --dbname="${target} dbname=postgres" -c "CREATE DATABASE mailapp OWNER mailapp TEMPLATE template0"`;
const restore = `pg_restore --exit-on-error --dbname="${target} dbname=mailapp"`;
const nodeScript = join(import.meta.dirname, "postgres-backup.ts");

/** What mailark replaces, then mailark, then what one could do with good tools. The first is what the others are compared with. */
export function waysToDump() {
  const { identity, recipient } = generateIdentity();
  const oldWay: Way = {
    name: "pg_dump | gzip -6 | openssl",
    store: `${plain} | gzip -6 | openssl enc -aes-256-cbc -pbkdf2 -pass file:<(echo "$PASSWORD") > "$PLACE/dump"; sync "$PLACE/dump"`,
    load: `${make}; openssl enc -d -aes-256-cbc -pbkdf2 -pass file:<(echo "$PASSWORD") < "$PLACE/dump" | gunzip | ${client}`,
    stored: "dump",
    env: { PASSWORD: identity },
  };
  const goodTools: Way = {
    name: "pg_dump -Fc -Z0 | zstd -3 -T2 | age",
    store: `${archive} | zstd -q -3 -T2 | age -r "$RECIPIENT" > "$PLACE/dump"; sync "$PLACE/dump"`,
    load: `${make}; age -d -i <(echo "$IDENTITY") < "$PLACE/dump" | zstd -q -d | ${restore}`,
    stored: "dump",
    env: { IDENTITY: identity, RECIPIENT: recipient },
  };
  const mailark = (name: string, facts: "with-facts" | "without-facts"): Way => ({
    name,
    store: `TMPDIR="$PLACE" "$NODE" "$BACKUP" ${facts} "$SOURCE" "$SOURCE_PASSFILE"; mv "$PLACE"/mailark-vault-* "$PLACE/vault"`,
    // By the script in the store, which knows nothing of mailark.
    load: `cd "$PLACE/vault"
rm -rf parts
sh store/hosts/*/break-glass/*/restore.sh store "$(ls store/hosts)" postgres latest recovery.key parts
${make}; ${restore} parts/database-0001`,
    stored: "vault/store",
    env: { ...ownNode, BACKUP: nodeScript },
  });
  return {
    oldWay,
    withoutFacts: mailark("mailark without facts", "without-facts"),
    withFacts: mailark("mailark", "with-facts"),
    goodTools,
  };
}
