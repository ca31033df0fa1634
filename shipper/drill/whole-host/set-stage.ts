/** Prepares what the private servers run on: the shelter, the copy of the configuration, and the way to the scratch databases. */
import { posix } from "node:path";
import { MailarkError } from "../../../core/errors.ts";
import { bytePath } from "../../components/byte-path.ts";
import type { World } from "../../components/component.ts";
import { withConnection } from "../../components/mysql/connection.ts";
import { withSession } from "../../components/mysql/session.ts";
import { quoteText } from "../../components/mysql/sql-text.ts";
import type { StagedHost } from "../../components/staged-host.ts";
import { readText } from "../../state-files.ts";
import { copyConfiguration, findStaged } from "./configuration-copy.ts";
import { openRelay } from "./database-relay.ts";
import { type DatabaseKind, type DatabaseLogin, turnDatabases } from "./database-settings.ts";
import { type Ground, prepareGround } from "./ground.ts";
import { parseMain } from "./postfix-settings.ts";
import { usesMilter } from "./private-postfix.ts";

export interface Stage {
  readonly ground: Ground;
  readonly mail: NonNullable<StagedHost["mail"]>;
  /** The copies of the servers' configuration files, in latin1; `undefined`: there is none. */
  readonly config: Readonly<Record<"dovecot" | "postfix" | "opendkim", string | undefined>>;
  readonly usesMilter: boolean;
  /** The databases that the configuration asks, and those of them that were not staged. */
  readonly databases: readonly string[];
  readonly unstaged: readonly string[];
  /** A text (latin1) of the host, in which captured paths stand for what was staged. */
  translate(text: string): string;
  /** The end of what OpenDKIM said. */
  opendkimComplaints(): string;
  /** Leaves nothing of it. */
  remove(): Promise<void>;
}

const kinds = { mysql: "MySQL", pgsql: "PostgreSQL" } as const;

/** A socket's path has 107 bytes (unix(7)); those of Dovecot have up to 30 below this one. */
const longestPath = 75;

export async function setStage(staged: StagedHost, path: string, world: World): Promise<Stage> {
  const { files } = world;
  if (Buffer.byteLength(path) > longestPath) {
    throw new MailarkError("ARGUMENT_INVALID", "the scratch path is too long for sockets", { detail: path });
  }
  const found = {
    dovecot: findStaged(staged, "dovecot.conf", files)[0],
    postfix: findStaged(staged, "main.cf", files)[0],
    opendkim: findStaged(staged, "opendkim.conf", files)[0],
  };
  const root = staged.configs?.root ?? "";
  const mainText = found.postfix === undefined ? "" : (readText(files, `${root}${found.postfix}`) ?? "");
  const ground = await prepareGround(staged, path, hiddenFrom(staged, mainText), world);
  const relays: { close(): void }[] = [];
  const remove = async () => {
    for (const relay of relays) relay.close();
    await ground.shelter.remove();
  };
  try {
    letPass(staged, world);
    const places = { mysql: `${path}/m`, pgsql: path };
    if (staged.mysql) relays.push(await openRelay(places.mysql, staged.mysql.socket, files));
    if (staged.postgres) {
      const { socketDirectory, port } = staged.postgres;
      relays.push(await openRelay(`${path}/.s.PGSQL.5432`, `${socketDirectory}/.s.PGSQL.${port}`, files));
    }
    const logins: DatabaseLogin[] = [];
    const rewrite = (text: string) => turnDatabases(text, places, (login) => logins.push(login));
    const copy = copyConfiguration(staged, `${path}/c`, rewrite, files);
    const place = (live: string | undefined, reader?: string) => {
      if (live === undefined) return undefined;
      // Files beside it that it names without their path are copied with it.
      copy.place(posix.dirname(live));
      const path = copy.place(live);
      copy.give(reader === undefined || !ground.isRoot ? undefined : ground.accountOf(reader));
      return path;
    };
    // Root reads what Dovecot has in common with the others.
    const opendkim = place(found.opendkim, "opendkim");
    const config = { opendkim, postfix: place(found.postfix, "postfix"), dovecot: place(found.dovecot) };
    if (staged.mysql) await letIn(logins, staged.mysql.socket, world);
    const asked = [...new Set(logins.map(({ kind }) => kind))];
    const isStaged: Record<DatabaseKind, boolean> = {
      mysql: staged.mysql !== undefined,
      pgsql: staged.postgres !== undefined,
    };
    return {
      ground,
      mail: staged.mail!,
      config,
      usesMilter: usesMilter(mainText),
      databases: asked.map((kind) => `${kinds[kind]} database`),
      unstaged: asked.filter((kind) => !isStaged[kind]).map((kind) => kinds[kind]),
      translate: copy.translate,
      opendkimComplaints: () => (readText(files, `${path}/opendkim.log`) ?? "").slice(-500).trim(),
      remove,
    };
  } catch (error) {
    await remove();
    throw error;
  }
}

/** The owners of mailboxes must reach them: a scratch place is made for root alone. */
function letPass({ mail }: StagedHost, { files }: World): void {
  const root = bytePath(mail!.root);
  const { mode } = files.statSync(root);
  if ((mode & 0o011) !== 0o011) files.chmodSync(root, (mode & 0o777) | 0o011);
}

/** What the live servers have, and a private one has no business with. */
function hiddenFrom({ mail, configs, mysql, postgres }: StagedHost, main: string): string[] {
  const staged = [mail?.root, configs?.root, mysql?.socket, postgres?.socketDirectory].filter(
    (each) => each !== undefined,
  );
  const live = [mail?.liveRoot, parseMain(main).get("queue_directory") ?? "/var/spool/postfix", "/run/dovecot"];
  return live
    .filter((path): path is string => path?.startsWith("/") === true && !path.includes("$"))
    .map((path) => Buffer.from(path, "latin1").toString("utf8").replace(/\/+$/, ""))
    .filter((path) => path !== "" && !staged.some((each) => `${each}/`.startsWith(`${path}/`)));
}

/**
 * A scratch server is reached by its socket, which MySQL calls localhost; an account that was made for the address of the host, 127.0.0.1 as a rule, would
 * not be let in. It is renamed, with its password and its rights.
 */
async function letIn(logins: readonly DatabaseLogin[], socket: string, world: World): Promise<void> {
  const users = new Set(logins.filter(({ kind, host }) => kind === "mysql" && isAddress(host)).map(({ user }) => user));
  if (users.size === 0) return;
  const options = { socket, user: "root", command: [], stallSeconds: 60, noOptionFiles: true };
  return withConnection(options, world, async (connection) => {
    await withSession(connection, world, async (session) => {
      for (const user of users) {
        const rows = await session.query(`SELECT Host FROM mysql.user WHERE User = ${quoteText(user)}`);
        const hosts = rows.map(([host = ""]) => host);
        const own = hosts.find((host) => ["127.0.0.1", "::1", "127.%"].includes(host));
        if (own === undefined || hosts.some((host) => host === "localhost" || host === "%")) continue;
        await session.query(`RENAME USER ${quoteText(user)}@${quoteText(own)} TO ${quoteText(user)}@'localhost'`);
      }
    });
  });
}

const isAddress = (host: string) => host !== "" && !host.startsWith("/") && !host.startsWith("unix:");
