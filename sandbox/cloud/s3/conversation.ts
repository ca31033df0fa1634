import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { finished } from "node:stream/promises";
import { type Judged, needsOf } from "./access.ts";
import type { Bucket } from "./bucket.ts";
import type { ChecksumAlgorithm } from "./checksums.ts";
import type { Credential, Need } from "./credentials.ts";
import { malformedXml, S3Error } from "./errors.ts";
import type { Exchange, Reply, World } from "./exchange.ts";
import type { Fault, Faults } from "./faults.ts";
import { handlers } from "./handlers.ts";
import { type Incoming, incoming } from "./incoming.ts";
import { Injected, withWrongChecksums } from "./injected.ts";
import { type Link, link } from "./link.ts";
import { recognise } from "./operations.ts";
import { type Payload, payloadOf } from "./payload.ts";
import { authenticate, type Signing } from "./signature.ts";
import { element, parseXml, type XmlElement, xmlDocument } from "./xml.ts";

/** What can be changed while the server runs. */
export interface Settings {
  credentials: readonly Credential[];
  /** How long a request waits before anything happens, in milliseconds. Default: 0. */
  latency: number;
  /** What all bodies together may pass at, in both directions. Default: `undefined`, no limit. */
  bytesPerSecond: number | undefined;
  /** Default: `undefined`, nothing goes wrong. */
  faults: Faults | undefined;
}

/** What a running server did with one request. */
export interface Answered {
  /** In the order in which they came, from 1. */
  readonly number: number;
  /** Milliseconds since 1970 by the server's clock. */
  readonly at: number;
  /** `undefined` where it was none that the server knows. */
  readonly operation: string | undefined;
  readonly bucket: string;
  readonly key: string;
  /** Name of the credential; `undefined` where the signature was not valid. */
  readonly who: string | undefined;
  /** `undefined`: no answer was sent (yet), or only a part of one. */
  readonly status: number | undefined;
  /** Error code of the answer. */
  readonly code: string | undefined;
  /** Of the bodies, as they passed. */
  readonly bytesIn: number;
  readonly bytesOut: number;
}

/** A completion may name 10,000 parts with their checksums. */
const longestDocument = 4 * 1024 * 1024;

interface Surroundings {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly world: World;
  readonly settings: Settings;
  readonly shared: Link;
  readonly closing: AbortSignal;
  readonly authority: string;
  readonly number: number;
  readonly requestId: string;
}

/** One request, from its first header to the last byte of its answer. */
export class Conversation {
  /** Filled in as it goes on. */
  readonly answered: Mutable<Answered>;
  readonly #around: Surroundings;
  readonly #signal: AbortSignal;
  #incoming: Incoming | undefined;
  #slow: Link | undefined;
  #continued = false;

  constructor(around: Surroundings) {
    this.#around = around;
    this.answered = {
      ...{ number: around.number, at: around.world.clock.now(), bucket: "", key: "", bytesIn: 0, bytesOut: 0 },
      ...{ operation: undefined, who: undefined, status: undefined, code: undefined },
    };
    const gone = new AbortController();
    around.response.once("close", () => gone.abort());
    this.#signal = AbortSignal.any([gone.signal, around.closing]);
  }

