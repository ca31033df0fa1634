import { randomBytes } from "node:crypto";
import { mkdir, mkdtemp } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { join } from "node:path";
import { type Clock, systemClock } from "../../../core/ports/clock.ts";
import { listening } from "../listening.ts";
import { makeBucket } from "./buckets.ts";
import { type Answered, Conversation, type Settings } from "./conversation.ts";
import type { Credential } from "./credentials.ts";
import type { CreatedObject, Rules, World } from "./exchange.ts";
import { link } from "./link.ts";
import type { LockMode } from "./object-lock.ts";

export interface S3Options {
  /** Bodies are written below it, in a directory of this server's own. Everything else is in memory, and gone at the end. */
  readonly directory: string;
  readonly credentials: readonly Credential[];
  readonly buckets?: readonly {
    readonly name: string;
    readonly versioned?: boolean;
    /** With versions, then. */
    readonly objectLock?: boolean;
    /** How a new version is kept when its PUT says nothing. Default: not at all. */
    readonly keptByDefault?: { readonly mode: LockMode; readonly days: number };
    /** ARN of the KMS key that encrypts what comes without another word. Default: the keys of S3. */
    readonly kmsKeyId?: string;
  }[];
  /** Default: `us-east-1`. */
  readonly region?: string;
  /** Default: the machine's. */
  readonly clock?: Clock;
  /** What the signatures of requests may be dated by as well. Default: nothing. */
  readonly signersClock?: Clock;
  /** Is told of each object that was made, before whoever made it is. */
  readonly created?: (object: CreatedObject) => void;
}

export interface S3Server {
  /** `http://127.0.0.1:PORT`; buckets are named in the path. */
  readonly url: string;
  readonly region: string;
  /** In the order in which they came; may be emptied. */
  readonly requests: Answered[];
  /** May be changed at any time, and count for what comes next. */
  readonly rules: Rules;
  readonly settings: Settings;
  /** Where the bytes of an object's newest version lie, for who damages them behind S3's back. Empty: there is no such object. */
  filesOf(bucket: string, key: string): readonly string[];
  /** Ends every connection. @throws AggregateError when the server itself went wrong over a request. */
  close(): Promise<void>;
}

/**
 * Amazon S3 on this machine, by its REST API: what a call may carry, may do and must answer is as in the API reference,
 * and what this server does not know, it refuses by name.
 */
export async function startS3({
  directory,
  credentials,
  buckets = [],
  region = "us-east-1",
  clock = systemClock,
  signersClock = clock,
  created = () => {},
}: S3Options): Promise<S3Server> {
  await mkdir(directory, { recursive: true });
  const world: World = {
    region,
    clock,
    signersClock,
    created,
    rules: { conditions: true, checksums: true, versions: true },
    buckets: new Map(
      buckets.map((bucket) => [bucket.name, makeBucket({ ...bucket, createdAt: clock.now() })] as const),
    ),
    directory: await mkdtemp(join(directory, "s3-")),
  };
  const requests: Answered[] = [];
  const defects: unknown[] = [];
  const closing = new AbortController();
  const settings: Settings = { latency: 0, bytesPerSecond: undefined, faults: undefined, credentials };
  const shared = link(clock, () => settings.bytesPerSecond);
  let count = 0;

  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    const conversation = new Conversation({
      ...{ request, response, world, settings, shared, closing: closing.signal, authority },
      number: ++count,
      requestId: randomBytes(8).toString("hex").toUpperCase(),
    });
    requests.push(conversation.answered);
    try {
      await conversation.hold();
    } catch (error) {
      defects.push(error);
      response.destroy();
    }
  };
  const server = createServer({ keepAliveTimeout: 0, requestTimeout: 0 });
  server.on("request", answer).on("checkContinue", answer);
  const { authority, close } = await listening(server);

  return {
    url: `http://${authority}`,
    region,
    requests,
    rules: world.rules,
    settings,
    filesOf: (bucket, key) => world.buckets.get(bucket)?.newest(key)?.content?.body.files ?? [],
    async close() {
      closing.abort();
      await close();
      if (defects.length > 0) throw new AggregateError(defects, "the sandbox's S3 went wrong");
    },
  };
}
