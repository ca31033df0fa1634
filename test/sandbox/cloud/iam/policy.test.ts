import { describe, expect, test } from "vitest";
import { type PolicyKind, readPolicy } from "../../../../sandbox/cloud/iam/policy.ts";

const account = "123456789012";
const $ = (name: string) => `$${`{${name}}`}`;
const policy = (kind: PolicyKind, ...Statement: object[]) =>
  readPolicy({ Version: "2012-10-17", Statement }, kind, kind);
const allow = (more: object) => ({ Effect: "Allow", Action: "*", Resource: "*", ...more });

describe("what is not understood is refused, with the policy's name:", () => {
  test.each<[string, PolicyKind, object, RegExp]>([
    [
      "an operator",
      "identity",
      { Condition: { StringMatches: { "s3:prefix": "a" } } },
      /^identity: unknown condition operator StringMatches/,
    ],
    [
      "a key",
      "identity",
      { Condition: { Null: { "s3:if-not-match": "true" } } },
      /unknown condition key s3:if-not-match/,
    ],
    [
      "a key in a variable",
      "identity",
      { Resource: `arn:aws:s3:::b/${$("aws:user")}` },
      /unknown condition key aws:user/,
    ],
    ["an element", "identity", { Actions: [] }, /unknown element Actions/],
    ["an effect", "identity", { Effect: "allow" }, /unknown effect: allow/],
    ["an action", "identity", { Action: "s3" }, /no action: s3/],
    ["a resource", "identity", { Resource: "my-bucket" }, /no ARN: my-bucket/],
    ["no resource", "identity", { Resource: undefined }, /no resource in a policy of kind identity/],
    ["a principal of an identity", "identity", { Principal: "*" }, /a principal in a policy of kind identity/],
    ["no principal of a resource", "resource", {}, /no principal in a policy of kind resource/],
    [
      "a principal with a wildcard",
      "resource",
      { Principal: { AWS: `arn:aws:iam::${account}:role/*` } },
      /a principal with a wildcard/,
    ],
    [
      "a kind of principal",
      "resource",
      { Principal: { CanonicalUser: "1" } },
      /unknown kind of principal: CanonicalUser/,
    ],
    ["NotPrincipal that allows", "resource", { NotPrincipal: { AWS: account } }, /NotPrincipal may only deny/],
    ["both of two", "identity", { NotAction: "s3:*" }, /Action and NotAction in one statement/],
    [
      "a key of several values without a set operator",
      "identity",
      { Condition: { StringEquals: { "aws:TagKeys": "a" } } },
      /needs a set operator/,
    ],
    [
      "a variable where none is read",
      "identity",
      { Condition: { Bool: { "aws:SecureTransport": $("s3:prefix") } } },
      /takes no variables/,
    ],
    [
      "a number that is none",
      "identity",
      { Condition: { NumericLessThan: { "s3:TlsVersion": "new" } } },
      /no number: new/,
    ],
  ])("%s", (_, kind, statement, message) => {
    expect(() => policy(kind, allow(statement))).toThrow(message);
  });

  test("a policy of another version", () => {
    expect(() => readPolicy({ Version: "2008-10-17", Statement: [] }, "old", "identity")).toThrow(
      "old: unknown version",
    );
  });
});
