import type { Incoming } from "../s3/incoming.ts";
import type { ApiCall, CallRefused, HttpReply } from "../service.ts";

/** A request with its body, as it was signed. */
export interface Received extends Pick<Incoming, "method" | "path" | "query" | "headers"> {
  readonly body: Buffer;
}

/** How one request asks, and how it is answered. */
export interface Protocol {
  /** Whether its error codes are those of the Query protocol, without `Exception` at the end. */
  readonly plainCodes: boolean;
  /** @throws CallRefused where it can not be read; Error where it has what is not known here. */
  read(): Pick<ApiCall, "operation" | "input">;
  reply(operation: string, output: Readonly<Record<string, unknown>>): HttpReply;
  refuse(error: CallRefused): HttpReply;
}
