/**
 * Brings to a store what it missed while it was away, from another that can be read: object by object as it is, what a snapshot needs
 * before its manifest.
 */
import { readTrust } from "../../core/enrolment.ts";
import { asMailarkError, exitCodes, MailarkError } from "../../core/errors.ts";
import { addressOfManifest, type ComponentName, isRunKey } from "../../core/keys.ts";
import type { Verifier } from "../../core/signed-document.ts";
import type { FanOut } from "../../core/stores/fan-out.ts";
import type { Backlog, Owed } from "./backlog.ts";
import { copyOwed } from "./copy-owed.ts";
import { isThere, type RunStore } from "./run-store.ts";

/** How a store was brought up to date. */
export interface CaughtUp {
  readonly store: string;
  /** The snapshots and records of runs that were copied to it, by key. */
  readonly copied: readonly string[];
  /** What it will never have. Without an error, what this run stored there stands in for it. */
  readonly lost: readonly Missed[];
  /** What it lacks still, and why; the next run tries again. */
  readonly owed: readonly Missed[];
}

/** A snapshot or the record of a run, by key. */
export interface Missed {
  readonly key: string;
  readonly error: MailarkError | undefined;
}

export interface CatchUpOptions {
  readonly stores: readonly RunStore[];
  /** The same stores; one that fails here is excluded. */
  readonly all: FanOut;
  readonly backlog: Backlog;
  readonly hostId: string;
  /** This host's own key. What it signed with an earlier one is copied where that is introduced in the target, or, if that can not be read, in another store. */
  readonly own: Verifier;
  /** Of which components this run has stored a snapshot, in all stores that are not out. */
  readonly stored: readonly ComponentName[];
  /** Of which components a later run may. */
  readonly configured: readonly ComponentName[];
  readonly signal: AbortSignal;
  readonly began?: (store: string) => void;
  /** Called with the bytes that were read from the other store, as they are. */
  readonly read?: (bytes: number) => void;
}

/**
 * What is damaged in the only store that can be read is dropped from the backlog, and so is what no such store has, once a newer snapshot
 * stands in for it. All else stays owed: what may be in a store that is away, what could not be read now, what an unknown key signed, and
 * whatever a store lacks that fails here.
 */
export async function catchUp(options: CatchUpOptions): Promise<CaughtUp[]> {
  const { stores, all, backlog, began } = options;
  const done: CaughtUp[] = [];
  const owedTo = ({ name }: RunStore) => backlog.entries().filter((each) => each.stores.includes(name));
  for (const target of stores) {
    const copied: string[] = [];
    const lost: Missed[] = [];
    const why = new Map<string, MailarkError>();
    if (isIn(target) && owedTo(target).length > 0) {
      began?.(target.name);
      const trusted = await trustedIn(target, options);
      for (const each of owedTo(target)) {
        // The record of a run would say that a snapshot is gone which is only not there yet.
        const waiting = isRunKey(each.key) ? why.values().next().value : undefined;
        const { judgement, error }: Judgement = waiting
          ? { judgement: "unknown", error: waiting }
          : await bring(each, target, trusted, options);
        if (!isIn(target)) break;
        if (judgement === "there" || judgement === "copied") backlog.confirm(each.key, [target.name]);
        else if (judgement === "unknown") why.set(each.key, error);
        else backlog.drop(each.key, [target.name]);
        if (judgement === "copied") copied.push(each.key);
        if (judgement === "damaged" || (judgement === "gone" && each.stored)) lost.push({ key: each.key, error });
      }
    }
    const owed = owedTo(target).map(({ key }) => ({ key, error: why.get(key) ?? all.out.get(target.name) }));
    if (copied.length + lost.length + owed.length > 0) done.push({ store: target.name, copied, lost, owed });
  }
  return done;

  function isIn({ name }: RunStore): boolean {
    return all.within().includes(name);
  }
}

type Judgement =
  | { readonly judgement: "there" | "copied" | "gone"; readonly error?: undefined }
  | { readonly judgement: "damaged" | "unknown"; readonly error: MailarkError };

async function bring(
  owed: Owed,
  target: RunStore,
  trusted: readonly Verifier[],
  options: CatchUpOptions,
): Promise<Judgement> {
  const { all, signal, read } = options;
  try {
    // A run that was killed may have stored it without having noted it.
    if ((await isThere(target.store, owed.key, signal)) === "there") return { judgement: "there" };
  } catch (thrown) {
    signal.throwIfAborted();
    const error = asMailarkError(thrown);
    all.exclude(target.name, error);
    return { judgement: "unknown", error };
  }
  const [away] = all.out.values();
  let worst: Judgement = away ? { judgement: "unknown", error: away } : { judgement: "gone" };
  for (const source of sourcesFor(target, options)) {
    try {
      const failed = (error: MailarkError) => all.exclude(target.name, error);
      await copyOwed(owed.key, source.store, target.store, trusted, { signal, read, failed });
      return { judgement: "copied" };
    } catch (thrown) {
      signal.throwIfAborted();
      const error = asMailarkError(thrown);
      if (!all.within().includes(target.name)) return { judgement: "unknown", error };
      if (error.code === "STORE_FORBIDDEN" || error.code === "SNAPSHOT_UNKNOWN") continue;
      const isDamaged = error.exitCode === exitCodes.verification && error.code !== "SIGNER_UNTRUSTED";
      if (worst.judgement !== "unknown") worst = { judgement: isDamaged ? "damaged" : "unknown", error };
    }
  }
  return worst.judgement === "gone" && owed.stored ? replaced(owed.key, options) : worst;
}

/** What no store can give is given up where something newer stands in for it. */
function replaced(key: string, { stored, configured }: CatchUpOptions): Judgement {
  const component = addressOfManifest(key)?.component;
  if (component === undefined || stored.includes(component)) return { judgement: "gone" };
  return configured.includes(component)
    ? { judgement: "unknown", error: notToBeHad("this run stored no newer one in its place") }
    : { judgement: "damaged", error: notToBeHad("its component is not configured any more") };
}

const notToBeHad = (why: string) =>
  new MailarkError("OBJECT_MISSING", `no other store that can be read has it, and ${why}`);

/** Where no introductions can be read, what an earlier key signed stays owed. */
async function trustedIn(target: RunStore, options: CatchUpOptions): Promise<Verifier[]> {
  const { hostId, own, signal } = options;
  for (const { store } of [target, ...sourcesFor(target, options)]) {
    try {
      const { keys } = await readTrust(store, hostId, undefined, signal);
      return [own, ...keys.map(({ verifier }) => verifier)];
    } catch {
      signal.throwIfAborted();
    }
  }
  return [own];
}

const sourcesFor = (target: RunStore, { stores, all }: CatchUpOptions) =>
  stores.filter((each) => each !== target && all.within().includes(each.name));
