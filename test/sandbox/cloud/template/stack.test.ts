import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type Json, readAssembly, type SynthesizedStack } from "../../../../sandbox/cloud/template/assembly.ts";
import { type Given, resolveStacks } from "../../../../sandbox/cloud/template/stack.ts";
import { scratchDirectory } from "../../../fixtures/scratch.ts";

const stack = (template: Record<string, Json>, name = "shop"): SynthesizedStack => ({
  ...{ name, account: "444455556666", region: "us-west-2" },
  template,
});

/** What a value becomes in the properties of a resource, beside a bucket, a queue and what else a template has. */
function resolved(value: Json, rest: Record<string, Json> = {}, given?: Given): unknown {
  const Resources = {
    Wares: { Type: "AWS::S3::Bucket", Properties: { BucketName: "wares" } },
    Orders: { Type: "AWS::SQS::Queue", Properties: { QueueName: "orders" } },
    Asked: { Type: "AWS::SSM::Document", Properties: { value } },
  };
  const [made] = resolveStacks([stack({ Resources, ...rest })], given);
  return made!.resources.find(({ logicalId }) => logicalId === "Asked")!.properties.value;
}

const Conditions: Json = {
  Yes: { "Fn::Equals": ["a", "a"] },
  No: { "Fn::Not": [{ Condition: "Yes" }] },
  Both: { "Fn::And": [{ Condition: "Yes" }, { Condition: "No" }] },
  Either: { "Fn::Or": [{ Condition: "Yes" }, { Condition: "No" }] },
};