  /** @throws what is wrong with the server itself. Whatever the caller does wrong is answered, unless he is gone. */
  async hold(): Promise<void> {
    try {
      await this.#answer().catch((error) => {
        if (!(error instanceof S3Error)) throw error;
        return this.#refuse(error);
      });
    } catch (error) {
      if (!this.#signal.aborted) throw error;
    }
  }

  async #answer(): Promise<void> {
    const { world, settings, number } = this.#around;
    if (settings.latency > 0) await world.clock.sleep(settings.latency, this.#signal);
    const exchange = this.#admit();
    const { operation, bucket, key } = exchange.call;
    await this.#do(exchange, settings.faults?.({ operation, bucket, key, number, at: world.clock.now() }));
  }

  /** Signed, known, permitted; or an S3Error. */
  #admit(): Exchange {
    const { request, world, settings, authority, requestId } = this.#around;
    const asked = incoming(request, authority);
    this.#incoming = asked;
    Object.assign(this.answered, { bucket: asked.bucket, key: asked.key });
    const { clock, signersClock, region } = world;
    const signing = authenticate(asked, { clock, signersClock, region, credentials: settings.credentials });
    this.answered.who = signing.credential.name;
    const operation = recognise(asked);
    this.answered.operation = operation;
    const bucket = world.buckets.get(asked.bucket);
    const versionId = asked.query.get("versionId");
    const existing = versionId === undefined ? bucket?.newest(asked.key) : bucket?.version(asked.key, versionId);
    const upload = bucket?.uploads.get(asked.query.get("uploadId") ?? "");
    const call: Judged = {
      ...{ operation, region, existing, now: clock.now() },
      ...{ bucket: asked.bucket, key: asked.key, query: asked.query, headers: asked.headers },
      kmsKeyId: upload === undefined ? bucket?.kmsKeyId : upload.made.attributes.encryption.kmsKeyId,
    };
    const may = (need: Need) => signing.credential.allow(need);
    const demand = (needs: readonly Need[]) => {
      if (!needs.every(may)) throw new S3Error("AccessDenied", "Access Denied");
    };
    demand(needsOf(call));
    const payload = (wanted: { readonly algorithm: ChecksumAlgorithm; readonly md5: boolean }) =>
      payloadOf(call.headers, this.#body(), signing, { ...wanted, verify: world.rules.checksums });
    return {
      ...{ call, world, requestId, may, demand, payload },
      get bucket() {
        return known(bucket);
      },
      document: (root) => this.#document(call, signing, root),
    };
  }

  async #do(exchange: Exchange, fault: Fault | undefined): Promise<void> {
    const { world } = this.#around;
    if (fault?.kind === "slow") this.#slow = link(world.clock, () => fault.bytesPerSecond);
    const when = fault !== undefined && "when" in fault ? (fault.when ?? "before") : "before";
    if (when === "before") {
      if (fault?.kind === "error" || fault?.kind === "error-in-success") throw new Injected(fault);
      if (fault?.kind === "reset") return this.#reset();
      if (fault?.kind === "silence") return this.#silence();
    }
    const reply = await handlers[exchange.call.operation](exchange);
    if (when === "after") {
      if (fault?.kind === "error") throw new Injected(fault);
      if (fault?.kind === "reset") return this.#reset();
      if (fault?.kind === "silence") return this.#silence();
    }
    await this.#send(fault?.kind === "wrong-checksum" ? withWrongChecksums(reply) : reply, fault);
  }

  /** The bytes of the request's body, as fast as the line lets them pass. */
  async *#body(): AsyncGenerator<Buffer> {
    const { request, response, shared } = this.#around;
    if (request.headers.expect !== undefined) response.writeContinue();
    this.#continued = true;
    for await (const piece of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      this.answered.bytesIn += piece.length;
      await shared.pass(piece.length, this.#signal);
      await this.#slow?.pass(piece.length, this.#signal);
      yield piece;
    }
  }

  async #document(call: Judged, signing: Signing, root: string): Promise<XmlElement> {
    // In a completion the checksum is that of the whole object, not of this body.
    const foreign = call.operation === "CompleteMultipartUpload" ? /^x-amz-checksum-/ : /^$/;
    const headers = Object.fromEntries(Object.entries(call.headers).filter(([name]) => !foreign.test(name)));
    const payload: Payload = payloadOf(headers, this.#body(), signing, {
      ...{ algorithm: "CRC32", md5: false },
      verify: this.#around.world.rules.checksums,
    });
    if (call.operation === "DeleteObjects" && payload.declared === undefined && !payload.hasMd5) {
      throw new S3Error("InvalidRequest", "Missing required header for this request: Content-MD5 OR x-amz-checksum-*");
    }
    const pieces: Buffer[] = [];
    let bytes = 0;
    for await (const piece of payload.bytes) {
      bytes += piece.length;
      if (bytes > longestDocument) throw new S3Error("MaxMessageLengthExceeded", "Your request was too big.");
      pieces.push(piece);
    }
    const document = parseXml(Buffer.concat(pieces).toString());
    if (document?.name !== root) throw malformedXml();
    return document;
  }

  async #send(reply: Reply, fault?: Fault): Promise<void> {
    const { request, response, world, requestId } = this.#around;
    const { status, body } = reply;
    const headers: Record<string, string> = {
      ...reply.headers,
      "x-amz-request-id": requestId,
      date: new Date(world.clock.now()).toUTCString(),
      server: "mailark-sandbox",
    };
    const bytes = body === undefined ? 0 : typeof body === "string" ? Buffer.byteLength(body) : body.bytes;
    if (status !== 204 && status !== 304) headers["content-length"] = String(bytes);
    // Who waits for "100 Continue" in vain may never send the body: nothing can follow it on this connection.
    if (request.headers.expect !== undefined && !this.#continued) headers.connection = "close";
    response.writeHead(status, headers);
    if (body !== undefined && request.method !== "HEAD") {
      const pieces = typeof body === "string" ? [Buffer.from(body)] : body.read();
      for await (const piece of pieces) if (!(await this.#write(piece, fault))) return;
    }
    response.end();
    request.resume();
    await finished(response, { readable: false });
    this.answered.status = status;
  }

  /** @returns false when no more is to come. */
  async #write(piece: Buffer, fault: Fault | undefined): Promise<boolean> {
    const { response, shared } = this.#around;
    const room = fault?.kind === "truncated" ? Math.max(fault.bytes - this.answered.bytesOut, 0) : piece.length;
    const at = fault?.kind === "wrong-byte" ? fault.at - this.answered.bytesOut : -1;
    const whole = piece.subarray(0, room);
    const sent = at >= 0 && at < whole.length ? Buffer.from(whole) : whole;
    if (sent !== whole) sent[at]! ^= 1;
    await shared.pass(sent.length, this.#signal);
    const step = this.#slow === undefined ? sent.length : 1024;
    for (let start = 0; start < sent.length; start += step) {
      const part = sent.subarray(start, start + step);
      await this.#slow?.pass(part.length, this.#signal);
      this.answered.bytesOut += part.length;
      if (!response.write(part)) await once(response, "drain", { signal: this.#signal });
    }
    if (room >= piece.length) return true;
    response.socket?.destroySoon();
    return false;
  }

  async #refuse(error: S3Error): Promise<void> {
    const { request, world, requestId } = this.#around;
    this.answered.code = error.code;
    const body = xmlDocument(
      "Error",
      [
        element("Code", error.code),
        element("Message", error.message),
        ...Object.entries(error.elements).map(([name, value]) => element(name, value)),
        element("Resource", this.#incoming?.path ?? "/"),
        element("RequestId", requestId),
      ],
      { namespace: false },
    );
    await this.#send({
      status: error instanceof Injected && error.inSuccess ? 200 : error.status,
      headers: { ...error.headers, "content-type": "application/xml", "x-amz-bucket-region": world.region },
      ...(request.method === "HEAD" || error.status === 304 ? {} : { body }),
    });
  }

  #reset(): void {
    this.#around.request.socket.resetAndDestroy();
  }

  async #silence(): Promise<void> {
    for await (const _ of this.#body());
    if (!this.#signal.aborted) await once(this.#signal, "abort");
  }
}

type Mutable<T> = { -readonly [Name in keyof T]: T[Name] };

function known(bucket: Bucket | undefined): Bucket {
  if (bucket === undefined) throw new S3Error("NoSuchBucket", "The specified bucket does not exist");
  return bucket;
}
