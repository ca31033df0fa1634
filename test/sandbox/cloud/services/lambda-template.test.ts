import { PutObjectCommand } from "@aws-sdk/client-s3";
import { describe, expect, test } from "vitest";
import example from "../../../../infra/config.example.ts";
import { mailarkApp } from "../../../../infra/mailark-app.ts";
import { readAssembly } from "../../../../sandbox/cloud/template/assembly.ts";
import { lambdaCloud } from "../../../fixtures/lambda-cloud.ts";
import { begin, shop, statement, type Wanted } from "../../../fixtures/one-function.ts";
import { s3Client } from "../../../fixtures/sandbox-s3.ts";
import { scratchDirectory } from "../../../fixtures/scratch.ts";

describe("a template", () => {
  const code = "exports.handler = async () => 1";
  test.each<[string, Wanted, RegExp]>([
    ["a property", { code, properties: { VpcConfig: {} } }, /^shop\.Shop: VpcConfig is not understood$/],
    ["a runtime", { code, properties: { Runtime: "nodejs18.x" } }, /^shop\.Shop: the runtime nodejs18\.x is not/],
    [
      "a format of logs",
      { code, properties: { LoggingConfig: { LogFormat: "JSON" } } },
      /^shop\.Shop: LogFormat is not/,
    ],
    [
      "a variable of Lambda's own",
      { code, properties: { Environment: { Variables: { AWS_REGION: "x" } } } },
      /AWS_REGION is Lambda's own/,
    ],
    ["a destination", { code, properties: { DeadLetterConfig: { TargetArn: "arn:aws:s3:::b" } } }, /no destination/],
    [
      "code that is nowhere",
      { code, properties: { Code: { S3Bucket: "b", S3Key: "k" } } },
      /no directory of the assembly becomes s3:\/\/b\/k/,
    ],
    [
      "a role that Lambda may not take",
      {
        code,
        resources: {
          Role: {
            Type: "AWS::IAM::Role",
            Properties: {
              RoleName: "shop",
              AssumeRolePolicyDocument: statement({
                Principal: { Service: "ec2.amazonaws.com" },
                Action: "sts:AssumeRole",
              }),
            },
          },
        },
      },
      /Lambda may not take the role/,
    ],
    [
      "a retention",
      {
        code,
        resources: { Log: { Type: "AWS::Logs::LogGroup", Properties: { LogGroupName: "x", RetentionInDays: 2 } } },
      },
      /^shop\.Log: RetentionInDays is 2/,
    ],
  ])("is refused for %s", async (_, wanted, message) => {
    await expect(shop(wanted)).rejects.toThrow(message);
  });
});

describe("the functions as they are synthesized", () => {
  test("find S3, sign as their roles, and leave metrics and dead letters where the stack says", async () => {
    const assembly = scratchDirectory();
    mailarkApp(example, { outdir: assembly }).synth();
    const cloud = await lambdaCloud(readAssembly(assembly), begin, assembly);
    const client = s3Client(cloud.s3);
    client.config.systemClockOffset = begin - Date.now();
    const request = { requestId: "r-1", requestedBy: "a test", tier: "mail", components: ["mail"] };
    const record = {
      ...request,
      format: "mailark-dispatch/1",
      at: new Date(begin).toISOString(),
      commands: [],
      skipped: [],
    };
    const Bucket = `${example.name}-control-${example.account}-${example.region}`;
    await client.send(
      new PutObjectCommand({ Bucket, Key: "control/dispatches/r-1.json", Body: JSON.stringify(record) }),
    );
    const invoke = (event: object, more = {}) =>
      cloud.call(
        "lambda",
        "Invoke",
        { FunctionName: `${example.name}-dispatch`, Payload: JSON.stringify(event), ...more },
        { kind: "root", account: example.account },
      );
    const { Payload, FunctionError } = await invoke(request);
    expect([FunctionError, JSON.parse(Payload as string)]).toEqual([undefined, record]);
    expect(cloud.measured).toContainEqual({
      namespace: "mailark",
      name: "HostsStarted",
      dimensions: { service: `${example.name}-dispatch` },
      value: 0,
    });
    await invoke({}, { InvocationType: "Event" });
    await cloud.advance(180_000);
    expect(JSON.parse(cloud.delivered[0]!.payload).responsePayload.errorMessage).toMatch(/^requestId: /);
  });
});