describe("a value", () => {
  test.each<[string, Json, unknown]>([
    ["the name of a bucket", { Ref: "Wares" }, "wares"],
    ["an attribute", { "Fn::GetAtt": ["Wares", "Arn"] }, "arn:aws:s3:::wares"],
    ["an attribute with a point", { "Fn::GetAtt": "Orders.Arn" }, "arn:aws:sqs:us-west-2:444455556666:orders"],
    ["pseudo parameters", [{ Ref: "AWS::AccountId" }, { Ref: "AWS::Region" }], ["444455556666", "us-west-2"]],
    ["a join", { "Fn::Join": ["-", ["a", { Ref: "AWS::Partition" }, 7]] }, "a-aws-7"],
    [
      "a text with names in it",
      { "Fn::Sub": `${"$"}{Wares}/${"$"}{Orders.QueueName}/${"$"}{!kept}` },
      `wares/orders/${"$"}{kept}`,
    ],
    [
      "a text with a map",
      { "Fn::Sub": [`${"$"}{Wares} ${"$"}{own}`, { own: { Ref: "Orders" } }] },
      "wares https://sqs.us-west-2.amazonaws.com/444455556666/orders",
    ],
    ["one of many", { "Fn::Select": ["1", { "Fn::Split": ["/", "a/b/c"] }] }, "b"],
    ["base64", { "Fn::Base64": { "Fn::Join": ["", ["a", "b"]] } }, "YWI="],
    ["a map of maps", { "Fn::FindInMap": ["Sizes", { Ref: "AWS::Region" }, "memory"] }, 512],
    ["a condition that holds", { "Fn::If": ["Either", "yes", "no"] }, "yes"],
    ["a condition that does not", { "Fn::If": ["Both", "yes", "no"] }, "no"],
    [
      "nothing, which takes its place with it",
      { a: { Ref: "AWS::NoValue" }, b: [{ Ref: "AWS::NoValue" }, 1] },
      { b: [1] },
    ],
    [
      "a policy's condition",
      { Condition: { Bool: { "aws:SecureTransport": "false" } } },
      { Condition: { Bool: { "aws:SecureTransport": "false" } } },
    ],
    ["a parameter", { Ref: "Size" }, "large"],
    ["a list", { Ref: "Sizes" }, ["s", "m"]],
    ["a parameter of the store", { Ref: "Image" }, "ami-1"],
    ["a dynamic reference", "at {{resolve:ssm:/images/web:3}}!", "at ami-1!"],
  ])("is resolved: %s", (_, value, expected) => {
    const Mappings = { Sizes: { "us-west-2": { memory: 512 } } };
    const Parameters = {
      Size: { Type: "String", Default: "small" },
      Sizes: { Type: "CommaDelimitedList", Default: "s, m" },
      Image: { Type: "AWS::SSM::Parameter::Value<String>", Default: "/images/web" },
    };
    const given = { parameters: { shop: { Size: "large" } }, parameterStore: { "/images/web": "ami-1" } };
    expect(resolved(value, { Mappings, Parameters, Conditions }, given)).toEqual(expected);
  });

  test.each<[string, Json, RegExp]>([
    [
      "an intrinsic function",
      { a: [{ "Fn::GetAZs": "" }] },
      /^shop\.Resources\.Asked\.Properties\.value\.a\[0\]\.Fn::GetAZs: unknown intrinsic function$/,
    ],
    ["a function with a neighbour", { Ref: "Wares", b: 1 }, /Ref has neighbours: Ref, b/],
    ["a resource", { Ref: "Absent" }, /value\.Ref: Resources has no Absent/],
    ["an attribute", { "Fn::GetAtt": ["Wares", "WebsiteURL"] }, /AWS::S3::Bucket has no attribute WebsiteURL here/],
    ["a pseudo parameter", { Ref: "AWS::Planet" }, /unknown pseudo parameter AWS::Planet/],
    ["a name in a text", { "Fn::Sub": `${"$"}{Absent}` }, /Resources has no Absent/],
    ["a name of a map that the text does not have", { "Fn::Sub": ["x", { a: "1" }] }, /the text has no a/],
    ["a place in a list", { "Fn::Select": [3, ["a"]] }, /nothing stands at 3/],
    ["a map", { "Fn::FindInMap": ["Sizes", "a", "b"] }, /Mappings has no Sizes/],
    ["a condition", { "Fn::If": ["Absent", 1, 2] }, /Conditions has no Absent/],
    ["an export", { "Fn::ImportValue": "elsewhere" }, /no stack before this one exports elsewhere/],
    ["a service of dynamic references", "{{resolve:secretsmanager:a}}", /unknown dynamic reference: secretsmanager/],
    ["a name in the parameter store", "{{resolve:ssm:/a}}", /the parameter store was given no \/a/],
    ["a text that is none", { "Fn::Join": ["", [{ a: 1 }]] }, /not a text: \{"a":1\}/],
    ["itself", { Ref: "Asked" }, /shop\.Resources\.Asked: refers to itself/],
  ])("is refused, with its place, where it needs what is not known: %s", (_, value, message) => {
    expect(() => resolved(value, { Conditions })).toThrow(message);
  });
});

