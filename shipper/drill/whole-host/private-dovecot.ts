/** A Dovecot on the staged configuration, database and mail, behind Unix sockets of its own. */
import { randomBytes } from "node:crypto";
import { MailarkError } from "../../../core/errors.ts";
import { readText } from "../../state-files.ts";
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
  /** Logs in to any mailbox whose owner the user database knows, as `ADDRESS*NAME`. */
  readonly master: { readonly suffix: string; readonly password: string };
  /**
   * What the user database says of an address; `undefined`: that there is none.
   *
   * @throws MailarkError `PROGRAM_FAILED` when it can not be asked, with the server's words.
   */
  lookUp(address: string): Promise<MailUser | undefined>;
  /** The last lines of its log that say that something is wrong. */
  complaints(): string;
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
  const said = (await ground.run(["doveconf", "-n", "-c", pathOf(config)])).toString("latin1");
  refuseOtherRelease(said);
  const staged = privateSettings(parseSettings(said), ground);
  for (const folder of [home, `${home}/run`, `${home}/state`]) {
    ground.makeFolder(folder);
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
    `${printSettings({ ...staged, sections })}${own({ ...ground, home, internal, login })}`,
  );
  const complaints = (pattern = /(Error|Fatal|Warning|Panic):/) =>
    (readText(world.files, `${home}/log`) ?? "")
      .split("\n")
      .filter((line) => pattern.test(line))
      .slice(-3)
      .join("; ");
  const server = await ground.serve({
    name: `dovecot${pinned ? "-pinned" : ""}`,
    words: ["dovecot", "-F", "-c", `${home}/dovecot.conf`],
    ready: async () => {
      const greeting = await converse(ground.imapSocket, world);
      try {
        return (await greeting.line()).startsWith("* OK");
      } finally {
        greeting.close();
      }
    },
  });
  return {
    master: { suffix: "*drill", password },
    end: server.end,
    async lookUp(address) {
      // Where the database does not let it in, Dovecot tries again for a minute, and says so at once.
      const words = ["timeout", "10", "doveadm", "-c", `${home}/dovecot.conf`, "user", address] as const;
      let said: string | undefined;
      let problem: unknown;
      const asking = ground.run(words).then(
        (output) => {
          said = output.toString("latin1");
        },
        (error) => {
          problem = error;
        },
      );
      while (said === undefined && problem === undefined) {
        const trouble = complaints(/auth.* (Error|Fatal): .*(sql|dict|ldap)/i);
        if (trouble !== "") throw new MailarkError("PROGRAM_FAILED", "Dovecot can not ask", { detail: trouble });
        await Promise.race([asking, world.clock.sleep(50, world.signal)]);
      }
      if (said !== undefined) return userOf(said);
      // sysexits(3): EX_NOUSER.
      if (problem instanceof MailarkError && problem.message.endsWith("exit status 67")) return undefined;
      throw problem;
    },
    complaints,
  };
}

/** `doveconf` starts with a comment: its release. */
function refuseOtherRelease(said: string): void {
  const version = /^# (\d+\.\d+\.\S+)/.exec(said)?.[1];
  if (version === undefined || /^2\.[23]\./.test(version)) return;
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
  readonly imapSocket: string;
  readonly lmtpSocket: string;
  readonly saslSocket: string;
}

/** A later setting wins. Nothing listens but what is named here. */
const own = ({ home, internal, login, isRoot, imapSocket, lmtpSocket, saslSocket }: Own) => `
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
  unix_listener ${imapSocket} {
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
  unix_listener ${lmtpSocket} {
    mode = 0666
  }
}
service auth {
${isRoot ? "  user = root\n" : ""}  unix_listener ${saslSocket} {
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
