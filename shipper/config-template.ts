import { stringify } from "yaml";
import { usualConfigs } from "./components/configs/config.ts";
import type { AccountsConfig } from "./consistency/config.ts";
import type { Survey } from "./survey.ts";

/** What the first configuration says. */
export interface ConfigDraft {
  readonly hostId: string;
  readonly name: string;
  readonly store: string;
  readonly recovery: string;
  readonly drill: string | undefined;
  readonly state: string;
  readonly configs: Survey["configs"];
  readonly mail: Survey["mail"];
  readonly mysql: { readonly socket: string | undefined; readonly defaultsFile: string | undefined } | undefined;
  readonly accounts?: AccountsConfig | undefined;
}

/** A first configuration, with the reasons beside the settings. */
export function configTemplate(draft: ConfigDraft): string {
  const { hostId, name, store, recovery, drill, state, configs, mail, mysql, accounts } = draft;
  const found = mail?.layout === undefined ? "no mailbox was there to tell: check it" : "as found on this host";
  return `# mailark: what is backed up on this host, and where to.
# Every setting is checked before anything is done; a mistake is told with its line.
version: 1

# The id names this host in the store. Never change it: the snapshots belong to it.
host:
  id: ${scalar(hostId)}
  name: ${scalar(name)}

# Where backups go. Best on another disk than the mail, and copied to another place.
store: ${scalar(store)}

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
${accounts === undefined ? withoutAccounts : stringify({ accounts }, { lineWidth: 0 }).trimEnd()}

components:
${
  mail === undefined
    ? "  # mail:\n  #   root: /var/vmail\n  #   layout: '{domain}/{user}'"
    : `  # Maildir mailboxes. The layout is the path of a mailbox below the root (${found});
  # all below that is captured: folders, Sieve scripts, subscriptions, UIDs.
  mail:
    root: ${scalar(mail.root)}
    layout: "${mail.layout ?? "{domain}/{user}"}"`
}
${
  mysql === undefined
    ? "  # mysql:\n  #   socket: /run/mysqld/mysqld.sock\n  #   databases: all"
    : `  # MariaDB or MySQL. A password goes into a file of its own: password-file, or defaults-file.
  mysql:
${mysql.socket === undefined ? "" : `    socket: ${scalar(mysql.socket)}\n`}${mysql.defaultsFile === undefined ? "" : `    defaults-file: ${scalar(mysql.defaultsFile)}\n`}    databases: all`
}
  # PostgreSQL. Where only its own user gets in (Debian, over the socket), its programs run as that one.
  # postgres:
  #   socket-directory: /var/run/postgresql
  #   command: [runuser, -u, postgres, --]
  #   databases: all
  # Redis or Valkey. Queues and sessions (hold) come back under another name, until somebody releases them.
  # redis:
  #   socket: /run/redis/redis-server.sock
  #   password-file: /etc/mailark/redis.password
  # The Postfix queue, where \`postconf queue_directory\` says. A restore puts all of it on hold.
  # queue: {}
  # Configuration files and certificates: any list of paths. The directory of this file comes along with configs.
  # configs:
  #   paths: [${(configs.length > 0 ? configs : usualConfigs.slice(0, 4)).join(", ")}]
  #   exclude: [node_modules]
  # certs:
  #   paths: [/etc/letsencrypt]
`;
}

const withoutAccounts = `# accounts:
#   component: mysql
#   database: mailserver
#   mailboxes: SELECT email FROM virtual_users
#   domains: SELECT name FROM virtual_domains
#   aliases: SELECT source, destination FROM virtual_aliases`;

const scalar = (text: string) => stringify(text, { lineWidth: 0 }).trimEnd();
