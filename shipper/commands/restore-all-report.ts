/** How a restore of everything is told. */
import { exitCodes } from "../../core/errors.ts";
import type { PlannedItem } from "../components/component.ts";
import type { Config } from "../config.ts";
import { type HostOutcome, type ItemOutcome, isConfiguration } from "../restore/restore-host.ts";
import { errorDocument, errorText } from "../terminal/error-text.ts";
import { printable } from "../terminal/printable.ts";
import { countOf, durationText, sizeText, timeText } from "../terminal/quantity.ts";
import { facts, table } from "../terminal/table.ts";
import { checksTable } from "./checks-table.ts";
import type { Outcome } from "./command.ts";
import { contentsText, warningsText } from "./contents.ts";
import type { HostPlan } from "./restore-all-plan.ts";

function headOf({ source, choices }: HostPlan): string {
  const runs = new Set(choices.map(({ manifest }) => manifest.runId));
  return facts([
    ["from", `${source.url}, host ${source.hostId}`],
    [
      "cut",
      runs.size === 1 ? `one run, ${[...runs][0]}` : `${runs.size} runs: the components are of different moments`,
    ],
    ["size", sizeText(sum(choices))],
  ]);
}

/** What would be done. */
export function reportPlan(plan: HostPlan): Outcome {
  const columns = [
    { title: "ORDER", right: true },
    { title: "COMPONENT" },
    { title: "SNAPSHOT" },
    { title: "TIME" },
    { title: "SIZE", right: true },
    { title: "CONTENT" },
  ];
  const rows = plan.choices.map(({ name, manifest, bytes }, position) => [
    `${position + 1}`,
    name,
    manifest.snapshotId,
    timeText(manifest.cutAt),
    sizeText(bytes),
    contentsText(manifest),
  ]);
  return {
    exitCode: exitCodes.ok,
    text: `${headOf(plan)}\n${table(columns, rows)}\n${placesOf(plan)}Nothing was written: this was a dry run. The services must be installed and hold nothing.\n`,
    document: { ...documentOf(plan), dryRun: true, exitCode: exitCodes.ok },
  };
}

/** What the snapshot of a host puts into the file system of this machine, which an operator should see before it does. */
function placesOf({ choices }: HostPlan): string {
  const places = choices.filter(({ name }) => isConfiguration(name)).flatMap(({ items }) => items);
  if (places.length === 0) return "";
  const lines = places.map(({ what }) => `  ${printable(what)}\n`).join("");
  return `Files that are put in their place; what is there is kept beside, as NAME.before-mailark-…:\n${lines}\n`;
}

function documentOf({ source, choices }: HostPlan): object {
  return {
    command: "restore",
    all: true,
    hostId: source.hostId,
    store: source.url,
    pinned: source.pinned,
    bytes: sum(choices),
    components: choices.map(({ name, bytes, items, manifest: { snapshotId, runId, cutAt } }) => ({
      component: name,
      items,
      snapshotId,
      runId,
      cutAt,
      bytes,
    })),
  };
}

const ends: Record<HostOutcome["mail"], string> = {
  started: "The mail services run.",
  "not started": "The mail services could not be started: see above. Start them yourself; everything else is done.",
  "left down": `The mail services were left down: with a part of the host missing they could refuse or lose mail.
Mend what failed, and run the same command again: it goes on where it was. What is QUESTIONABLE is in its place, and a check of it failed:
look at it; to take it as it is, and to start without what is missing, add --accept.`,
  "not ours to start": "No mail services are named below services in the configuration: start them now.",
};

const words: Record<ItemOutcome["state"], string> = {
  restored: "restored",
  "restored before": "restored before",
  questionable: "QUESTIONABLE",
  failed: "FAILED",
};

/** What was done, and what is to be done now. */
export function reportHost(
  plan: HostPlan,
  { items, mail, complaints }: HostOutcome,
  config: Config,
  milliseconds: number,
): Outcome {
  const back = items.filter(({ state }) => state === "restored" || state === "restored before");
  const partial = plan.choices.filter(({ manifest }) => manifest.completeness === "partial");
  const unproven = items.flatMap(({ checks }) => checks.filter(({ outcome }) => outcome === "unproven"));
  const summary = table(
    [{ title: "COMPONENT" }, { title: "RESULT" }, { title: "SNAPSHOT" }, { title: "TIME", right: true }],
    items.map(({ component, state, snapshotId = "none", milliseconds }) => [
      component,
      words[state],
      snapshotId,
      durationText(milliseconds),
    ]),
  );
  const details = checksTable(items.map(({ component, checks }) => ({ name: component, checks })));
  const errors = [
    ...items.flatMap(({ component, error }) => (error ? [`\n${component}: ${errorText(error)}`] : [])),
    ...complaints.map((error) => `\nservices: ${errorText(error)}`),
    ...partial.map(({ name, manifest }) => `\n${name}: its snapshot is partial: ${warningsText(manifest)}\n`),
  ];
  const exitCode = exitCodeOf(items, partial.length > 0 || complaints.length > 0);
  const open = unproven.length > 0 ? ` ${countOf(unproven.length, "check")} could not be made here.` : "";
  const unstopped =
    mail === "left down" && config.services === undefined
      ? " (They are not named below services: if they run, stop them.)"
      : "";
  const end = `${back.length} of ${items.length} components are back, after ${durationText(milliseconds)}.${open} ${ends[mail]}${unstopped}\n`;
  return {
    exitCode,
    text: `${headOf(plan)}\n${summary}\n${details}${errors.join("")}\n${end}`,
    document: {
      ...documentOf(plan),
      exitCode,
      milliseconds,
      mailServices: mail,
      results: items.map(({ error, ...item }) => ({ ...item, error: error && errorDocument(error) })),
      complaints: complaints.map((error) => errorDocument(error)),
    },
  };
}

/** 4 where something is in place that is not as it was captured; 3 where something is missing. */
function exitCodeOf(items: readonly ItemOutcome[], amiss: boolean): number {
  if (items.some(({ state }) => state === "questionable")) return exitCodes.verification;
  if (items.some(({ state }) => state === "failed") || amiss) return exitCodes.partial;
  return exitCodes.ok;
}

const sum = (items: readonly Pick<PlannedItem, "bytes">[]) => items.reduce((total, { bytes }) => total + bytes, 0);
