/**
 * Several stores that are written to as one. Each body is made once and sent to all of them at the same time, as fast as the slowest takes
 * it. A store that fails where another did not gets nothing more, so whatever is put last, such as a manifest, is only where all before it
 * is.
 */
import { asMailarkError, type MailarkError } from "../errors.ts";
import { agree, measured, uploadMismatch } from "./receipt.ts";
import type { Body, ObjectWriter, Receipt } from "./store.ts";
import { type WatchedBody, watchedBody } from "./watched-body.ts";

/** One of the stores, by a name that no other has. */
export interface Member {
  readonly name: string;
  readonly store: ObjectWriter;
}

export interface FanOut extends ObjectWriter {
  /** Names of the stores that have everything that was put so far. */
  within(): readonly string[];
  /** Why the others are out, by name. */
  readonly out: ReadonlyMap<string, MailarkError>;
  /** Nothing more is sent to this store. */
  exclude(name: string, reason: MailarkError): void;
}

export interface FanOutOptions {
  /** Keys that say what is in them: a store that has one already has the same. Default: none. */
  readonly same?: (key: string) => boolean;
  /** Called once for each store that is out. */
  readonly lost?: (name: string, reason: MailarkError) => void;
}

/**
 * `put` resolves when every store that is not out has the object. It throws, and nobody is out for it, where no store took it: with
 * `OBJECT_EXISTS` where the key is taken in all of them, with what the body failed with, the signal's reason, or the first store's error.
 */
export function fanOut(members: readonly Member[], { same = () => false, lost }: FanOutOptions = {}): FanOut {
  const out = new Map<string, MailarkError>();
  const isIn = ({ name }: { readonly name: string }) => !out.has(name);

  return {
    out,
    exclude,
    within: () => members.filter(isIn).map(({ name }) => name),

    async put(key, body, options = {}) {
      const asked = members.filter(isIn);
      if (asked.length === 0) throw out.values().next().value;
      const answers = await Promise.all(asked.map((member) => ask(member, key, body, options)));
      if (answers.some(({ error }) => error)) {
        if (options.signal?.aborted) throw asMailarkError(options.signal.reason);
        const [failure] = answers.flatMap(({ failure }) => failure ?? []);
        if (failure) throw asMailarkError(failure.reason);
      }
      // Another put, under way at the same time, may have found one of them lacking.
      const left = answers.filter(isIn);
      const stored = left.filter((answer) => answer.receipt !== undefined);
      const taken = left.filter(({ error }) => error?.code === "OBJECT_EXISTS");
      const has = new Set<Answer>(same(key) ? [...stored, ...taken] : stored);
      const failed = left.filter((answer) => !has.has(answer));
      if (has.size === 0) {
        const worst = failed.find(({ error }) => error?.code !== "OBJECT_EXISTS") ?? failed[0];
        throw worst?.error ?? out.values().next().value;
      }
      for (const { name, error } of failed) exclude(name, error!);
      if (stored.length === 0) throw taken[0]!.error;
      return (await honest(stored, body)).receipt!;
    },
  };

  function exclude(name: string, reason: MailarkError): void {
    if (out.has(name)) return;
    out.set(name, reason);
    lost?.(name, reason);
  }

  /** The answer of a store that received what was sent; those that say otherwise are out, unless all do. */
  async function honest(stored: readonly Answer[], body: Body): Promise<Answer> {
    const [first, ...others] = stored as [Answer, ...Answer[]];
    const isSame = ({ receipt }: Answer) => receipt!.crc64nvme !== undefined && agree(receipt!, first.receipt!);
    if (others.length === 0 || stored.every(isSame)) return first;
    const sent = await measured(body);
    const right = stored.filter(({ receipt }) => agree(receipt!, sent));
    if (right.length > 0)
      for (const { name } of stored.filter((each) => !right.includes(each))) exclude(name, uploadMismatch());
    return right[0] ?? first;
  }
}

interface Answer {
  readonly name: string;
  readonly receipt?: Receipt;
  readonly error?: MailarkError;
  /** It was the body that failed. */
  readonly failure?: WatchedBody["failure"];
}

async function ask(
  { name, store }: Member,
  key: string,
  body: Body,
  options: { signal?: AbortSignal },
): Promise<Answer> {
  const sent: WatchedBody = Array.isArray(body) ? { body } : watchedBody(body);
  try {
    return { name, receipt: await store.put(key, sent.body, options) };
  } catch (thrown) {
    return { name, error: asMailarkError(thrown), failure: sent.failure };
  }
}
