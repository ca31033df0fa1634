import { PutObjectCommand } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import example from "../../../../infra/config.example.ts";
import { mailarkApp } from "../../../../infra/mailark-app.ts";
import { virtualClock } from "../../../../sandbox/cloud/clock.ts";
import { startCloud } from "../../../../sandbox/cloud/cloud.ts";
import type { Service } from "../../../../sandbox/cloud/service.ts";
import { services as known } from "../../../../sandbox/cloud/services.ts";
import { readAssembly, type SynthesizedStack } from "../../../../sandbox/cloud/template/assembly.ts";
import { begin, watched } from "../../../fixtures/one-function.ts";
import { s3Client } from "../../../fixtures/sandbox-s3.ts";
import { ownDirectory, scratchDirectory } from "../../../fixtures/scratch.ts";
import { statements } from "../patches.ts";

const { name, account, region } = example;
const bucket = `${name}-control-${account}-${region}`;
const request = { requestId: "r-1", requestedBy: "a test", tier: "mail", components: ["mail"] };
const told = { at: new Date(begin).toISOString(), commands: [], skipped: [] };
const record = { ...request, format: "mailark-dispatch/1", ...told };
const kept = { Bucket: bucket, Key: "control/dispatches/r-1.json", Body: JSON.stringify(record) };
const root = { kind: "root", account } as const;
const assembly = ownDirectory();

beforeAll(() => mailarkApp(example, { outdir: assembly.path }).synth());
afterAll(assembly.remove);

type Stacks = readonly SynthesizedStack[];

/** The account as it is synthesized, or with a mistake in it, on which an hour has begun. */
async function controller(choose: (stacks: Stacks) => Stacks = (stacks) => stacks) {
  const { services, ...seen } = watched(known);
  const theRest = () => othersThan([...services.values()]);
  const cloud = await startCloud({
    ...{ assembly: assembly.path, choose, directory: scratchDirectory(), clock: virtualClock(begin) },
    ...{ note: seen.options.note, services: [...seen.options.services, theRest] },
  });
  onTestFinished(() => cloud.close());
  const call = (service: string, operation: string, input: Record<string, unknown>) =>
    services.get(service)!.answer!({ operation, input, caller: root });
  const dispatch = (event: object, InvocationType: string) =>
    call("lambda", "Invoke", { FunctionName: `${name}-dispatch`, InvocationType, Payload: JSON.stringify(event) });
  return {
    ...{ cloud, ...seen },
    /** What the function answers to a request that was made before. */
    async answer() {
      await s3Client(cloud.s3, cloud.root).send(new PutObjectCommand(kept));
      return JSON.parse((await dispatch(request, "RequestResponse")).Payload as string);
    },
    async stateOf(alarm: string) {
      const { MetricAlarms } = await call("monitoring", "DescribeAlarms", { AlarmNames: [alarm] });
      return (MetricAlarms as readonly { StateValue: string }[]).map(({ StateValue }) => StateValue);
    },
    /** Gives the function an event that it can not handle; resolves once it is given up. */
    async fail() {
      await dispatch({}, "Event");
      await cloud.advance(180_000);
    },
    async deadLetters() {
      const QueueUrl = `https://sqs.${region}.amazonaws.com/${account}/${name}-dead-letters`;
      const { Messages = [] } = await call("sqs", "ReceiveMessage", { QueueUrl });
      return (Messages as readonly { Body: string }[]).map(({ Body }) => JSON.parse(Body));
    },
  };
}

/** Makes what no service makes yet, and does nothing. */
function othersThan(services: readonly Service[]): Service {
  const made = ["AWS::S3::Bucket", "AWS::S3::BucketPolicy", ...services.flatMap(({ types }) => types)];
  const types = readAssembly(assembly.path).flatMap(({ template }) =>
    Object.values(template.Resources as Record<string, { readonly Type: string }>).map(({ Type }) => Type),
  );
  return { name: "others", types: types.filter((type) => !made.includes(type)), make() {} };
}

const without = (sid: string) => (stacks: Stacks) =>
  statements(stacks, "AWS::IAM::Policy", (each) => (each.Sid === sid ? undefined : each));

describe("a function as it is synthesized", () => {
  test("finds S3, signs as its role, and leaves its metrics in its log", async () => {
    const { cloud, answer, measured } = await controller();
    expect(await answer()).toEqual(record);
    const dimensions = { service: `${name}-dispatch` };
    expect(measured).toContainEqual({ namespace: "mailark", name: "HostsStarted", dimensions, value: 0 });
    const use = { action: "s3:GetObject", resource: `arn:aws:s3:::${bucket}/${kept.Key}` };
    expect(cloud.used).toContainEqual(expect.objectContaining(use));
  });

  test("leaves what it could not handle among the dead letters, and its alarm turns red", async () => {
    const { fail, deadLetters, stateOf } = await controller();
    await fail();
    expect(await stateOf(`${name}-dispatch-errors`)).toEqual(["ALARM"]);
    expect(await deadLetters()).toMatchObject([
      {
        requestContext: { condition: "RetriesExhausted", approximateInvokeCount: 3 },
        responsePayload: { errorMessage: expect.stringMatching(/^requestId: /) },
      },
    ]);
  });

  test.each([
    ["send to their queue", "Bury"],
    ["use their key", "SealTheDead"],
  ])("leaves none where its role may not %s: a metric counts it, and the cloud says so", async (_, sid) => {
    const { fail, deadLetters, measured, notes } = await controller(without(sid));
    await fail();
    expect(await deadLetters()).toEqual([]);
    const lost = { name: "DestinationDeliveryFailures", dimensions: { FunctionName: `${name}-dispatch` }, value: 1 };
    expect(measured).toContainEqual(expect.objectContaining(lost));
    expect(notes).toContainEqual(expect.stringMatching(/^lambda: what mailark-dispatch leaves for .* is lost: /));
  });

  test("whose role may not write its log leaves no metrics, and the cloud says so", async () => {
    const { answer, measured, notes } = await controller(without("Log"));
    expect(await answer()).toEqual(record);
    expect(measured.filter(({ namespace }) => namespace === "mailark")).toEqual([]);
    expect(notes).toContainEqual(expect.stringMatching(/^lambda: the log of mailark-dispatch is lost: /));
  });
});
