import { describe, expect, test } from "vitest";
import type { Caller } from "../../../../sandbox/cloud/iam/caller.ts";
import { decide, type Request, type Say } from "../../../../sandbox/cloud/iam/decide.ts";
import { type PolicyKind, readPolicy } from "../../../../sandbox/cloud/iam/policy.ts";

const account = "123456789012";
const session: Caller = {
  ...{ kind: "session", account, role: `arn:aws:iam::${account}:role/app/web`, roleId: "AROAEXAMPLE", session: "i-1" },
};
const sessionArn = `arn:aws:sts::${account}:assumed-role/web/i-1`;
const root: Caller = { kind: "root", account };
const service: Caller = { kind: "service", service: "cloudwatch.amazonaws.com" };
const rootArn = `arn:aws:iam::${account}:root`;
const $ = (name: string) => `$${`{${name}}`}`;

const policy = (kind: PolicyKind, ...Statement: object[]) =>
  readPolicy({ Version: "2012-10-17", Statement }, kind, kind);
const allow = (more: object) => ({ Effect: "Allow", Action: "*", Resource: "*", ...more });
const deny = (more: object) => ({ ...allow(more), Effect: "Deny" });

function ask(request: Partial<Request>, say: Partial<Say>) {
  const asked = { caller: session, action: "s3:GetObject", resource: "arn:aws:s3:::b/k", context: {}, ...request };
  return decide(asked, { identity: [], authority: "either", ...say });
}

describe("a decision", () => {
  const statement = { Sid: "Read", Action: "s3:GetObject" };

  test("says which statement allows, which denies, and where nothing does", () => {
    expect(ask({}, {}).because).toBe("no policy allows it");
    const identity = [policy("identity", allow(statement))];
    expect(ask({}, { identity })).toEqual({
      allowed: true,
      by: ["identity Read"],
      because: "allowed by identity Read",
    });
    const resource = policy("resource", allow({ Principal: "*" }), deny({ Principal: "*", Action: "s3:*" }));
    expect(ask({}, { identity, resource })).toMatchObject({ allowed: false, because: "denied by resource 2" });
  });

  test.each<[string, Caller, object, boolean]>([
    ["everybody", session, { Principal: "*" }, true],
    ["its role", session, { Principal: { AWS: session.role } }, true],
    ["this very session", session, { Principal: { AWS: sessionArn } }, true],
    ["another session of its role", session, { Principal: { AWS: sessionArn.replace("i-1", "i-2") } }, false],
    ["its account, which decides itself", session, { Principal: { AWS: account } }, false],
    ["another role", session, { Principal: { AWS: `arn:aws:iam::${account}:role/other` } }, false],
    ["a service", session, { Principal: { Service: "cloudwatch.amazonaws.com" } }, false],
    [
      "the service that asks",
      service,
      { Principal: { Service: ["sns.amazonaws.com", "cloudwatch.amazonaws.com"] } },
      true,
    ],
    ["an account, when a service asks", service, { Principal: { AWS: account } }, false],
    [
      "who comes from another provider",
      { kind: "federated", provider: "example.com" },
      { Principal: { Federated: "example.com" } },
      true,
    ],
    [
      "somebody from another provider",
      { kind: "federated", provider: "example.org" },
      { Principal: { Federated: "example.com" } },
      false,
    ],
  ])("by a resource's policy alone, for %s", (_, caller, principal, allowed) => {
    expect(ask({ caller }, { resource: policy("resource", allow(principal)) }).allowed).toBe(allowed);
  });

  test("denies an account's sessions with the account", () => {
    const say = {
      identity: [policy("identity", allow({}))],
      resource: policy("resource", deny({ Principal: { AWS: rootArn } })),
    };
    expect(ask({}, say).allowed).toBe(false);
  });

  test("leaves out of NotPrincipal only who is there with his session, role and account", () => {
    const identity = [policy("identity", allow({}))];
    const without = (...AWS: string[]) =>
      ask({}, { identity, resource: policy("resource", deny({ NotPrincipal: { AWS } })) });
    expect(without(rootArn, session.role, sessionArn).allowed).toBe(true);
    expect(without(rootArn, session.role).allowed).toBe(false);
    expect(without(session.role, sessionArn).allowed).toBe(false);
  });

  test("lets an account's root do what nothing denies", () => {
    expect(ask({ caller: root }, {}).allowed).toBe(true);
    expect(ask({ caller: root }, { resource: policy("resource", deny({ Principal: "*" })) }).allowed).toBe(false);
  });

  test("gives a narrowed session what both its role and its narrowing allow", () => {
    const identity = [policy("identity", allow({ Action: ["s3:GetObject", "s3:PutObject"] }))];
    const narrow = [policy("identity", allow({ Action: ["s3:GetObject", "s3:DeleteObject"] }))];
    const may = (action: string, more: Partial<Say> = {}) =>
      ask({ action }, { identity, session: narrow, ...more }).allowed;
    expect(["s3:GetObject", "s3:PutObject", "s3:DeleteObject"].map((action) => may(action))).toEqual([
      true,
      false,
      false,
    ]);
    const toRole = policy("resource", allow({ Principal: { AWS: session.role } }));
    const toSession = policy("resource", allow({ Principal: { AWS: sessionArn } }));
    expect(may("s3:PutObject", { resource: toRole })).toBe(false);
    expect(may("s3:PutObject", { resource: toSession })).toBe(true);
  });

  describe("about a key of KMS", () => {
    const key = { action: "kms:Decrypt", resource: `arn:aws:kms:eu-west-1:${account}:key/1` };
    const identity = [policy("identity", allow({ Action: "kms:Decrypt" }))];
    const may = (caller: Caller, say: Partial<Say>) =>
      ask({ ...key, caller }, { authority: "resource", ...say }).allowed;

    test("rests on the key's own policy, whatever an identity's says", () => {
      expect(may(session, { identity })).toBe(false);
      expect(
        may(session, {
          identity,
          resource: policy("resource", allow({ Principal: { Service: "sns.amazonaws.com" } })),
        }),
      ).toBe(false);
      expect(may(root, {})).toBe(false);
    });

    test("is left to identities by the statement for the account", () => {
      const resource = policy("resource", allow({ Action: "kms:*", Principal: { AWS: rootArn } }));
      expect(may(session, { identity, resource })).toBe(true);
      expect(may(session, { resource })).toBe(false);
      expect(may(root, { resource })).toBe(true);
      expect(may(service, { resource })).toBe(false);
    });

    test("needs nothing else where the key's policy names the role", () => {
      expect(may(session, { resource: policy("resource", allow({ Principal: { AWS: session.role } })) })).toBe(true);
    });
  });
});

