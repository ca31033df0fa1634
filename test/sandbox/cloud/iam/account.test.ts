import { describe, expect, test } from "vitest";
import { accountOf } from "../../../../sandbox/cloud/iam/account.ts";
import type { Caller } from "../../../../sandbox/cloud/iam/caller.ts";
import type { Request } from "../../../../sandbox/cloud/iam/decide.ts";
import type { Json } from "../../../../sandbox/cloud/template/assembly.ts";
import { resolveStacks } from "../../../../sandbox/cloud/template/stack.ts";

const account = "123456789012";

describe("an account", () => {
  const document = (...Statement: Json[]) => ({ Version: "2012-10-17", Statement });
  const trust = document({ Effect: "Allow", Principal: { Service: "lambda.amazonaws.com" }, Action: "sts:AssumeRole" });
  const Resources: Record<string, Json> = {
    Work: { Type: "AWS::SQS::Queue", Properties: { QueueName: "work" } },
    News: { Type: "AWS::SNS::Topic", Properties: { TopicName: "news" } },
    Send: { Type: "AWS::Lambda::Function", Properties: { FunctionName: "send" } },
    Role: {
      Type: "AWS::IAM::Role",
      Properties: {
        ...{ RoleName: "sender", AssumeRolePolicyDocument: trust },
        ManagedPolicyArns: ["arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole", { Ref: "Managed" }],
        Policies: [
          {
            PolicyName: "inline",
            PolicyDocument: document({ Effect: "Allow", Action: "sns:Publish", Resource: { Ref: "News" } }),
          },
        ],
      },
    },
    Managed: {
      Type: "AWS::IAM::ManagedPolicy",
      Properties: { PolicyDocument: document({ Effect: "Allow", Action: "ssm:SendCommand", Resource: "*" }) },
    },
    Attached: {
      Type: "AWS::IAM::Policy",
      Properties: {
        PolicyName: "attached",
        Roles: [{ Ref: "Role" }],
        PolicyDocument: document({
          Effect: "Allow",
          Action: "sqs:SendMessage",
          Resource: { "Fn::GetAtt": ["Work", "Arn"] },
        }),
      },
    },
    QueuePolicy: {
      Type: "AWS::SQS::QueuePolicy",
      Properties: {
        Queues: [{ Ref: "Work" }],
        PolicyDocument: document({
          Effect: "Allow",
          Principal: { Service: "sns.amazonaws.com" },
          Action: "sqs:SendMessage",
          Resource: "*",
        }),
      },
    },
    Invoke: {
      Type: "AWS::Lambda::Permission",
      Properties: {
        Action: "lambda:InvokeFunction",
        FunctionName: { Ref: "Send" },
        Principal: "sns.amazonaws.com",
        SourceArn: { Ref: "News" },
      },
    },
  };
  const accountWith = (changes: Record<string, Json> = {}) =>
    accountOf(
      resolveStacks([
        { name: "s", account, region: "us-east-1", template: { Resources: { ...Resources, ...changes } } },
      ]),
    );
  const judge = (caller: Caller, action: string, resource: string, context: Request["context"] = {}) =>
    accountWith().judge({ caller, action, resource, context });
  const arn = (what: string) => `arn:aws:${what.replace("_", `us-east-1:${account}`)}`;

  test("has the policies of a role that are managed, inline, attached, and kept by AWS", () => {
    const sender = accountWith().session("sender", "send");
    const asked = [
      ["sns:Publish", arn("sns:_:news"), "s.Role.inline 1"],
      ["ssm:SendCommand", arn("ssm:_:document/d"), "s.Managed 1"],
      ["sqs:SendMessage", arn("sqs:_:work"), "s.Attached 1"],
      [
        "logs:PutLogEvents",
        arn("logs:_:log-group:g"),
        "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole 1",
      ],
    ] as const;
    for (const [action, resource, by] of asked) expect(judge(sender, action, resource).by).toEqual([by]);
    expect(judge(sender, "sqs:ReceiveMessage", arn("sqs:_:work")).allowed).toBe(false);
  });

  test("has the policies of queues and functions, and the trust of roles", () => {
    const sns: Caller = { kind: "service", service: "sns.amazonaws.com" };
    expect(judge(sns, "sqs:SendMessage", arn("sqs:_:work")).allowed).toBe(true);
    const from = (source: string) =>
      judge(sns, "lambda:InvokeFunction", arn("lambda:_:function:send"), { "aws:SourceArn": source }).allowed;
    expect([from(arn("sns:_:news")), from(arn("sns:_:other"))]).toEqual([true, false]);
    const role = `arn:aws:iam::${account}:role/sender`;
    expect(judge({ kind: "service", service: "lambda.amazonaws.com" }, "sts:AssumeRole", role).allowed).toBe(true);
    expect(judge(sns, "sts:AssumeRole", role).allowed).toBe(false);
  });

  test.each<[string, Record<string, Json>, RegExp]>([
    [
      "a boundary",
      { Role: { Type: "AWS::IAM::Role", Properties: { AssumeRolePolicyDocument: trust, PermissionsBoundary: "arn" } } },
      /s\.Role: PermissionsBoundary is not understood/,
    ],
    [
      "a policy of users",
      {
        Attached: {
          Type: "AWS::IAM::Policy",
          Properties: { PolicyName: "p", Users: ["u"], Roles: [{ Ref: "Role" }], PolicyDocument: trust },
        },
      },
      /s\.Attached: Users is not understood/,
    ],
    [
      "an unknown policy of AWS",
      {
        Role: {
          Type: "AWS::IAM::Role",
          Properties: {
            AssumeRolePolicyDocument: trust,
            ManagedPolicyArns: ["arn:aws:iam::aws:policy/AdministratorAccess"],
          },
        },
      },
      /unknown policy .*AdministratorAccess/,
    ],
    ["two policies of one queue", { Second: Resources.QueuePolicy! }, /s\.Second: .*work has a policy already/],
  ])("is refused for %s", (_, changes, message) => {
    expect(() => accountWith(changes)).toThrow(message);
  });
});
