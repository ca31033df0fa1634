import {
  DeleteObjectCommand,
  GetObjectCommand,
  GetObjectLegalHoldCommand,
  GetObjectLockConfigurationCommand,
  GetObjectRetentionCommand,
  HeadObjectCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  PutObjectLegalHoldCommand,
  PutObjectLockConfigurationCommand,
  PutObjectRetentionCommand,
} from "@aws-sdk/client-s3";
import { describe, expect, test } from "vitest";
import { raw } from "../../fixtures/raw-s3.ts";
import { owner, s3Client, sandboxS3 } from "../../fixtures/sandbox-s3.ts";
import { setClock } from "../../fixtures/set-clock.ts";

const at = { Bucket: "locked", Key: "key" };
const day = 24 * 60 * 60_000;

/** A bucket with Object Lock at a time that can be set, and the client of one who may not bypass it. */
async function lockedBucket() {
  const clock = setClock(Date.now());
  const bound = { ...owner, accessKeyId: "AKIABOUND", name: "bound" };
  const credentials = [
    owner,
    { ...bound, allow: ({ action }) => action !== "s3:BypassGovernanceRetention" } as typeof owner,
  ];
  const server = await sandboxS3({ clock, credentials });
  const s3 = s3Client(server);
  const later = (days: number) => new Date(clock.now() + days * day);
  const put = async (more: object = {}) =>
    (await s3.send(new PutObjectCommand({ ...at, Body: "bytes", ...more }))).VersionId;
  const retain = (Mode: "GOVERNANCE" | "COMPLIANCE", RetainUntilDate: Date, more: object = {}) =>
    s3.send(new PutObjectRetentionCommand({ ...at, Retention: { Mode, RetainUntilDate }, ...more }));
  const remove = (VersionId: string | undefined, more: object = {}) =>
    s3.send(new DeleteObjectCommand({ ...at, VersionId, ...more }));
  return { clock, server, s3, boundClient: s3Client(server, bound), later, put, retain, remove };
}

const denied = { name: "AccessDenied" };

