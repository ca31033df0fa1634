import { rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { MailarkError } from "../../core/errors.ts";
import { makeAgencySchema } from "./agency-schema.ts";
import { makeApiDirectory } from "./api-directory.ts";
import { startControl } from "./control.ts";
import { type Dovecot, mailOwner, prepareDovecot } from "./dovecot.ts";
import { makeLetsencrypt } from "./letsencrypt.ts";
import { type Mariadb, prepareMariadb } from "./mariadb.ts";
import { type Opendkim, prepareOpendkim } from "./opendkim.ts";
import { makeFolder, makePlace, processesIn } from "./place.ts";
import { type Postfix, preparePostfix } from "./postfix.ts";
import { type Postgres, preparePostgres } from "./postgres.ts";
import { prepareRedis, type Redis } from "./redis.ts";
import type { Service } from "./service.ts";

/** The servers that a host can have. */
export const serviceNames = ["mariadb", "postgres", "redis", "dovecot", "opendkim", "postfix"] as const;

export type ServiceName = (typeof serviceNames)[number];

export interface HostOptions {
  /** What the host runs. Default: everything. */
  readonly services?: readonly ServiceName[];
  /** Added to a database server's own settings, by their names there: `{ postgres: { archive_mode: "on" } }`. */
  readonly settings?: Readonly<Partial<Record<"mariadb" | "postgres" | "redis", Readonly<Record<string, string>>>>>;
  /** Ends the start; what was started is taken down again. */
  readonly signal?: AbortSignal;
}

/**
 * A whole mail host in one temporary directory. It listens on sockets in there and on random ports of 127.0.0.1, shares
 * nothing with the machine's own servers, and ends with this process, however that one ends.
 *
 * A service that was not asked for throws when it is used.
 */
export interface SandboxHost {
  readonly directory: string;
  /** The mail root; a mailbox is `{vmail}/{domain}/{user}/Maildir`. */
  readonly vmail: string;
  /** Numeric owner of everything below {@link vmail}. */
  readonly mailOwner: { readonly uid: number; readonly gid: number };
  /** The configuration of the mail servers: `postfix/`, `dovecot/`, `opendkim/`. */
  readonly etc: string;
  /** In the place of `/etc/letsencrypt`. */
  readonly letsencrypt: string;
  /** In the place of `/opt/mailserver-api`. */
  readonly apiDirectory: string;
  readonly services: readonly ServiceName[];
  /** Called with `start`, `stop` or `restart` and names of services: what `systemctl` is to a machine. */
  readonly control: readonly string[];
  readonly mariadb: Mariadb;
  readonly postgres: Postgres;
  readonly redis: Redis;
  readonly dovecot: Dovecot;
  readonly opendkim: Opendkim;
  readonly postfix: Postfix;
  /** Ends every process and removes the directory. May be called again. */
  stop(): Promise<void>;
}

/**
 * Starts a host; resolves when every service of it does its work. Where the host has MariaDB it has the agency's empty
 * `mailserver` database.
 *
 * @throws MailarkError `PROGRAM_MISSING` naming the Debian package, `PROGRAM_FAILED` with the end of the server's log.
 */
export async function startHost({
  services = serviceNames,
  settings = {},
  signal,
}: HostOptions = {}): Promise<SandboxHost> {
  signal?.throwIfAborted();
  const wanted = new Set<ServiceName>(services);
  const place = makePlace();
  const { directory } = place;
  const etc = makeFolder(join(directory, "etc"), undefined, 0o755);
  const vmail = makeFolder(join(directory, "vmail"), mailOwner, 0o755);
  const letsencrypt = makeLetsencrypt(place);
  const apiDirectory = makeApiDirectory(place);
  const running: Partial<Record<ServiceName, Service>> = {};
  const controller = new AbortController();
  const aborted = signal ? AbortSignal.any([signal, controller.signal]) : controller.signal;

  let controlled: { stop(): Promise<void> } | undefined;

  async function stop(): Promise<void> {
    await controlled?.stop();
    await Promise.all(Object.values(running).map((service) => service.kill()));
    await waitUntilDeserted(directory);
    rmSync(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
    await place.watcher.dismiss();
  }

  async function bring<S extends Service>(name: ServiceName, prepared: Promise<S>): Promise<S> {
    const service = await prepared;
    running[name] = service;
    await service.start(aborted);
    return service;
  }

  try {
    const prepared = wanted.has("mariadb") ? prepareMariadb(place, settings.mariadb, aborted) : undefined;
    const mariadb = prepared && bring("mariadb", prepared).then(makeAgencySchema);
    // Independent servers, one chain each; the first failure ends the others.
    const chains = [
      mariadb,
      wanted.has("postgres") && bring("postgres", preparePostgres(place, settings.postgres, aborted)),
      wanted.has("redis") && bring("redis", prepareRedis(place, settings.redis)),
      (async () => {
        const opendkim = wanted.has("opendkim") && (await prepareOpendkim(place));
        const dovecot = wanted.has("dovecot") && (await prepareDovecot(place, vmail, await prepared));
        const postfix =
          wanted.has("postfix") &&
          (await preparePostfix(place, {
            lmtpSocket: dovecot ? dovecot.lmtpSocket : undefined,
            saslSocket: dovecot ? dovecot.saslSocket : undefined,
            milterSocket: opendkim ? opendkim.socket : undefined,
          }));
        await Promise.all([
          opendkim && bring("opendkim", Promise.resolve(opendkim)),
          postfix && bring("postfix", Promise.resolve(postfix)),
          // It asks the database for its users as soon as it is up, and sulks for seconds where there is none.
          dovecot && Promise.resolve(mariadb).then(() => bring("dovecot", Promise.resolve(dovecot))),
        ]);
      })(),
    ].map(async (chain) => {
      try {
        await chain;
      } catch (error) {
        controller.abort(error);
        throw error;
      }
    });
    const failed = (await Promise.allSettled(chains)).find((result) => result.status === "rejected");
    if (failed) throw controller.signal.reason ?? failed.reason;
  } catch (error) {
    await stop();
    throw error;
  }

  const service = (name: ServiceName): Service => {
    const found = running[name];
    if (!found) {
      throw new MailarkError("ARGUMENT_INVALID", `this sandbox host was started without ${name}`, {
        hint: `add "${name}" to the services of startHost`,
      });
    }
    return found;
  };
  const socket = join(directory, "control.sock");
  controlled = await startControl(socket, (name) => service(name as ServiceName));
  return {
    directory,
    control: [process.execPath, new URL("./servicectl.ts", import.meta.url).pathname, socket],
    vmail,
    mailOwner,
    etc,
    letsencrypt,
    apiDirectory,
    services: serviceNames.filter((name) => wanted.has(name)),
    get mariadb() {
      return service("mariadb") as Mariadb;
    },
    get postgres() {
      return service("postgres") as Postgres;
    },
    get redis() {
      return service("redis") as Redis;
    },
    get dovecot() {
      return service("dovecot") as Dovecot;
    },
    get opendkim() {
      return service("opendkim") as Opendkim;
    },
    get postfix() {
      return service("postfix") as Postfix;
    },
    stop,
  };
}

/** Children of a killed server notice it within moments; one that does not is ended here. */
async function waitUntilDeserted(directory: string): Promise<void> {
  const servers = () => processesIn(directory).filter((pid) => pid !== process.pid);
  const patience = Date.now() + 3000;
  for (let left = servers(); left.length > 0; left = servers()) {
    if (Date.now() > patience) {
      for (const pid of left) {
        try {
          process.kill(pid, "SIGKILL");
        } catch {
          // It left in the meantime.
        }
      }
    }
    await sleep(10);
  }
}
