/** Where the queue of a Postfix is, and who owns it: asked of Postfix itself. */
import { MailarkError } from "../../../core/errors.ts";
import type { World } from "../component.ts";
import { reach } from "../elsewhere.ts";
import type { QueueConfig } from "./config.ts";
import { textOf } from "./programs.ts";

const questions = [
  "queue_directory",
  "mail_version",
  "mail_owner",
  "setgid_group",
  "daemon_directory",
  "hash_queue_names",
  "hash_queue_depth",
  "enable_long_queue_ids",
] as const;

/** A Postfix instance as its configuration describes it. */
export interface Spool {
  readonly directory: string;
  readonly version: string;
  readonly owner: string;
  readonly group: string;
  readonly daemonDirectory: string;
  /** Settings by which Postfix names queue files and spreads them over directories. */
  readonly naming: Readonly<Record<"hash_queue_names" | "hash_queue_depth" | "enable_long_queue_ids", string>>;
}

/**
 * @param where words that name the instance; `-d` for what Postfix was built with, which needs no configuration.
 * @throws MailarkError `PROGRAM_MISSING` where there is no `postconf`; `PROGRAM_FAILED` when it does not say all that it was asked; as {@link reach}.
 */
export async function askSpool(config: QueueConfig, world: World, where = instance(config)): Promise<Spool> {
  await reach(config.command, world);
  const words = ["postconf", ...where, "-h", ...questions] as [string, ...string[]];
  const answers = (await textOf(config, words, world)).split("\n").slice(0, -1);
  if (answers.length !== questions.length || !answers.every((answer) => answer !== "")) {
    throw new MailarkError("PROGRAM_FAILED", "postconf did not say what it was asked", { detail: answers.join("\n") });
  }
  const [directory = "", version = "", owner = "", group = "", daemonDirectory = "", ...rest] = answers;
  const [hash_queue_names = "", hash_queue_depth = "", enable_long_queue_ids = ""] = rest;
  const naming = { hash_queue_names, hash_queue_depth, enable_long_queue_ids };
  return { directory: config.directory ?? directory, version, owner, group, daemonDirectory, naming };
}

/**
 * The same for a capture, which needs no more than the directory: a queue can be read where no Postfix is installed, as on a rescue system.
 *
 * @throws MailarkError as {@link askSpool} does, unless the configuration names the directory.
 */
export async function findSpool(
  config: QueueConfig,
  world: World,
): Promise<Pick<Spool, "directory"> & { version?: string }> {
  if (config.directory === undefined) return askSpool(config, world);
  try {
    return await askSpool(config, world);
  } catch (error) {
    world.signal.throwIfAborted();
    const passing = ["PLACE_UNREACHABLE", "PROGRAM_STALLED"];
    if (error instanceof MailarkError && !passing.includes(error.code)) return { directory: config.directory };
    throw error;
  }
}

/** The words by which Postfix's programs are told which instance is meant. */
export const instance = ({ configDirectory }: QueueConfig): string[] =>
  configDirectory === undefined ? [] : ["-c", configDirectory];