describe("a template", () => {
  const bucket = { Type: "AWS::S3::Bucket", Properties: {} };

  test.each<[string, Record<string, Json>, RegExp]>([
    ["a section", { Transform: "AWS::Serverless" }, /^shop\.Transform: unknown section/],
    [
      "a type of resource",
      { Resources: { Web: { Type: "AWS::EC2::Instance" } } },
      /^shop\.Resources\.Web\.Type: unknown type of resource: AWS::EC2::Instance/,
    ],
    [
      "a member of a resource",
      { Resources: { Web: { ...bucket, UpdatePolicy: {} } } },
      /^shop\.Resources\.Web\.UpdatePolicy: unknown member/,
    ],
    [
      "a type of parameter",
      { Parameters: { Vpc: { Type: "AWS::EC2::VPC::Id", Default: "v" } }, Outputs: { Vpc: { Value: { Ref: "Vpc" } } } },
      /the type AWS::EC2::VPC::Id, which is not known/,
    ],
    [
      "a value for a parameter",
      { Parameters: { Size: { Type: "String" } }, Outputs: { S: { Value: { Ref: "Size" } } } },
      /the parameter Size has no value/,
    ],
  ])("is refused for %s that is not known", (_, template, message) => {
    expect(() => resolveStacks([stack(template)])).toThrow(message);
  });

  test("has only what its conditions let be, and refuses to name the rest", () => {
    const Resources = { Kept: { ...bucket, Condition: "Yes" }, Left: { ...bucket, Condition: "No" } };
    const [resolved] = resolveStacks([stack({ Conditions, Resources })]);
    expect(resolved!.resources.map(({ logicalId }) => logicalId)).toEqual(["Kept"]);
    const Outputs = { Name: { Value: { Ref: "Left" } } };
    expect(() => resolveStacks([stack({ Conditions, Resources, Outputs })])).toThrow(/Left: is not made/);
  });

  test("hands on what it exports to those that come after it", () => {
    const one = stack({
      Resources: { B: bucket },
      Outputs: { N: { Value: { Ref: "B" }, Export: { Name: "shop:b" } } },
    });
    const two = stack({ Outputs: { Copy: { Value: { "Fn::ImportValue": "shop:b" } } } }, "office");
    const [first, second] = resolveStacks([one, two]);
    expect(second!.outputs.Copy).toBe(first!.outputs.N);
    expect(() => resolveStacks([two, one])).toThrow(/^office\.Outputs\.Copy\.Value\.Fn::ImportValue: no stack before/);
  });

  test("whose rule about its parameters does not hold is refused with the rule's words", () => {
    const Assert = { "Fn::Not": [{ "Fn::Contains": [["1", "2"], { Ref: "Version" }] }] };
    const template = {
      Parameters: { Version: { Type: "AWS::SSM::Parameter::Value<String>", Default: "/version" } },
      Rules: { Check: { Assertions: [{ Assert, AssertDescription: "too old" }] } },
    };
    const parameterStore = (version: string) => ({ parameterStore: { "/version": version } });
    expect(() => resolveStacks([stack(template)], parameterStore("2"))).toThrow("shop.Rules.Check: too old");
    expect(resolveStacks([stack(template)], parameterStore("3"))).toHaveLength(1);
    expect(() => resolveStacks([stack(template)])).toThrow(/the parameter store was given no \/version/);
  });

  test("gives the same made-up names in each run, and others to each resource", () => {
    const names = () => {
      const [resolved] = resolveStacks([stack({ Resources: { A: bucket, B: bucket } })]);
      return resolved!.resources.map(({ ref }) => ref);
    };
    expect(names()).toEqual(names());
    expect(new Set(names()).size).toBe(2);
  });
});

describe("an assembly", () => {
  const written = (artifacts: object) => {
    const directory = join(scratchDirectory(), "cdk.out");
    mkdirSync(directory);
    writeFileSync(join(directory, "manifest.json"), JSON.stringify({ artifacts }));
    for (const name of ["a", "b"])
      writeFileSync(join(directory, `${name}.json`), JSON.stringify({ Description: name }));
    return directory;
  };
  const artifact = (name: string, dependencies: readonly string[] = []) => ({
    ...{ type: "aws:cloudformation:stack", environment: "aws://444455556666/us-west-2", dependencies },
    properties: { templateFile: `${name}.json`, stackName: `stack-${name}` },
  });

  test("is read with each stack behind those that it needs", () => {
    const files = { "a.assets": { type: "cdk:asset-manifest" }, Tree: { type: "cdk:tree" } };
    const directory = written({ a: artifact("a", ["a.assets", "b"]), b: artifact("b"), ...files });
    expect(readAssembly(directory).map(({ name, template }) => [name, template.Description])).toEqual([
      ["stack-b", "b"],
      ["stack-a", "a"],
    ]);
  });

  test.each([
    ["a nested one", { a: { type: "cdk:cloud-assembly" } }, /a is a cdk:cloud-assembly/],
    [
      "a stack of any account",
      { a: { ...artifact("a"), environment: "aws://unknown-account/unknown-region" } },
      /no account, region or template/,
    ],
    ["a dependency that is missing", { a: artifact("a", ["z"]) }, /nothing is called z/],
  ])("is refused for %s", (_, artifacts, message) => {
    expect(() => readAssembly(written(artifacts))).toThrow(message);
  });
});
