import { execFileSync } from "node:child_process";
import { chmodSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../../../core/ports/clock.ts";
import { nodeFiles } from "../../../../core/ports/files.ts";
import type { SandboxHost } from "../../../../sandbox/host/host.ts";
import { type Letter, queueSettled, send } from "../../../../sandbox/host/smtp.ts";
import type { World } from "../../../../shipper/components/component.ts";
import { queueComponent } from "../../../../shipper/components/queue/component.ts";
import { type QueueConfig, queueConfigSchema } from "../../../../shipper/components/queue/config.ts";
import { nodeProcesses, type Processes } from "../../../../shipper/processes.ts";

/** The configuration that reaches a sandbox host's queue. */
export const configOf = ({ postfix }: SandboxHost, more: Partial<QueueConfig> = {}): QueueConfig =>
  queueConfigSchema.parse({ configDirectory: postfix.configDirectory, ...more });

export const queueOf = (host: SandboxHost, more: Partial<QueueConfig> = {}) => queueComponent(configOf(host, more));

export const letter = (subject: string, to: string | readonly string[], text = `text of ${subject}`): Letter => ({
  from: "sender@example.test",
  to: to as string,
  subject,
  text,
});

/** Sends letters to a domain that is held back, and waits until they are deferred. */
export async function defer(host: SandboxHost, subjects: readonly string[]): Promise<void> {
  await send(
    host,
    subjects.map((subject) => letter(subject, `box+${subject}@deferred.test`)),
  );
  await queueSettled(host);
}

/** A message as Postfix's own `postqueue -j` shows it. */
export interface Shown {
  readonly queue_name: string;
  readonly queue_id: string;
  readonly message_size: number;
  readonly sender: string;
  readonly recipients: readonly { readonly address: string; readonly delay_reason?: string }[];
}

export async function shownOf(host: SandboxHost): Promise<Shown[]> {
  const text = await host.postfix.command("postqueue", "-j");
  return text
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line));
}

/** Runs a Postfix program on the host's instance, at once. */
export const postfixNow = (host: SandboxHost, program: string, ...args: readonly string[]): string =>
  execFileSync(program, ["-c", host.postfix.configDirectory, ...args], { encoding: "utf8", stdio: "pipe" });

/** Every file below a folder of the queue, by path below it. */
export function filesOf(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1))
    .toSorted();
}

/** A path for a scratch place: Postfix's account may pass through its parent. */
export function scratchPath(): { path: string; remove(): void } {
  const parent = mkdtempSync(join(tmpdir(), "mailark-queue-"));
  chmodSync(parent, 0o711);
  return { path: join(parent, "place"), remove: () => rmSync(parent, { recursive: true, force: true }) };
}

/** The machine's processes, but for one program, which runs through a bash script with the real command as its arguments. */
export function programThrough(program: string, script: string): Processes {
  return {
    start(command, options) {
      const isMeant = command[0] === program && !command.includes("--version");
      return nodeProcesses.start(isMeant ? ["bash", "-c", script, "wrapper", ...command] : command, options);
    },
  };
}

/** The ways to this machine. */
export const ownWorld = (): World => ({
  files: nodeFiles,
  processes: nodeProcesses,
  clock: systemClock,
  signal: new AbortController().signal,
  progress: () => {},
});
