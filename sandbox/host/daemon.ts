import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync } from "node:fs";
import { connect, type NetConnectOpts } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { MailarkError } from "../../core/errors.ts";
import { type Account, isRoot } from "./account.ts";
import type { Place } from "./place.ts";
import { programPath } from "./programs.ts";
import type { Service } from "./service.ts";

/** How one server is run: in the foreground, as a direct child, so that it cannot outlive this process. */
export interface DaemonPlan {
  readonly name: string;
  readonly place: Place;
  readonly command: readonly [string, ...string[]];
  /** Default: the user that this process runs as. */
  readonly account?: Account;
  /** Its working directory, inside the host's directory. */
  readonly cwd: string;
  /** Receives what it prints; its end is shown when the server does not come up. */
  readonly log: string;
  /** Whether it does its work now. Asked until it says yes. */
  ready(): Promise<boolean>;
  /** Asks it to finish its work and leave. Default: SIGTERM. */
  readonly stopSignal?: NodeJS.Signals;
  /** Makes it leave at once. Default: SIGKILL. */
  readonly killSignal?: NodeJS.Signals;
}

/** One server process of the sandbox. It dies with the process that started it, however that one dies. */
export class Daemon {
  readonly #plan: DaemonPlan;
  #child: ChildProcess | undefined;

  constructor(plan: DaemonPlan) {
    this.#plan = plan;
  }

  /** `undefined` while it is not running. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /**
   * Resolves when the server does its work.
   *
   * @throws MailarkError `PROGRAM_FAILED` with the end of its log, when it ended or was not ready within 30 seconds.
   */
  async start(signal?: AbortSignal): Promise<void> {
    if (this.#child) return;
    signal?.throwIfAborted();
    const { name, place, command, account, cwd, log, killSignal = "SIGKILL" } = this.#plan;
    const become = account && isRoot ? [`--reuid=${account.uid}`, `--regid=${account.gid}`, "--clear-groups"] : [];
    const output = openSync(log, "a");
    const child = spawn(
      programPath("setpriv", "util-linux"),
      ["--pdeathsig", killSignal.slice(3), ...become, "--", ...command],
      { cwd, detached: true, stdio: ["ignore", output, output], env: environment() },
    );
    closeSync(output);
    this.#child = child;
    const { pid } = child;
    if (pid !== undefined) place.watcher.guard(pid);
    const forget = () => {
      if (this.#child === child) this.#child = undefined;
    };
    child.once("exit", forget).once("error", forget);
    const deadline = Date.now() + 30_000;
    for (let wait = 5; !(await this.#plan.ready()); wait = Math.min(wait * 1.3, 50)) {
      signal?.throwIfAborted();
      if (this.#child !== child || Date.now() > deadline) {
        throw new MailarkError("PROGRAM_FAILED", `the sandbox's ${name} did not come up`, { detail: tail(log) });
      }
      await sleep(wait);
    }
  }

  /** Asks the server to finish its work; resolves when it is gone. After 20 seconds it is made to go. */
  async stop(): Promise<void> {
    await this.#end(this.#plan.stopSignal ?? "SIGTERM", 20_000);
  }

  /** Ends the server and its children at once, as a power failure would; resolves when it is gone. */
  async kill(): Promise<void> {
    await this.#end(this.#plan.killSignal ?? "SIGKILL", 2000);
  }

  async #end(name: NodeJS.Signals, patience: number): Promise<void> {
    const child = this.#child;
    if (child?.pid === undefined) return;
    const gone = once(child, "exit");
    const group = -child.pid;
    const send = (each: NodeJS.Signals, to: number) => {
      try {
        process.kill(to, each);
      } catch {
        // Gone between the decision and the call.
      }
    };
    send(name, name === "SIGKILL" ? group : child.pid);
    const timer = setTimeout(() => send("SIGKILL", group), patience);
    await gone;
    clearTimeout(timer);
    send("SIGKILL", group);
    this.#plan.place.watcher.release(-group);
  }
}

/** A service that is this daemon, with what else it has. A `start` of its own takes the daemon's place. */
export function serviceOf<S extends Service>(daemon: Daemon, own: Omit<S, keyof Service> & Partial<Service>): S {
  const service = {
    get pid() {
      return daemon.pid;
    },
    start: (signal?: AbortSignal) => daemon.start(signal),
    stop: () => daemon.stop(),
    kill: () => daemon.kill(),
  };
  return Object.assign(service, own) as unknown as S;
}

/** What a server sees of the environment: nothing of the caller's settings, and no secret of the caller's. */
function environment(): NodeJS.ProcessEnv {
  return { PATH: process.env.PATH, LANG: "C.UTF-8", TZ: "UTC" };
}

function tail(path: string): string {
  try {
    return readFileSync(path, "utf8").slice(-2000).trim();
  } catch {
    return "(it wrote no log)";
  }
}

/** Whether a server accepts a connection, and says something that matches where `greeting` is given. */
export function answers(address: NetConnectOpts, greeting?: RegExp, say?: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(address);
    let heard = "";
    const finish = (result: boolean) => {
      socket.destroy();
      resolve(result);
    };
    socket.setTimeout(1000, () => finish(false));
    socket.once("error", () => finish(false));
    socket.once("close", () => finish(false));
    socket.once("connect", () => {
      if (!greeting) finish(true);
      else if (say) socket.write(say);
    });
    socket.on("data", (bytes) => {
      heard += bytes.toString("latin1");
      if (greeting?.test(heard)) finish(true);
    });
  });
}
