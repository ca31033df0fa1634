import type { Guard } from "./guard.ts";

const lambda = (name: string) => `sandbox/cloud/services/lambda/${name}.ts`;
const test = (name: string, suite = "lambda") => ({ file: `test/sandbox/cloud/services/${suite}.test.ts`, name });

/** The sandbox's Lambda: what it would let pass, a test would take for something that Lambda lets pass. */
export const lambdaGuards: readonly Guard[] = [
  {
    guard: "Lambda runs a function for those whom a policy lets",
    file: lambda("lambda-service"),
    find: "refuseUnlessAllowed(cloud, caller, need);",
    replace: "",
    test: test("is for those whom a policy lets, by the function's own or by theirs"),
  },
  {
    guard: "Lambda takes no role whose trust does not name it",
    file: lambda("lambda-function"),
    find: 'if (!this.#cloud.allows(lambda, { action: "sts:AssumeRole", resource: role, context: {} })) {',
    replace: "if (lambda === undefined) {",
    test: test("is refused for %s", "lambda-template"),
  },
  {
    guard: "Lambda throttles what is more than reserved",
    file: lambda("lambda-function"),
    find: "if (this.#running >= this.settings.concurrency) {",
    replace: "if (this.#running < 0) {",
    test: test("runs no more often at one time than is reserved for it: the rest is throttled"),
  },
  {
    guard: "Lambda gives a function nothing of this machine",
    file: lambda("execution-environment"),
    find: "PATH: process.env.PATH,",
    replace: "...process.env,",
    test: test("has the variables that Lambda gives and its own, and nothing of this machine but PATH"),
  },
  {
    guard: "Lambda lets a function stand still between invocations",
    file: lambda("execution-environment"),
    find: 'this.#child.kill("SIGSTOP");',
    replace: "",
    test: test("goes on in the environment that it had, which stands still in between"),
  },
  {
    guard: "Lambda ends a function whose memory is used up",
    file: lambda("execution-environment"),
    find: "if (used > memoryMb) {",
    replace: "if (used < 0) {",
    test: test("that needs more memory than it has, %s, has failed"),
  },
  {
    guard: "Lambda ends a function whose time is up",
    file: lambda("execution-environment"),
    find: "const ownLimit = limit(timeoutMs);",
    replace: "const ownLimit = limit(3_600_000);",
    test: test("is ended when its time is up, and begins anew"),
    hangs: true,
  },
  {
    guard: "Lambda gives up an event that is too old",
    file: lambda("event-queue"),
    find: "if (age > this.#settings.maximumAgeMs)",
    replace: "if (age < 0)",
    test: test("that is too old is tried no more", "lambda-events"),
  },
  {
    guard: "CloudWatch Logs takes lines from those who may write them",
    file: "sandbox/cloud/services/logs/logs-service.ts",
    find: "refuseUnlessAllowed(cloud, as, need);",
    replace: "",
    test: test("is lost, metrics and all, where the function's role may not %s; the function runs", "logs"),
  },
];
