import { randomBytes } from "node:crypto";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { nodeProcesses, outputOf } from "../../shipper/processes.ts";
import { accountFor } from "./account.ts";
import { answers, Daemon, serviceOf } from "./daemon.ts";
import { makeFolder, type Place, writeFileFor } from "./place.ts";
import { programPath } from "./programs.ts";
import type { Service } from "./service.ts";

/** Redis, reachable by its socket and with its password only. */
export interface Redis extends Service {
  readonly socket: string;
  readonly password: string;
  /** REDISCLI_AUTH, for `redis-cli -s`. */
  readonly environment: Readonly<Record<string, string>>;
  /** Holds `dump.rdb`, and `appendonlydir` where the append-only file is on. */
  readonly datadir: string;
  readonly config: string;
  readonly log: string;
  /**
   * Runs one command and returns what `redis-cli` prints.
   *
   * @throws MailarkError `PROGRAM_FAILED` when the server answers with an error.
   */
  command(...words: readonly string[]): Promise<string>;
  /** Feeds commands, one a line, quoted as `redis-cli` reads them. */
  commands(lines: string): Promise<void>;
  /** Leaves a new, empty server: what a fresh machine has. */
  wipe(): Promise<void>;
}

/** Writes the configuration, without starting the server. `settings` are added to the configuration. */
export async function prepareRedis(place: Place, settings: Readonly<Record<string, string>> = {}): Promise<Redis> {
  const { directory } = place;
  const account = accountFor("redis");
  const home = makeFolder(join(directory, "redis"), account, 0o755);
  const datadir = makeFolder(join(home, "data"), account, 0o750);
  const socket = join(home, "redis.sock");
  const log = join(home, "redis.log");
  const password = randomBytes(16).toString("hex");
  const environment = { REDISCLI_AUTH: password };
  const lines = {
    port: "0",
    unixsocket: socket,
    unixsocketperm: "777",
    dir: datadir,
    requirepass: password,
    "repl-diskless-sync-delay": "0",
    save: '""',
    ...settings,
  };
  const config = writeFileFor(
    join(home, "redis.conf"),
    Object.entries(lines)
      .map(([name, value]) => `${name} ${value}\n`)
      .join(""),
    account,
  );
  const daemon = new Daemon({
    place,
    name: "Redis",
    account,
    cwd: home,
    log,
    command: [programPath("redis-server", "redis-server"), config],
    ready: () => answers({ path: socket }, /\+PONG/, `AUTH ${password}\r\nPING\r\n`),
  });
  const client = [programPath("redis-cli", "redis-server"), "-e", "-s", socket] as const;
  return serviceOf<Redis>(daemon, {
    socket,
    password,
    environment,
    datadir,
    config,
    log,
    async command(...words) {
      return (await outputOf(nodeProcesses, [...client, ...words], { env: environment })).toString().trimEnd();
    },
    async commands(text) {
      await outputOf(nodeProcesses, [...client], { input: text, env: environment });
    },
    async wipe() {
      await daemon.kill();
      rmSync(datadir, { recursive: true, force: true });
      makeFolder(datadir, account, 0o750);
      await daemon.start();
    },
  });
}
