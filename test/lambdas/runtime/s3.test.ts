import { S3Client } from "@aws-sdk/client-s3";
import { describe, expect, onTestFinished, test } from "vitest";
import { crc64nvme } from "../../../core/crc64nvme.ts";
import { dividedStore } from "../../../core/stores/divided.ts";
import { s3Store } from "../../../core/stores/s3.ts";
import { parseS3Url } from "../../../core/stores/s3-url.ts";
import { s3ControlStore } from "../../../lambdas/runtime/s3-control-store.ts";
import { measureIn } from "../../../lambdas/runtime/s3-vault.ts";
import { readAll } from "../../fixtures/read-all.ts";
import { owner, s3Client, sandboxS3 } from "../../fixtures/sandbox-s3.ts";

const bytes = Buffer.from("a record");

describe("the control store in S3", () => {
  test("replaces the state that was read, and no other", async () => {
    const server = await sandboxS3();
    const store = s3ControlStore(s3Client(server), "data");
    expect(await store.read("control/x.json")).toBeUndefined();
    expect(await store.replace("control/x.json", bytes, undefined)).toBe(true);
    const first = await store.read("control/x.json");
    expect(first?.bytes).toEqual(bytes);
    expect(await store.replace("control/x.json", Buffer.from("second"), first)).toBe(true);
    expect(await store.replace("control/x.json", Buffer.from("late"), first)).toBe(false);
    expect(await store.replace("control/x.json", Buffer.from("again"), undefined)).toBe(false);
    expect((await store.read("control/x.json"))?.bytes.toString()).toBe("second");
  });

  test("lists what begins with a prefix", async () => {
    const server = await sandboxS3();
    const store = s3ControlStore(s3Client(server), "data");
    for (const key of ["control/b/2", "control/b/1", "control/c/1"]) await store.replace(key, bytes, undefined);
    const keys: string[] = [];
    for await (const key of store.list("control/b/")) keys.push(key);
    expect(keys).toEqual(["control/b/1", "control/b/2"]);
  });

  test("lists what comes after a key, over as many pages as it takes", async () => {
    const server = await sandboxS3();
    const store = s3ControlStore(s3Client(server), "data");
    const all = Array.from({ length: 1003 }, (_, index) => `control/b/${1000 + index}`);
    await Promise.all(all.map((key) => store.replace(key, bytes, undefined)));
    const keys: string[] = [];
    for await (const key of store.list("control/b/", { startAfter: all[0]! })) keys.push(key);
    expect(keys).toEqual(all.slice(1));
  });

  test("that can not be reached says so, and never that something is absent", async () => {
    const client = new S3Client({ endpoint: "http://127.0.0.1:1", region: "r", maxAttempts: 1, credentials: owner });
    onTestFinished(() => client.destroy());
    const store = s3ControlStore(client, "data");
    const unreachable = { code: "STORE_UNREACHABLE", retryable: true };
    await expect(store.read("x")).rejects.toMatchObject(unreachable);
    await expect(store.replace("x", bytes, undefined)).rejects.toMatchObject(unreachable);
    await expect(measureIn(client, "data")("x")).rejects.toMatchObject(unreachable);
  });
});

describe("what S3 measured", () => {
  test("is the size, the checksum and the version of an object, whatever it was uploaded as", async () => {
    const server = await sandboxS3();
    const client = s3Client(server);
    for (const [name, value] of Object.entries({
      AWS_ACCESS_KEY_ID: owner.accessKeyId,
      AWS_SECRET_ACCESS_KEY: owner.secretAccessKey,
    })) {
      const before = process.env[name];
      process.env[name] = value;
      onTestFinished(() => {
        if (before === undefined) delete process.env[name];
        else process.env[name] = before;
      });
    }
    const store = s3Store(parseS3Url(`s3://data?endpoint=${server.url}&region=${server.region}`));
    const large = Buffer.alloc(40 * 1024 * 1024, "mail");
    for (const [key, body] of [
      ["small", bytes],
      ["large", large],
    ] as const) {
      const { version } = await store.put(key, [body]);
      const checksum = crc64nvme();
      checksum.update(body);
      expect(await measureIn(client, "data")(key)).toEqual({
        bytes: body.length,
        crc64nvme: checksum.digest(),
        version,
      });
    }
    expect(await measureIn(client, "data")("nothing")).toBeUndefined();

    const divided = dividedStore(
      store,
      s3Store(parseS3Url(`s3://plain?endpoint=${server.url}&region=${server.region}`)),
    );
    await divided.put("keyring/host/x.age", [bytes]);
    await divided.put("hosts/x", [bytes]);
    expect(await store.head("keyring/host/x.age")).toBeUndefined();
    expect(await readAll(divided.get("keyring/host/x.age"))).toEqual(bytes);
    const listed: string[] = [];
    for await (const row of divided.list("keyring/")) if ("key" in row) listed.push(row.key);
    expect(listed).toEqual(["keyring/host/x.age"]);
    await divided.erase("keyring/host/x.age");
    expect(await divided.head("keyring/host/x.age")).toBeUndefined();
  });
});
