/**
 * One of several attempts at the same request starts it: Lambda, EventBridge and people all may ask twice, and at once. Who creates the record with a
 * claim in it, or takes over one whose time is up, is that one; the others wait for what comes of it.
 */
import { randomUUID } from "node:crypto";
import { MailarkError } from "../../core/errors.ts";
import { dispatchKey } from "../../core/keys.ts";
import type { Clock } from "../../core/ports/clock.ts";
import type { ControlStore, Held } from "../control/control-store.ts";
import { type Dispatch, readRecord, recordBytes } from "../control/records.ts";

interface ClaimPorts {
  readonly control: ControlStore;
  readonly clock: Clock;
}

/** The record as it was found or made; `held` is there where the request is the caller's to start, and what {@link settle} replaces. */
export interface Claimed {
  readonly record: Dispatch;
  readonly held?: Held;
}

/** Between two looks at a request that somebody else is starting. */
const pauseMs = 500;

/**
 * Claims a request, or waits until it was started by somebody else. What an attempt before this one has started and asked stands in the record.
 *
 * @param until milliseconds since 1970, when the caller has certainly ended: from then on, others may take over.
 */
export async function claim(
  { control, clock }: ClaimPorts,
  request: Pick<Dispatch, "requestId" | "requestedBy" | "tier" | "components">,
  until: number,
  signal?: AbortSignal,
): Promise<Claimed> {
  const own = { id: randomUUID(), until: new Date(until).toISOString() };
  const key = dispatchKey(request.requestId);
  for (;;) {
    const found = await readRecord(control, "dispatch", key, signal);
    const other = found?.record.claim;
    if (found && other === undefined) return { record: found.record };
    // Looked at again after the write: its answer may have got lost.
    if (found && other?.id === own.id) return found;
    const isFree = other === undefined || Date.parse(other.until) <= clock.now();
    const at = new Date(clock.now()).toISOString();
    const first: Dispatch = { format: "mailark-dispatch/1", ...request, at, commands: [], skipped: [] };
    const mine = recordBytes({ ...(found?.record ?? first), claim: own });
    if (!isFree || !(await control.replace(key, mine, found?.held, signal))) await clock.sleep(pauseMs, signal);
  }
}

/**
 * Writes down what was started. With a claim still in the record, whoever comes next goes on from it.
 *
 * @throws MailarkError `STORE_BUSY` where somebody else has taken over.
 */
export async function settle(control: ControlStore, held: Held, record: Dispatch, signal?: AbortSignal): Promise<void> {
  const key = dispatchKey(record.requestId);
  const bytes = recordBytes(record);
  if (await control.replace(key, bytes, held, signal)) return;
  // A write whose answer got lost is refused the second time.
  if ((await control.read(key, signal))?.bytes.equals(bytes)) return;
  throw new MailarkError("STORE_BUSY", "another attempt has taken over this request", { retryable: true });
}