describe("examples of AWS's documentation", () => {
  test("a home folder by the user's id (policy variables)", () => {
    const Resource = `arn:aws:s3:::amzn-s3-demo-bucket/home/${$("aws:userid")}/*`;
    const identity = [policy("identity", allow({ Action: "s3:*Object", Resource }))];
    const may = (path: string) =>
      ask({ resource: `arn:aws:s3:::amzn-s3-demo-bucket/home/${path}` }, { identity }).allowed;
    expect(may("AROAEXAMPLE:i-1/file")).toBe(true);
    expect([may("AROAEXAMPLE:i-2/file"), may("AROAEXAMPLE:i-1"), may("file")]).toEqual([false, false, false]);
  });

  test("conditional writes, enforced for all but parts (bucket policy)", () => {
    const Principal = "*";
    const Condition = { Null: { "s3:if-none-match": "true" }, Bool: { "s3:ObjectCreationOperation": "true" } };
    const say = {
      resource: policy("resource", allow({ Principal }), deny({ Principal, Action: "s3:PutObject", Condition })),
    };
    const may = (context: Request["context"]) => ask({ action: "s3:PutObject", context }, say).allowed;
    expect(may({ "s3:ObjectCreationOperation": "true" })).toBe(false);
    expect(may({ "s3:ObjectCreationOperation": "true", "s3:if-none-match": "*" })).toBe(true);
    expect(may({ "s3:ObjectCreationOperation": "false" })).toBe(true);
  });

  test("no unencrypted transport, and a missing key is not false (global condition keys)", () => {
    const Condition = { Bool: { "aws:SecureTransport": "false" } };
    const say = { resource: policy("resource", allow({ Principal: "*" }), deny({ Principal: "*", Condition })) };
    const may = (context: Request["context"]) => ask({ context }, say).allowed;
    expect([may({ "aws:SecureTransport": "false" }), may({ "aws:SecureTransport": "true" }), may({})]).toEqual([
      false,
      true,
      true,
    ]);
  });

  test.each<[string, object, Request["context"], boolean]>([
    [
      "StringNotEquals holds where the key is missing",
      { StringNotEquals: { "aws:PrincipalTag/job": "admin" } },
      {},
      true,
    ],
    [
      "of many values none may match to be unequal",
      { StringNotEquals: { "s3:prefix": ["a", "b"] } },
      { "s3:prefix": "b" },
      false,
    ],
    ["StringEqualsIfExists", { StringEqualsIfExists: { "s3:prefix": "a" } }, {}, true],
    ["ForAllValues holds where there are none", { "ForAllValues:StringEquals": { "aws:TagKeys": ["a"] } }, {}, true],
    ["ForAnyValue does not", { "ForAnyValue:StringEquals": { "aws:TagKeys": ["a"] } }, {}, false],
    [
      "all of several",
      { "ForAllValues:StringEquals": { "aws:TagKeys": ["a", "b"] } },
      { "aws:TagKeys": ["a", "c"] },
      false,
    ],
    ["any of several", { "ForAnyValue:StringLike": { "aws:TagKeys": ["c*"] } }, { "aws:TagKeys": ["a", "cd"] }, true],
    ["Null: is missing", { Null: { "s3:prefix": "true" } }, {}, true],
    ["Null: is there", { Null: { "s3:prefix": "false" } }, { "s3:prefix": "" }, true],
    ["keys in any case", { StringEquals: { "AWS:PRINCIPALACCOUNT": account } }, {}, true],
    [
      "an ARN's parts one by one",
      { ArnLike: { "aws:SourceArn": "arn:aws:sns:*:1:*" } },
      { "aws:SourceArn": "arn:aws:sns:a:1:t:u" },
      true,
    ],
    [
      "a wildcard over no colon",
      { ArnLike: { "aws:SourceArn": "arn:aws:sns:*:t:t" } },
      { "aws:SourceArn": "arn:aws:sns:a:1:t:t" },
      false,
    ],
    [
      "dates",
      { DateLessThan: { "aws:CurrentTime": "2026-01-01T00:00:00Z" } },
      { "aws:CurrentTime": "2025-12-31T23:59:59Z" },
      true,
    ],
    ["addresses", { IpAddress: { "aws:SourceIp": ["203.0.113.0/24"] } }, { "aws:SourceIp": "203.0.113.9" }, true],
    [
      "other addresses",
      { NotIpAddress: { "aws:SourceIp": "203.0.113.0/24" } },
      { "aws:SourceIp": "203.0.113.9" },
      false,
    ],
    [
      "a variable's default",
      { StringEquals: { "s3:prefix": $("aws:PrincipalTag/team, 'none'") } },
      { "s3:prefix": "none" },
      true,
    ],
    [
      "wildcards of a variable's value are none",
      { StringLike: { "s3:prefix": $("aws:username") } },
      { "s3:prefix": "abc", "aws:username": "a*" },
      false,
    ],
  ])("a condition: %s", (_, Condition, context, holds) => {
    expect(ask({ context }, { identity: [policy("identity", allow({ Condition }))] }).allowed).toBe(holds);
  });
});

describe("a request", () => {
  test("that says a thing twice, or many where one is asked for, is refused", () => {
    expect(() => ask({ context: { "aws:userid": "somebody" } }, {})).toThrow("says aws:userid twice");
    const identity = [policy("identity", allow({ Condition: { StringEquals: { "s3:prefix": "a" } } }))];
    expect(() => ask({ context: { "s3:prefix": ["a", "b"] } }, { identity })).toThrow("s3:prefix has several values");
  });
});
