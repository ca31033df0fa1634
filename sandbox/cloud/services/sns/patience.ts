/** How often and when SNS tries again ("Amazon SNS message delivery retries"). */

const second = 1000;

interface Phase {
  readonly times: number;
  /** Milliseconds before the attempt of this number within the phase. */
  delay(index: number): number;
}

const every = (times: number, milliseconds: number): Phase => ({ times, delay: () => milliseconds });
const growing = (times: number, from: number, to: number): Phase => ({
  times,
  delay: (index) => from * (to / from) ** (index / (times - 1)),
});

/** Of what is outside: mail and URLs, for more than six hours. */
const outside = [every(2, 10 * second), growing(10, 10 * second, 600 * second), every(38, 600 * second)];
/** Of queues and functions, for 23 days. */
const inside = [every(3, 0), every(2, second), growing(10, second, 20 * second), every(100_000, 20 * second)];

/** Milliseconds to wait after the attempt of this number, from 1. `undefined`: it was the last. */
export function delayAfter(attempt: number, protocol: string): number | undefined {
  let index = attempt - 1;
  for (const { times, delay } of protocol === "sqs" || protocol === "lambda" ? inside : outside) {
    if (index < times) return delay(index);
    index -= times;
  }
  return undefined;
}
