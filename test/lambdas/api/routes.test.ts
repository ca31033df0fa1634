import { describe, expect, test } from "vitest";
import {
  type ComponentName,
  componentNames,
  dispatchKey,
  hostRecordKey,
  latestKey,
  requestRunKey,
} from "../../../core/keys.ts";
import { readCall } from "../../../lambdas/api/call.ts";
import type { RequestPorts } from "../../../lambdas/api/request-backup.ts";
import { answerTo } from "../../../lambdas/api/routes.ts";
import { memoryControlStore } from "../../fixtures/control-store.ts";
import { setClock } from "../../fixtures/set-clock.ts";

const time = "2026-11-21T05:00:00.000Z";
const alice = "arn:aws:sts::111122223333:assumed-role/operators/alice";

/** A call as API Gateway hands it over. */
const httpEvent = (routeKey: string, more: object = {}) => ({
  version: "2.0",
  routeKey,
  rawPath: routeKey.split(" ")[1],
  requestContext: { authorizer: { iam: { userArn: alice, accountId: "111122223333" } }, requestId: "r=" },
  isBase64Encoded: false,
  ...more,
});

type Asked = Parameters<RequestPorts["ask"]>[0];

/** The API before a controller that starts what it is asked for, or, `idle`, does not come to it. */
function api({ idle = false } = {}) {
  const control = memoryControlStore();
  const asked: Asked[] = [];
  const record = (request: Asked) => ({
    format: "mailark-dispatch/1",
    ...request,
    at: "2026-11-21T05:00:00.000Z",
    commands: [{ commandId: "c-1", machines: ["i-1"], base: "mysql=20261121T020000.000Z-k3m9x2qa7b" }],
    skipped: [{ machine: "i-2", reason: "a backup runs there already" }],
  });
  const ports: RequestPorts = {
    control,
    clock: setClock(),
    async ask(request) {
      asked.push(request);
      if (!idle) control.set(dispatchKey(request.requestId), record(request));
    },
  };
  const call = async (routeKey: string, more: object = {}) => {
    const { statusCode, headers, body } = await answerTo(ports, readCall(httpEvent(routeKey, more)));
    return { statusCode, headers, body: JSON.parse(body) };
  };
  const start = (body: unknown) => call("POST /system/backup", { body: JSON.stringify(body) });
  const get = (path: string, queryStringParameters: object) => call(`GET ${path}`, { queryStringParameters });
  return { control, asked, call, start, get };
}

describe("a backup that is asked for over the API", () => {
  test("is started in the name of who signed, and the answer says on which machines", async () => {
    const { start, asked } = api();
    const { statusCode, headers, body } = await start({ requestId: "r-1", tier: "databases", components: ["mysql"] });
    expect(statusCode).toBe(202);
    expect(headers.location).toBe("/system/backup/status?requestId=r-1");
    expect(body).toEqual({
      requestId: "r-1",
      state: "started",
      requestedBy: alice,
      tier: "databases",
      components: ["mysql"],
      at: "2026-11-21T05:00:00.000Z",
      commands: [{ commandId: "c-1", machines: ["i-1"] }],
      skipped: [{ machine: "i-2", reason: "a backup runs there already" }],
    });
    expect(asked).toEqual([{ requestId: "r-1", requestedBy: alice, tier: "databases", components: ["mysql"] }]);
  });

  test("is of all components where none is named", async () => {
    const { start, asked } = api();
    await start({ requestId: "r-1" });
    expect(asked).toMatchObject([{ tier: "manual", components: componentNames }]);
  });

  test("is started once, however often it is asked for", async () => {
    const { start, asked } = api();
    const first = await start({ requestId: "r-1" });
    expect(await start({ requestId: "r-1" })).toEqual(first);
    expect(asked).toHaveLength(1);
  });

  test("is not said to be started while it is not", async () => {
    const { start, get } = api({ idle: true });
    expect(await start({ requestId: "r-1" })).toMatchObject({
      statusCode: 202,
      body: { requestId: "r-1", state: "asked" },
    });
    expect(await get("/system/backup/status", { requestId: "r-1" })).toMatchObject({ statusCode: 404 });
  });

  test("is not said to be started while somebody is at it", async () => {
    const { start, get, control } = api();
    const { body } = await start({ requestId: "r-1" });
    const claim = { id: "somebody", until: "2026-11-21T05:05:00.000Z" };
    control.set(dispatchKey("r-2"), { ...control.records.get(dispatchKey("r-1")), requestId: "r-2", claim });
    const starting = { ...body, requestId: "r-2", state: "starting" };
    expect(await get("/system/backup/status", { requestId: "r-2" })).toMatchObject({ statusCode: 200, body: starting });
    control.set(dispatchKey("r-2"), { ...control.records.get(dispatchKey("r-2")), claim: undefined });
    expect((await start({ requestId: "r-2" })).body.state).toBe("started");
  });

  test("is understood in a body that came encoded", async () => {
    const { call, asked } = api();
    const body = Buffer.from('{"requestId":"r-1"}').toString("base64");
    expect(await call("POST /system/backup", { body, isBase64Encoded: true })).toMatchObject({ statusCode: 202 });
    expect(asked).toHaveLength(1);
  });

  test.each<[string, string, RegExp]>([
    ["no JSON", "requestId=r-1", /^the body is no JSON$/],
    ["nothing", "", /^the body is no JSON$/],
    ["no id", "{}", /^requestId: /],
    ["an id that is a path", '{"requestId":"../x"}', /^requestId: give 1 to 100/],
    ["a component that there is not", '{"requestId":"r","components":["mysql","all"]}', /^components\.1: /],
    ["no component", '{"requestId":"r","components":[]}', /^components: /],
    ["somebody else's name", '{"requestId":"r","requestedBy":"bob"}', /requestedBy/],
    ["a tier with words of a shell", '{"requestId":"r","tier":"a;b"}', /^tier: /],
  ])("is refused with one sentence for %s", async (_, body, message) => {
    const { call, asked } = api();
    const refused = await call("POST /system/backup", { body });
    expect(refused.statusCode).toBe(400);
    expect(refused.body).toEqual({ message: expect.stringMatching(message) });
    expect(asked).toEqual([]);
  });

  test("tells later what was started", async () => {
    const { start, get } = api();
    const { body } = await start({ requestId: "r-1" });
    expect(await get("/system/backup/status", { requestId: "r-1" })).toMatchObject({ statusCode: 200, body });
    expect(await get("/system/backup/status", {})).toMatchObject({ statusCode: 400 });
  });

  test("tells what hosts said of it, on whose machines it was started", async () => {
    const { start, get, control } = api();
    const { body } = await start({ requestId: "r-1" });
    const times = { receivedAt: time, startedAt: time, finishedAt: time };
    const components = [{ component: "mysql", outcome: "complete", kind: "full", bytesRead: 9, bytesStored: 5 }];
    const said = { hostId: "A:i-1", host: "mail-1", runId: "20261121T050000.000Z-k3m9x2qa7b", ...times, components };
    for (const hostId of ["A:i-1", "A:i-2"]) {
      const record = { format: "mailark-request-run/1", requestId: "r-1", ...said, hostId };
      control.set(requestRunKey("r-1", hostId), record);
      control.set(requestRunKey("r-10", hostId), { ...record, requestId: "r-10" });
    }
    expect((await get("/system/backup/status", { requestId: "r-1" })).body).toEqual({ ...body, hosts: [said] });
  });
});

