/** How a run with several stores went with each of them. */
import { addressOfManifest } from "../../core/keys.ts";
import type { RunRecord } from "../../core/manifest.ts";
import type { FanOut } from "../../core/stores/fan-out.ts";
import type { Usage } from "../../core/stores/usage.ts";
import { storedError } from "../backup.ts";
import type { BreakGlassFault } from "../stores/break-glass-faults.ts";
import type { CaughtUp, Missed } from "../stores/catch-up.ts";
import type { RunStore } from "../stores/run-store.ts";
import { errorDocument, errorText } from "../terminal/error-text.ts";
import { countOf } from "../terminal/quantity.ts";

export interface StoresReport {
  /** All of them, in the order of the configuration. */
  readonly names: readonly string[];
  readonly all: FanOut;
  readonly caughtUp: readonly CaughtUp[];
  readonly faults: readonly BreakGlassFault[];
  /** What was asked of each over the network: what it bills. */
  readonly requests: readonly (Usage & { readonly store: string })[];
}

/** Whether one of them lacks something that nothing in it stands in for, or has it damaged. One that was left out lacks this run. */
export const areShort = ({ caughtUp, faults }: StoresReport): boolean =>
  faults.length > 0 || caughtUp.some(({ lost, owed }) => owed.length > 0 || lost.some(({ error }) => error));

export const requestsTo = (stores: readonly RunStore[]): StoresReport["requests"] =>
  stores.flatMap(({ name, meter }) => meter.read().map((usage) => ({ store: name, ...usage })));

/** For the record of the run: stores by their number, for a URL may name somebody. */
export function storeOutcomes(names: readonly string[], { out }: FanOut): NonNullable<RunRecord["stores"]> {
  return names.map((name, index) => {
    const error = out.get(name);
    return {
      store: index + 1,
      ...(error ? { outcome: "failed", error: storedError(error) } : { outcome: "complete" }),
    };
  });
}

/** Empty where every store has all, and had all before. */
export function storesText({ names, all, caughtUp }: StoresReport): string {
  if (names.length === 1) return "";
  const copied = caughtUp
    .filter((each) => each.copied.length > 0)
    .map((each) => `\n${each.store}: got what it had missed, ${contents(each.copied.map((key) => ({ key })))}\n`);
  const lost = caughtUp.flatMap((each) =>
    byReason(each.lost).map(([why, what]) => `\n${each.store}: will not get ${what} that it missed: ${why}\n`),
  );
  const owed = caughtUp
    .filter(({ store }) => !all.out.has(store))
    .flatMap((each) =>
      byReason(each.owed).map(
        ([why, what]) => `\n${each.store}: lacks ${what} still: ${why}\nThe next backup tries again.\n`,
      ),
    );
  const out = [...all.out].map(([name, error]) => {
    const missed = caughtUp.find(({ store }) => store === name)?.owed ?? [];
    const what = missed.length > 0 ? `: ${contents(missed)}` : "";
    return `\n${name}: ${errorText(error)}A later backup brings it what it misses now${what}.\n`;
  });
  return [...copied, ...lost, ...owed, ...out].join("");
}

export const faultsText = ({ faults }: StoresReport): string =>
  faults.map(({ store, error }) => `\n${store}, restore script and format description: ${errorText(error)}`).join("");

const superseded = "no other store that can be read has that any more; the snapshots of this run stand in for it";

export function storesDocument({ names, all, caughtUp }: StoresReport): object[] {
  return names.map((name) => {
    const error = all.out.get(name);
    const { copied = [], lost = [], owed = [] } = caughtUp.find(({ store }) => store === name) ?? {};
    return {
      store: name,
      outcome: error ? "failed" : "complete",
      error: error && errorDocument(error),
      copied,
      lost: lost.map(missedDocument),
      owed: owed.map(missedDocument),
    };
  });
}

const missedDocument = ({ key, error }: Missed) => ({ key, error: error && errorDocument(error) });

const byReason = (missed: readonly Missed[]) =>
  [...Map.groupBy(missed, ({ error }) => error?.message ?? superseded)].map(([why, rows]) => [why, contents(rows)]);

function contents(missed: readonly Pick<Missed, "key">[]): string {
  const snapshots = missed.filter(({ key }) => addressOfManifest(key)).length;
  const runs = missed.length - snapshots;
  return [
    ...(snapshots > 0 ? [countOf(snapshots, "snapshot")] : []),
    ...(runs > 0 ? [countOf(runs, "record of a run", "records of runs")] : []),
  ].join(" and ");
}
