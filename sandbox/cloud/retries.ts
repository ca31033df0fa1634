import { CallRefused, type Cloud } from "./service.ts";

/** How long a sender goes on, as rules and schedules say it. */
export interface RetryPolicy {
  /** 0 to 185. */
  readonly attempts: number;
  /** Seconds from the first attempt on, 60 to 86,400. */
  readonly age: number;
}

/** Why something was given up. */
export interface Failure {
  /** Of the last attempt. */
  readonly error: CallRefused;
  /** Attempts after the first. */
  readonly retries: number;
  /** What ran out; `undefined` where a retry could not have helped. */
  readonly exhausted: "MaximumRetryAttempts" | "MaximumEventAgeInSeconds" | undefined;
}

export interface Insistence {
  readonly policy: RetryPolicy;
  /** Tries once; the first is 1. @throws CallRefused. */
  attempt(number: number): Promise<void>;
  giveUp(failure: Failure): Promise<void>;
}

/**
 * Tries now, and again later while that can help: a target that is missing or refuses the sender is given up at once
 * ("Event retry policy and using dead-letter queues"). AWS tells no waiting times but exponential ones with jitter; here
 * it is a second, doubled up to eight minutes, without jitter: so the 185 retries fill the 24 hours that are the default.
 * Resolves after the first attempt, and where there will be no other, when it was given up.
 *
 * @throws what is no {@link CallRefused}.
 */
export function insist(cloud: Pick<Cloud, "clock" | "goOn">, { policy, attempt, giveUp }: Insistence): Promise<void> {
  const end = cloud.clock.now() + policy.age * 1000;
  const later = (time: number, work: () => Promise<void>) => {
    cloud.clock.at(time, () => cloud.goOn(work()));
  };
  const from = async (number: number): Promise<void> => {
    try {
      return await attempt(number);
    } catch (error) {
      if (!(error instanceof CallRefused)) throw error;
      const failure = { error, retries: number - 1 };
      if (!isTransient(error)) return giveUp({ ...failure, exhausted: undefined });
      if (number > policy.attempts) return giveUp({ ...failure, exhausted: "MaximumRetryAttempts" });
      const next = cloud.clock.now() + Math.min(2 ** (number - 1), 480) * 1000;
      if (next <= end) later(next, () => from(number + 1));
      else later(end, () => giveUp({ ...failure, exhausted: "MaximumEventAgeInSeconds" }));
    }
  };
  return from(1);
}

/** Whether the same call may succeed later. */
export function isTransient({ code, status }: CallRefused): boolean {
  return status >= 500 || status === 429 || /throttl|toomanyrequests/i.test(code);
}
