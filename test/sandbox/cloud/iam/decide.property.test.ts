import fc from "fast-check";
import { expect, test } from "vitest";
import type { Caller } from "../../../../sandbox/cloud/iam/caller.ts";
import { decide } from "../../../../sandbox/cloud/iam/decide.ts";
import { readPolicy } from "../../../../sandbox/cloud/iam/policy.ts";
import { type Asked, naiveAllows, type Written } from "./naive-iam.ts";

const account = "111122223333";
const caller: Caller = {
  kind: "session",
  account,
  role: `arn:aws:iam::${account}:role/r`,
  roleId: "AROA1",
  session: "s",
};
const names = {
  account: `arn:aws:iam::${account}:root`,
  role: caller.role,
  session: `arn:aws:sts::${account}:assumed-role/r/s`,
};

const some = <T>(one: fc.Arbitrary<T>) => fc.array(one, { minLength: 1, maxLength: 3 });
const word = fc.constantFrom(
  "a",
  "b",
  "ab",
  "A",
  "a*",
  "?",
  "*",
  "",
  "a:b",
  `${"$"}{aws:username}`,
  `${"$"}{*}`,
  "b.c",
);
const value = fc.constantFrom("a", "b", "ab", "A", "*", "a*b", "", "a:b", "b.c", "bxc", "a\nb");
const action = fc.constantFrom("s3:GetObject", "s3:PutObject", "s3:getobjectacl", "kms:Decrypt");
const actionWritten = fc.constantFrom("s3:*", "s3:Get*", "S3:PutObject", "s3:?etObject", "*", "kms:Decrypt");
const resource = fc.tuple(value, value).map(([one, two]) => `arn:aws:s3:::${one}/${two}`);
const region = fc.constantFrom("", "*", "?");
const resourceWritten = fc.oneof(
  fc.constant("*"),
  fc.tuple(region, word, word).map(([where, one, two]) => `arn:aws:s3:${where}::${one}/${two}`),
);
const condition = fc.oneof(
  fc.record({
    operator: fc
      .tuple(
        fc.constantFrom("", "ForAnyValue:", "ForAllValues:"),
        fc.constantFrom("StringEquals", "StringNotEquals", "StringLike", "StringNotLike", "StringEqualsIgnoreCase"),
        fc.constantFrom("", "IfExists"),
      )
      .map((parts) => parts.join("")),
    key: fc.constantFrom("s3:prefix", "aws:username"),
    values: some(word),
  }),
  fc.record({
    operator: fc.constantFrom(
      "ForAnyValue:StringEquals",
      "ForAllValues:StringLike",
      "ForAnyValue:StringNotLike",
      "ForAllValues:StringNotEquals",
    ),
    key: fc.constant("s3:RequestObjectTagKeys"),
    values: some(word),
  }),
  fc.record({
    operator: fc.constantFrom("Bool", "BoolIfExists"),
    key: fc.constant("aws:SecureTransport"),
    values: some(fc.constantFrom("true", "false")),
  }),
  fc.record({
    operator: fc.constantFrom("NumericLessThan", "NumericEquals", "NumericNotEquals"),
    key: fc.constant("s3:TlsVersion"),
    values: some(fc.constantFrom("1.1", "1.2", "1.20", "2")),
  }),
  fc.record({
    operator: fc.constant("Null"),
    key: fc.constantFrom("s3:prefix", "aws:SecureTransport"),
    values: some(fc.constantFrom("true", "false")),
  }),
);
const statement = (principal: boolean): fc.Arbitrary<Written> =>
  fc
    .record({
      Effect: fc.constantFrom("Allow" as const, "Allow" as const, "Deny" as const),
      action: fc.record({ element: fc.constantFrom("Action", "Action", "NotAction"), of: some(actionWritten) }),
      resource: fc.record({
        element: fc.constantFrom("Resource", "Resource", "NotResource"),
        of: some(resourceWritten),
      }),
      conditions: fc.array(condition, { maxLength: 2 }),
      Principal: fc.constantFrom<unknown>(
        "*",
        { AWS: [names.account] },
        { AWS: [names.role] },
        { AWS: [names.session] },
        { AWS: [`arn:aws:iam::${account}:role/other`] },
      ),
    })
    .map(({ Effect, action, resource, conditions, Principal }) => ({
      ...{ Effect, [action.element]: action.of, [resource.element]: resource.of },
      ...(principal && { Principal }),
      Condition: Object.fromEntries(conditions.map(({ operator, key, values }) => [operator, { [key]: values }])),
    }));
const asked: fc.Arbitrary<Asked> = fc.record({
  action,
  resource,
  context: fc.record(
    {
      "s3:prefix": value,
      "aws:username": value,
      "s3:RequestObjectTagKeys": some(value),
      "aws:SecureTransport": fc.constantFrom("true", "false"),
      "s3:TlsVersion": fc.constantFrom("1.1", "1.2", "2"),
    },
    { requiredKeys: [] },
  ) as fc.Arbitrary<Asked["context"]>,
});

test("two readings of IAM, written apart, agree on any request and any policies", () => {
  const seen = { true: 0, false: 0 };
  fc.assert(
    fc.property(
      asked,
      fc.array(statement(false), { maxLength: 4 }),
      fc.array(statement(true), { maxLength: 4 }),
      fc.boolean(),
      (request, identity, resource, decides) => {
        const read = (all: readonly Written[], kind: "identity" | "resource") =>
          readPolicy({ Version: "2012-10-17", Statement: all }, kind, kind);
        const decision = decide(
          { caller, ...request },
          {
            identity: [read(identity, "identity")],
            resource: read(resource, "resource"),
            authority: decides ? "resource" : "either",
          },
        );
        seen[`${decision.allowed}`]++;
        const expected = naiveAllows(request, names, identity, resource, decides);
        expect(decision.allowed, decision.because).toBe(expected);
      },
    ),
    { numRuns: 2000 },
  );
  expect(Math.min(seen.true, seen.false)).toBeGreaterThan(150);
});
