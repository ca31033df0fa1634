import type { Guard } from "./guard.ts";

const httpApi = (name: string) => `sandbox/cloud/services/http-api/${name}.ts`;
const test = (name: string) => ({ file: "test/sandbox/cloud/services/http-api.test.ts", name });

/** The sandbox's HTTP APIs: who gets in, and what a template may say. */
export const httpApiGuards: readonly Guard[] = [
  {
    guard: "IAM judges a call of an HTTP API by its route",
    file: httpApi("http-api-service"),
    find: 'throw new CallRefused("Forbidden", "Forbidden", 403);',
    replace: "",
    test: test("is allowed route by route"),
  },
  {
    guard: "a function is called by API Gateway for the route that was asked",
    file: httpApi("http-api-service"),
    find: 'as: { kind: "service", service: "apigateway.amazonaws.com" },',
    replace: 'as: { kind: "root", account: cloud.accountId },',
    test: test("whose function %s is answered with 500, and the caller learns nothing"),
  },
  {
    guard: "a stage lets no more calls through than it says",
    file: httpApi("throttle"),
    find: "if (this.#tokens < 1) return false;",
    replace: "",
    test: test("comes through as often as the stage lets it"),
  },
  {
    guard: "an HTTP API gives a slow function up",
    file: httpApi("http-api-service"),
    find: "await within(cloud, timeoutMs, invocation)",
    replace: "await within(cloud, 10 * timeoutMs, invocation)",
    test: test("is given up when the function takes too long"),
  },
  {
    guard: "an HTTP API has no route that IAM does not authorize",
    file: httpApi("api-settings"),
    find: 'demand(resource, { AuthorizationType }, "AWS_IAM");',
    replace: "",
    test: test("is refused for %s"),
  },
];
