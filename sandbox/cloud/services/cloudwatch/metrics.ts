import type { Datum } from "../../service.ts";

export const statistics = ["Sum", "Maximum", "Minimum", "Average", "SampleCount"] as const;
export type Statistic = (typeof statistics)[number];

/** What a metric is called: the same name with other dimensions is another metric. */
export type MetricName = Pick<Datum, "namespace" | "name" | "dimensions">;

interface Sample {
  readonly time: number;
  readonly value: number;
}

/** How long values of one minute are kept, in milliseconds ("Metrics retention"). */
const kept = 15 * 24 * 60 * 60_000;

/** Every value of every metric. */
export class Metrics {
  readonly #samples = new Map<string, Sample[]>();
  /** Alarms ask for the same metric every minute. */
  readonly #keys = new WeakMap<MetricName, string>();

  /** @param time - milliseconds since 1970. */
  add(metric: MetricName, value: number, time: number): void {
    const key = this.#keyOf(metric);
    const samples = this.#samples.get(key) ?? [];
    this.#samples.set(key, samples);
    samples.splice(firstFrom(samples, time + 1), 0, { time, value });
    samples.splice(0, firstFrom(samples, time - kept));
  }

  /** Of the values from `start` until before `end`. `undefined`: there is none. */
  statistic(metric: MetricName, statistic: Statistic, start: number, end: number): number | undefined {
    const samples = this.#samples.get(this.#keyOf(metric)) ?? [];
    const values = samples.slice(firstFrom(samples, start), firstFrom(samples, end)).map(({ value }) => value);
    return values.length === 0 ? undefined : of[statistic](values);
  }

  #keyOf(metric: MetricName): string {
    const key = this.#keys.get(metric) ?? keyOf(metric);
    this.#keys.set(metric, key);
    return key;
  }
}

const sum = (values: readonly number[]) => values.reduce((all, each) => all + each, 0);
const of: Readonly<Record<Statistic, (values: readonly number[]) => number>> = {
  Sum: sum,
  Maximum: (values) => values.reduce((most, each) => Math.max(most, each)),
  Minimum: (values) => values.reduce((least, each) => Math.min(least, each)),
  Average: (values) => sum(values) / values.length,
  SampleCount: (values) => values.length,
};

function keyOf({ namespace, name, dimensions }: MetricName): string {
  return JSON.stringify([namespace, name, Object.entries(dimensions).sort(([one], [other]) => (one < other ? -1 : 1))]);
}

/** Index of the first sample of `time` or later. */
function firstFrom(samples: readonly Sample[], time: number): number {
  let [low, high] = [0, samples.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (samples[middle]!.time < time) low = middle + 1;
    else high = middle;
  }
  return low;
}
