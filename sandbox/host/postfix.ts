import { existsSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { MailarkError } from "../../core/errors.ts";
import { nodeProcesses, outputOf } from "../../shipper/processes.ts";
import { accountFor, groupId, isRoot } from "./account.ts";
import { answers, Daemon, serviceOf } from "./daemon.ts";
import { freePort, makeFolder, type Place, writeFileFor } from "./place.ts";
import { programPath } from "./programs.ts";
import type { Service } from "./service.ts";

/** Postfix: takes mail by SMTP, for any domain, and hands all of it to Dovecot. Nothing leaves the host. */
export interface Postfix extends Service {
  readonly smtpPort: number;
  /** For those who log in (AUTH); refused to all where the host has no Dovecot, and closed while that is down. */
  readonly submissionPort: number;
  /** For `postfix -c`, `postqueue -c`, `postconf -c`. */
  readonly configDirectory: string;
  readonly queueDirectory: string;
  readonly log: string;
  /**
   * Runs a Postfix program on this instance and returns what it prints: `command("postqueue", "-p")`.
   *
   * @throws MailarkError `PROGRAM_FAILED` with its complaint.
   */
  command(program: string, ...args: readonly string[]): Promise<string>;
}

/** Folders of a queue that Postfix's own account writes to, and nobody else. */
const privateFolders = [
  "active",
  "bounce",
  "corrupt",
  "defer",
  "deferred",
  "flush",
  "hold",
  "incoming",
  "private",
  "saved",
  "trace",
];

const services = `127.0.0.1:PORT inet n - n - - smtpd
127.0.0.1:SUBMISSION inet n - n - - smtpd -o smtpd_sasl_auth_enable=yes -o smtpd_client_restrictions=permit_sasl_authenticated,reject
pickup    unix  n - n 60  1 pickup
cleanup   unix  n - n -   0 cleanup
qmgr      unix  n - n 300 1 qmgr
rewrite   unix  - - n -   - trivial-rewrite
bounce    unix  - - n -   0 bounce
defer     unix  - - n -   0 bounce
trace     unix  - - n -   0 bounce
flush     unix  n - n 1000? 0 flush
showq     unix  n - n -   - showq
error     unix  - - n -   - error
retry     unix  - - n -   - error
discard   unix  - - n -   - discard
lmtp      unix  - - n -   - lmtp
anvil     unix  - - n -   1 anvil
proxymap  unix  - - n -   - proxymap
postlog   unix-dgram n - n - 1 postlogd
`;

/**
 * Writes the configuration and an empty queue, without starting the server.
 *
 * @throws MailarkError `PROGRAM_FAILED` when this process is not root: Postfix's master refuses to run as anybody else.
 */
export async function preparePostfix(
  place: Place,
  { lmtpSocket, saslSocket, milterSocket }: Record<"lmtpSocket" | "saslSocket" | "milterSocket", string | undefined>,
): Promise<Postfix> {
  if (!isRoot) {
    throw new MailarkError("PROGRAM_FAILED", "the sandbox's Postfix runs as root only", {
      hint: 'run as root, or leave "postfix" out of the services',
    });
  }
  const { directory } = place;
  const account = accountFor("postfix");
  const home = makeFolder(join(directory, "postfix"), undefined, 0o755);
  const configDirectory = makeFolder(join(directory, "etc", "postfix"), undefined, 0o755);
  const queueDirectory = join(home, "queue");
  const data = makeFolder(join(home, "data"), account);
  const smtpPort = await freePort();
  const submissionPort = await freePort();
  const log = join(home, "maillog");
  const master = programPath("master", "postfix");
  const settings = {
    compatibility_level: "3.6",
    queue_directory: queueDirectory,
    data_directory: data,
    daemon_directory: join(master, ".."),
    command_directory: "/usr/sbin",
    maillog_file: log,
    maillog_file_prefixes: directory,
    inet_interfaces: "127.0.0.1",
    inet_protocols: "ipv4",
    mail_owner: account.name,
    setgid_group: "postdrop",
    myhostname: "mx.example.test",
    mydestination: "",
    mynetworks: "127.0.0.0/8",
    alias_maps: "",
    local_recipient_maps: "",
    local_transport: "error:no local mail",
    virtual_mailbox_domains: "static:all",
    virtual_transport: lmtpSocket === undefined ? "discard" : `lmtp:unix:${lmtpSocket}`,
    smtpd_relay_restrictions: "permit_mynetworks, reject",
    // Mail for the domain that is held back is accepted, and waits.
    smtpd_reject_unlisted_recipient: "no",
    smtpd_sasl_type: "dovecot",
    smtpd_sasl_path: saslSocket ?? "none",
    broken_sasl_auth_clients: "yes",
    smtpd_milters: milterSocket === undefined ? "" : `unix:${milterSocket}`,
    non_smtpd_milters: milterSocket === undefined ? "" : `unix:${milterSocket}`,
    milter_default_action: "tempfail",
    transport_maps: "inline:{ deferred.test=retry:4.0.0_held_back_by_the_sandbox }",
    recipient_delimiter: "+",
    lmtp_connection_cache_on_demand: "no",
    smtputf8_enable: "yes",
    biff: "no",
  };
  const main = Object.entries(settings).map(([name, value]) => `${name} = ${value}\n`);
  writeSettledFile(join(configDirectory, "main.cf"), main.join(""));
  writeSettledFile(
    join(configDirectory, "master.cf"),
    services.replace("PORT", `${smtpPort}`).replace("SUBMISSION", `${submissionPort}`),
  );
  makeQueue(queueDirectory);

  const daemon = new Daemon({
    place,
    name: "Postfix",
    cwd: home,
    log: join(home, "postfix.out"),
    command: [master, "-c", configDirectory, "-d"],
    ready: () => answers({ host: "127.0.0.1", port: smtpPort }, /^220 /),
  });
  return serviceOf<Postfix>(daemon, {
    smtpPort,
    submissionPort,
    configDirectory,
    queueDirectory,
    log,
    async start(signal) {
      if (!existsSync(queueDirectory)) makeQueue(queueDirectory);
      await daemon.start(signal);
    },
    async command(program, ...args) {
      const command = [programPath(program, "postfix"), "-c", configDirectory, ...args] as const;
      return (await outputOf(nodeProcesses, command as unknown as [string])).toString();
    },
  });
}

/** Postfix waits for seconds on a file that changed in the last moments, in case somebody still writes to it. */
function writeSettledFile(path: string, text: string): void {
  writeFileFor(path, text, undefined, 0o644);
  const aMinuteAgo = Date.now() / 1000 - 60;
  utimesSync(path, aMinuteAgo, aMinuteAgo);
}

/** Makes the folders of an empty queue, with the owners and modes that `postfix check` asks for. */
export function makeQueue(queueDirectory: string): void {
  const account = accountFor("postfix");
  const drop = { name: "postdrop", uid: account.uid, gid: groupId("postdrop") ?? account.gid };
  makeFolder(queueDirectory, undefined, 0o755);
  for (const name of privateFolders) makeFolder(join(queueDirectory, name), { ...account, gid: 0 });
  makeFolder(join(queueDirectory, "pid"), undefined, 0o755);
  makeFolder(join(queueDirectory, "maildrop"), drop, 0o1730);
  makeFolder(join(queueDirectory, "public"), drop, 0o2710);
}
