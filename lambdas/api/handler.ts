import { apiPorts } from "../runtime/api-ports.ts";
import { handler as wrapped } from "../runtime/handler.ts";
import { readCall } from "./call.ts";
import type { RequestPorts } from "./request-backup.ts";
import { answerTo } from "./routes.ts";

let ports: RequestPorts | undefined;

/** Woken by the HTTP API, which has judged by then whether the caller may. */
export const handler = wrapped(async (event: unknown, { logger, signal }) => {
  const call = readCall(event);
  ports ??= apiPorts();
  const answer = await answerTo(ports, call, signal);
  logger.info("a call was answered", { route: call.route, caller: call.caller, status: answer.statusCode });
  return answer;
});
