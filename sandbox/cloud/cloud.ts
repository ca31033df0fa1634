import { join } from "node:path";
import { systemClock } from "../../core/ports/clock.ts";
import { Callers } from "./callers.ts";
import { machineClock, type VirtualClock } from "./clock.ts";
import { bucketsOf } from "./deployed/buckets.ts";
import { judge, rootCredential, sessionCredential } from "./deployed/session-credential.ts";
import { startFront } from "./front/server.ts";
import { accountOf } from "./iam/account.ts";
import type { Caller } from "./iam/caller.ts";
import type { Decision } from "./iam/decide.ts";
import type { Credential, Need } from "./s3/credentials.ts";
import { type S3Server, startS3 } from "./s3/server.ts";
import type { Cloud, Service } from "./service.ts";
import { s3Service } from "./services/s3/s3-service.ts";
import { services as known } from "./services.ts";
import { readAssembly, type SynthesizedStack } from "./template/assembly.ts";
import { type Given, resolveStacks, type Stack } from "./template/stack.ts";
import { Work } from "./work.ts";

export interface CloudOptions {
  /** `cdk.out`. */
  readonly assembly: string;
  /** For all that the cloud writes. */
  readonly directory: string;
  /** Which of the assembly's stacks, and what they are made into. Default: all, as they are. */
  readonly choose?: (stacks: readonly SynthesizedStack[]) => readonly SynthesizedStack[];
  readonly given?: Given;
  /** Default: the only one that the stacks are in. What is elsewhere is not made, and its policies count. */
  readonly region?: string;
  /** Default: the machine's. */
  readonly clock?: VirtualClock;
  /** Default: all that there are. */
  readonly services?: readonly ((cloud: Cloud) => Service)[];
  /** Is told each thing that happens, one line. Default: nobody is. */
  readonly note?: (line: string) => void;
}

/** Something that a session was allowed to do, and did. */
export interface Use {
  /** ARN. */
  readonly role: string;
  readonly action: string;
  readonly resource: string;
  /** Names of the statements that it rests on. */
  readonly by: readonly string[];
}

export interface RunningCloud extends Cloud {
  readonly stacks: readonly Stack[];
  readonly s3: S3Server;
  /** Of the account's owner, who may do what no policy denies to everybody. */
  readonly root: Credential;
  /** Each once. */
  readonly used: readonly Use[];
  /** What this maker has made, for what is done to a service from outside: a machine registered, an object damaged. @throws Error where it is none of the cloud's. */
  made<S extends Service>(maker: (cloud: Cloud) => S): S;
  /** Resolves when nothing goes on. */
  settle(): Promise<void>;
  /**
   * Moves a virtual clock: what is due on the way is done in its order, each when nothing goes on any more.
   *
   * @throws Error where the clock is the machine's; and whatever is thrown by what was due.
   */
  advance(milliseconds: number): Promise<void>;
  /** @throws AggregateError when the sandbox itself went wrong, if only in the background. */
  close(): Promise<void>;
}

/**
 * An AWS account on this machine, in one region, with everything that the synthesized stacks describe.
 *
 * @throws Error that begins with the place in the template for whatever is not understood, a type of resource above all.
 */
