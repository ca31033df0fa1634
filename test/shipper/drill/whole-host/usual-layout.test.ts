import { execFileSync } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { systemClock } from "../../../../core/ports/clock.ts";
import { nodeFiles } from "../../../../core/ports/files.ts";
import { isRoot } from "../../../../sandbox/host/account.ts";
import { type SandboxHost, startHost } from "../../../../sandbox/host/host.ts";
import { hashPassword, mailboxPassword } from "../../../../sandbox/host/mailbox-password.ts";
import type { StagedHost } from "../../../../shipper/components/staged-host.ts";
import { checkWholeHost } from "../../../../shipper/drill/whole-host/whole-host.ts";
import { nodeProcesses } from "../../../../shipper/processes.ts";
import { scratchDirectory } from "../../../fixtures/scratch.ts";

const address = "info@customer.test";
const secret = "of the application";

/** Where Debian keeps the configuration that it installs. */
const debian = "/usr/share/dovecot";

const main = `# as Debian and a thousand tutorials have it
myorigin = /etc/mailname-that-is-not-here
mydestination = localhost
smtpd_tls_cert_file=/etc/letsencrypt/live/mx/fullchain.pem
smtpd_tls_security_level=may
smtpd_tls_auth_only = yes
smtp_tls_security_level=may
mynetworks = 127.0.0.0/8 [::1]/128
relayhost = [smtp.provider.test]:587
virtual_transport = lmtp:unix:private/dovecot-lmtp
virtual_mailbox_domains = texthash:/etc/postfix/domains
virtual_mailbox_maps = texthash:\${config_directory}/mailboxes
smtpd_sasl_type = dovecot
smtpd_sasl_path = private/auth
smtpd_recipient_restrictions = permit_sasl_authenticated,
  permit_mynetworks, reject_unauth_destination,
  reject_rbl_client zen.spamhaus.org, check_policy_service inet:127.0.0.1:10023
smtpd_helo_restrictions = reject_unknown_helo_hostname
content_filter = smtp-amavis:[127.0.0.1]:10024
smtpd_milters = inet:127.0.0.1:8891, inet:127.0.0.1:11332
always_bcc = archive@elsewhere.test
`;

const master = `smtp      inet  n       -       y       -       -       smtpd
submission inet n       -       y       -       -       smtpd
  -o syslog_name=postfix/submission
  -o smtpd_tls_security_level=encrypt
  -o smtpd_sasl_auth_enable=yes
  -o smtpd_recipient_restrictions=permit_sasl_authenticated,reject
  -o milter_macro_daemon_name=ORIGINATING
smtp-amavis unix -      -       n       -       2       smtp
`;

const sql = `driver = mysql
connect = host=127.0.0.1 port=3306 dbname=mailserver \\
  user=mailuser password=${secret.replaceAll(" ", "")}
default_pass_scheme = SHA512-CRYPT
password_query = SELECT email AS user, password FROM virtual_users WHERE email='%u'
`;

const changes: Record<string, (text: string) => string> = {
  "conf.d/10-auth.conf": (text) => text.replace("!include auth-system", "!include auth-sql"),
  "conf.d/10-mail.conf": (text) =>
    `${text}\nmail_location = maildir:/var/vmail/%d/%n/Maildir:INDEX=/var/vmail-index/%u\nmail_plugins = quota fts zlib\n`,
  "conf.d/10-ssl.conf": () =>
    "ssl = required\nssl_cert = </etc/letsencrypt/live/mx/fullchain.pem\nssl_key = </etc/letsencrypt/live/mx/privkey.pem\n",
  "conf.d/10-master.conf": (text) =>
    `${text}\nservice lmtp {\n  unix_listener /var/spool/postfix/private/dovecot-lmtp {\n    mode = 0600\n    user = postfix\n  }\n}\n`,
  "conf.d/20-lmtp.conf": () => "protocol lmtp {\n  mail_plugins = $mail_plugins sieve\n}\n",
  "conf.d/auth-sql.conf.ext": () =>
    `passdb {\n  driver = sql\n  args = /etc/dovecot/dovecot-sql.conf.ext\n}
userdb {\n  driver = static\n  args = uid=no-such-vmail gid=no-such-vmail home=/var/vmail/%d/%n\n}\n`,
};

let database: SandboxHost;

