/** The ways to dump a database, encrypted, and back: each a script, and each as its own process to the end. `$SOURCE` and `$TARGET` are option files. */
import { join } from "node:path";
import { generateIdentity } from "../core/age/age.ts";
import { ownNode, type Way } from "./database.ts";

const dump = `mariadb-dump --defaults-extra-file="$SOURCE" --single-transaction --quick --routines --events --triggers --hex-blob mailserver`;
const client = `mariadb --defaults-extra-file="$TARGET" --binary-mode --init-command="$QUICKLY" mailserver`;
/** For the load, which is not what is measured. */
const quickly = "SET SESSION sql_log_bin=0, unique_checks=0, foreign_key_checks=0";
const nodeScript = join(import.meta.dirname, "mysql-backup.ts");

/** What mailark replaces, then mailark, then what one could do with good tools. The first is what the others are compared with. */
export function waysToDump() {
  const { identity, recipient } = generateIdentity();
  const oldWay: Way = {
    name: "mariadb-dump | gzip -6 | openssl",
    store: `${dump} | gzip -6 | openssl enc -aes-256-cbc -pbkdf2 -pass file:<(echo "$PASSWORD") > "$PLACE/dump"; sync "$PLACE/dump"`,
    load: `openssl enc -d -aes-256-cbc -pbkdf2 -pass file:<(echo "$PASSWORD") < "$PLACE/dump" | gunzip | ${client}`,
    stored: "dump",
    env: { PASSWORD: identity, QUICKLY: quickly },
  };
  const goodTools: Way = {
    name: "mariadb-dump | zstd -3 -T2 | age",
    store: `${dump} | zstd -q -3 -T2 | age -r "$RECIPIENT" > "$PLACE/dump"; sync "$PLACE/dump"`,
    load: `age -d -i <(echo "$IDENTITY") < "$PLACE/dump" | zstd -q -d | ${client}`,
    stored: "dump",
    env: { IDENTITY: identity, RECIPIENT: recipient, QUICKLY: quickly },
  };
  const mailark = (name: string, facts: "with-facts" | "without-facts"): Way => ({
    name,
    store: `TMPDIR="$PLACE" "$NODE" "$BACKUP" ${facts} "$SOURCE"; mv "$PLACE"/mailark-vault-* "$PLACE/vault"`,
    // By the script in the store, which knows nothing of mailark.
    load: `cd "$PLACE/vault"
sh store/hosts/*/break-glass/*/restore.sh store "$(ls store/hosts)" mysql latest recovery.key sql
for part in database programs views events; do ${client} < "sql/$part-0001"; done`,
    stored: "vault/store",
    env: { ...ownNode, BACKUP: nodeScript, QUICKLY: quickly },
  });
  return {
    oldWay,
    withoutFacts: mailark("mailark without facts", "without-facts"),
    withFacts: mailark("mailark", "with-facts"),
    goodTools,
  };
}
