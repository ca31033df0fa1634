/**
 * What a restore of everything has chosen, begun and done, on the disk before it goes on: so that one that was ended is finished by the same
 * command with the same snapshots, and only what it left itself is ever taken back.
 */
import { z } from "zod";
import { MailarkError } from "../../core/errors.ts";
import { type ComponentName, componentNames, patterns } from "../../core/keys.ts";
import type { Clock } from "../../core/ports/clock.ts";
import { type Files, isAbsent } from "../../core/ports/files.ts";
import { readText, writeDurably } from "../state-files.ts";

const step = z.object({
  snapshotId: z.string().regex(patterns.snapshotId),
  state: z.enum(["planned", "begun", "done", "questionable"]),
  /** SHA-256 of the configuration that says which service was filled. */
  service: z.string().optional(),
});
const schema = z.object({
  format: z.literal("mailark-restore/1"),
  hostId: z.string(),
  startedAt: z.iso.datetime(),
  steps: z.partialRecord(z.enum(componentNames), step),
});

/**
 * `planned`: nothing of it is there. `begun`: the service held nothing then, and holds some of the snapshot now. `done`: all of it, judged.
 * `questionable`: all of it, and a check failed.
 */
export type Step = z.infer<typeof step>;

const longest = 7 * 24 * 3600 * 1000;

export class Journal {
  readonly #files: Files;
  readonly #hostId: string;
  readonly #startedAt: string;
  #path: string;
  #steps: Partial<Record<ComponentName, Step>>;
  readonly isOld: boolean;

  /**
   * Reads what an earlier restore left.
   *
   * @throws MailarkError `STATE_INVALID` when it can not be read, belongs to another host, or is older than a week.
   */
  constructor(files: Files, clock: Clock, path: string, hostId: string) {
    this.#files = files;
    this.#path = path;
    this.#hostId = hostId;
    const text = readText(files, path);
    const left = text === undefined ? undefined : read(text, path, hostId);
    if (left && clock.now() - Date.parse(left.startedAt) > longest) {
      throw invalid(path, `an earlier restore of ${left.startedAt} was never finished`);
    }
    this.isOld = left !== undefined;
    this.#startedAt = left?.startedAt ?? new Date(clock.now()).toISOString();
    this.#steps = left?.steps ?? {};
  }

  get path(): string {
    return this.#path;
  }

  get startedAt(): string {
    return this.#startedAt;
  }

  step(component: ComponentName): Step | undefined {
    return this.#steps[component];
  }

  note(component: ComponentName, step: Step): void {
    this.#steps = { ...this.#steps, [component]: step };
    this.#write();
  }

  /** Chooses for good: whatever is captured from now on is not what is brought back. */
  plan(choices: readonly { readonly name: ComponentName; readonly snapshotId: string }[]): void {
    const planned = choices.map(({ name, snapshotId }) => [name, { snapshotId, state: "planned" }] as const);
    this.#steps = { ...Object.fromEntries(planned), ...this.#steps };
    this.#write();
  }

  /** Goes on in another place: the configuration that came back names another directory of state. */
  moveTo(path: string): void {
    if (path === this.#path) return;
    const old = this.#path;
    this.#path = path;
    this.#write();
    remove(this.#files, old);
  }

  /** Everything is done. */
  close(): void {
    remove(this.#files, this.#path);
  }

  #write(): void {
    const document = {
      format: "mailark-restore/1",
      hostId: this.#hostId,
      startedAt: this.#startedAt,
      steps: this.#steps,
    };
    writeDurably(this.#files, this.#path, `${JSON.stringify(document)}\n`);
  }
}

/**
 * Refuses to go on beside a restore that is not finished: a backup of half a host would become its latest.
 *
 * @throws MailarkError `LOCKED`.
 */
export function refuseDuringRestore(files: Files, path: string): void {
  if (files.statSync(path, { throwIfNoEntry: false }) === undefined) return;
  throw new MailarkError("LOCKED", "a restore of this host is not finished", {
    detail: path,
    hint: "finish it with the same `mailark restore --all`; if you have finished it by hand, remove that file",
  });
}

function remove(files: Files, path: string): void {
  try {
    files.unlinkSync(path);
  } catch (error) {
    if (!isAbsent(error)) throw error;
  }
}

function read(text: string, path: string, hostId: string): z.infer<typeof schema> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw invalid(path, "the journal of an earlier restore can not be read");
  }
  const parsed = schema.safeParse(json);
  if (!parsed.success) throw invalid(path, "the journal of an earlier restore can not be read");
  if (parsed.data.hostId !== hostId) throw invalid(path, "the restore of another host was begun here and did not end");
  return parsed.data;
}

const invalid = (path: string, message: string) =>
  new MailarkError("STATE_INVALID", message, {
    detail: path,
    hint: "it says what a restore that did not end has done: look at it, empty what it filled, remove the file, and start again",
  });
