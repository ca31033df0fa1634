/** A Dovecot on the staged configuration, database and mail, behind Unix sockets of its own. */
import { randomBytes } from "node:crypto";
import { MailarkError } from "../../../core/errors.ts";
import { converse } from "./conversation.ts";
import { parseSettings, printSettings, privateSettings } from "./dovecot-settings.ts";
import type { Ground } from "./ground.ts";

export interface MailUser {
  readonly uid: string;
  readonly home: string;
  /** `maildir:~/Maildir` */
  readonly mail: string;
}

export interface PrivateDovecot {
  readonly imapSocket: string;
  readonly lmtpSocket: string;
  readonly saslSocket: string;
  /** Logs in to any mailbox whose owner the user database knows, as `ADDRESS*NAME`. */
  readonly master: { readonly suffix: string; readonly password: string };
  /**
   * What the user database says of an address; `undefined`: that there is none.
   *
   * @throws MailarkError `PROGRAM_FAILED` when it can not be asked, with the server's words.
   */
  lookUp(address: string): Promise<MailUser | undefined>;
  /** The last lines of its log that say that something is wrong. */
  complaints(): Promise<string>;
}

/**
 * @param config the copy of `dovecot.conf`.
 * @param pinned where the mailbox is, when the user database would say a place on the live host.
 * @throws MailarkError `PROGRAM_MISSING`; `PROGRAM_FAILED` with its words when it does not come up.
 */
export async function startDovecot(
  ground: Ground,
  config: string,
  pinned?: Pick<MailUser, "home" | "mail">,
): Promise<PrivateDovecot & { end(): Promise<void> }> {
  const { shelter, world, accountOf, write } = ground;
  const home = `${shelter.path}/d${pinned ? "p" : ""}`;
  await release(ground);
  const said = await ground.run(["doveconf", "-n", "-c", pathOf(config)]);
  const staged = privateSettings(parseSettings(said.toString("latin1")), ground.isStagedMail);
  for (const folder of [home, `${home}/run`, `${home}/state`]) {
    world.files.mkdirSync(folder, { mode: 0o755 });
  }
  const internal = accountOf("dovecot");
  const login = accountOf("dovenull");
  world.files.chownSync(`${home}/state`, internal.uid, internal.gid);
  const password = randomBytes(18).toString("hex");
  write(`${home}/master`, `drill:{PLAIN}${password}::::::\n`);
  const override = [
    ...(ground.isRoot ? [] : [`uid=${internal.uid} gid=${internal.gid}`]),
    ...(pinned ? [`home=${pinned.home} mail=${pinned.mail}`] : []),
  ].join(" ");
  const sections = staged.sections.map((section) =>
    section.name.startsWith("userdb") && override !== ""
      ? { ...section, settings: [...section.settings, ["override_fields", override] as const] }
      : section,
  );
  write(
    `${home}/dovecot.conf`,
    `${printSettings({ ...staged, sections })}${own({ home, internal, login, isRoot: ground.isRoot })}`,
  );
  const sockets = { imapSocket: `${home}/imap`, lmtpSocket: `${home}/lmtp`, saslSocket: `${home}/sasl` };
  const server = await ground.serve({
    name: `dovecot${pinned ? "-pinned" : ""}`,
    words: ["dovecot", "-F", "-c", `${home}/dovecot.conf`],
    asRoot: true,
    ready: async () => {
      const greeting = await converse(sockets.imapSocket, world);
      try {
        return (await greeting.line()).startsWith("* OK");
      } finally {
        greeting.close();
      }
    },
  });
  return {
    ...sockets,
    master: { suffix: "*drill", password },
    end: server.end,
    async lookUp(address) {
      const words = ["doveadm", "-c", `${home}/dovecot.conf`, "user", address] as const;
      try {
        return userOf((await ground.run(words)).toString("latin1"));
      } catch (error) {
        // sysexits(3): EX_NOUSER.
        if (error instanceof MailarkError && error.message.endsWith("exit status 67")) return undefined;
        throw error;
      }
    },
    async complaints() {
      const log = (await shelter.run(["tail", "-c", "8000", `${home}/log`])).toString("utf8");
      return log
        .split("\n")
        .filter((line) => /(Error|Fatal|Warning|Panic):/.test(line))
        .slice(-3)
        .join("; ");
    },
  };
}

async function release(ground: Ground): Promise<void> {
  const version = (await ground.run(["dovecot", "--version"])).toString("latin1").trim();
  if (/^2\.[23]\./.test(version)) return;
  throw new MailarkError("PROGRAM_MISSING", "this release of Dovecot is configured in another way", {
    detail: `dovecot ${version}`,
    hint: "drill on a machine that has Dovecot 2.3, or log in by hand after a restore",
  });
}

interface Own {
  readonly home: string;
  readonly internal: { readonly name: string; readonly group: string };
  readonly login: { readonly name: string };
  readonly isRoot: boolean;
}

/** A later setting wins. Nothing listens but what is named here. */
const own = ({ home, internal, login, isRoot }: Own) => `
protocols = imap lmtp
listen = 127.0.0.1
base_dir = ${home}/run
state_dir = ${home}/state
log_path = ${home}/log
instance_name = mailark-drill
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain login
auth_master_user_separator = *
auth_failure_delay = 0 secs
auth_cache_size = 0
default_internal_user = ${internal.name}
default_internal_group = ${internal.group}
default_login_user = ${login.name}
mail_fsync = never
mail_max_userip_connections = 0
sendmail_path = /bin/false
submission_host =
passdb {
  driver = passwd-file
  args = ${home}/master
  master = yes
}
service imap-login {
  chroot =
  process_min_avail = 0
  inet_listener imap {
    port = 0
  }
  inet_listener imaps {
    port = 0
  }
  unix_listener ${home}/imap {
    mode = 0600
  }
}
service anvil {
  chroot =
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
service stats {
  chroot =
}
service lmtp {
  unix_listener ${home}/lmtp {
    mode = 0666
  }
}
service auth {
${isRoot ? "  user = root\n" : ""}  unix_listener ${home}/sasl {
    mode = 0666
  }
}
${isRoot ? "service auth-worker {\n  user = root\n}\n" : ""}`;

const pathOf = (latin1: string) => Buffer.from(latin1, "latin1").toString("utf8");

/** `doveadm user` prints a table: field, tab, value. */
function userOf(said: string): MailUser | undefined {
  const fields = new Map(said.split("\n").map((line) => line.split("\t", 2) as [string, string]));
  if (!fields.has("uid") && !fields.has("home") && !fields.has("mail")) return undefined;
  return { uid: fields.get("uid") ?? "", home: fields.get("home") ?? "", mail: fields.get("mail") ?? "" };
}
