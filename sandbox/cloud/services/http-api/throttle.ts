import type { CloudClock } from "../../service.ts";

/** A bucket of tokens that fills at `rate` a second up to `burst`; each call takes one ("Throttle requests to your HTTP APIs"). */
export class Throttle {
  readonly #clock: Pick<CloudClock, "now">;
  readonly #limits: { readonly rate: number; readonly burst: number };
  #tokens: number;
  #filledAt: number;

  constructor(clock: Pick<CloudClock, "now">, limits: { readonly rate: number; readonly burst: number }) {
    this.#clock = clock;
    this.#limits = limits;
    this.#tokens = limits.burst;
    this.#filledAt = clock.now();
  }

  /** Whether one more call may come now. */
  take(): boolean {
    const now = this.#clock.now();
    const { rate, burst } = this.#limits;
    this.#tokens = Math.min(burst, this.#tokens + ((now - this.#filledAt) / 1000) * rate);
    this.#filledAt = now;
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }
}
