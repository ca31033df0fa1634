import { chmodSync, chownSync, mkdirSync, mkdtempSync, readdirSync, readlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Account } from "./account.ts";
import { isRoot } from "./account.ts";
import { startWatcher, type Watcher } from "./watcher.ts";

/** Where one host lives. */
export interface Place {
  readonly directory: string;
  /** Sees to it that nothing of the host outlives this process. */
  readonly watcher: Watcher;
}

/** A new directory for one host. The name tells whose it is. */
export function makePlace(): Place {
  const directory = mkdtempSync(join(tmpdir(), `mailark-host-${process.pid}-`));
  chmodSync(directory, 0o711);
  return { directory, watcher: startWatcher(directory) };
}

/** Makes a directory with exactly this mode, owned by the account where this process may give it away. */
export function makeFolder(path: string, owner?: Account, mode = 0o700): string {
  mkdirSync(path, { recursive: true });
  chmodSync(path, mode);
  if (owner && isRoot) chownSync(path, owner.uid, owner.gid);
  return path;
}

/** Writes a file with exactly this mode, owned by the account where this process may give it away. */
export function writeFileFor(path: string, text: string, owner?: Account, mode = 0o600): string {
  writeFileSync(path, text, { mode });
  chmodSync(path, mode);
  if (owner && isRoot) chownSync(path, owner.uid, owner.gid);
  return path;
}

/**
 * A TCP port of 127.0.0.1 that nothing listens on. Below the range that the kernel hands to outgoing connections, so that
 * none of those takes it in the meantime.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = 12_000 + Math.floor(Math.random() * 20_000);
    const free = await new Promise<boolean>((resolve) => {
      const probe = createServer();
      probe.once("error", () => resolve(false));
      probe.listen(port, "127.0.0.1", () => probe.close(() => resolve(true)));
    });
    if (free) return port;
  }
}

/** The processes that work inside a directory: every server of the sandbox has its working directory there. */
export function processesIn(directory: string): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        const cwd = readlinkSync(`/proc/${pid}/cwd`).replace(/ \(deleted\)$/, "");
        return cwd === directory || cwd.startsWith(`${directory}/`);
      } catch {
        return false;
      }
    });
}
