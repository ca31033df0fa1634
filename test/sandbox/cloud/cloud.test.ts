import { PutObjectCommand } from "@aws-sdk/client-s3";
import { GetParameterCommand, SSMClient } from "@aws-sdk/client-ssm";
import { AssumeRoleCommand, GetCallerIdentityCommand, STSClient } from "@aws-sdk/client-sts";
import { describe, expect, test } from "vitest";
import { virtualClock } from "../../../sandbox/cloud/clock.ts";
import type { Service } from "../../../sandbox/cloud/service.ts";
import { iamService } from "../../../sandbox/cloud/services/iam/iam-service.ts";
import { stsService } from "../../../sandbox/cloud/services/sts/sts-service.ts";
import { s3Client } from "../../fixtures/sandbox-s3.ts";
import { accountId, clientOf, roleOf, smallCloud } from "../../fixtures/small-cloud.ts";

const start = Date.parse("2027-03-01T00:00:00Z");
const arnOf = (role: string) => `arn:aws:iam::${accountId}:role/${role}`;

/** A service whose parts are handed in. */
const service = (parts: Partial<Service>) => [
  iamService,
  stsService,
  () => ({ name: "ssm", types: ["AWS::SSM::Document"], make() {}, ...parts }),
];

describe("time", () => {
  test("moves to what is due, in its order, and stands still until what that began has ended", async () => {
    const clock = virtualClock(start);
    const seen: [string, number][] = [];
    const cloud = await smallCloud({}, { clock, services: [] });
    const work = async (name: string) => {
      await new Promise((resolve) => setTimeout(resolve, 5));
      seen.push([name, clock.now() - start]);
    };
    clock.at(start + 2000, () => cloud.goOn(work("second")));
    clock.at(start + 1000, () => {
      cloud.goOn(work("first"));
      clock.at(start + 1500, () => cloud.goOn(work("between")));
    });
    clock.at(start + 2000, () => cloud.goOn(work("third")));
    const forget = clock.at(start + 2500, () => cloud.goOn(work("forgotten")));
    clock.at(start + 9000, () => cloud.goOn(work("later")));
    forget();
    await cloud.advance(3000);
    expect(seen).toEqual([
      ["first", 1000],
      ["between", 1500],
      ["second", 2000],
      ["third", 2000],
    ]);
    expect(clock.now()).toBe(start + 3000);
  });

  test("of a signature is the cloud's, or that of this machine", async () => {
    const cloud = await smallCloud({}, { clock: virtualClock(start) });
    const ask = (now: number) =>
      new STSClient({ ...clientOf(cloud), systemClockOffset: now - Date.now() }).send(new GetCallerIdentityCommand({}));
    await ask(start);
    await ask(Date.now());
    await expect(ask(start - 3_600_000)).rejects.toThrow("too large");
  });

  test("of the machine can not be moved", async () => {
    const cloud = await smallCloud({}, { services: [] });
    await expect(cloud.advance(1)).rejects.toThrow("can not be moved");
  });
});

describe("a caller", () => {
  const cloud = () =>
    smallCloud(
      {
        Clerk: roleOf("clerk", { Service: "ec2.amazonaws.com" }, [
          { Effect: "Allow", Action: "sts:AssumeRole", Resource: arnOf("boss") },
        ]),
        Boss: roleOf("boss", { AWS: accountId }, [{ Effect: "Allow", Action: "s3:*", Resource: "*" }]),
        Lonely: roleOf("lonely", { Service: "ec2.amazonaws.com" }),
        Wares: { Type: "AWS::S3::Bucket", Properties: { BucketName: "wares" } },
      },
      { services: service({}), clock: virtualClock(start) },
    );
  const assume = (RoleArn: string) => new AssumeRoleCommand({ RoleArn, RoleSessionName: "monday" });

  test("is told who it is", async () => {
    const running = await cloud();
    const who = (credential = running.root) =>
      new STSClient(clientOf(running, credential)).send(new GetCallerIdentityCommand({}));
    expect(await who()).toMatchObject({ Account: accountId, Arn: `arn:aws:iam::${accountId}:root` });
    const { roleId } = running.account.session("clerk", "i-1");
    expect(await who(running.credential("clerk", "i-1"))).toMatchObject({
      UserId: `${roleId}:i-1`,
      Arn: `arn:aws:sts::${accountId}:assumed-role/clerk/i-1`,
    });
  });

  test("becomes another role where that role's trust and its own policy let it, for as long as was asked for", async () => {
    const running = await cloud();
    const sts = new STSClient(clientOf(running, running.credential("clerk", "i-1")));
    const { Credentials, AssumedRoleUser } = await sts.send(assume(arnOf("boss")));
    expect(AssumedRoleUser?.Arn).toBe(`arn:aws:sts::${accountId}:assumed-role/boss/monday`);
    const { AccessKeyId, SecretAccessKey, SessionToken } = Credentials!;
    const boss = { accessKeyId: AccessKeyId!, secretAccessKey: SecretAccessKey!, sessionToken: SessionToken! };
    const s3 = s3Client(running.s3, { ...boss, name: "boss", allow: () => true });
    const put = () => s3.send(new PutObjectCommand({ Bucket: "wares", Key: "a", Body: "1" }));
    await put();
    expect(running.used.map(({ role, action, by }) => [role, action, by])).toEqual([
      [arnOf("clerk"), "sts:AssumeRole", ["shop.Boss 1", "shop.Clerk.own 1"]],
      [arnOf("boss"), "s3:PutObject", ["shop.Boss.own 1"]],
    ]);
    await running.advance(3_600_000);
    await expect(put()).rejects.toMatchObject({ name: "ExpiredToken" });
  });

  test.each(["lonely", "nobody"])("does not become %s, whom nothing lets it become", async (role) => {
    const running = await cloud();
    const sts = new STSClient(clientOf(running, running.credential("clerk", "i-1")));
    await expect(sts.send(assume(arnOf(role)))).rejects.toMatchObject({
      name: "AccessDenied",
      message: expect.stringContaining("not authorized to perform: sts:AssumeRole"),
    });
  });

  test("that signs with another's key, or with none that is known, is refused in the words of the protocol", async () => {
    const running = await cloud();
    const wrong = { ...running.root, secretAccessKey: "guessed" };
    const ask = (credential: typeof wrong) =>
      new STSClient(clientOf(running, credential)).send(new GetCallerIdentityCommand({}));
    await expect(ask(wrong)).rejects.toMatchObject({ name: "SignatureDoesNotMatch" });
    const unknown = { ...wrong, accessKeyId: "AKIANOBODY" };
    await expect(ask(unknown)).rejects.toMatchObject({ name: "InvalidClientTokenId" });
    const answering = await smallCloud({}, { services: service({ answer: async () => ({}) }) });
    const other = new SSMClient(clientOf(answering, unknown)).send(new GetParameterCommand({ Name: "a" }));
    await expect(other).rejects.toMatchObject({ name: "UnrecognizedClientException" });
    await expect(fetch(running.endpoints.api, { method: "POST" })).resolves.toMatchObject({ status: 403 });
  });
});