describe("the list of backups", () => {
  const good = (day: number) => ({
    snapshotId: `202611${day}T020000.000Z-k3m9x2qa7b`,
    receivedAt: `2026-11-${day}T02:00:01.000Z`,
    cutAt: `2026-11-${day}T02:00:00.000Z`,
    kind: "full",
    bytesStored: 5,
  });
  const judged = (at: ReturnType<typeof api>, hostId: string, component: ComponentName, ...days: number[]) =>
    at.control.set(latestKey(hostId, component), {
      format: "mailark-latest/1",
      hostId,
      component,
      good: days.map((day) => ({ ...good(day), facts: { rows: 1 } })),
    });

  test("has what was found good of each host and component, with the host's name where it was approved", async () => {
    const at = api();
    judged(at, "A:i-1", "mail", 21, 20);
    judged(at, "A:i-1", "mysql");
    judged(at, "A:i-2", "mail", 19);
    const fingerprints = ["0".repeat(64)];
    at.control.set(hostRecordKey("A:i-1"), { format: "mailark-host/1", hostId: "A:i-1", name: "mail-1", fingerprints });
    const first = { hostId: "A:i-1", host: "mail-1" };
    expect((await at.get("/system/backups", {})).body).toEqual({
      backups: [
        { ...first, component: "mail", good: [good(21), good(20)] },
        { ...first, component: "mysql", good: [] },
        { hostId: "A:i-2", component: "mail", good: [good(19)] },
      ],
    });
    const { body } = await at.get("/system/backups", { host: "A:i-2" });
    expect(body.backups).toEqual([{ hostId: "A:i-2", component: "mail", good: [good(19)] }]);
  });

  test("comes in pages that leave nothing out", async () => {
    const at = api();
    const hosts = Array.from({ length: 201 }, (_, index) => `A:i-${String(index).padStart(3, "0")}`);
    for (const host of hosts) judged(at, host, "mail", 21);
    const found: string[] = [];
    let after: string | undefined;
    let pages = 0;
    do {
      const { body } = await at.get("/system/backups", after === undefined ? {} : { after });
      expect(body.backups.length).toBeLessThanOrEqual(100);
      found.push(...body.backups.map(({ hostId }: { hostId: string }) => hostId));
      after = body.next;
      pages += 1;
    } while (after !== undefined);
    expect([found, pages]).toEqual([hosts, 3]);
  });

  test.each([{ host: "../x" }, { after: "x" }, { limit: "9" }])("is refused for %j", async (query) => {
    expect(await api().get("/system/backups", query)).toMatchObject({ statusCode: 400 });
  });

  test("is not made up where a record can not be read", async () => {
    const at = api();
    at.control.set(latestKey("A:i-1", "mail"), { format: "mailark-latest/9" });
    await expect(at.get("/system/backups", {})).rejects.toMatchObject({ code: "STATE_INVALID" });
  });
});

describe("a call", () => {
  test("that nobody signed is none", () => {
    const unsigned = { ...httpEvent("POST /system/backup"), requestContext: {} };
    expect(() => readCall(unsigned)).toThrow(/^requestContext\.authorizer/);
  });

  test("of another route has no answer", async () => {
    expect(await api().call("DELETE /system/backups")).toMatchObject({ statusCode: 404 });
  });
});
