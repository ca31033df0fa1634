/** What a service of AWS is to the others in the sandbox. One folder below `services/` makes one. */
import type { Account } from "./iam/account.ts";
import { type Caller, roleNameOf } from "./iam/caller.ts";
import type { Credential, Need } from "./s3/credentials.ts";
import type { Json } from "./template/assembly.ts";
import type { Resource } from "./template/stack.ts";

/** Time, which a test moves and `npm run sandbox` lets go by. */
export interface CloudClock {
  /** Milliseconds since 1970. */
  now(): number;
  /** Calls back once it is `time` or later; what is due at the same time is called in the order in which it was asked for. Returns how to forget it. */
  at(time: number, work: () => void): () => void;
  /** Of who stands outside the cloud. What a service does later it asks for by `at`: see {@link Cloud.goOn}. */
  sleep(milliseconds: number, signal?: AbortSignal): Promise<void>;
}

/** An event of EventBridge, as a rule's pattern sees it. */
export interface CloudEvent {
  readonly source: string;
  readonly "detail-type": string;
  readonly detail: Json;
  readonly resources?: readonly string[];
}

/** One value of a metric, of now. */
export interface Datum {
  /** `AWS/Lambda`, or one of the functions' own. */
  readonly namespace: string;
  readonly name: string;
  readonly dimensions: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Something that one service hands to a resource of another. */
export interface Delivery {
  /** ARN of the function, queue or topic. */
  readonly to: string;
  readonly payload: string;
  /** Of the message that a queue or a topic makes of it: name and text. Absent: it has none. */
  readonly attributes?: Readonly<Record<string, string>>;
  /** Of a message to a topic. */
  readonly subject?: string;
  /** Who hands it over: a service for itself, or a session of the role that the service was given. */
  readonly as: Caller;
  /** Condition keys of the call: `aws:SourceArn`, `aws:SourceAccount`. */
  readonly context: Readonly<Record<string, string>>;
}

/** What came of a function that was waited for. */
export interface Invocation {
  /** JSON: what it returned, or its error. */
  readonly payload: string;
  readonly failed: boolean;
}

/** What a service needs of the rest. */
export interface Cloud {
  readonly clock: CloudClock;
  readonly account: Account;
  readonly accountId: string;
  readonly region: string;
  /** Of every service but S3, `http://127.0.0.1:PORT`; and of S3. */
  readonly endpoints: { readonly api: string; readonly s3: string };
  /** A directory of this cloud's own. */
  readonly directory: string;
  /** `cdk.out`. */
  readonly assembly: string;
  /** Judges by every policy of the stacks, with the keys that every request has; notes what was used. */
  allows(caller: Caller, need: Need): boolean;
  /** What a session of the role signs with, at S3 and everywhere else, until `expiresAt` (default: for ever). */
  credential(roleName: string, sessionName: string, expiresAt?: number): Credential;
  /** Puts an event on the default bus. Resolves when it was handed once to every target that wants it: retries come later. */
  publish(event: CloudEvent): Promise<void>;
  /**
   * Hands something over once: retries and dead letters are the sender's.
   *
   * @throws CallRefused where the sender may not, the resource is not there, or it can not take it now.
   */
  deliver(delivery: Delivery): Promise<void>;
  /**
   * Hands something to a function, and waits for what it returns.
   *
   * @throws CallRefused as {@link deliver} does.
   */
  invoke(delivery: Delivery): Promise<Invocation>;
  /** For CloudWatch's alarms. */
  measure(datum: Datum): void;
  /** What a person would find in the account: each thing that a service did, one line. */
  note(line: string): void;
  /**
   * Work that a service goes on with by itself. Time stands still until it has ended, so it must not wait for the clock:
   * a retry or a limit is asked for by `clock.at`, and begins work of its own then. The cloud is wrong where it throws.
   */
  goOn(work: Promise<unknown>): void;
}

/** One call of an API, its signature checked. */
export interface ApiCall {
  /** `SendCommand`; for REST what the route is called in the API reference. */
  readonly operation: string;
  /** Members as the API reference has them, whatever the protocol; by the Query protocol every scalar is a text. */
  readonly input: Readonly<Record<string, unknown>>;
  readonly caller: Caller;
}

/** An operation of an API that is a method and a path. */
export interface Route {
  readonly operation: string;
  /** `ANY` is every method. */
  readonly method: string;
  /** `/2015-03-31/functions/{FunctionName}/invocations`; `{rest+}` at the end takes all that is left. */
  readonly path: string;
  /** Members of the operation's input; without it those of the path and of a JSON body. */
  readonly input?: (request: RestRequest) => Readonly<Record<string, unknown>>;
  /** How the output is sent; without it as a JSON body, with 200. */
  readonly reply?: (output: Readonly<Record<string, unknown>>) => HttpReply;
}

export interface RestRequest {
  readonly method: string;
  /** Decoded. */
  readonly path: string;
  /** What stands for each `{name}` of the route's path. */
  readonly parameters: Readonly<Record<string, string>>;
  readonly query: ReadonlyMap<string, string>;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

export interface HttpReply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
}

export interface Service {
  /** As the scope of a signature names it: `ssm`, `lambda`, `events`. */
  readonly name: string;
  /** The types of resources that it makes: no other service may, and a type of none stops the cloud. */
  readonly types: readonly string[];
  /**
   * Makes what a stack describes; all of them before anything runs.
   *
   * @throws Error that begins `STACK.LOGICALID: ` for a property that is not understood.
   */
  make(resource: Resource): void;
  /** Called once when all is made. */
  begin?(): void;
  /**
   * Answers a call of its API, with members as they go into JSON: times in seconds. It judges by itself (`cloud.allows`), for it knows what the call is about.
   *
   * @throws CallRefused as the real one refuses; any other error is a defect of the sandbox, also for an operation that is not known.
   */
  answer?(call: ApiCall): Promise<Readonly<Record<string, unknown>>>;
  /** Of an API by REST. One by JSON or Query needs none: the operation is named there. */
  readonly routes?: readonly Route[];
  /** Takes a delivery to a resource of its own. @throws CallRefused. */
  accept?(delivery: Delivery): Promise<void>;
  /** Of the one service that has functions: {@link Cloud.invoke}. */
  invoke?(delivery: Delivery): Promise<Invocation>;
  /** Of the one service that has the default bus: {@link Cloud.publish}. */
  publish?(event: CloudEvent): Promise<void>;
  /** Of the one service that keeps metrics: {@link Cloud.measure}. */
  measure?(datum: Datum): void;
  close?(): Promise<void>;
}

/** A call that AWS would refuse. */
export class CallRefused extends Error {
  /** `AccessDeniedException`. */
  readonly code: string;
  readonly status: number;

  constructor(code: string, message: string, status = 400) {
    super(message);
    this.name = "CallRefused";
    this.code = code;
    this.status = status;
  }
}

/** @throws CallRefused `AccessDeniedException` unless the policies let the caller do it. */
export function refuseUnlessAllowed(cloud: Pick<Cloud, "allows">, caller: Caller, need: Need): void {
  if (!cloud.allows(caller, need)) throw accessDenied(caller, need);
}

export const accessDenied = (caller: Caller, { action, resource }: Need): CallRefused =>
  new CallRefused("AccessDeniedException", `${nameOf(caller)} may not ${action} on ${resource}`, 403);

/** For messages and the log. */
export function nameOf(caller: Caller): string {
  if (caller.kind === "session") return `${roleNameOf(caller.role)}/${caller.session}`;
  return caller.kind === "root" ? "root" : caller.kind === "service" ? caller.service : caller.provider;
}
