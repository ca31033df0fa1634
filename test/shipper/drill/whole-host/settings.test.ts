import { describe, expect, test } from "vitest";
import { type DatabaseLogin, turnDatabases } from "../../../../shipper/drill/whole-host/database-settings.ts";
import {
  parseSettings,
  printSettings,
  privateSettings,
} from "../../../../shipper/drill/whole-host/dovecot-settings.ts";
import {
  mapTypes,
  parseMain,
  privateMain,
  submissionOptions,
} from "../../../../shipper/drill/whole-host/postfix-settings.ts";

const places = { mysql: "/scratch/m", pgsql: "/scratch" };

function turned(text: string, to: typeof places = places) {
  const logins: DatabaseLogin[] = [];
  return { text: turnDatabases(text, to, (login) => logins.push(login)), logins };
}

describe("the database of a configuration", () => {
  test("is the scratch server, with the account and the name that were captured", () => {
    const dovecot =
      "driver = mysql\nconnect = host=10.0.0.1 port=3307 \\\n  dbname=m user=u password=p#1 ssl_ca=/x\nuser_query = SELECT 1\n";
    expect(turned(dovecot)).toEqual({
      text: "driver = mysql\nconnect = host=/scratch/m dbname=m user=u password=p#1\nuser_query = SELECT 1\n",
      logins: [{ kind: "mysql", user: "u", host: "10.0.0.1" }],
    });
    const postgres = "driver = pgsql\nconnect = host=/run/postgresql dbname=m user=u\n";
    expect(turned(postgres).text).toBe("driver = pgsql\nconnect = host=/scratch dbname=m user=u\n");
  });

  test("of a table of Postfix, too", () => {
    const table =
      "user = u\npassword = p\nhosts = 127.0.0.1 10.0.0.1\ndbname = m\nquery = SELECT 1 FROM d WHERE name='%s'\n";
    const { text, logins } = turned(table);
    expect(text).not.toContain("127.0.0.1");
    expect(text).toMatch(/^user = u\npassword = p\n\ndbname = m\nquery = .*\n\nhosts = unix:\/scratch\/m\n$/);
    expect(logins).toEqual([{ kind: "mysql", user: "u", host: "127.0.0.1" }]);
  });

  test("is in no other file", () => {
    for (const text of ["connect = host=x\n", "driver = static\n", "hosts = x\n", ""]) {
      expect(turned(text)).toEqual({ text, logins: [] });
    }
  });
});

describe("the settings of Dovecot", () => {
  const said = `# 2.3.19.1 (9b53102964): /etc/dovecot/dovecot.conf
auth_mechanisms = plain
base_dir = /run/dovecot
mail_location = maildir:/scratch/mail/%d/%n:INDEX=/var/index/%u:LAYOUT=fs
mail_plugins = " quota zlib push_notification"
mail_uid = vmail
namespace inbox {
  inbox = yes
  location =
  mailbox Drafts {
    special_use = \\Drafts
  }
  prefix =
}
namespace {
  location = maildir:/srv/public
  prefix = Public/
}
passdb {
  args = /x/dovecot-sql.conf.ext
  driver = sql
}
plugin {
  mail_replica = tcp:other.example.test
  zlib_save = gz
}
protocol lmtp {
  mail_plugins = " quota sieve"
}
service replicator {
  process_min_avail = 1
}
`;
  const ground = {
    idOf: (kind: string, name: string) => (name === "vmail" ? (kind === "uid" ? "5000" : "5001") : name),
    isStagedMail: (path: string) => path.startsWith("/scratch/mail/"),
  };

  test("are read and printed as they are", () => {
    const again = printSettings(parseSettings(said));
    expect(printSettings(parseSettings(again))).toBe(again);
    expect(again).toContain("  mailbox Drafts {\n    special_use = \\Drafts\n  }\n");
  });

  test("that say who has a mailbox and where are taken over, and none that reach out", () => {
    expect(
      printSettings(privateSettings(parseSettings(said), ground)),
    ).toBe(`mail_location = maildir:/scratch/mail/%d/%n:LAYOUT=fs
mail_plugins = zlib
mail_uid = 5000
namespace inbox {
  inbox = yes
  location = 
  prefix = 
  mailbox Drafts {
    special_use = \\Drafts
  }
}
passdb {
  args = /x/dovecot-sql.conf.ext
  driver = sql
}
plugin {
  zlib_save = gz
}
protocol lmtp {
  mail_plugins = 
}
`);
  });
});

describe("the settings of Postfix", () => {
  test("are read over lines that go on, and the last of a name counts", () => {
    const text = "# a = comment\na = 1,\n  # in between\n  2\nb=3\na.b_c = \nb = 4\n";
    expect([...parseMain(text)]).toEqual([
      ["a", "1, 2"],
      ["b", "4"],
      ["a.b_c", ""],
    ]);
  });

  test.each([
    ["virtual_mailbox_domains", true],
    ["virtual_alias_maps", true],
    ["relay_domains", true],
    ["local_recipient_maps", true],
    ["message_size_limit", true],
    ["recipient_delimiter", true],
    ["myhostname", true],
    ["default_transport", false],
    ["relayhost", false],
    ["transport_maps", false],
    ["smtp_sasl_password_maps", false],
    ["smtpd_tls_cert_file", false],
    ["smtpd_recipient_restrictions", false],
    ["smtpd_milters", false],
    ["content_filter", false],
    ["mailbox_command", false],
    ["sender_dependent_relayhost_maps", false],
    ["recipient_bcc_maps", false],
    ["queue_directory", false],
    ["maillog_file", false],
    ["cleanup_service_name", false],
  ])("%s is taken over: %s", (name, isTaken) => {
    expect(privateMain(new Map([[name, "x"]])).has(name)).toBe(isTaken);
  });

  test("for those who log in are those of the service that says so", () => {
    const master = `smtp inet n - y - - smtpd
  -o smtpd_sasl_auth_enable=no
submission inet n - y - - smtpd
  -o syslog_name=postfix/submission
  -o { smtpd_helo_required = yes }
  -o smtpd_sasl_auth_enable=yes -o cleanup_service_name=x
`;
    expect(Object.fromEntries(submissionOptions(master))).toEqual({
      syslog_name: "postfix/submission",
      smtpd_helo_required: "yes",
      smtpd_sasl_auth_enable: "yes",
      cleanup_service_name: "x",
    });
  });

  test("name the kinds of tables that they need", () => {
    const values = [
      "proxy:mysql:/etc/postfix/a.cf, hash:/etc/aliases",
      "$x pcre:{ {/a/ b} }",
      "lmtp:unix:private/x",
      "[::1]:25",
    ];
    expect([...mapTypes(values)]).toEqual(expect.arrayContaining(["mysql", "hash", "pcre"]));
  });
});