export async function startCloud({
  assembly,
  directory,
  choose = (stacks) => stacks,
  given = { parameterStore: { "/cdk-bootstrap/hnb659fds/version": "21" } },
  region: chosen,
  clock: virtual,
  services: makers = known,
  note = () => {},
}: CloudOptions): Promise<RunningCloud> {
  const stacks = resolveStacks(choose(readAssembly(assembly)), given);
  const accountId = only(
    stacks.map(({ account }) => account),
    "account",
  );
  const region =
    chosen ??
    only(
      stacks.map((stack) => stack.region),
      "region",
    );
  const account = accountOf(stacks);
  const work = new Work();
  const machine = machineClock((error) => work.defects.push(error));
  const clock = virtual ?? machine;
  const used = new Map<string, Use>();
  const decided = (caller: Caller, { action, resource }: Need, { allowed, by }: Decision) => {
    if (!allowed || caller.kind !== "session") return;
    const use = { role: caller.role, action, resource, by };
    used.set(JSON.stringify(use), use);
  };
  const judging = { region, clock, decided };
  const callers = new Callers();

  // Programs of this machine sign by its clock, whatever time the cloud has.
  const times = { clock, signersClock: systemClock };
  const s3 = await startS3({
    ...{ directory: join(directory, "s3"), region, ...times },
    ...{ credentials: [], buckets: bucketsOf(stacks, region) },
    created: (object) => storage.created(object),
  });
  const front = await startFront({
    service: named,
    authority: () => ({ ...times, region, credentials: callers.credentials }),
    callerOf: (key) => callers.of(key),
    failed: (error) => work.defects.push(error),
  });
  const enter = (credential: Credential, caller: Caller) => {
    callers.add(credential, caller);
    s3.settings.credentials = callers.credentials;
    return credential;
  };

  const cloud: Cloud = {
    ...{ clock, account, accountId, region, directory, assembly, note },
    endpoints: { api: front.url, s3: s3.url },
    allows: judge(account, judging),
    credential(roleName, sessionName, expiresAt) {
      const session = account.session(roleName, sessionName);
      return enter(sessionCredential(account, session, { ...judging, ...(expiresAt && { expiresAt }) }), session);
    },
    async publish(event) {
      note(`event: ${event.source} "${event["detail-type"]}"`);
      await Promise.all(services.map((each) => each.publish?.(event)));
    },
    async deliver(delivery) {
      const service = serviceOf(delivery.to);
      if (service?.accept === undefined) throw new Error(`nobody takes a delivery to ${delivery.to}`);
      await service.accept(delivery);
    },
    async invoke(delivery) {
      const service = serviceOf(delivery.to);
      if (service?.invoke === undefined) throw new Error(`nobody runs ${delivery.to}`);
      return service.invoke(delivery);
    },
    measure(datum) {
      for (const each of services) each.measure?.(datum);
    },
    goOn: (promise) => work.goOn(promise),
  };
  function named(name: string | undefined) {
    return services.find((each) => each.name === name);
  }
  const serviceOf = (arn: string) => named(arn.split(":")[2]);
  const storage = s3Service(cloud);
  const made = new Map(makers.map((make) => [make, make(cloud)]));
  const services: readonly Service[] = [storage, ...made.values()];

  async function close() {
    for (const each of [...services].reverse()) await each.close?.();
    await work.settle();
    await front.close();
    machine.close();
    await s3.close().catch((error) => work.defects.push(error));
    if (work.defects.length > 0) throw new AggregateError(work.defects, "the sandbox's cloud went wrong");
  }

  try {
    make(
      stacks.filter((stack) => stack.region === region),
      services,
    );
    for (const each of services) each.begin?.();
  } catch (error) {
    await close();
    throw error;
  }

  return {
    ...cloud,
    ...{ stacks, s3, close },
    root: enter(rootCredential(account, accountId, judging), { kind: "root", account: accountId }),
    get used() {
      return [...used.values()];
    },
    made<S extends Service>(maker: (cloud: Cloud) => S) {
      const service = made.get(maker);
      if (service === undefined) throw new Error(`${maker.name} made nothing here`);
      return service as S;
    },
    settle: () => work.settle(),
    async advance(milliseconds) {
      if (virtual === undefined) throw new Error("the machine's clock can not be moved");
      const until = virtual.now() + milliseconds;
      await work.settle();
      while (virtual.step(until)) await work.settle();
    },
  };
}

function make(stacks: readonly Stack[], services: readonly Service[]): void {
  for (const resource of stacks.flatMap(({ resources }) => resources)) {
    const makers = services.filter(({ types }) => types.includes(resource.type));
    const [maker] = makers;
    if (maker === undefined || makers.length > 1) {
      const names = makers.map(({ name }) => name).join(" and ") || "no service";
      throw new Error(`${resource.stack}.${resource.logicalId}: ${names} makes ${resource.type}`);
    }
    maker.make(resource);
  }
}

function only(values: readonly string[], what: string): string {
  const [value, ...more] = new Set(values);
  if (value === undefined || more.length > 0) throw new Error(`the stacks are not in one ${what}`);
  return value;
}
