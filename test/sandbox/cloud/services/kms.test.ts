import { describe, expect, test } from "vitest";
import { virtualClock } from "../../../../sandbox/cloud/clock.ts";
import type { Caller } from "../../../../sandbox/cloud/iam/caller.ts";
import type { Cloud, CloudEvent, Service } from "../../../../sandbox/cloud/service.ts";
import { iamService } from "../../../../sandbox/cloud/services/iam/iam-service.ts";
import { refusedUse } from "../../../../sandbox/cloud/services/kms/keys.ts";
import { kmsService } from "../../../../sandbox/cloud/services/kms/kms-service.ts";
import { stsService } from "../../../../sandbox/cloud/services/sts/sts-service.ts";
import type { Json } from "../../../../sandbox/cloud/template/assembly.ts";
import { accountId, region, roleOf, smallCloud } from "../../../fixtures/small-cloud.ts";

const start = Date.parse("2026-11-22T00:00:00Z");
const day = 24 * 3_600_000;
const owner: Caller = { kind: "root", account: accountId };
const everything: Json = { Effect: "Allow", Principal: { AWS: accountId }, Action: "kms:*", Resource: "*" };
const neverEnd: Json = {
  Effect: "Deny",
  Principal: "*",
  Action: ["kms:ScheduleKeyDeletion", "kms:DisableKey"],
  Resource: "*",
};
const key = (more: object = {}, ...Statement: Json[]): Json => ({
  Type: "AWS::KMS::Key",
  Properties: { KeyPolicy: { Version: "2012-10-17", Statement: [everything, ...Statement] }, ...more },
});

async function cloudWith(Key: Json) {
  const events: CloudEvent[] = [];
  let kms!: Service;
  let inner!: Cloud;
  const keys = (cloud: Cloud) => {
    inner = cloud;
    kms = kmsService(cloud);
    return kms;
  };
  const bus = (): Service => ({
    ...{ name: "events", types: [], make() {} },
    publish: async (event) => void events.push(event),
  });
  const cloud = await smallCloud(
    {
      Key,
      Alias: { Type: "AWS::KMS::Alias", Properties: { AliasName: "alias/wares", TargetKeyId: { Ref: "Key" } } },
      Clerk: roleOf("clerk", { Service: "ec2.amazonaws.com" }),
    },
    { clock: virtualClock(start), services: [iamService, stsService, keys, bus] },
  );
  const call = async (operation: string, input: object = {}, caller = owner) => {
    const answer = await kms.answer!({ operation, input: { KeyId: "alias/wares", ...input }, caller });
    await cloud.settle();
    return answer;
  };
  const state = async () => ((await call("DescribeKey")).KeyMetadata as { KeyState: string }).KeyState;
  const refused = (caller = owner) =>
    refusedUse(inner, { key: "alias/wares", caller, actions: ["kms:Decrypt"], via: "sns", sealing: { a: "b" } });
  return { cloud, call, state, events, refused };
}

