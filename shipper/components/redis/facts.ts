/** What is remembered of the keys, to judge a restore against (docs/format.md §8.4). It is counted in the file itself, as it streams. */
import { createHash } from "node:crypto";
import { z } from "zod";
import type { SnapshotReader } from "../../../core/snapshot-reader.ts";
import { readFactsAs } from "../small-part.ts";
import type { RdbKey, RdbVisitor } from "./rdb.ts";

const count = z.int().nonnegative();

const databaseFacts = z.object({
  number: count,
  keys: count,
  /** Of these, keys with an expiry. */
  expiring: count,
  /** By type, apart: those that stay, and those that expire. */
  types: z.record(z.string(), z.tuple([count, count])),
  /** Of the keys that stay; absent where the size of one of them is not told. */
  digest: z.string().optional(),
  /** How many expire in which minute since 1970. */
  expiries: z.array(z.tuple([z.int(), count])),
});

const facts = z.object({
  /** False where the file holds what this program does not know: then there are no databases here. */
  counted: z.boolean(),
  databases: z.array(databaseFacts),
  /** Names of libraries of functions. */
  libraries: z.array(z.string()),
  users: z.array(z.string()),
  /** Of the server that was captured. */
  settings: z.record(z.string(), z.string()),
});

export type DatabaseFacts = z.infer<typeof databaseFacts>;
export type Facts = z.infer<typeof facts>;

/** @throws MailarkError `OBJECT_CORRUPT` when they are none. */
export const readFacts = (snapshot: SnapshotReader): Promise<Facts> => readFactsAs(snapshot, facts);

/** Sums are taken modulo 2^48, which both a double and Lua hold exactly. */
export const digestModulus = 2 ** 48;

/** The share of one key in the digest of its database: what a server can be asked for again, whatever its encodings. */
export function digestOf({ name, type, size, text }: Pick<RdbKey, "name" | "type" | "size" | "text">): number {
  const hash = createHash("sha1").update(name).update(`\0${type}\0`);
  return Number.parseInt(
    hash
      .update(text ?? `size ${size}`)
      .digest("hex")
      .slice(0, 12),
    16,
  );
}

export const digestText = (sum: number): string => sum.toString(16).padStart(12, "0");

/** Counts a file's keys. */
export class KeyCounter implements RdbVisitor {
  readonly properties = new Map<string, string>();
  readonly libraries: string[] = [];
  readonly #databases = new Map<number, Tally>();
  readonly #announced = new Map<number, { keys: number; expiring: number }>();

  property(name: string, value: string): void {
    this.properties.set(name, value);
  }

  announce(database: number, keys: number, expiring: number): void {
    this.#announced.set(database, { keys, expiring });
  }

  library(code: Buffer): void {
    this.libraries.push(/^#!.*?\bname=(\S+)/.exec(code.toString("utf8"))?.[1] ?? "");
  }

  key(key: RdbKey): void {
    const tally = this.#databases.get(key.database) ?? new Tally();
    this.#databases.set(key.database, tally);
    tally.add(key);
  }

  /** Whether every database has as many keys as the server announced, where it did. */
  get asAnnounced(): boolean {
    return [...this.#announced].every(([number, { keys, expiring }]) => {
      const tally = this.#databases.get(number);
      return (tally?.keys ?? 0) === keys && (tally?.expiring ?? 0) === expiring;
    });
  }

  /** By their numbers. */
  get databases(): DatabaseFacts[] {
    return [...this.#databases].toSorted(([a], [b]) => a - b).map(([number, tally]) => tally.facts(number));
  }
}

class Tally {
  keys = 0;
  expiring = 0;
  readonly #types = new Map<string, [number, number]>();
  readonly #expiries = new Map<number, number>();
  #sum: number | undefined = 0;

  add(key: RdbKey): void {
    this.keys += 1;
    const counts = this.#types.get(key.type) ?? [0, 0];
    this.#types.set(key.type, counts);
    if (key.expiresAt === undefined) {
      counts[0] += 1;
      if (key.size === undefined) this.#sum = undefined;
      else if (this.#sum !== undefined) this.#sum = (this.#sum + digestOf(key)) % digestModulus;
      return;
    }
    counts[1] += 1;
    this.expiring += 1;
    const minute = Math.floor(key.expiresAt / 60_000);
    this.#expiries.set(minute, (this.#expiries.get(minute) ?? 0) + 1);
  }

  facts(number: number): DatabaseFacts {
    return {
      number,
      keys: this.keys,
      expiring: this.expiring,
      types: Object.fromEntries([...this.#types].toSorted()),
      ...(this.#sum !== undefined && { digest: digestText(this.#sum) }),
      expiries: [...this.#expiries].toSorted(([a], [b]) => a - b),
    };
  }
}
