import type { RetryPolicy } from "./retries.ts";
import type { Resource } from "./template/stack.ts";
import { only } from "./understood.ts";

/** Where a rule or a schedule hands something over, and what becomes of what it can not hand over. */
export interface Destination {
  /** ARN of a function, a topic, or a queue that keeps no order: what rules and schedules here can reach. */
  readonly arn: string;
  readonly policy: RetryPolicy;
  /** ARN of a queue that keeps no order. Absent: what can not be delivered is dropped. */
  readonly deadLetters?: string;
}

/**
 * `Arn`, `RetryPolicy` and `DeadLetterConfig` of a target; the rest of it is the service's own.
 *
 * @throws Error for what is not understood, or what AWS would not take.
 */
// biome-ignore lint/suspicious/noExplicitAny: checked here
export function destinationOf(resource: Resource, { Arn, RetryPolicy, DeadLetterConfig }: any): Destination {
  if (!isReached(Arn)) throw new Error(`a target that is not understood: ${Arn}`);
  const deadLetters = deadLettersOf(resource, DeadLetterConfig);
  return {
    arn: Arn,
    policy: retryPolicyOf(resource, RetryPolicy),
    ...(deadLetters !== undefined && { deadLetters }),
  };
}

function isReached(arn: unknown): arn is string {
  return (
    isQueue(arn) ||
    (typeof arn === "string" && /^arn:aws:(lambda:[^:]+:\d{12}:function|sns:[^:]+:\d{12}):[\w-]+$/.test(arn))
  );
}

// biome-ignore lint/suspicious/noExplicitAny: checked here
function retryPolicyOf(resource: Resource, written: any = {}): RetryPolicy {
  only(resource, ["MaximumEventAgeInSeconds", "MaximumRetryAttempts"], written);
  const { MaximumRetryAttempts: attempts = 185, MaximumEventAgeInSeconds: age = 86_400 } = written;
  const isWithin = (value: number, least: number, most: number) =>
    Number.isInteger(value) && value >= least && value <= most;
  if (!isWithin(attempts, 0, 185)) throw new Error(`no number of retries: ${attempts}`);
  if (!isWithin(age, 60, 86_400)) throw new Error(`no age of an event: ${age}`);
  return { attempts, age };
}

// biome-ignore lint/suspicious/noExplicitAny: checked here
function deadLettersOf(resource: Resource, written: any): string | undefined {
  if (written === undefined) return undefined;
  only(resource, ["Arn"], written);
  if (!isQueue(written.Arn)) throw new Error(`no standard queue: ${written.Arn}`);
  return written.Arn;
}

/** Whether it is the ARN of a queue that keeps no order. */
function isQueue(arn: unknown): arn is string {
  return typeof arn === "string" && /^arn:aws:sqs:[^:]+:\d{12}:[\w-]+$/.test(arn);
}
