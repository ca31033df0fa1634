import { Readable } from "node:stream";
import { S3Client } from "@aws-sdk/client-s3";
import { asMailarkError } from "../errors.ts";
import type { Pace } from "./bandwidth.ts";
import { type S3Action, s3Error } from "./s3-error.ts";
import type { S3Place } from "./s3-url.ts";
import type { UsageMeter } from "./usage.ts";

export interface S3RequestsOptions {
  /** Default: as fast as it goes. */
  readonly pace?: Pace | undefined;
  /** Told of each request. */
  readonly meter?: UsageMeter | undefined;
  /** Milliseconds until a connection must stand, and until something must have moved on it. */
  readonly timeouts?: { readonly connect: number; readonly idle: number } | undefined;
}

/** Asks the SDK's client for something, once. */
export type Ask<T> = (client: S3Client, options: { readonly abortSignal?: AbortSignal }) => Promise<T>;

/** A request's body, as the SDK's commands take it. */
export interface RequestBody {
  readonly Body: Readable | Buffer;
  readonly ContentLength: number;
}

/** Sent with its headers in one piece, and hashed for the signature, which costs less than a stream. */
const smallBody = 256 * 1024;
const silent = { trace() {}, debug() {}, info() {}, warn() {}, error() {} };

/** One request at a time to one bucket, with errors that say what to do. */
export class S3Requests {
  readonly #client: S3Client;
  readonly #place: S3Place;
  readonly #pace: Pace | undefined;
  readonly #meter: UsageMeter | undefined;

  /** Credentials are found by the SDK: environment, profile, role of the machine. Nothing is sent twice. */
  constructor(place: S3Place, { pace, meter, timeouts }: S3RequestsOptions = {}) {
    this.#place = place;
    this.#pace = pace;
    this.#meter = meter;
    this.#client = new S3Client({
      region: place.region,
      ...(place.endpoint !== undefined && { endpoint: place.endpoint }),
      forcePathStyle: place.pathStyle,
      maxAttempts: 1,
      // It would warn on standard error of a body that is not sent again.
      logger: silent,
      requestChecksumCalculation: "WHEN_REQUIRED",
      responseChecksumValidation: "WHEN_REQUIRED",
      // It would cost every body a round trip, to save those that are refused.
      expectContinueHeader: false,
      requestHandler: { connectionTimeout: timeouts?.connect ?? 10_000, socketTimeout: timeouts?.idle ?? 60_000 },
    });
  }

  /** @throws what {@link s3Error} makes of it; the signal's own reason when it is aborted. */
  async send<T>(action: S3Action, signal: AbortSignal | undefined, ask: Ask<T>, sentBytes = 0): Promise<T> {
    try {
      signal?.throwIfAborted();
      this.#meter?.count(action, sentBytes);
      return await ask(this.#client, { ...(signal && { abortSignal: signal }) });
    } catch (error) {
      throw signal?.aborted ? asMailarkError(signal.reason) : s3Error(error, action, this.#place);
    }
  }

  /** The same with a body, whose memory is let go of when this settles. */
  async sendBody<T>(
    action: S3Action,
    signal: AbortSignal,
    { chunks, bytes }: { readonly chunks: readonly Uint8Array[]; readonly bytes: number },
    ask: (body: RequestBody, ...rest: Parameters<Ask<T>>) => Promise<T>,
  ): Promise<T> {
    const over = new AbortController();
    const either = AbortSignal.any([signal, over.signal]);
    const whole = bytes <= smallBody && this.#pace === undefined ? Buffer.concat(chunks) : undefined;
    const stream = Readable.from(this.#pace?.(chunks, either) ?? chunks);
    // Whatever ends the body ends the request, which tells of it.
    stream.on("error", () => {});
    try {
      return await this.send(
        action,
        either,
        (client, options) => ask({ Body: whole ?? stream, ContentLength: bytes }, client, options),
        bytes,
      );
    } catch (error) {
      // A server that has refused a request still takes its body.
      over.abort();
      stream.destroy();
      throw error;
    }
  }
}
