import { describe, expect, test } from "vitest";
import { shop, type Wanted } from "../../../fixtures/one-function.ts";
import { roleOf } from "../../../fixtures/small-cloud.ts";

describe("a template", () => {
  test.each<[string, Wanted, RegExp]>([
    ["a property", { properties: { VpcConfig: {} } }, /^shop\.Shop: VpcConfig is not understood$/],
    ["a runtime", { properties: { Runtime: "nodejs18.x" } }, /^shop\.Shop: the runtime nodejs18\.x is not/],
    ["a format of logs", { properties: { LoggingConfig: { LogFormat: "JSON" } } }, /^shop\.Shop: LogFormat is not/],
    [
      "a variable of Lambda's own",
      { properties: { Environment: { Variables: { AWS_REGION: "x" } } } },
      /AWS_REGION is Lambda's own/,
    ],
    ["a destination", { properties: { DeadLetterConfig: { TargetArn: "arn:aws:s3:::b" } } }, /no destination/],
    [
      "code that is nowhere",
      { properties: { Code: { S3Bucket: "b", S3Key: "k" } } },
      /no directory of the assembly becomes s3:\/\/b\/k/,
    ],
    [
      "a role that Lambda may not take",
      {
        resources: {
          Role: roleOf("shop", { Service: "ec2.amazonaws.com" }),
        },
      },
      /Lambda may not take the role/,
    ],
    [
      "a retention",
      {
        resources: { Log: { Type: "AWS::Logs::LogGroup", Properties: { LogGroupName: "x", RetentionInDays: 2 } } },
      },
      /^shop\.Log: RetentionInDays is 2/,
    ],
  ])("is refused for %s", async (_, wanted, message) => {
    await expect(shop(wanted)).rejects.toThrow(message);
  });
});
