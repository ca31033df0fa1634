import { randomUUID } from "node:crypto";
import type { Caller } from "../../iam/caller.ts";
import {
  type ApiCall,
  CallRefused,
  type Cloud,
  type Delivery,
  type Route,
  refuseUnlessAllowed,
  type Service,
} from "../../service.ts";
import type { Resource } from "../../template/stack.ts";
import { onlyInput } from "../../understood.ts";
import { EventQueue } from "./event-queue.ts";
import {
  type EventSettings,
  eventDefaults,
  eventSettings,
  functionSettings,
  nameOfFunction,
} from "./function-settings.ts";
import { LambdaFunction } from "./lambda-function.ts";

/** Of an event, in bytes ("Lambda quotas"). */
const largestEvent = { RequestResponse: 6 * 1024 * 1024, Event: 1024 * 1024 } as const;

/** "Invoke" of the Lambda API reference: everything but the event is in headers. */
const invokeRoute: Route = {
  operation: "Invoke",
  method: "POST",
  path: "/2015-03-31/functions/{FunctionName}/invocations",
  input: ({ parameters, query, headers, body }) => ({
    ...parameters,
    Qualifier: query.get("Qualifier"),
    InvocationType: headers["x-amz-invocation-type"],
    LogType: headers["x-amz-log-type"],
    ClientContext: headers["x-amz-client-context"],
    ...(body.length > 0 && { Payload: body }),
  }),
  reply({ StatusCode, FunctionError, LogResult, ExecutedVersion, Payload }) {
    const told = {
      "x-amz-function-error": FunctionError,
      "x-amz-log-result": LogResult,
      "x-amz-executed-version": ExecutedVersion,
    };
    const headers = Object.entries(told).filter(([, value]) => value !== undefined) as [string, string][];
    return {
      status: StatusCode as number,
      headers: Object.fromEntries(headers),
      ...(Payload !== undefined && { body: Payload as string }),
    };
  },
};

/**
 * AWS Lambda: runs the bundles of the assembly, unmodified, in processes of their own. Of its API it knows `Invoke`.
 */
export function lambdaService(cloud: Cloud): Service {
  const functions = new Map<string, LambdaFunction>();
  const settings = new Map<string, EventSettings>();
  const queues = new Map<string, EventQueue>();

  /** The function, for who may invoke it. */
  function invoked(name: string, caller: Caller, context: Delivery["context"]): LambdaFunction {
    const resource = `arn:aws:lambda:${cloud.region}:${cloud.accountId}:function:${name}`;
    const need = { action: "lambda:InvokeFunction", resource, context };
    refuseUnlessAllowed(cloud, caller, need);
    const found = functions.get(name);
    if (found === undefined) throw new CallRefused("ResourceNotFoundException", `Function not found: ${resource}`, 404);
    return found;
  }

  function enqueue(name: string, payload: string): void {
    demandEvent(payload, "Event");
    queues.get(name)!.take(randomUUID(), payload);
  }

  return {
    name: "lambda",
    types: ["AWS::Lambda::Function", "AWS::Lambda::Permission", "AWS::Lambda::EventInvokeConfig"],
    routes: [invokeRoute],

    make(resource: Resource) {
      if (resource.type === "AWS::Lambda::Function") {
        functions.set(resource.ref, new LambdaFunction(functionSettings(resource), cloud));
      }
      // A permission is part of the function's policy, which the account has read.
      if (resource.type === "AWS::Lambda::EventInvokeConfig") settings.set(...eventSettings(resource));
    },

    begin() {
      for (const [name, each] of functions) {
        each.begin();
        queues.set(name, new EventQueue(cloud, each, settings.get(name) ?? eventDefaults));
      }
      const lost = [...settings.keys()].find((name) => !functions.has(name));
      if (lost !== undefined) throw new Error(`an EventInvokeConfig is for ${lost}, which is no function here`);
    },

    async answer(call: ApiCall) {
      if (call.operation !== "Invoke") throw new Error(`Lambda's ${call.operation} is not known`);
      onlyInput(call, ["FunctionName", "InvocationType", "LogType", "Payload", "Qualifier"]);
      const { FunctionName, InvocationType = "RequestResponse", LogType = "None", Qualifier, Payload } = call.input;
      const qualified = (Qualifier ?? "$LATEST") as string;
      if (qualified !== "$LATEST")
        throw new Error(`Lambda's ${qualified} is not known: there is no version but $LATEST`);
      const name = nameOfFunction(FunctionName as string);
      const found = invoked(name, call.caller, {});
      const payload = Payload === undefined ? "" : Buffer.from(Payload as string | Uint8Array).toString();
      switch (InvocationType) {
        case "DryRun":
          return { StatusCode: 204 };
        case "Event":
          enqueue(name, payload || "{}");
          return { StatusCode: 202 };
        case "RequestResponse": {
          demandEvent(payload || "{}", InvocationType);
          const outcome = await found.invoke(randomUUID(), payload || "{}");
          return {
            StatusCode: 200,
            ExecutedVersion: "$LATEST",
            Payload: outcome.payload,
            ...(outcome.failed && { FunctionError: "Unhandled" }),
            ...(LogType === "Tail" && { LogResult: Buffer.from(outcome.log).subarray(-4096).toString("base64") }),
          };
        }
        default:
          throw new CallRefused("InvalidParameterValueException", `unknown invocation type ${InvocationType}`);
      }
    },

    async accept({ to, payload, as, context }: Delivery) {
      const name = nameOfFunction(to);
      invoked(name, as, context);
      enqueue(name, payload);
    },

    async invoke({ to, payload, as, context }: Delivery) {
      const found = invoked(nameOfFunction(to), as, context);
      demandEvent(payload, "RequestResponse");
      return found.invoke(randomUUID(), payload);
    },

    async close() {
      for (const queue of queues.values()) queue.close();
      await Promise.all([...functions.values()].map((each) => each.close()));
    },
  };
}

/** @throws CallRefused where an event is none. */
function demandEvent(payload: string, type: keyof typeof largestEvent): void {
  const bytes = Buffer.byteLength(payload);
  const most = largestEvent[type];
  if (bytes > most) {
    throw new CallRefused(
      "RequestTooLargeException",
      `${bytes} byte payload is too large for ${type} (limit ${most})`,
      413,
    );
  }
  try {
    JSON.parse(payload);
  } catch {
    throw new CallRefused("InvalidRequestContentException", "Could not parse request body into json");
  }
}
