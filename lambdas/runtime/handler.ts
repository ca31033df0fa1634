import { Logger } from "@aws-lambda-powertools/logger";
import { injectLambdaContext } from "@aws-lambda-powertools/logger/middleware";
import { Metrics } from "@aws-lambda-powertools/metrics";
import { logMetrics } from "@aws-lambda-powertools/metrics/middleware";
import middy from "@middy/core";
import type { Context } from "aws-lambda";
import { asMailarkError } from "../../core/errors.ts";
import { systemClock } from "../../core/ports/clock.ts";

/** What a function has besides its event. */
export interface Surroundings {
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Aborted a little before the function's time is up. */
  readonly signal: AbortSignal;
  /** Milliseconds since 1970, when it is ended whatever it does. */
  readonly endsAt: number;
}

/** Left for telling that the time is up, in milliseconds. */
const lastWords = 3000;

/**
 * A function's handler: one log line for what came of it, its metrics, and its error thrown on, so that it is tried again and then kept as a dead
 * letter. What an error says of paths and programs (`detail`) is not logged.
 */
export function handler<T, R>(work: (event: T, surroundings: Surroundings) => Promise<R>) {
  const logger = new Logger();
  const metrics = new Metrics();
  return middy<T, R, Error, Context>()
    .use(injectLambdaContext(logger, { resetKeys: true }))
    .use(logMetrics(metrics, { throwOnEmptyMetrics: false }))
    .handler(async (event, context) => {
      const remaining = context.getRemainingTimeInMillis();
      const signal = AbortSignal.timeout(Math.max(1, remaining - lastWords));
      const endsAt = systemClock.now() + remaining;
      try {
        return await work(event, { logger, metrics, signal, endsAt });
      } catch (thrown) {
        const { code, message, hint, retryable } = asMailarkError(thrown);
        logger.error(message, { code, hint, retryable, cause: (thrown as Error).name });
        throw thrown;
      }
    });
}
