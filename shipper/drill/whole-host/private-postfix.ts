/**
 * A Postfix on the staged configuration that delivers to the private Dovecot and nowhere else: it has no service that talks to another host or starts a
 * program, and what is not for a staged mailbox is refused.
 */
import { posix } from "node:path";
import { MailarkError } from "../../../core/errors.ts";
import { isAbsent } from "../../../core/ports/files.ts";
import { readText } from "../../state-files.ts";
import { converse } from "./conversation.ts";
import type { Ground } from "./ground.ts";
import { mapTypes, parseMain, privateMain, submissionOptions } from "./postfix-settings.ts";

export interface PrivatePostfix {
  /** Takes mail of those who log in. */
  readonly submissionSocket: string;
  /** Takes mail from this machine. */
  readonly smtpSocket: string;
  /** Why the first message was not delivered to one of its recipients, as soon as it is settled for all of them; `undefined`: not yet, or it was. */
  failure(): string | undefined;
  complaints(): string;
}

/** Whether the staged configuration hands mail to a milter. */
export const usesMilter = (main: string) => /\S/.test(parseMain(main).get("smtpd_milters") ?? "");

/**
 * Runs as root only.
 *
 * @param config the copy of `main.cf`, with `master.cf` beside it.
 * @param milterSocket of the private OpenDKIM; `undefined`: mail is not signed.
 * @throws MailarkError `PROGRAM_MISSING`, also for a kind of table that this machine's Postfix does not read; `PROGRAM_FAILED` with its words when it does
 *   not come up.
 */