describe("a locked version", () => {
  test("in compliance mode stays until its time, whoever asks", async () => {
    const { clock, later, put, remove } = await lockedBucket();
    const until = later(1 / 144);
    const version = await put({ ObjectLockMode: "COMPLIANCE", ObjectLockRetainUntilDate: until });
    await expect(remove(version, { BypassGovernanceRetention: true })).rejects.toMatchObject(denied);
    clock.set(until.getTime());
    await remove(version);
  });

  test("in governance mode goes only by one who bypasses it, and may", async () => {
    const { boundClient, later, put, remove } = await lockedBucket();
    const VersionId = await put({ ObjectLockMode: "GOVERNANCE", ObjectLockRetainUntilDate: later(10) });
    await expect(remove(VersionId)).rejects.toMatchObject(denied);
    const bypass = new DeleteObjectCommand({ ...at, VersionId, BypassGovernanceRetention: true });
    await expect(boundClient.send(bypass)).rejects.toMatchObject(denied);
    await remove(VersionId, { BypassGovernanceRetention: true });
  });

  test("on hold stays until the hold is lifted", async () => {
    const { s3, put, remove } = await lockedBucket();
    const version = await put();
    const hold = (Status: "ON" | "OFF") => s3.send(new PutObjectLegalHoldCommand({ ...at, LegalHold: { Status } }));
    await hold("ON");
    expect((await s3.send(new GetObjectLegalHoldCommand(at))).LegalHold).toEqual({ Status: "ON" });
    await expect(remove(version, { BypassGovernanceRetention: true })).rejects.toMatchObject(denied);
    await hold("OFF");
    await remove(version);
  });

  test("is hidden by a delete marker all the same", async () => {
    const { s3, later, put, remove } = await lockedBucket();
    const VersionId = await put({ ObjectLockMode: "COMPLIANCE", ObjectLockRetainUntilDate: later(10) });
    expect((await remove(undefined)).DeleteMarker).toBe(true);
    await expect(s3.send(new HeadObjectCommand(at))).rejects.toMatchObject({ name: "NotFound" });
    expect(await (await s3.send(new GetObjectCommand({ ...at, VersionId }))).Body!.transformToString()).toBe("bytes");
  });

  test("can be kept longer, and not shorter", async () => {
    const { s3, later, put, retain } = await lockedBucket();
    await put({ ObjectLockMode: "COMPLIANCE", ObjectLockRetainUntilDate: later(10) });
    await expect(retain("COMPLIANCE", later(9))).rejects.toMatchObject(denied);
    await expect(retain("GOVERNANCE", later(20))).rejects.toMatchObject(denied);
    await expect(retain("COMPLIANCE", later(9), { BypassGovernanceRetention: true })).rejects.toMatchObject(denied);
    await retain("COMPLIANCE", later(20));
    const { Retention } = await s3.send(new GetObjectRetentionCommand(at));
    expect(Retention).toEqual({ Mode: "COMPLIANCE", RetainUntilDate: later(20) });
  });

  test("in governance mode is kept shorter only by one who bypasses it", async () => {
    const { later, put, retain } = await lockedBucket();
    await put({ ObjectLockMode: "GOVERNANCE", ObjectLockRetainUntilDate: later(10) });
    await expect(retain("GOVERNANCE", later(9))).rejects.toMatchObject(denied);
    await retain("GOVERNANCE", later(9), { BypassGovernanceRetention: true });
  });

  test("has the bucket's retention where its put says nothing", async () => {
    const { s3, later, put, remove } = await lockedBucket();
    const rule = { ObjectLockEnabled: "Enabled", Rule: { DefaultRetention: { Mode: "GOVERNANCE", Days: 3 } } } as const;
    await s3.send(new PutObjectLockConfigurationCommand({ Bucket: "locked", ObjectLockConfiguration: rule }));
    const { ObjectLockConfiguration } = await s3.send(new GetObjectLockConfigurationCommand({ Bucket: "locked" }));
    expect(ObjectLockConfiguration).toEqual(rule);
    const version = await put();
    const { ObjectLockMode, ObjectLockRetainUntilDate } = await s3.send(new HeadObjectCommand(at));
    expect([ObjectLockMode, ObjectLockRetainUntilDate]).toEqual(["GOVERNANCE", later(3)]);
    await expect(remove(version)).rejects.toMatchObject(denied);
  });
});

describe("Object Lock", () => {
  test("wants a checksum of what can not be replaced", async () => {
    const { server, later } = await lockedBucket();
    const headers = {
      "x-amz-object-lock-mode": "COMPLIANCE",
      "x-amz-object-lock-retain-until-date": later(1).toISOString(),
    };
    expect((await raw(server.url, { method: "PUT", path: "/locked/key", headers })).code).toBe("InvalidRequest");
  });

  test("is there from the start, or never", async () => {
    const { s3, later } = await lockedBucket();
    const Retention = { Mode: "COMPLIANCE", RetainUntilDate: later(1) } as const;
    const plain = { ...at, Bucket: "data" };
    await s3.send(new PutObjectCommand({ ...plain, Body: "bytes" }));
    const retain = s3.send(new PutObjectRetentionCommand({ ...plain, Retention }));
    await expect(retain).rejects.toMatchObject({ name: "InvalidRequest" });
    const configuration = s3.send(new GetObjectLockConfigurationCommand({ Bucket: "data" }));
    await expect(configuration).rejects.toMatchObject({ name: "ObjectLockConfigurationNotFoundError" });
    const VersioningConfiguration = { Status: "Suspended" } as const;
    const suspend = s3.send(new PutBucketVersioningCommand({ Bucket: "locked", VersioningConfiguration }));
    await expect(suspend).rejects.toMatchObject({ name: "InvalidBucketState" });
  });

  test("takes no date of the past, and no mode without a date", async () => {
    const { later, put, retain } = await lockedBucket();
    await put();
    await expect(retain("GOVERNANCE", later(-1))).rejects.toMatchObject({ name: "InvalidArgument" });
    await expect(put({ ObjectLockMode: "GOVERNANCE" })).rejects.toMatchObject({ name: "InvalidArgument" });
  });
});
