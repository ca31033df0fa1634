import { z } from "zod";
import { MailarkError } from "../../core/errors.ts";
import { componentNames, patterns } from "../../core/keys.ts";
import type { Dispatch } from "../control/records.ts";
import { dispatchRequest } from "../dispatch/request.ts";
import { parsed } from "../runtime/parsed.ts";
import type { Call } from "./call.ts";
import { listBackups } from "./list-backups.ts";
import { isStarted, type RequestPorts, readDispatch, readRuns, requestBackup } from "./request-backup.ts";

export interface Answer {
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

type Route = (ports: RequestPorts, call: Call, signal: AbortSignal | undefined) => Promise<Answer>;

const statusPath = "/system/backup/status";

/** What the API can be asked, by method and path: those of the stack. */
export const routes: Readonly<Record<string, Route>> = {
  "POST /system/backup": async (ports, { body, caller }, signal) => {
    const wanted = parsed(wantedBackup, parsedJson(body), "body");
    // The end of an ARN is who it is.
    const request = { ...wanted, requestedBy: caller.slice(-200) };
    const { requestId } = request;
    const started = await requestBackup(ports, request, signal);
    const location = { location: `${statusPath}?requestId=${requestId}` };
    return answer(202, started ? told(started) : { requestId, state: "asked" }, location);
  },

  "GET /system/backups": async ({ control }, { query }, signal) =>
    answer(200, await listBackups(control, parsed(backupsQuery, query, "query"), signal)),

  [`GET ${statusPath}`]: async ({ control }, { query }, signal) => {
    const { requestId } = parsed(statusQuery, query, "query");
    const started = await readDispatch(control, requestId, signal);
    if (started === undefined) return refusal(404, "nothing was started for this requestId, or not yet");
    return answer(200, { ...told(started), hosts: await readRuns(control, started, signal) });
  },
};

/**
 * Answers a call: what is wrong with it, in one sentence with status 400 or 404, or what its route found.
 *
 * @throws what a port throws: API Gateway answers 500 then, and an alarm tells of it.
 */
export async function answerTo(ports: RequestPorts, call: Call, signal?: AbortSignal): Promise<Answer> {
  const route = routes[call.route];
  if (route === undefined) return refusal(404, `there is no ${call.route}`);
  try {
    return await route(ports, call, signal);
  } catch (error) {
    if (error instanceof MailarkError && error.code === "ARGUMENT_INVALID") return refusal(400, error.message);
    throw error;
  }
}

const wantedBackup = dispatchRequest.omit({ requestedBy: true }).extend({
  tier: dispatchRequest.shape.tier.default("manual"),
  components: dispatchRequest.shape.components.default([...componentNames]),
});

const backupsQuery = z.strictObject({
  host: z.string().regex(patterns.hostId, "no storage id of a host").optional(),
  after: z
    .string()
    .regex(/^[^/]{1,128}\/[a-z]{1,32}$/, "not the `next` of a page before")
    .optional(),
});

const statusQuery = dispatchRequest.pick({ requestId: true });

/** What people want to know of a start; the base that each host was told is the machines' affair. */
function told(record: Dispatch) {
  const { requestId, requestedBy, tier, components, at, commands, skipped } = record;
  const state = isStarted(record) ? "started" : "starting";
  const sent = commands.map(({ commandId, machines }) => ({ commandId, machines }));
  return { requestId, state, requestedBy, tier, components, at, commands: sent, skipped };
}

const refusal = (statusCode: number, message: string) => answer(statusCode, { message });

function answer(statusCode: number, body: object, headers: Readonly<Record<string, string>> = {}): Answer {
  return { statusCode, headers: { "content-type": "application/json", ...headers }, body: `${JSON.stringify(body)}\n` };
}

function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new MailarkError("ARGUMENT_INVALID", "the body is no JSON");
  }
}
