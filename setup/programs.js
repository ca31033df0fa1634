import { accessSync, constants, existsSync, readdirSync } from "node:fs";
import { delimiter, join } from "node:path";

/**
 * What the mail hosts of the demo and the tests are made of, by Debian package: the programs that are used, or a file that
 * tells that a part without a program of its own is there. Debian 12 and Ubuntu 24.04 name all of them alike.
 *
 * @type {Record<string, { programs?: string[], files?: string[] }>}
 */
export const needs = {
  "mariadb-server": {
    programs: ["mariadbd", "mariadb-install-db", "mariadb", "mariadb-admin", "mariadb-dump", "mariadb-binlog"],
  },
  "mariadb-backup": { programs: ["mariadb-backup", "mbstream"] },
  postgresql: {
    programs: [
      "initdb",
      "postgres",
      "pg_ctl",
      "psql",
      "pg_dump",
      "pg_dumpall",
      "pg_restore",
      "pg_amcheck",
      "pg_receivewal",
    ],
  },
  "redis-server": { programs: ["redis-server", "redis-cli", "redis-check-rdb"] },
  postfix: { programs: ["postfix", "postconf", "postqueue", "postsuper", "master"] },
  "dovecot-imapd": { programs: ["dovecot", "doveadm", "doveconf"], files: ["/usr/lib/dovecot/imap"] },
  "dovecot-lmtpd": { files: ["/usr/lib/dovecot/lmtp"] },
  "dovecot-mysql": { files: ["/usr/lib/dovecot/modules/auth/libdriver_mysql.so"] },
  "dovecot-sieve": { programs: ["sievec"] },
  opendkim: { programs: ["opendkim"] },
  age: { programs: ["age", "age-keygen"] },
  zstd: { programs: ["zstd"] },
  jq: { programs: ["jq"] },
  curl: { programs: ["curl"] },
  openssl: { programs: ["openssl"] },
  python3: { programs: ["python3"] },
  // Containers of the tests. No image is ever fetched.
  podman: { programs: ["podman"] },
  // Newer releases of podman do not start without it, whatever network a container has.
  netavark: { files: ["/usr/lib/podman/netavark"] },
  runc: { programs: ["runc"] },
  acl: { programs: ["getfacl", "setfacl"] },
  attr: { programs: ["getfattr", "setfattr"] },
  "util-linux": { programs: ["setpriv", "flock"] },
};

/**
 * The packages of which something is missing.
 *
 * @param {(program: string) => boolean} hasProgram
 * @param {(path: string) => boolean} hasFile
 * @returns {{ name: string, lacks: string[] }[]}
 */
export function missingPackages(hasProgram, hasFile) {
  return Object.entries(needs)
    .map(([name, { programs = [], files = [] }]) => ({
      name,
      lacks: [...programs.filter((program) => !hasProgram(program)), ...files.filter((file) => !hasFile(file))],
    }))
    .filter(({ lacks }) => lacks.length > 0);
}

/** What is missing on this machine. Looks at files only, so that it costs nothing when all is there. */
export function missingHere() {
  const folders = [
    ...(process.env.PATH ?? "").split(delimiter),
    ...["/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/lib/postfix/sbin", "/usr/libexec/postfix"],
    ...postgresFolders(),
  ];
  return missingPackages((program) => folders.some((folder) => isProgram(join(folder, program))), existsSync);
}

function postgresFolders() {
  try {
    return readdirSync("/usr/lib/postgresql").map((version) => join("/usr/lib/postgresql", version, "bin"));
  } catch {
    return [];
  }
}

/** @param {string} path */
function isProgram(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
