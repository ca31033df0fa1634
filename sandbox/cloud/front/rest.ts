import type { RestRequest, Route } from "../service.ts";
import { jsonObject } from "./json.ts";
import type { Protocol, Received } from "./protocol.ts";

/** "AWS restJson1 protocol" of the Smithy documentation: the operation is a method and a path. */
export function restProtocol(routes: readonly Route[], received: Received): Protocol {
  const found = routes
    .map((route) => ({ route, parameters: parametersOf(route, received) }))
    .find(({ parameters }) => parameters !== undefined);
  const headers = { "content-type": "application/json" };
  return {
    plainCodes: false,
    read() {
      if (found === undefined) throw new Error(`no operation is known as ${received.method} ${received.path}`);
      const { route } = found;
      const request: RestRequest = { ...received, parameters: found.parameters! };
      const input = route.input?.(request) ?? { ...jsonObject(request.body), ...request.parameters };
      return { operation: route.operation, input };
    },
    reply: (_, output) => found?.route.reply?.(output) ?? { status: 200, headers, body: JSON.stringify(output) },
    refuse: ({ code, message, status }) => ({
      status,
      headers: { ...headers, "x-amzn-errortype": code },
      body: JSON.stringify({ message }),
    }),
  };
}

/** `undefined` where the request is none of the route's. */
function parametersOf({ method, path }: Route, received: Received): Readonly<Record<string, string>> | undefined {
  if (method !== "ANY" && method !== received.method) return undefined;
  const [wanted, given] = [path, received.path].map((each) => each.split("/").slice(1)) as [string[], string[]];
  const parameters: Record<string, string> = {};
  for (const [index, step] of wanted.entries()) {
    const [, name, greedy] = /^\{(\w+)(\+?)\}$/.exec(step) ?? [];
    const value = greedy ? given.slice(index).join("/") : given[index];
    if (value === undefined || (name === undefined && value !== step)) return undefined;
    if (name !== undefined) parameters[name] = value;
    if (greedy) return parameters;
  }
  return wanted.length === given.length ? parameters : undefined;
}
