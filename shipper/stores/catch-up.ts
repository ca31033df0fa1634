/**
 * Brings to a store what it missed while it was away, from another that can be read: object by object as it is, what a snapshot needs
 * before its manifest.
 */
import { asMailarkError, exitCodes, type MailarkError } from "../../core/errors.ts";
import { isRunKey } from "../../core/keys.ts";
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
  /** What it will never have: no store that can be read has it any more, or, with an error, not as it was signed. */
  readonly lost: readonly { readonly key: string; readonly error: MailarkError | undefined }[];
}

export interface CatchUpOptions {
  readonly stores: readonly RunStore[];
  /** The same stores; one that fails here is excluded. */
  readonly all: FanOut;
  readonly backlog: Backlog;
  /** Whose manifests are copied: this host's own. */
  readonly trusted: readonly Verifier[];
  readonly signal: AbortSignal;
  readonly began?: (store: string) => void;
  /** Called with the bytes that were read from the other store, as they are. */
  readonly read?: (bytes: number) => void;
}

/**
 * What can not be had is dropped from the backlog. What may be in a store that is away now stays in it, and so does what is owed to a
 * store that failed.
 */
export async function catchUp(options: CatchUpOptions): Promise<CaughtUp[]> {
  const { stores, all, backlog, began } = options;
  const done: CaughtUp[] = [];
  for (const target of stores) {
    const owed = backlog.entries().filter((each) => each.stores.includes(target.name));
    if (owed.length === 0 || !isIn(target)) continue;
    began?.(target.name);
    const copied: string[] = [];
    const lost: { key: string; error: MailarkError | undefined }[] = [];
    let waits = false;
    for (const each of owed) {
      // The record of a run would say that a snapshot is gone which is only not there yet.
      if (waits && isRunKey(each.key)) continue;
      const { judgement, error } = await bring(each, target, options);
      if (!isIn(target)) break;
      waits ||= judgement === "unknown";
      if (judgement === "unknown") continue;
      if (judgement === "there" || judgement === "copied") backlog.confirm(each.key, [target.name]);
      else backlog.drop(each.key, [target.name]);
      if (judgement === "copied") copied.push(each.key);
      if (judgement === "damaged" || (judgement === "gone" && each.stored)) lost.push({ key: each.key, error });
    }
    done.push({ store: target.name, copied, lost });
  }
  return done;

  function isIn({ name }: RunStore): boolean {
    return all.within().includes(name);
  }
}

interface Judgement {
  readonly judgement: "there" | "copied" | "gone" | "damaged" | "unknown";
  readonly error?: MailarkError;
}

async function bring(owed: Owed, target: RunStore, options: CatchUpOptions): Promise<Judgement> {
  const { stores, all, trusted, signal, read } = options;
  const within = all.within();
  try {
    // A run that was killed may have stored it without having noted it.
    if ((await isThere(target.store, owed.key, signal)) === "there") return { judgement: "there" };
  } catch (thrown) {
    signal.throwIfAborted();
    all.exclude(target.name, asMailarkError(thrown));
    return { judgement: "unknown" };
  }
  let worst: Judgement = { judgement: within.length < stores.length ? "unknown" : "gone" };
  for (const source of stores) {
    if (source === target || !within.includes(source.name)) continue;
    try {
      const failed = (error: MailarkError) => all.exclude(target.name, error);
      await copyOwed(owed.key, source.store, target.store, trusted, { signal, read, failed });
      return { judgement: "copied" };
    } catch (thrown) {
      signal.throwIfAborted();
      const error = asMailarkError(thrown);
      if (!all.within().includes(target.name)) return { judgement: "unknown" };
      if (error.code === "STORE_FORBIDDEN" || error.code === "SNAPSHOT_UNKNOWN") continue;
      const judgement = error.exitCode === exitCodes.verification ? "damaged" : "unknown";
      if (worst.judgement !== "unknown") worst = { judgement, error };
    }
  }
  return worst;
}
