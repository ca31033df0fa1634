import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { Context } from "aws-lambda";
import { expect, onTestFinished, test } from "vitest";
import { hostRecordKey, latestKey, manifestKey, verdictKey } from "../../../core/keys.ts";
import { dividedStore } from "../../../core/stores/divided.ts";
import { s3Store } from "../../../core/stores/s3.ts";
import { parseS3Url } from "../../../core/stores/s3-url.ts";
import { s3ControlStore } from "../../../lambdas/runtime/s3-control-store.ts";
import { handler } from "../../../lambdas/verify/handler.ts";
import { component, enrolledHost, hostId, storedSnapshot } from "../../fixtures/enrolled-host.ts";
import { owner, s3Client, sandboxS3 } from "../../fixtures/sandbox-s3.ts";

/** An EventBridge that takes every event, and says what it was given. */
async function eventBridge() {
  const events: { DetailType: string; Detail: string }[] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const { Entries } = JSON.parse(Buffer.concat(chunks).toString("utf8"));
    events.push(...Entries);
    response.setHeader("content-type", "application/x-amz-json-1.1");
    response.end(JSON.stringify({ FailedEntryCount: 0, Entries: Entries.map(() => ({ EventId: "e" })) }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  return { events, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

function withEnvironment(values: Record<string, string>) {
  for (const [name, value] of Object.entries(values)) {
    const before = process.env[name];
    process.env[name] = value;
    onTestFinished(() => {
      if (before === undefined) delete process.env[name];
      else process.env[name] = before;
    });
  }
}

test("an event of S3 becomes a verdict, a base for the next run, and an event of our own", async () => {
  const server = await sandboxS3({
    buckets: ["data", "keys", "control"].map((name) => ({ name, versioned: true })),
  });
  const bridge = await eventBridge();
  withEnvironment({
    AWS_ACCESS_KEY_ID: owner.accessKeyId,
    AWS_SECRET_ACCESS_KEY: owner.secretAccessKey,
    AWS_REGION: server.region,
    AWS_ENDPOINT_URL_S3: server.url,
    AWS_ENDPOINT_URL_EVENTBRIDGE: bridge.url,
    DATA_BUCKET: "data",
    KEYRING_BUCKET: "keys",
    CONTROL_BUCKET: "control",
  });
  const open = (bucket: string) => s3Store(parseS3Url(`s3://${bucket}?endpoint=${server.url}&region=${server.region}`));
  const vault = dividedStore(open("data"), open("keys"));
  const control = s3ControlStore(s3Client(server), "control");
  const { signer, approval } = await enrolledHost(vault);
  await control.replace(hostRecordKey(hostId), Buffer.from(JSON.stringify(approval)), undefined);
  const address = await storedSnapshot(vault, 1, {}, signer);

  const context = { getRemainingTimeInMillis: () => 60_000, functionName: "verify" } as Context;
  const arrival = {
    "detail-type": "Object Created",
    source: "aws.s3",
    detail: { bucket: { name: "data" }, object: { key: manifestKey(address) } },
  };
  expect(await handler(arrival, context)).toEqual({ outcome: "intact", findingCount: 0 });

  const read = async (key: string) => JSON.parse((await control.read(key))!.bytes.toString("utf8"));
  const { versions } = await read(verdictKey(address));
  expect(Object.keys(versions)).toHaveLength(2);
  expect((await read(latestKey(hostId, component))).good).toMatchObject([{ snapshotId: address.snapshotId }]);
  expect(bridge.events.map(({ DetailType, Detail }) => [DetailType, JSON.parse(Detail)])).toMatchObject([
    ["Snapshot Judged", { host: "mail-1", outcome: "intact", alert: false }],
  ]);

  expect(await handler({ sweep: "deep" }, context)).toEqual({ asked: 1 });
  const [, asked] = bridge.events;
  const request = { source: "mailark", "detail-type": asked!.DetailType, detail: JSON.parse(asked!.Detail) };
  expect(await handler(request, context)).toEqual({ outcome: "intact", findingCount: 0 });
});
