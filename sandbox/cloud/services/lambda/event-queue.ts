import { CallRefused, type Cloud } from "../../service.ts";
import type { EventSettings } from "./function-settings.ts";
import type { Invoked, LambdaFunction } from "./lambda-function.ts";

/** An event on its way to the function. */
interface Waiting {
  readonly requestId: string;
  readonly payload: string;
  /** Milliseconds since 1970. */
  readonly taken: number;
  readonly attempts: number;
  readonly throttles: number;
  /** Of the last attempt that was made. */
  readonly last?: Invoked;
}

/** Why an event is done with, as its record says. */
type Condition = "Success" | "RetriesExhausted" | "EventAgeExceeded";

/** So many events of one queue are with the function at one time: a process each. Lambda takes more as the queue grows. */
const atOnce = 2;

/** Before the second attempt, and before the third ("How Lambda handles errors and retries with asynchronous invocation"). */
const waits = [60_000, 120_000];

/** Between attempts that were throttled: doubled each time. */
const throttled = { first: 1000, longest: 300_000 };

/**
 * A function's asynchronous events: each is tried again by the cloud's clock after an error, and after a throttle until it is too old; one that is given
 * up goes to the failure destination and to the dead letters, in the name of the function's role.
 */
export class EventQueue {
  readonly #cloud: Cloud;
  readonly #function: LambdaFunction;
  readonly #settings: EventSettings;
  readonly #queue: Waiting[] = [];
  /** How to forget what waits for its time. */
  readonly #timers = new Set<() => void>();
  #underWay = 0;

  constructor(cloud: Cloud, to: LambdaFunction, settings: EventSettings) {
    this.#cloud = cloud;
    this.#function = to;
    this.#settings = settings;
  }

  /** Returns at once; what comes of it is the cloud's work. */
  take(requestId: string, payload: string): void {
    this.#function.measure({ AsyncEventsReceived: 1 });
    this.#put({ requestId, payload, taken: this.#cloud.clock.now(), attempts: 0, throttles: 0 });
  }

  close(): void {
    this.#queue.length = 0;
    for (const forget of this.#timers) forget();
  }

  #put(event: Waiting): void {
    this.#queue.push(event);
    if (this.#underWay < atOnce) this.#cloud.goOn(this.#work());
  }

  async #work(): Promise<void> {
    this.#underWay += 1;
    try {
      for (let event = this.#queue.shift(); event !== undefined; event = this.#queue.shift())
        await this.#attempt(event);
    } finally {
      this.#underWay -= 1;
    }
  }

  async #attempt(event: Waiting): Promise<void> {
    const age = this.#cloud.clock.now() - event.taken;
    if (age > this.#settings.maximumAgeMs) return this.#giveUp(event, "EventAgeExceeded");
    let last: Invoked;
    try {
      last = await this.#function.invoke(event.requestId, event.payload);
    } catch (error) {
      if (!(error instanceof CallRefused)) throw error;
      const wait = Math.min(throttled.first * 2 ** event.throttles, throttled.longest);
      return this.#putAfter(wait, { ...event, throttles: event.throttles + 1 });
    }
    this.#function.measure({ AsyncEventAge: age });
    const tried = { ...event, attempts: event.attempts + 1, throttles: 0, last };
    if (!last.failed)
      return this.#tell(this.#settings.onSuccess, this.#record(tried, "Success"), "DestinationDeliveryFailures");
    if (event.attempts >= this.#settings.retries) return this.#giveUp(tried, "RetriesExhausted");
    this.#putAfter(waits[event.attempts]!, tried);
  }

  #putAfter(milliseconds: number, event: Waiting): void {
    const forget = this.#cloud.clock.at(this.#cloud.clock.now() + milliseconds, () => {
      this.#timers.delete(forget);
      this.#put(event);
    });
    this.#timers.add(forget);
  }

  async #giveUp(event: Waiting, condition: Condition): Promise<void> {
    const { name, deadLetters } = this.#function.settings;
    this.#function.measure({ AsyncEventsDropped: 1 });
    this.#cloud.note(`lambda: ${name} gave up ${event.requestId}: ${condition}`);
    await this.#tell(this.#settings.onFailure, this.#record(event, condition), "DestinationDeliveryFailures");
    await this.#tell(deadLetters, event.payload, "DeadLetterErrors", attributesOf(event));
  }

  /** Lost where the role may not: a metric counts it, and nobody else hears of it. */
  async #tell(to: string | undefined, payload: string, lost: string, attributes = {}): Promise<void> {
    if (to === undefined) return;
    try {
      await this.#cloud.deliver({ to, payload, attributes, as: this.#function.session, context: {} });
    } catch (error) {
      if (!(error instanceof CallRefused)) throw error;
      this.#function.measure({ [lost]: 1 });
      this.#cloud.note(`lambda: what ${this.#function.settings.name} leaves for ${to} is lost: ${error.message}`);
    }
  }

  /** "Invocation record". */
  #record({ requestId, payload, attempts, last }: Waiting, condition: Condition): string {
    return JSON.stringify({
      version: "1.0",
      timestamp: new Date(this.#cloud.clock.now()).toISOString(),
      requestContext: {
        requestId,
        functionArn: `${this.#function.settings.arn}:$LATEST`,
        condition,
        approximateInvokeCount: attempts,
      },
      requestPayload: JSON.parse(payload),
      ...(last && {
        responseContext: {
          statusCode: 200,
          executedVersion: "$LATEST",
          ...(last.failed && { functionError: "Unhandled" }),
        },
        responsePayload: JSON.parse(last.payload),
      }),
    });
  }
}

/** A dead letter is the event alone, and says in attributes what happened ("Dead-letter queues"). */
function attributesOf({ requestId, last }: Waiting): Readonly<Record<string, string>> {
  const attributes = { RequestID: requestId };
  if (last === undefined) return attributes;
  return { ...attributes, ErrorCode: "200", ErrorMessage: JSON.parse(last.payload).errorMessage };
}
