import { createHash, randomUUID } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { buffer } from "node:stream/consumers";
import type { Caller } from "../iam/caller.ts";
import { listening } from "../listening.ts";
import { S3Error } from "../s3/errors.ts";
import { incoming } from "../s3/incoming.ts";
import { type Authority, authenticate, serviceOf } from "../s3/signature.ts";
import { CallRefused, type HttpReply, type Service } from "../service.ts";
import { jsonProtocol } from "./json.ts";
import type { Protocol, Received } from "./protocol.ts";
import { queryProtocol } from "./query.ts";
import { refusalOf } from "./refusals.ts";
import { restProtocol } from "./rest.ts";

export interface FrontOptions {
  /** By the name in the scope of a signature. */
  readonly service: (name: string) => Service | undefined;
  /** Asked at each request. */
  readonly authority: () => Pick<Authority, "clock" | "signersClock" | "region" | "credentials">;
  readonly callerOf: (accessKeyId: string) => Caller;
  /** Is told what is wrong with the sandbox itself, among it every operation that is not known. */
  readonly failed: (error: unknown) => void;
}

export interface Front {
  /** `http://127.0.0.1:PORT`. */
  readonly url: string;
  close(): Promise<void>;
}

/** The APIs of all services but S3, behind one address: whose a request is, its signature says. */
export async function startFront(options: FrontOptions): Promise<Front> {
  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    const reply = await answered(request, authority, options).catch((error): HttpReply => {
      options.failed(error);
      return { status: 500, body: JSON.stringify({ __type: "InternalFailure", message: (error as Error).message }) };
    });
    response.writeHead(reply.status, { ...reply.headers, "x-amzn-requestid": randomUUID() }).end(reply.body);
  };
  const server = createServer({ keepAliveTimeout: 0, requestTimeout: 0 }, answer);
  const { authority, close } = await listening(server);
  return { url: `http://${authority}`, close };
}

/** @throws what is wrong with the sandbox; what the caller does wrong is answered. */
async function answered(request: IncomingMessage, address: string, options: FrontOptions): Promise<HttpReply> {
  const received = { ...incoming(request, address), body: await buffer(request) };
  const name = serviceOf(received.headers.authorization);
  const service = name === undefined ? undefined : options.service(name);
  if (name !== undefined && service?.answer === undefined) throw new Error(`no service is called ${name}`);
  const protocol = protocolOf(received, service);
  try {
    const caller = options.callerOf(accessKeyOf(received, name ?? "", options));
    const { operation, input } = protocol.read();
    return protocol.reply(operation, await service!.answer!({ operation, input, caller }));
  } catch (error) {
    if (error instanceof CallRefused) return protocol.refuse(error);
    if (error instanceof S3Error) return protocol.refuse(refusalOf(error, protocol.plainCodes));
    throw error;
  }
}

function protocolOf(received: Received, service: Service | undefined): Protocol {
  const { headers } = received;
  if (headers["x-amz-target"] !== undefined) return jsonProtocol(received);
  // What a body is by its type counts only where the API itself does not go by method and path.
  if (service?.routes?.length) return restProtocol(service.routes, received);
  if (/^application\/x-www-form-urlencoded/.test(headers["content-type"] ?? "")) {
    return queryProtocol(service?.name ?? "", received);
  }
  return restProtocol([], received);
}

/** @throws S3Error where the request is not signed, or its body is not the one that was signed. */
function accessKeyOf(received: Received, service: string, { authority }: FrontOptions): string {
  const payload = createHash("sha256").update(received.body).digest("hex");
  const { credential } = authenticate(received, { ...authority(), service, payload });
  if ((received.headers["x-amz-content-sha256"] ?? payload) !== payload) {
    throw new S3Error("SignatureDoesNotMatch", "the body is not the one that was signed");
  }
  return credential.accessKeyId;
}
