import type { Json, SynthesizedStack } from "../../../../sandbox/cloud/template/assembly.ts";
import { account, region } from "../../../fixtures/synthesized-account.ts";

const trust = {
  Version: "2012-10-17",
  Statement: [{ Effect: "Allow", Action: "sts:AssumeRole", Principal: { Service: "ec2.amazonaws.com" } }],
};

/** A machine for drills, with the product's own policies. */
export const drillHost = {
  Type: "AWS::IAM::Role",
  Properties: {
    RoleName: "drill-host",
    AssumeRolePolicyDocument: trust,
    ManagedPolicyArns: ["drill", "host-commands"].map((name) => `arn:aws:iam::${account}:policy/mailark-${name}`),
  },
};

/** Somebody who may do everything, hosts whose roles lack something, and documents that are none of the product's. */
export function neighbours(more: Readonly<Record<string, Json>> = {}): SynthesizedStack {
  const document = (actions: readonly string[]) => ({
    Version: "2012-10-17",
    Statement: [{ Effect: "Allow", Action: actions, Resource: "*" }],
  });
  const role = (RoleName: string, ...actions: readonly string[]) => ({
    Type: "AWS::IAM::Role",
    Properties: {
      RoleName,
      AssumeRolePolicyDocument: trust,
      ...(actions.length > 0 && { Policies: [{ PolicyName: "own", PolicyDocument: document(actions) }] }),
    },
  });
  const script = (Name: string, content: Record<string, Json>) => ({
    Type: "AWS::SSM::Document",
    Properties: { Name, DocumentType: "Command", Content: { schemaVersion: "2.2", ...content } },
  });
  const step = (name: string, runCommand: readonly string[], inputs: Record<string, Json> = {}, more = {}) => ({
    action: "aws:runShellScript",
    name,
    inputs: { runCommand, ...inputs },
    ...more,
  });
  const Resources = {
    Operator: role("operator", "ssm:*", "kms:*"),
    Reader: role("reader", "ssm:GetParameter"),
    Mute: role("mute-host"),
    Present: role("present-host", "ssm:UpdateInstanceInformation"),
    Old: role("old-host", "ssm:UpdateInstanceInformation", "ec2messages:*"),
    Greeting: script("greeting", {
      parameters: {
        Name: { type: "String", allowedPattern: "^[a-z]+$", default: "world" },
        Mood: { type: "String", allowedValues: ["glad", "sad"], default: "glad" },
        Words: { type: "StringList", default: [] },
        Short: { type: "String", minChars: 2, maxChars: 3, default: "abc" },
      },
      mainSteps: [step("greet", ["echo hello {{ Name }}, {{Mood}}", "{{ Words }}"])],
    }),
    Several: script("several", {
      parameters: { Status: { type: "String", default: "0", interpolationType: "ENV_VAR" } },
      mainSteps: [
        step("first", ["pwd", 'exit "$SSM_Status"'], { workingDirectory: "/tmp" }),
        step("elsewhere", ["echo never"], {}, { precondition: { StringEquals: ["platformType", "Windows"] } }),
        step("second", ["echo second"], { onFailure: "exit" }),
      ],
    }),
    Telling: script("telling", {
      parameters: { Value: { type: "String", interpolationType: "ENV_VAR" } },
      mainSteps: [step("tell", ['printf %s "$SSM_Value" > "$PLACE/told"'])],
    }),
    Careful: script("careful", {
      mainSteps: [step("first", ["exit 3"], { onFailure: "exit" }), step("second", ["echo second"])],
    }),
    Shell: script("shell", {
      parameters: { Line: { type: "String", interpolationType: "ENV_VAR" } },
      mainSteps: [step("shell", ['eval "$SSM_Line"'], { timeoutSeconds: "60" })],
    }),
  };
  return {
    name: "neighbours",
    account,
    region,
    template: { Resources: { ...Resources, ...more } } as SynthesizedStack["template"],
  };
}
