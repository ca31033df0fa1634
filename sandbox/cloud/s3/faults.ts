import type { S3ErrorCode } from "./errors.ts";
import type { OperationName } from "./operations.ts";

/** A call that may go wrong. */
export interface FaultyCall {
  readonly operation: OperationName;
  readonly bucket: string;
  readonly key: string;
  /** The how many-th call that the server got, from 1. */
  readonly number: number;
  /** By the server's clock, in milliseconds since 1970. */
  readonly at: number;
}

/**
 * What goes wrong. `before`: nothing was done; `after`: everything was done, and the caller is told something else.
 *
 * - `error`: this error is the answer, with the status that belongs to it.
 * - `error-in-success`: nothing was done, and the answer is status 200 with the error as its body, as S3 does when it
 *   has begun to answer a completion or a copy.
 * - `silence`: the body is taken in, and no answer ever comes; the caller has to give up.
 * - `reset`: the connection is reset.
 * - `truncated`: of the answer's body only so many bytes come, then the connection ends.
 * - `wrong-byte`: one byte of the answer's body is another one, at this place.
 * - `wrong-checksum`: the checksums in the answer are not those of the object.
 * - `slow`: body and answer pass at so many bytes a second.
 */
export type Fault =
  | { readonly kind: "error"; readonly code: S3ErrorCode; readonly when?: "before" | "after" }
  | { readonly kind: "error-in-success"; readonly code: S3ErrorCode }
  | { readonly kind: "silence" | "reset"; readonly when: "before" | "after" }
  | { readonly kind: "truncated"; readonly bytes: number }
  | { readonly kind: "wrong-byte"; readonly at: number }
  | { readonly kind: "wrong-checksum" }
  | { readonly kind: "slow"; readonly bytesPerSecond: number };

/** Says of each call that is signed, known and permitted what goes wrong with it; `undefined`: nothing. */
export type Faults = (call: FaultyCall) => Fault | undefined;

export interface FaultRule {
  /** Default: every operation. */
  readonly operation?: OperationName | readonly OperationName[];
  /** Default: every key. */
  readonly key?: string | RegExp;
  /** From which of the calls that match on, from 1. Default: the first. */
  readonly nth?: number;
  /** How many of them. Default: 1. */
  readonly times?: number;
  /** Only before this moment of the server's clock. */
  readonly until?: number;
  readonly fault: Fault;
}

/** The first rule that a call meets decides. */
export function faultRules(rules: readonly FaultRule[]): Faults {
  const counts = rules.map(() => 0);
  return (call) => {
    for (const [
      index,
      { operation, key, nth = 1, times = 1, until = Number.POSITIVE_INFINITY, fault },
    ] of rules.entries()) {
      if (operation !== undefined && ![operation].flat().includes(call.operation)) continue;
      if (key !== undefined && !(typeof key === "string" ? key === call.key : key.test(call.key))) continue;
      if (call.at >= until) continue;
      counts[index]! += 1;
      if (counts[index]! >= nth && counts[index]! < nth + times) return fault;
    }
    return undefined;
  };
}
