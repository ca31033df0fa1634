/**
 * What a store lacks of what another has, remembered across runs: snapshots and records of runs by the key of the object that is written
 * last. It is written before such an object is sent, so a run that was killed between two stores is seen by the next one.
 */
import { z } from "zod";
import { MailarkError } from "../../core/errors.ts";
import { isKey } from "../../core/keys.ts";
import type { Files } from "../../core/ports/files.ts";
import { readText, writeDurably } from "../state-files.ts";

const entry = z.object({
  key: z.string().refine(isKey),
  /** Names of the stores that may lack it. */
  stores: z.array(z.string()),
  /** At least one store has confirmed it. */
  stored: z.boolean(),
});
const backlogSchema = z.object({ entries: z.array(entry) });

/** One object that some of the stores may lack. */
export type Owed = Readonly<z.infer<typeof entry>>;

export interface Backlog {
  /** Oldest first. */
  entries(): readonly Owed[];
  /** From now on all stores may lack this object. Durable when it returns. */
  begin(key: string): void;
  /** These stores have it; so somebody has. */
  confirm(key: string, stores: readonly string[]): void;
  /** These stores need it no more, or it is not to be had. */
  drop(key: string, stores: readonly string[]): void;
}

/** @param stores names of all stores that are configured; what others lack is forgotten. */
export function openBacklog(files: Files, path: string, stores: readonly string[]): Backlog {
  let entries: readonly Owed[] = load();

  return {
    entries: () => entries,
    begin: (key) => save([...entries.filter((each) => each.key !== key), { key, stores: [...stores], stored: false }]),
    confirm: (key, names) => without(key, names, true),
    drop: (key, names) => without(key, names, false),
  };

  function without(key: string, names: readonly string[], stored: boolean): void {
    const next = entries.map((each) =>
      each.key === key ? lacking(each, (store) => !names.includes(store), stored || each.stored) : each,
    );
    save(next.filter((each) => each.stores.length > 0));
  }

  function load(): Owed[] {
    const text = readText(files, path);
    if (text === undefined) return [];
    try {
      return backlogSchema
        .parse(JSON.parse(text))
        .entries.map((each) => lacking(each, (store) => stores.includes(store), each.stored))
        .filter((each) => each.stores.length > 0);
    } catch (cause) {
      throw new MailarkError("STATE_INVALID", "the list of what a store lacks is damaged", {
        detail: path,
        hint: "move the file away: the next backup goes to all stores, and what one of them missed before stays missing there",
        cause,
      });
    }
  }

  function save(next: readonly Owed[]): void {
    writeDurably(files, path, JSON.stringify({ entries: next }));
    entries = next;
  }
}

const lacking = ({ key, stores }: Owed, isLacking: (store: string) => boolean, stored: boolean): Owed => ({
  key,
  stores: stores.filter(isLacking),
  stored,
});
