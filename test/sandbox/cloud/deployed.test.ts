import { describe, expect, test } from "vitest";
import { bucketsOf } from "../../../sandbox/cloud/deployed/buckets.ts";
import type { Json } from "../../../sandbox/cloud/template/assembly.ts";
import { resolveStacks } from "../../../sandbox/cloud/template/stack.ts";

const made = (Properties: Json, region = "us-east-1") => {
  const template = { Resources: { Wares: { Type: "AWS::S3::Bucket", Properties } } };
  return bucketsOf(resolveStacks([{ name: "shop", account: "444455556666", region, template }]), "us-east-1");
};
const encryption = (rule: Json) => ({
  ServerSideEncryptionConfiguration: [{ ServerSideEncryptionByDefault: rule }],
});
const retention = (DefaultRetention: Json) => ({ ObjectLockEnabled: "Enabled", Rule: { DefaultRetention } });

describe("a bucket of a template", () => {
  test("keeps versions, locks and seals as the template says", () => {
    const properties = {
      BucketName: "wares",
      VersioningConfiguration: { Status: "Enabled" },
      ObjectLockEnabled: true,
      ObjectLockConfiguration: retention({ Mode: "GOVERNANCE", Days: 30 }),
      BucketEncryption: encryption({ SSEAlgorithm: "aws:kms", KMSMasterKeyID: "arn:key" }),
    };
    const keptByDefault = { mode: "GOVERNANCE", days: 30 };
    const wanted = { name: "wares", versioned: true, objectLock: true, keptByDefault, kmsKeyId: "arn:key" };
    expect(made(properties)).toEqual([wanted]);
    expect(made({ BucketName: "plain" })).toEqual([{ name: "plain", versioned: false, objectLock: false }]);
    expect(made({ BucketName: "far" }, "eu-west-1")).toEqual([]);
  });

  test.each<[string, Json, RegExp]>([
    ["a property", { AccelerateConfiguration: {} }, /^shop\.Wares: AccelerateConfiguration is not understood/],
    ["an ownership", { OwnershipControls: { Rules: [{ ObjectOwnership: "ObjectWriter" }] } }, /unknown ownership/],
    ["a versioning", { VersioningConfiguration: { Status: "Suspended" } }, /unknown versioning/],
    ["a sealing", { BucketEncryption: encryption({ SSEAlgorithm: "aws:kms:dsse" }) }, /unknown encryption/],
    ["a key that is missing", { BucketEncryption: encryption({ SSEAlgorithm: "aws:kms" }) }, /unknown encryption/],
    ["a retention", { ObjectLockConfiguration: retention({ Mode: "GOVERNANCE", Years: 1 }) }, /unknown retention/],
  ])("is refused for %s that is not known", (_, properties, message) => {
    expect(() => made(properties)).toThrow(message);
  });
});
