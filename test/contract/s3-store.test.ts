import { describe, expect, onTestFinished, test } from "vitest";
import { MailarkError } from "../../core/errors.ts";
import { systemClock } from "../../core/ports/clock.ts";
import { withRetries } from "../../core/stores/retry.ts";
import { s3Store } from "../../core/stores/s3.ts";
import type { S3RequestsOptions } from "../../core/stores/s3-requests.ts";
import { parseS3Url } from "../../core/stores/s3-url.ts";
import type { Body } from "../../core/stores/store.ts";
import { s3Place, useCredentials } from "../fixtures/s3-place.ts";
import { owner } from "../fixtures/sandbox-s3.ts";
import { scratchDirectory } from "../fixtures/scratch.ts";
import { runTests } from "../guards/runner.ts";
import { describeObjectStore } from "./object-store.ts";

/** A rule of the server that does not hold in this run: then this file must fail. */
const ruleOff = process.env.MAILARK_S3_WITHOUT;

async function open(options?: S3RequestsOptions) {
  useCredentials(owner);
  const { server, url, close } = await s3Place({ rules: ruleOff === undefined ? {} : { [ruleOff]: false } });
  return { server, store: s3Store(parseS3Url(url()), options), close };
}

describeObjectStore("the store in S3", () => open());

describeObjectStore("the store in S3 that is asked again", async () => {
  const { store, close } = await open();
  return { store: withRetries(store, { clock: systemClock, random: Math.random }), close };
});

describe("the store in S3, on its server", () => {
  const place = async (options?: S3RequestsOptions) => {
    const opened = await open(options);
    onTestFinished(opened.close);
    return opened;
  };

  test("keeps what was erased as a version, and says what each is called", async () => {
    const { store } = await place();
    const first = await store.put("key", [Buffer.from("first")]);
    await store.erase("key");
    const second = await store.put("key", [Buffer.from("second")]);
    expect(first.version).toEqual(expect.any(String));
    expect(second.version).not.toBe(first.version);
  });

  test.each([1000, 20_000_000])("refuses %i bytes of which one has changed on its way", async (bytes) => {
    const { store } = await place({
      async *pace(body) {
        for await (const chunk of body) {
          const sent = Buffer.from(chunk);
          sent[0]! ^= 1;
          yield sent;
        }
      },
    });
    await expect(store.put("key", [Buffer.alloc(bytes)])).rejects.toMatchObject({ code: "UPLOAD_MISMATCH" });
    expect(await store.head("key")).toBeUndefined();
  });

  test("leaves no parts behind that would cost, whatever ends a put", async () => {
    const { store, server } = await place();
    const abort = new AbortController();
    const body: Body = {
      async *[Symbol.asyncIterator]() {
        for (let sent = 0; sent < 40; sent += 1) yield Buffer.alloc(1_000_000);
        abort.abort();
        yield Buffer.alloc(1);
      },
    };
    await expect(store.put("key", body, { signal: abort.signal })).rejects.toMatchObject({ code: "INTERRUPTED" });
    await expect(store.put("key", failing(40))).rejects.toMatchObject({ code: "DUMP_TRUNCATED" });
    const answered = server.requests.map(({ operation, status }) => `${operation} ${status}`);
    expect(answered.filter((each) => each === "CreateMultipartUpload 200")).toHaveLength(2);
    expect(answered.filter((each) => each === "AbortMultipartUpload 204")).toHaveLength(2);
  });
});

/** Megabytes, and then the end of whoever gave them. */
const failing = (megabytes: number): Body => ({
  async *[Symbol.asyncIterator]() {
    for (let sent = 0; sent < megabytes; sent += 1) yield Buffer.alloc(1_000_000);
    throw new MailarkError("DUMP_TRUNCATED", "the dump was cut off");
  },
});

describe.runIf(ruleOff === undefined)("the contract of stores", () => {
  test.each([
    ["conditions", "never overwrites"],
    ["checksums", "stores the bytes and says what it took"],
    ["versions", "keeps what was erased as a version, and says what each is called"],
  ])("fails where the server has no %s", async (rule, name) => {
    const file = "test/contract/s3-store.test.ts";
    process.env.MAILARK_S3_WITHOUT = rule;
    onTestFinished(() => {
      delete process.env.MAILARK_S3_WITHOUT;
    });
    const { signal } = new AbortController();
    const here = { directory: process.cwd(), temporary: scratchDirectory(), signal };
    expect(await runTests(file, [{ file, name }], here)).toEqual([{ kind: "failed" }]);
  });
});
