import { asMailarkError } from "../../../core/errors.ts";
import type { Check } from "../../components/component.ts";

/** The checks of one run in the order of their names, each made or not. */
export class CheckList<Name extends string> {
  readonly #names: Readonly<Record<Name, string>>;
  readonly #signal: AbortSignal;
  readonly #made = new Map<Name, Check>();

  constructor(names: Readonly<Record<Name, string>>, signal: AbortSignal) {
    this.#names = names;
    this.#signal = signal;
  }

  /**
   * Makes one check: passed with what the work says, `unproven` when it throws `PROGRAM_MISSING`, failed when it throws anything else.
   *
   * @returns `undefined` unless it passed.
   * @throws the signal's reason.
   */
  async step<T>(name: Name, work: () => Promise<{ value: T; detail: string }>): Promise<T | undefined> {
    try {
      const { value, detail } = await work();
      this.#made.set(name, { name: this.#names[name], outcome: "passed", detail });
      return value;
    } catch (error) {
      this.#signal.throwIfAborted();
      const { code, message, detail, hint } = asMailarkError(error);
      const isMissing = code === "PROGRAM_MISSING";
      const outcome = isMissing ? "unproven" : "failed";
      this.#made.set(name, {
        name: this.#names[name],
        outcome,
        detail: [message, detail, isMissing && hint].filter(Boolean).join("; "),
      });
      return undefined;
    }
  }

  allUnproven(detail: string): Check[] {
    return Object.values<string>(this.#names).map((name) => ({ name, outcome: "unproven", detail }));
  }

  checks(): Check[] {
    return (Object.keys(this.#names) as Name[]).flatMap((name) => this.#made.get(name) ?? []);
  }
}
