import { appendFileSync } from "node:fs";
import { join } from "node:path";
import { accountFor, groupName, isRoot } from "./account.ts";
import { answers, Daemon, serviceOf } from "./daemon.ts";
import { hashPassword, mailboxPassword } from "./mailbox-password.ts";
import type { Mariadb } from "./mariadb.ts";
import { freePort, makeFolder, type Place, writeFileFor } from "./place.ts";
import { programPath } from "./programs.ts";
import type { Service } from "./service.ts";

/** Dovecot with IMAP and LMTP. Who may log in is asked of MariaDB's `virtual_users` where the host has one. */
export interface Dovecot extends Service {
  readonly imapPort: number;
  /** For `doveadm -c`, `doveconf -c`. */
  readonly config: string;
  /** The folder that holds `config`. */
  readonly configDirectory: string;
  readonly lmtpSocket: string;
  /** Answers for Postfix whether a password is right (`smtpd_sasl_type = dovecot`). */
  readonly saslSocket: string;
  readonly log: string;
  /** Makes an address that mail is accepted for, and that can log in with {@link mailboxPassword}. */
  addMailbox(address: string): Promise<void>;
}

/** Numeric owner of all mail, as at the agency: 5000:5000, or the present user where this process is not root. */
export const mailOwner = isRoot
  ? { name: "vmail", uid: 5000, gid: 5000 }
  : { name: "me", uid: process.getuid!(), gid: process.getgid!() };

/** Writes the configuration, without starting the server. */
export async function prepareDovecot(place: Place, vmail: string, mariadb: Mariadb | undefined): Promise<Dovecot> {
  const { directory } = place;
  const home = makeFolder(join(directory, "dovecot"), undefined, 0o755);
  const configDirectory = makeFolder(join(directory, "etc", "dovecot"), undefined, 0o755);
  const run = makeFolder(join(home, "run"), undefined, 0o755);
  const state = makeFolder(join(home, "state"), accountFor("dovecot"), 0o755);
  const imapPort = await freePort();
  const lmtpSocket = join(home, "lmtp");
  const saslSocket = join(home, "sasl");
  const log = writeFileFor(join(home, "dovecot.log"), "");
  const users = writeFileFor(join(configDirectory, "users"), "", accountFor("dovecot"));
  const mailHome = `${vmail}/%d/%n`;

  const accounts = mariadb
    ? accountsInMariadb(configDirectory, mariadb, mailHome)
    : `
passdb {
  driver = passwd-file
  args = ${users}
}
userdb {
  driver = passwd-file
  args = ${users}
  override_fields = uid=${mailOwner.uid} gid=${mailOwner.gid} home=${mailHome}
}`;

  const config = writeFileFor(
    join(configDirectory, "dovecot.conf"),
    `protocols = imap lmtp
base_dir = ${run}
state_dir = ${state}
log_path = ${log}
ssl = no
disable_plaintext_auth = no
auth_failure_delay = 0 secs
default_internal_user = ${accountFor("dovecot").name}
default_internal_group = ${groupName(accountFor("dovecot").gid)}
default_login_user = ${accountFor("dovenull").name}
mail_location = maildir:~/Maildir
first_valid_uid = ${mailOwner.uid}
first_valid_gid = ${mailOwner.gid}
mail_max_userip_connections = 0
lda_mailbox_autocreate = yes
recipient_delimiter = +
postmaster_address = postmaster@example.test
namespace inbox {
  inbox = yes
}
protocol lmtp {
  mail_plugins = sieve
}
plugin {
  sieve = file:~/sieve;active=~/.dovecot.sieve
}
service imap-login {
  chroot =
  process_min_avail = 0
  inet_listener imap {
    address = 127.0.0.1
    port = ${imapPort}
  }
  inet_listener imaps {
    port = 0
  }
}
service anvil {
  chroot =
  # Otherwise one wrong password slows down every later login from this address.
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
service stats {
  chroot =
}
service lmtp {
  unix_listener ${lmtpSocket} {
    mode = 0666
  }
}
service auth {
  unix_listener auth-userdb {
    mode = 0666
  }
  unix_listener ${saslSocket} {
    mode = 0666
  }
}
${accounts}
`,
    undefined,
    0o644,
  );

  const daemon = new Daemon({
    place,
    name: "Dovecot",
    cwd: home,
    log,
    command: [programPath("dovecot", "dovecot-imapd"), "-F", "-c", config],
    ready: () => answers({ host: "127.0.0.1", port: imapPort }, /^\* OK/),
  });

  return serviceOf<Dovecot>(daemon, {
    imapPort,
    config,
    configDirectory,
    lmtpSocket,
    saslSocket,
    log,
    async addMailbox(address) {
      const hash = hashPassword(mailboxPassword, address);
      if (!mariadb) appendFileSync(users, `${address}:${hash}:${mailOwner.uid}:${mailOwner.gid}::::\n`);
      else {
        const domain = address.slice(address.lastIndexOf("@") + 1);
        await mariadb.sql(
          `INSERT IGNORE INTO virtual_domains (name) VALUES ('${domain}');
           SET @domain = (SELECT id FROM virtual_domains WHERE name = '${domain}');
           INSERT INTO virtual_users (domain_id, email, password) VALUES (@domain, '${address}', '${hash}');`,
          "mailserver",
        );
      }
    },
  });
}

/** Dovecot's own database account, so that a restore that loses accounts and grants is noticed at the next login. */
export const dovecotDatabaseUser = "dovecot";

function accountsInMariadb(configDirectory: string, mariadb: Mariadb, mailHome: string): string {
  const owner = `${mailOwner.uid} AS uid, ${mailOwner.gid} AS gid`;
  const sql = writeFileFor(
    join(configDirectory, "dovecot-sql.conf.ext"),
    `driver = mysql
connect = host=${mariadb.socket} dbname=mailserver user=${dovecotDatabaseUser} password=${mariadb.applicationPassword}
default_pass_scheme = SSHA512
password_query = SELECT email AS user, password FROM virtual_users WHERE email = '%u' AND active = 1
user_query = SELECT '${mailHome}' AS home, ${owner} FROM virtual_users WHERE email = '%u' AND active = 1
iterate_query = SELECT email AS user FROM virtual_users WHERE active = 1 ORDER BY email
`,
  );
  return `
passdb {
  driver = sql
  args = ${sql}
}
userdb {
  driver = sql
  args = ${sql}
}`;
}
