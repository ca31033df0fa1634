import type { Moment } from "../../core/catalog.ts";
import { MailarkError } from "../../core/errors.ts";
import { type ComponentName, componentNames, isComponentName, patterns } from "../../core/keys.ts";
import { nearest } from "../nearest.ts";

/** @throws MailarkError `COMPONENT_UNKNOWN` for a word that names none. */
export function componentNamed(word: string): ComponentName {
  if (isComponentName(word)) return word;
  const meant = nearest(word, componentNames);
  throw new MailarkError("COMPONENT_UNKNOWN", `there is no component ${JSON.stringify(word)}`, {
    hint: meant === undefined ? `components are ${componentNames.join(", ")}` : `did you mean ${meant}?`,
  });
}

/** The components that were named, each once, in the order of capture; all where none was. */
export function componentsNamed(
  words: readonly string[],
  all: readonly ComponentName[] = componentNames,
): ComponentName[] {
  const named = new Set(words.map(componentNamed));
  return words.length === 0 ? [...all] : componentNames.filter((name) => named.has(name));
}

/** @throws MailarkError `ARGUMENT_INVALID` unless it is `latest`, the id of a snapshot, or a time in UTC. */
export function momentOf(text: string): Moment {
  if (text === "latest") return "latest";
  if (patterns.snapshotId.test(text)) return { snapshotId: text };
  const time = timeOf(text);
  if (time !== undefined) return { notAfter: time };
  throw new MailarkError("ARGUMENT_INVALID", `not a snapshot and not a time: ${JSON.stringify(text)}`, {
    hint: 'give latest, the id of a snapshot, 2026-11-21T02:00:00Z, or "2026-11-21 02:00" in UTC',
  });
}

const times = /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2})(:\d{2}(?:\.\d{1,3})?)?(Z|[+-]\d{2}:\d{2})?)?$/i;

/** Milliseconds since 1970. A day or a minute without more means its end: what was captured in it belongs to it. */
function timeOf(text: string): number | undefined {
  const [, day, minute, second, zone = "Z"] = times.exec(text) ?? [];
  if (day === undefined) return undefined;
  const time = Date.parse(`${day}T${minute ?? "23:59"}${second ?? ":59.999"}${zone.toUpperCase()}`);
  // The parser turns the 31st of a shorter month into the 1st of the next.
  const lands = new Date(Date.parse(`${day}T00:00:00Z`));
  return Number.isNaN(time) || Number.isNaN(lands.getTime()) || lands.toISOString().slice(0, 10) !== day
    ? undefined
    : time;
}