describe("a key", () => {
  test("is described, with whether it turns by itself", async () => {
    const { call } = await cloudWith(key({ Description: "seals wares", EnableKeyRotation: true }));
    const { KeyMetadata } = await call("DescribeKey");
    expect(KeyMetadata).toMatchObject({ Description: "seals wares", KeyState: "Enabled", CreationDate: start / 1000 });
    expect(await call("GetKeyRotationStatus")).toMatchObject({ KeyRotationEnabled: true, RotationPeriodInDays: 365 });
    const { KeyId } = KeyMetadata as { KeyId: string };
    for (const name of [KeyId, `arn:aws:kms:${region}:${accountId}:key/${KeyId}`]) {
      expect((await call("DescribeKey", { KeyId: name })).KeyMetadata).toEqual(KeyMetadata);
    }
    await expect(call("DescribeKey", { KeyId: "alias/gone" })).rejects.toMatchObject({ code: "NotFoundException" });
  });

  test("that is switched off, or to be deleted, seals nothing, until it is taken back", async () => {
    const { call, state, refused } = await cloudWith(key());
    expect(refused()).toBeUndefined();
    await call("DisableKey");
    expect([await state(), refused()]).toEqual(["Disabled", "Disabled"]);
    await call("EnableKey");
    expect(await call("ScheduleKeyDeletion", { PendingWindowInDays: 7 })).toMatchObject({
      KeyState: "PendingDeletion",
      DeletionDate: (start + 7 * day) / 1000,
    });
    expect([await state(), refused()]).toEqual(["PendingDeletion", "InvalidState"]);
    await expect(call("EnableKey")).rejects.toMatchObject({ code: "KMSInvalidStateException" });
    await call("CancelKeyDeletion");
    expect(await state()).toBe("Disabled");
  });

  test("is gone when the days are over, and stays where somebody took it back", async () => {
    const gone = await cloudWith(key());
    await gone.call("ScheduleKeyDeletion", { PendingWindowInDays: 7 });
    await gone.cloud.advance(7 * day - 1);
    expect(await gone.state()).toBe("PendingDeletion");
    await gone.cloud.advance(1);
    await expect(gone.state()).rejects.toMatchObject({ code: "NotFoundException" });
    expect(gone.refused()).toBe("NotFound");
    const kept = await cloudWith(key());
    await kept.call("ScheduleKeyDeletion", { PendingWindowInDays: 7 });
    await kept.call("CancelKeyDeletion");
    await kept.cloud.advance(30 * day);
    expect(await kept.state()).toBe("Disabled");
  });

  test("whose policy denies it is not ended, and who tried is told to the bus", async () => {
    const { call, state, events } = await cloudWith(key({}, neverEnd));
    for (const operation of ["ScheduleKeyDeletion", "DisableKey"]) {
      await expect(call(operation)).rejects.toMatchObject({ code: "AccessDeniedException" });
    }
    expect(await state()).toBe("Enabled");
    expect(events).toEqual(
      ["ScheduleKeyDeletion", "DisableKey"].map((eventName) => ({
        source: "aws.kms",
        "detail-type": "AWS API Call via CloudTrail",
        resources: [],
        detail: expect.objectContaining({
          ...{ eventSource: "kms.amazonaws.com", eventName, errorCode: "AccessDenied" },
          userIdentity: expect.objectContaining({ type: "Root", arn: `arn:aws:iam::${accountId}:root` }),
        }),
      })),
    );
  });

  test("that was looked at is told to nobody", async () => {
    const { call, events } = await cloudWith(key());
    await call("DescribeKey");
    expect(events).toEqual([]);
  });

  test("is used only by whom its policy and his own let", async () => {
    const { cloud, refused, call } = await cloudWith(key());
    const clerk = cloud.account.session("clerk", "s");
    expect(refused(clerk)).toBe("AccessDenied");
    expect(refused({ kind: "service", service: "sns.amazonaws.com" })).toBe("AccessDenied");
    await expect(call("DescribeKey", {}, clerk)).rejects.toMatchObject({ code: "AccessDeniedException" });
  });
});

test("a change of a policy that would be allowed is a defect: policies do not change here", async () => {
  const { call } = await cloudWith(key());
  await expect(call("PutKeyPolicy", { Policy: "{}" })).rejects.toThrow("policies do not change here");
  await expect(call("ReplicateKey")).rejects.toThrow("unknown operation ReplicateKey");
});

test.each<[string, object, RegExp]>([
  ["a property", { Origin: "EXTERNAL" }, /^shop\.Key: Origin is not understood/],
  ["a kind", { KeySpec: "RSA_2048", KeyUsage: "SIGN_VERIFY" }, /^shop\.Key: unknown kind of key/],
])("%s of a key that is not known stops the cloud", async (_, properties, message) => {
  await expect(cloudWith(key(properties))).rejects.toThrow(message);
});