export async function startPostfix(
  ground: Ground,
  config: string,
  milterSocket: string | undefined,
): Promise<PrivatePostfix> {
  const { shelter, world, write } = ground;
  const { files } = world;
  const home = `${shelter.path}/p`;
  const queue = `${home}/q`;
  const log = `${home}/log`;
  makeHome(ground, home);
  const text = (path: string) => Buffer.from(readText(files, path) ?? "", "utf8").toString("latin1");
  const folder = posix.dirname(config);
  const beside = (value: string) =>
    value.replace(/\$(\{config_directory\}|\(config_directory\)|config_directory\b)/g, () => folder);
  const main = privateMain(parseMain(beside(text(config))));
  const mailname = main.get("myorigin") ?? "";
  if (mailname.startsWith("/") && readText(files, mailname) === undefined) main.delete("myorigin");
  const options = privateMain(submissionOptions(beside(text(`${folder}/master.cf`))));
  const programs = await daemonDirectory(ground);
  const milters = milterSocket === undefined ? "" : `unix:${milterSocket}`;
  const own: Record<string, string> = {
    queue_directory: queue,
    data_directory: `${home}/data`,
    daemon_directory: programs,
    maillog_file: log,
    maillog_file_prefixes: shelter.path,
    inet_interfaces: "127.0.0.1",
    inet_protocols: "ipv4",
    mynetworks: "127.0.0.0/8",
    mail_owner: ground.accountOf("postfix").name,
    virtual_transport: `lmtp:unix:${ground.lmtpSocket}`,
    local_transport: `lmtp:unix:${ground.lmtpSocket}`,
    default_transport: closed,
    relay_transport: closed,
    lmtp_tls_security_level: "none",
    lmtp_connection_cache_on_demand: "no",
    smtpd_tls_security_level: "none",
    smtpd_peername_lookup: "no",
    smtpd_error_sleep_time: "0",
    smtpd_relay_restrictions: "reject_unauth_destination",
    smtpd_sasl_type: "dovecot",
    smtpd_sasl_path: ground.saslSocket,
    smtpd_sasl_security_options: "noanonymous",
    smtpd_milters: milters,
    milter_default_action: "tempfail",
    biff: "no",
  };
  for (const [name, value] of Object.entries(own)) main.set(name, value);
  write(`${home}/main.cf`, [...main].map(([name, value]) => `${name} = ${value}\n`).join(""), 0o644);
  await refuseUnknownTables(ground, home, [...main.values(), ...options.values()]);
  options.set("smtpd_sasl_auth_enable", "yes");
  options.set("smtpd_client_restrictions", "permit_sasl_authenticated,reject");
  const flags = [...options].map(([name, value]) => ` -o {${name}=${value}}`).join("");
  write(`${home}/master.cf`, `submit unix n - n - - smtpd${flags}\n${services}`, 0o644);
  const sockets = { submissionSocket: `${queue}/public/submit`, smtpSocket: `${queue}/public/smtp` };
  await ground.serve({
    name: "postfix",
    words: [`${programs}/master`, "-c", home, "-d"],
    ready: async () => {
      const greeting = await converse(sockets.smtpSocket, world);
      try {
        return (await greeting.line()).startsWith("220");
      } finally {
        greeting.close();
      }
    },
  });
  const lines = () => (readText(files, log) ?? "").split("\n");
  return {
    ...sockets,
    failure() {
      const all = lines();
      const [, id = "", count = ""] =
        all.map((line) => /qmgr\[\d+\]: (\w+): .*nrcpt=(\d+)/.exec(line)).find(Boolean) ?? [];
      const settled = all.filter((line) => line.includes(`: ${id}: to=<`) && line.includes("status="));
      if (count === "" || settled.length < Number(count)) return undefined;
      return settled.find((line) => !line.includes("status=sent"))?.replace(/^.*?(?=status=)/, "");
    },
    complaints: () =>
      lines()
        .filter((line) => /(fatal|error|warning|panic):/.test(line))
        .slice(-3)
        .map((line) => line.replace(/^.*?postfix\//, ""))
        .join("; "),
  };
}

const closed = "error:5.4.4 nothing leaves a drill";

/** No `smtp`, no `relay`, no `pipe`, no `local`: what is not here can not be done. */
const services = `smtp unix n - n - - smtpd -o smtpd_client_restrictions=permit_mynetworks,reject
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
flush unix n - n 1000? 0 flush
error unix - - n - - error
retry unix - - n - - error
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
proxymap unix - - n - - proxymap
postlog unix-dgram n - n - 1 postlogd
`;

/** Asked of Postfix itself only where it is at no usual place: that takes longer than everything else here. */
async function daemonDirectory(ground: Ground): Promise<string> {
  for (const usual of ["/usr/lib/postfix/sbin", "/usr/libexec/postfix"]) {
    try {
      if (ground.world.files.statSync(`${usual}/master`).isFile()) return usual;
    } catch (error) {
      if (!isAbsent(error)) throw error;
    }
  }
  return (await ground.run(["postconf", "-dh", "daemon_directory"])).toString("utf8").trim();
}

/** Of all words with a colon, those that are kinds of tables only where a package brings them. */
const extraTables = new Set(["mysql", "pgsql", "ldap", "sqlite", "pcre", "lmdb", "cdb", "hash", "btree", "mongodb"]);

async function refuseUnknownTables(ground: Ground, home: string, values: readonly string[]): Promise<void> {
  const asked = [...mapTypes(values)].filter((type) => extraTables.has(type));
  if (asked.length === 0) return;
  const known = new Set((await ground.run(["postconf", "-c", home, "-m"])).toString("utf8").split(/\s+/));
  const missing = asked.filter((type) => !known.has(type));
  if (missing.length === 0) return;
  throw new MailarkError("PROGRAM_MISSING", "this machine's Postfix does not read all tables of the configuration", {
    detail: `it does not know ${missing.join(", ")}`,
    hint: `install ${missing.map((type) => `postfix-${type}`).join(", ")}`,
  });
}

const privateFolders = "active bounce corrupt defer deferred flush hold incoming private saved trace".split(" ");

/** An empty queue, with the owners and modes that Postfix asks for. */
function makeHome({ world: { files }, accountOf }: Ground, home: string): void {
  const postfix = accountOf("postfix");
  const make = (path: string, mode: number, uid: number, gid: number) => {
    files.mkdirSync(path);
    files.chownSync(path, uid, gid);
    files.chmodSync(path, mode);
  };
  make(home, 0o755, 0, 0);
  make(`${home}/data`, 0o700, postfix.uid, postfix.gid);
  make(`${home}/q`, 0o755, 0, 0);
  for (const name of privateFolders) make(`${home}/q/${name}`, 0o700, postfix.uid, 0);
  make(`${home}/q/pid`, 0o755, 0, 0);
  make(`${home}/q/maildrop`, 0o730, postfix.uid, postfix.gid);
  make(`${home}/q/public`, 0o710, postfix.uid, postfix.gid);
}
