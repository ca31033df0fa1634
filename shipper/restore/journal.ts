/**
 * What a restore of everything has begun and done, on the disk before it goes on: so that one that was killed is finished by the same
 * command, and only what it left itself is ever taken back.
 */
import { z } from "zod";
import { MailarkError } from "../../core/errors.ts";
import { type ComponentName, componentNames, patterns } from "../../core/keys.ts";
import { type Files, isAbsent } from "../../core/ports/files.ts";
import { readText, writeDurably } from "../state-files.ts";

const schema = z.object({
  format: z.literal("mailark-restore/1"),
  hostId: z.string(),
  steps: z.partialRecord(
    z.enum(componentNames),
    z.object({ snapshotId: z.string().regex(patterns.snapshotId), state: z.enum(["begun", "done"]) }),
  ),
});

export interface Step {
  readonly snapshotId: string;
  /** `begun`: the service held nothing then, and holds some of the snapshot now. */
  readonly state: "begun" | "done";
}

export class Journal {
  readonly path: string;
  readonly #files: Files;
  readonly #hostId: string;
  #steps: Partial<Record<ComponentName, Step>>;

  /**
   * Reads what an earlier restore left.
   *
   * @throws MailarkError `STATE_INVALID` when it can not be read, or belongs to another host.
   */
  constructor(files: Files, path: string, hostId: string) {
    this.path = path;
    this.#files = files;
    this.#hostId = hostId;
    const text = readText(files, path);
    this.#steps = text === undefined ? {} : stepsOf(text, path, hostId);
  }

  step(component: ComponentName): Step | undefined {
    return this.#steps[component];
  }

  note(component: ComponentName, step: Step): void {
    this.#steps = { ...this.#steps, [component]: step };
    this.#write();
  }

  /** It was taken back: as if it had never begun. */
  forget(component: ComponentName): void {
    const { [component]: _, ...others } = this.#steps;
    this.#steps = others;
    this.#write();
  }

  /** Everything is done. */
  close(): void {
    try {
      this.#files.unlinkSync(this.path);
    } catch (error) {
      if (!isAbsent(error)) throw error;
    }
  }

  #write(): void {
    const document = { format: "mailark-restore/1", hostId: this.#hostId, steps: this.#steps };
    writeDurably(this.#files, this.path, `${JSON.stringify(document)}\n`);
  }
}

function stepsOf(text: string, path: string, hostId: string) {
  const invalid = (message: string) =>
    new MailarkError("STATE_INVALID", message, {
      detail: path,
      hint: "it says what a restore that did not end has done: look at it, empty what it filled, remove the file, and start again",
    });
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw invalid("the journal of an earlier restore can not be read");
  }
  const parsed = schema.safeParse(json);
  if (!parsed.success) throw invalid("the journal of an earlier restore can not be read");
  if (parsed.data.hostId !== hostId) throw invalid("the restore of another host was begun here and did not end");
  return parsed.data.steps as Partial<Record<ComponentName, Step>>;
}
