import { PutObjectCommand } from "@aws-sdk/client-s3";
import { expect, test } from "vitest";
import { virtualClock } from "../../../sandbox/cloud/clock.ts";
import { type LogEvent, logsService } from "../../../sandbox/cloud/services/logs/logs-service.ts";
import type { Json } from "../../../sandbox/cloud/template/assembly.ts";
import { s3Client } from "../../fixtures/sandbox-s3.ts";
import { accountId, roleOf, smallCloud } from "../../fixtures/small-cloud.ts";

/** Nothing of mailark's: goods that arrive in a bucket, and a clock, wake a function that writes down what it was woken by. */
const shop: Readonly<Record<string, Json>> = {
  Wares: {
    Type: "AWS::S3::Bucket",
    Properties: {
      BucketName: "wares",
      NotificationConfiguration: { EventBridgeConfiguration: { EventBridgeEnabled: true } },
    },
  },
  ClerkRole: roleOf("clerk", { Service: "lambda.amazonaws.com" }, [
    { Effect: "Allow", Action: ["logs:CreateLogStream", "logs:PutLogEvents"], Resource: "*" },
  ]),
  ClerkLog: { Type: "AWS::Logs::LogGroup", Properties: { LogGroupName: "/aws/lambda/clerk", RetentionInDays: 7 } },
  Clerk: {
    Type: "AWS::Lambda::Function",
    Properties: {
      FunctionName: "clerk",
      Runtime: "nodejs24.x",
      Handler: "index.handler",
      Role: { "Fn::GetAtt": ["ClerkRole", "Arn"] },
      Code: {
        ZipFile: "exports.handler = async (event) => console.log('woken by', event.detail?.object.key ?? event.name)",
      },
    },
  },
  Arrived: {
    Type: "AWS::Events::Rule",
    Properties: {
      EventPattern: { source: ["aws.s3"], detail: { object: { key: [{ prefix: "in/" }] } } },
      State: "ENABLED",
      Targets: [{ Id: "clerk", Arn: { "Fn::GetAtt": ["Clerk", "Arn"] } }],
    },
  },
  ArrivedMay: {
    Type: "AWS::Lambda::Permission",
    Properties: {
      Action: "lambda:InvokeFunction",
      FunctionName: { "Fn::GetAtt": ["Clerk", "Arn"] },
      Principal: "events.amazonaws.com",
      SourceArn: { "Fn::GetAtt": ["Arrived", "Arn"] },
    },
  },
  BellRole: roleOf("bell", { Service: "scheduler.amazonaws.com" }, [
    { Effect: "Allow", Action: "lambda:InvokeFunction", Resource: { "Fn::GetAtt": ["Clerk", "Arn"] } },
  ]),
  Bell: {
    Type: "AWS::Scheduler::Schedule",
    Properties: {
      Name: "bell",
      ScheduleExpression: "cron(0 9 * * ? *)",
      FlexibleTimeWindow: { Mode: "OFF" },
      Target: {
        Arn: { "Fn::GetAtt": ["Clerk", "Arn"] },
        RoleArn: { "Fn::GetAtt": ["BellRole", "Arn"] },
        Input: '{"name":"the bell"}',
      },
    },
  },
};

test("another template than mailark's runs as well, by the types of its resources", async () => {
  const cloud = await smallCloud(shop, { clock: virtualClock(Date.parse("2027-03-01T08:00:00Z")) });
  const s3 = s3Client(cloud.s3, cloud.root);
  for (const Key of ["in/bread", "out/bread"]) {
    await s3.send(new PutObjectCommand({ Bucket: "wares", Key, Body: "1" }));
  }
  await cloud.advance(25 * 3_600_000);
  const { events } = await cloud.made(logsService).answer!({
    operation: "FilterLogEvents",
    input: { logGroupName: "/aws/lambda/clerk" },
    caller: { kind: "root", account: accountId },
  });
  const lines = (events as readonly LogEvent[]).map(({ message }) => /woken by .*/.exec(message)?.[0]);
  expect(lines.filter((line) => line !== undefined)).toEqual([
    ...["woken by in/bread", "woken by the bell", "woken by the bell"],
  ]);
});