beforeAll(async () => {
  database = await startHost({ services: ["mariadb"] });
  const password = secret.replaceAll(" ", "");
  await database.mariadb.sql(
    `INSERT INTO virtual_domains (name) VALUES ('customer.test');
     INSERT INTO virtual_users (domain_id, email, password) VALUES (1, '${address}', '${hashPassword(mailboxPassword, address)}');
     CREATE USER mailuser@'127.0.0.1' IDENTIFIED BY '${password}';
     GRANT SELECT ON mailserver.* TO mailuser@'127.0.0.1';
     ALTER USER root@localhost IDENTIFIED VIA mysql_native_password USING '';`,
    "mailserver",
  );
});

afterAll(() => database?.stop());

function stage(): { staged: StagedHost; scratch: string } {
  const scratch = scratchDirectory();
  chmodSync(scratch, 0o711);
  const root = join(scratch, "configs");
  const put = (path: string, text: string) => {
    mkdirSync(dirname(root + path), { recursive: true });
    writeFileSync(root + path, text);
  };
  mkdirSync(`${root}/etc`, { recursive: true });
  execFileSync("cp", ["-r", debian, `${root}/etc/dovecot`]);
  for (const [name, change] of Object.entries(changes)) {
    put(`/etc/dovecot/${name}`, change(readFileSync(`${debian}/${name}`, "utf8")));
  }
  put("/etc/dovecot/dovecot-sql.conf.ext", sql);
  put("/etc/postfix/main.cf", main);
  put("/etc/postfix/master.cf", master);
  put("/etc/postfix/domains", "customer.test ok\n");
  put("/etc/postfix/mailboxes", `${address} customer.test/info/\n`);
  const key = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey.export({ format: "pem", type: "pkcs8" });
  put("/etc/dkimkeys/2025.private", key.toString());
  put("/etc/opendkim/tables/keys", "2025._domainkey.customer.test customer.test:2025:/etc/dkimkeys/2025.private\n");
  put("/etc/opendkim/tables/signing", "*@customer.test 2025._domainkey.customer.test\n");
  put(
    "/etc/opendkim.conf",
    `Syslog yes
UserID opendkim
Mode sv   # signs and verifies
Canonicalization simple/simple
KeyTable /etc/opendkim/current/keys
SigningTable refile:/etc/opendkim/current/signing
Socket inet:8891@localhost
InternalHosts refile:/etc/opendkim/trusted.hosts
`,
  );
  // As an absolute link it would lead to the live file.
  symlinkSync("/etc/opendkim/tables", `${root}/etc/opendkim/current`);
  const mail = join(scratch, "mail");
  const mailbox = join(mail, "customer.test", "info");
  mkdirSync(mailbox, { recursive: true });
  if (isRoot) for (const path of [join(mail, "customer.test"), mailbox]) chownSync(path, 5000, 5000);
  const paths = ["/etc/postfix", "/etc/dovecot", "/etc/opendkim.conf", "/etc/opendkim", "/etc/dkimkeys"];
  return {
    scratch,
    staged: {
      configs: { root, paths },
      mail: { root: mail, liveRoot: "/var/vmail", layout: "{domain}/{user}" },
      mysql: { socket: database.mariadb.socket },
    },
  };
}

const world = {
  files: nodeFiles,
  processes: nodeProcesses,
  clock: systemClock,
  signal: new AbortController().signal,
  progress: () => {},
};

describe.runIf(isRoot && existsSync(`${debian}/dovecot.conf`))("a host as Debian lays it out", () => {
  test("is proven without its certificates, filters, blacklists and the host that it relays to", async () => {
    const { staged, scratch } = stage();
    const passwordFile = join(scratch, "password");
    writeFileSync(passwordFile, `${mailboxPassword}\n`);
    const options = { path: join(scratch, "host"), probe: { address, passwordFile } };
    const checks = await checkWholeHost(staged, options, world);
    expect(checks.filter(({ outcome }) => outcome !== "passed")).toEqual([]);
    expect(checks.map(({ detail }) => detail).join("\n")).toMatch(
      /someone@elsewhere.invalid: 5\d\d .*Relay access denied/,
    );
  });

  test("is not proven further than this machine has programs for", async () => {
    const { staged, scratch } = stage();
    const file = `${staged.configs!.root}/etc/postfix/main.cf`;
    writeFileSync(file, `${main}virtual_alias_maps = mongodb:/etc/postfix/aliases.cf\n`);
    const checks = await checkWholeHost(staged, { path: join(scratch, "host") }, world);
    expect(checks.filter(({ outcome }) => outcome === "failed")).toEqual([]);
    expect(checks.find(({ name }) => name.startsWith("Postfix"))).toMatchObject({
      outcome: "unproven",
      detail: expect.stringContaining("postfix-mongodb"),
    });
  });
});
