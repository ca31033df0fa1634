import { stringify } from "yaml";
import { type ComponentName, componentNames } from "../core/keys.ts";
import type { AccountsConfig } from "./consistency/config.ts";
import type { Found } from "./survey/found.ts";
import type { Survey } from "./survey/survey.ts";

/** What the first configuration says. */
export interface ConfigDraft extends Survey {
  readonly hostId: string;
  readonly name: string;
  /** The more important first. */
  readonly stores: readonly string[];
  readonly recovery: string;
  readonly drill: string | undefined;
  readonly state: string;
  readonly accounts?: AccountsConfig | undefined;
}

/** A first configuration, with the reasons beside the settings: what was found is active, everything else is an example behind `#`. */
export function configTemplate(draft: ConfigDraft): string {
  const { hostId, name, stores, recovery, drill, state, components, services, accounts } = draft;
  return `# mailark: what is backed up on this host, and where to.
# Every setting is checked before anything is done; a mistake is told with its line.
version: 1

# The id names this host in the store. Never change it: the snapshots belong to it.
host:
  id: ${scalar(hostId)}
  name: ${scalar(name)}

# Where backups go: a directory, best on another disk than the mail; or a bucket of S3 or of what speaks its protocol, as
# s3://BUCKET/PREFIX?region=eu-central-1. Its credentials never stand here: they come from the environment, a profile or the machine's
# role, and best can create objects and nothing else. \`stores:\` takes a list, and each run goes to all of them.
${stores.length === 1 ? `store: ${scalar(stores[0]!)}` : yaml({ stores }).trimEnd()}

# Bytes a second that are sent to stores in S3, all together. Without it: as fast as it goes.
# bandwidth-limit: 10MB

# Public halves only. The recovery key itself is on paper: this host can not read what it stored.
recovery: ${recovery}
${drill === undefined ? "# drill: age1…   # a second key, for restore drills on another machine" : `drill: ${drill}`}

# Signs what this host stores; the path is relative to this file. Keep it private, keep it with this file.
signing-key: signing.pem

# What is remembered between runs. Nothing in it is needed for a restore.
state: ${scalar(state)}

# 1 is fast, 19 is small. 3 costs a mail host little.
compression-level: 3

# Where the mail system keeps its accounts. A backup compares them with mailboxes, aliases and queue, and warns of what does not fit.
${accounts === undefined ? commented(yaml({ accounts: exampleAccounts })) : yaml({ accounts })}
components:
${componentNames.map((each) => sectionOf(each, components.get(each))).join("")}
# How \`restore --all\` handles this machine's services: it restarts the databases before it fills them, stops the mail services first, and
# starts them, in this order, when everything is back.
${services === undefined ? commented(yaml({ services: exampleServices })) : yaml({ services })}`;
}

function sectionOf(name: ComponentName, found: Found | undefined): string {
  const { says, example } = about[name];
  const remarks =
    found === undefined ? says : `${says}\nFound: ${found.from}${found.lacks ? `.\nNot active: ${found.lacks}.` : ""}`;
  const section = yaml({ [name]: found?.section ?? example });
  const active = found !== undefined && found.lacks === undefined;
  return indented(`${commented(`${remarks}\n`)}${active ? section : commented(section)}`);
}

const about: Record<ComponentName, { readonly says: string; readonly example: object }> = {
  mysql: {
    says: "MariaDB or MySQL. A password goes into a file of its own: password-file, or defaults-file.",
    example: { socket: "/run/mysqld/mysqld.sock", databases: "all" },
  },
  postgres: {
    says: "PostgreSQL. Where only its own user gets in (Debian, over the socket), its programs run as that one.",
    example: {
      "socket-directory": "/var/run/postgresql",
      command: ["runuser", "-u", "postgres", "--"],
      databases: "all",
    },
  },
  redis: {
    says: "Redis or Valkey. Queues and sessions (hold) come back under another name, until somebody releases them.",
    example: { socket: "/run/redis/redis-server.sock", "password-file": "/etc/mailark/redis.password" },
  },
  queue: {
    says: "The Postfix queue, where `postconf queue_directory` says. A restore puts all of it on hold.",
    example: {},
  },
  mail: {
    says: "Maildir mailboxes. The layout is the path of a mailbox below the root; all below that is captured:\nfolders, Sieve scripts, subscriptions, UIDs.",
    example: { root: "/var/vmail", layout: "{domain}/{user}" },
  },
  configs: {
    says: "Configuration files: any list of paths. The directory of this file comes along.",
    example: { paths: ["/etc/postfix", "/etc/dovecot"], exclude: ["node_modules"] },
  },
  certs: { says: "Certificates and their keys: any list of paths.", example: { paths: ["/etc/letsencrypt"] } },
};

const exampleServices = {
  databases: ["mariadb", "postgresql", "redis-server"],
  mail: ["opendkim", "dovecot", "postfix"],
};

const exampleAccounts: AccountsConfig = {
  component: "mysql",
  database: "mailserver",
  mailboxes: "SELECT email FROM virtual_users",
  domains: "SELECT name FROM virtual_domains",
  aliases: "SELECT source, destination FROM virtual_aliases",
};

/** Ends with a line break. */
const yaml = (value: unknown) => stringify(value, { lineWidth: 0 });
const scalar = (text: string) => yaml(text).trimEnd();
const indented = (lines: string) => lines.replace(/^(?=.)/gm, "  ");
/** Every line of it, wherever it comes from. */
const commented = (lines: string) =>
  lines
    .replace(/[\r\v\f\u0085\u2028\u2029]/g, "\n")
    .replace(/\n$/, "")
    .split("\n")
    .map((line) => `# ${line}\n`)
    .join("");
