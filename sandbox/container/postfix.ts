import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { accountFor } from "../host/account.ts";
import { makeFolder, writeFileFor } from "../host/place.ts";
import { makeQueue } from "../host/postfix.ts";
import { programPath } from "../host/programs.ts";
import { type Container, startContainer } from "./container.ts";

/** Postfix in a container. What is submitted waits in its queue, whoever it is for. */
export interface PostfixContainer extends Container {
  /** Submits a message. */
  send(from: string, to: string, text: string): Promise<void>;
}

const services = `pickup unix n - n 1 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
showq unix n - n - - showq
retry unix - - n - - error
error unix - - n - - error
postlog unix-dgram n - n - 1 postlogd
`;

/** @param volumes as of any container. */
export async function startPostfixContainer(volumes: Readonly<Record<string, string>> = {}): Promise<PostfixContainer> {
  const daemons = dirname(programPath("master", "postfix"));
  const settings = {
    compatibility_level: "3.6",
    queue_directory: "/var/spool/postfix",
    data_directory: "/var/lib/postfix",
    daemon_directory: daemons,
    mail_owner: "postfix",
    setgid_group: "postdrop",
    myhostname: "mx.example.test",
    mydestination: "",
    inet_interfaces: "loopback-only",
    alias_maps: "",
    maillog_file: "/var/log/maillog",
    default_transport: "retry:4.0.0 held back by the sandbox",
  };
  const container = await startContainer({
    name: "mail",
    command: [`${daemons}/master`, "-c", "/etc/postfix", "-d"],
    volumes,
    prepare(root) {
      const etc = makeFolder(join(root, "etc/postfix"), undefined, 0o755);
      const main = Object.entries(settings).map(([name, value]) => `${name} = ${value}\n`);
      writeFileFor(join(etc, "main.cf"), main.join(""), undefined, 0o644);
      writeFileFor(join(etc, "master.cf"), services, undefined, 0o644);
      makeQueue(join(root, "var/spool/postfix"));
      makeFolder(join(root, "var/lib/postfix"), accountFor("postfix"));
      makeFolder(join(root, "var/log"), undefined, 0o755);
    },
    ready: async (root) => existsSync(join(root, "var/spool/postfix/public/qmgr")),
  });
  return {
    ...container,
    send: async (from, to, text) => void (await container.run(["sendmail", "-f", from, to], text)),
  };
}
