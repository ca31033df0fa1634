import {
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import { describe, expect, test } from "vitest";
import { type Fault, faultRules } from "../../../sandbox/cloud/s3/faults.ts";
import type { S3Server } from "../../../sandbox/cloud/s3/server.ts";
import { s3Client, sandboxS3 } from "../../fixtures/sandbox-s3.ts";
import { setClock } from "../../fixtures/set-clock.ts";

const at = { Bucket: "data", Key: "key" };
const bytes = "0123456789".repeat(1000);
const put = (s3: S3Client, signal?: AbortSignal) =>
  s3.send(new PutObjectCommand({ ...at, Body: bytes, IfNoneMatch: "*" }), signal && { abortSignal: signal });
const get = async (s3: S3Client) => (await s3.send(new GetObjectCommand(at))).Body!.transformToString();
const isThere = (s3: S3Client) =>
  s3.send(new HeadObjectCommand(at)).then(
    () => true,
    () => false,
  );

async function faulty(fault: Fault): Promise<{ server: S3Server; s3: S3Client }> {
  const server = await sandboxS3();
  server.settings.faults = faultRules([{ operation: ["PutObject", "GetObject"], fault }]);
  return { server, s3: s3Client(server) };
}

describe("a fault", () => {
  test.each<[Fault, boolean, string | number]>([
    [{ kind: "error", code: "SlowDown" }, false, 503],
    [{ kind: "error", code: "InternalError" }, false, 500],
    [{ kind: "error", code: "AccessDenied" }, false, 403],
    [{ kind: "error", code: "InternalError", when: "after" }, true, 500],
    [{ kind: "reset", when: "before" }, false, "ECONNRESET"],
    [{ kind: "reset", when: "after" }, true, "ECONNRESET"],
  ])("%o of a put leaves an object: %s", async (fault, left, told) => {
    const { server, s3 } = await faulty(fault);
    const error = await put(s3).catch((each) => each);
    expect(typeof told === "number" ? error.$metadata.httpStatusCode : error.code).toBe(told);
    expect(await isThere(s3)).toBe(left);
    expect(server.requests[0]!.status).toBe(typeof told === "number" ? told : undefined);
  });

  test.each([
    ["before", false],
    ["after", true],
  ] as const)("of silence %s the put leaves an object: %s", async (when, left) => {
    const { server, s3 } = await faulty({ kind: "silence", when });
    const giveUp = new AbortController();
    const unanswered = expect(put(s3, giveUp.signal)).rejects.toMatchObject({ name: "AbortError" });
    await expect.poll(() => server.requests[0]?.bytesIn).toBe(bytes.length);
    if (left) await expect.poll(() => isThere(s3)).toBe(true);
    giveUp.abort();
    await unanswered;
    expect(await isThere(s3)).toBe(left);
  });

  test("ends the bytes of an answer early", async () => {
    const server = await sandboxS3();
    const s3 = s3Client(server);
    server.settings.faults = faultRules([{ operation: "GetObject", fault: { kind: "truncated", bytes: 5000 } }]);
    await put(s3);
    await expect(get(s3)).rejects.toThrow("aborted");
    expect(await get(s3)).toBe(bytes);
  });

  test("changes a byte of an answer, which its checksum shows", async () => {
    const { server, s3 } = await faulty({ kind: "wrong-checksum" });
    const { ChecksumCRC32: wrong } = await put(s3);
    server.settings.faults = faultRules([{ operation: "GetObject", fault: { kind: "wrong-byte", at: 7 } }]);
    await expect(get(s3)).rejects.toThrow(/Checksum mismatch/);
    const { ChecksumCRC32: right } = await s3.send(new HeadObjectCommand({ ...at, ChecksumMode: "ENABLED" }));
    expect(wrong).not.toBe(right);
    expect(wrong).toHaveLength(right!.length);
  });

  test("answers with success what did not happen", async () => {
    const { server, s3 } = await faulty({ kind: "error-in-success", code: "InternalError" });
    await put(s3).catch(() => {});
    expect(server.requests[0]).toMatchObject({ status: 200, code: "InternalError" });
    expect(await isThere(s3)).toBe(false);
  });

  test("slows body and answer down", async () => {
    const clock = setClock(Date.now());
    const server = await sandboxS3({ clock });
    const s3 = s3Client(server);
    server.settings.faults = faultRules([{ times: 2, fault: { kind: "slow", bytesPerSecond: 1000 } }]);
    const start = clock.now();
    await put(s3);
    const between = clock.now();
    expect(await get(s3)).toBe(bytes);
    for (const seconds of [between - start, clock.now() - between]) expect(Math.round(seconds / 1000)).toBe(10);
  });
});

describe("rules of faults", () => {
  const fault = { kind: "error", code: "SlowDown" } as const;
  const call = { operation: "PutObject", bucket: "data", key: "a/1", number: 1, at: 1000 } as const;

  test("choose by operation, key, count and time", () => {
    const rules = faultRules([
      { operation: "PutObject", key: /^a\//, nth: 2, times: 2, fault },
      { key: "b", until: 2000, times: Number.POSITIVE_INFINITY, fault: { kind: "reset", when: "after" } },
    ]);
    const struck = [call, { ...call, operation: "GetObject" as const }, call, call, call].map((each) => rules(each));
    expect(struck).toEqual([undefined, undefined, fault, fault, undefined]);
    expect(rules({ ...call, key: "b" })?.kind).toBe("reset");
    expect(rules({ ...call, key: "b", at: 2000 })).toBeUndefined();
  });

  test("make a bucket that answers 503 for a minute", async () => {
    const clock = setClock(Date.now());
    const server = await sandboxS3({ clock });
    const s3 = s3Client(server);
    server.settings.faults = faultRules([{ times: Number.POSITIVE_INFINITY, until: clock.now() + 60_000, fault }]);
    await expect(put(s3)).rejects.toMatchObject({ name: "SlowDown" });
    await clock.sleep(59_999);
    await expect(put(s3)).rejects.toMatchObject({ name: "SlowDown" });
    await clock.sleep(1);
    await put(s3);
  });
});

describe("the line", () => {
  test("delays each request, and lets bodies pass at its rate", async () => {
    const clock = setClock(Date.now());
    const server = await sandboxS3({ clock });
    const s3 = s3Client(server);
    server.settings.latency = 20;
    const start = clock.now();
    await put(s3);
    expect(clock.now() - start).toBe(20);
    server.settings.bytesPerSecond = 1000;
    await get(s3);
    expect(Math.round((clock.now() - start - 40) / 1000)).toBe(10);
  });

  test("that is cut while a body comes leaves nothing", async () => {
    const server = await sandboxS3();
    const s3 = s3Client(server);
    server.settings.bytesPerSecond = 1;
    const giveUp = new AbortController();
    const put = s3.send(new PutObjectCommand({ ...at, Body: Buffer.alloc(1_000_000) }), { abortSignal: giveUp.signal });
    const cut = expect(put).rejects.toMatchObject({ name: "AbortError" });
    await expect.poll(() => server.requests[0]?.bytesIn).toBeGreaterThan(0);
    giveUp.abort();
    await cut;
    server.settings.bytesPerSecond = undefined;
    expect(await isThere(s3)).toBe(false);
  });

  test("that is cut at any moment leaves whole objects only, and the server as it was", async () => {
    const server = await sandboxS3();
    const s3 = s3Client(server);
    const Body = Buffer.alloc(3_000_000, "whole");
    for (let round = 0; round < 40; round++) {
      const giveUp = new AbortController();
      const Key = `key${round}`;
      const sent = s3.send(new PutObjectCommand({ Bucket: "data", Key, Body }), { abortSignal: giveUp.signal });
      const settled = sent.catch(() => {});
      await new Promise((resolve) => setTimeout(resolve, round % 20));
      giveUp.abort();
      await settled;
    }
    const { Contents = [] } = await s3.send(new ListObjectsV2Command({ Bucket: "data" }));
    expect(Contents.filter(({ Size }) => Size !== Body.length)).toEqual([]);
    await server.close();
  });
});
