import { createHash } from "node:crypto";
import { PutObjectCommand } from "@aws-sdk/client-s3";
import { describe, expect, onTestFinished, test } from "vitest";
import example from "../../../../infra/config.example.ts";
import { mailarkApp } from "../../../../infra/mailark-app.ts";
import { virtualClock } from "../../../../sandbox/cloud/clock.ts";
import { startCloud } from "../../../../sandbox/cloud/cloud.ts";
import type { Service } from "../../../../sandbox/cloud/service.ts";
import { readAssembly } from "../../../../sandbox/cloud/template/assembly.ts";
import { begin, shop, type Wanted, watched } from "../../../fixtures/one-function.ts";
import { raw } from "../../../fixtures/raw-s3.ts";
import { s3Client } from "../../../fixtures/sandbox-s3.ts";
import { scratchDirectory } from "../../../fixtures/scratch.ts";
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

describe("the functions as they are synthesized", () => {
  test("find S3, sign as their roles, and leave metrics and dead letters where the stack says", async () => {
    const assembly = scratchDirectory();
    mailarkApp(example, { outdir: assembly }).synth();
    const { options, measured, delivered, services } = watched();
    const clock = virtualClock(begin);
    const cloud = await startCloud({
      ...options,
      assembly,
      clock,
      directory: scratchDirectory(),
      services: [...options.services, () => theRest(assembly, services)],
    });
    onTestFinished(() => cloud.close());
    const request = { requestId: "r-1", requestedBy: "a test", tier: "mail", components: ["mail"] };
    const told = { at: new Date(begin).toISOString(), commands: [], skipped: [] };
    const record = { ...request, format: "mailark-dispatch/1", ...told };
    const Bucket = `${example.name}-control-${example.account}-${example.region}`;
    const kept = { Bucket, Key: "control/dispatches/r-1.json", Body: JSON.stringify(record) };
    await s3Client(cloud.s3, cloud.root).send(new PutObjectCommand(kept));

    const name = `${example.name}-dispatch`;
    const invoke = (event: object, headers = {}) => {
      const body = JSON.stringify(event);
      const payloadHash = createHash("sha256").update(body).digest("hex");
      const path = `/2015-03-31/functions/${name}/invocations`;
      const signed = { region: example.region, service: "lambda", who: cloud.root, payloadHash };
      return raw(cloud.endpoints.api, { method: "POST", path, body, headers, ...signed });
    };
    expect(JSON.parse((await invoke(request)).text)).toEqual(record);
    const datum = { namespace: "mailark", name: "HostsStarted", dimensions: { service: name }, value: 0 };
    expect(measured).toContainEqual(datum);
    expect(cloud.used).toContainEqual(
      expect.objectContaining({ action: "s3:GetObject", resource: `arn:aws:s3:::${Bucket}/${kept.Key}` }),
    );

    await invoke({}, { "x-amz-invocation-type": "Event" });
    await cloud.advance(180_000);
    expect(JSON.parse(delivered[0]!.payload).responsePayload.errorMessage).toMatch(/^requestId: /);
  });
});

/** Makes what no other service makes, and does nothing. */
function theRest(assembly: string, services: ReadonlyMap<string, Service>): Service {
  const made = ["AWS::S3::Bucket", "AWS::S3::BucketPolicy", ...[...services.values()].flatMap(({ types }) => types)];
  const types = readAssembly(assembly).flatMap(({ template }) =>
    Object.values(template.Resources as Record<string, { readonly Type: string }>).map(({ Type }) => Type),
  );
  return { name: "the rest", types: types.filter((type) => !made.includes(type)), make() {} };
}
