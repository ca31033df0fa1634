import type { Guard } from "./guard.ts";

const suite = (name: string) => `test/sandbox/cloud/${name}.test.ts`;

/** The sandbox's cloud as one account: what holds between its services. */
export const runningCloudGuards: readonly Guard[] = [
  {
    guard: "the cloud's time stands still until what is due has ended",
    file: "sandbox/cloud/cloud.ts",
    find: "while (virtual.step(until)) await work.settle();",
    replace: "while (virtual.step(until));",
    test: {
      file: suite("cloud"),
      name: "moves to what is due, in its order, and stands still until what that began has ended",
    },
  },
  {
    guard: "the cloud tells at its end what went wrong in the background",
    file: "sandbox/cloud/cloud.ts",
    find: "if (work.defects.length > 0) throw",
    replace: "if (work.defects.length > 99) throw",
    test: { file: suite("defects"), name: "of the work that goes on by itself is told at the end" },
  },
  {
    guard: "a type of resource has one service that makes it",
    file: "sandbox/cloud/cloud.ts",
    find: "if (maker === undefined || makers.length > 1) {",
    replace: "if (maker === undefined) {",
    test: { file: suite("defects"), name: "of the template, a type that %s makes, stops it" },
  },
  {
    guard: "the cloud's APIs compare a body with its signature",
    file: "sandbox/cloud/front/server.ts",
    find: 'if ((received.headers["x-amz-content-sha256"] ?? payload) !== payload) {',
    replace: "if (payload === undefined) {",
    test: { file: suite("front"), name: "whose body is not the one that was signed is refused" },
  },
  {
    guard: "a role is taken only by whom its trust lets in",
    file: "sandbox/cloud/services/sts/sts-service.ts",
    find: "if (role === undefined || !cloud.allows(",
    replace: "if (role === undefined || undefined === cloud.allows(",
    test: { file: suite("cloud"), name: "does not become %s, whom nothing lets it become" },
  },
  {
    guard: "a session that STS began ends",
    file: "sandbox/cloud/deployed/session-credential.ts",
    find: "...(expiresAt !== undefined && { expiresAt }),",
    replace: "",
    test: {
      file: suite("cloud"),
      name: "becomes another role where that role's trust and its own policy let it, for as long as was asked for",
    },
  },
  {
    guard: "only a bucket that is to tells EventBridge",
    file: "sandbox/cloud/services/s3/s3-service.ts",
    find: "if (!telling.has(bucket)) return;",
    replace: "",
    test: {
      file: suite("object-events"),
      name: "an object that was put is told of as EventBridge has it, and nothing of a bucket that tells nothing",
    },
  },
];
