import { PutObjectCommand } from "@aws-sdk/client-s3";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { s3Store } from "../../../core/stores/s3.ts";
import { parseS3Url } from "../../../core/stores/s3-url.ts";
import type { SynthesizedStack } from "../../../sandbox/cloud/template/assembly.ts";
import { useCredentials } from "../../fixtures/s3-place.ts";
import { region, synthesizedVault } from "../../fixtures/synthesized-account.ts";
import { attacks, destructive, intrusive } from "./attacks.ts";
import { fieldOf, stolen } from "./field.ts";
import { patched, statements } from "./patches.ts";

const vault = synthesizedVault();
const locked = synthesizedVault({ objectLock: { mode: "governance", days: 30 } });
/** Nothing but what the caller's own policies say. */
const withoutBucketPolicies = (stacks: readonly SynthesizedStack[]) =>
  patched(stacks, { "AWS::S3::BucketPolicy": () => undefined });
const names = (of: object) => Object.keys(of).map((name) => [name]);
const but = (of: object, ...left: readonly string[]) => names(of).filter(([name]) => !left.includes(name!));

/** What became of it: `done`, `denied` by a policy, or the error with which S3 refuses it to everybody. */
async function outcome(name: string, { field }: Pick<Awaited<ReturnType<typeof fieldOf>>, "field">): Promise<string> {
  try {
    await attacks[name]!(field);
    return "done";
  } catch (error) {
    const { name: code, $metadata } = error as { name: string; $metadata?: { httpStatusCode?: number } };
    return code === "AccessDenied" || $metadata?.httpStatusCode === 403 ? "denied" : code;
  }
}

const overTransport = ["store over plain HTTP", "store over a TLS that is broken"];

describe.each<[string, string, readonly SynthesizedStack[], string[][]]>([
  ["a host whose root is in hostile hands", "mailark-host", vault, names(attacks)],
  ["the same, where objects are locked", "mailark-host", locked, names(attacks)],
  [
    "the same, where buckets have no policies",
    "mailark-host",
    withoutBucketPolicies(vault),
    but(attacks, ...overTransport),
  ],
  // What it may beyond that is said in docs/security.md.
  [
    "a host to which somebody attached an administrator's rights",
    "overloaded-host",
    vault,
    but(attacks, "list the account's buckets"),
  ],
  [
    "an administrator, for whom the buckets' policies alone hold,",
    "administrator",
    vault,
    but(
      { ...destructive, ...intrusive },
      ...["remove the bucket of logs", "write what the controller believes", "keep no more versions", "take tags away"],
      ...["store it to be kept until 2099", "store it on hold", "have a manifest kept until 2099"],
      ...["put a manifest on hold", "lock what all will store for a century"],
    ),
  ],
])("%s may not", (_, role, stacks, tried) => {
  let at: Awaited<ReturnType<typeof fieldOf>>;
  beforeAll(async () => {
    at = await fieldOf(stacks, role);
  });
  afterAll(() => at.close());

  test.each(tried)("%s", async (name) => {
    expect(await outcome(name!, at)).toBe("denied");
  });
});

describe("where no policy is in the way one could", () => {
  /** What S3 refuses to everybody, or what is not this account's to allow. */
  const refused: Record<string, string> = {
    "let everybody read it": "AccessControlListNotSupported",
    "grant somebody to read it": "AccessControlListNotSupported",
    "seal with a key of another account": "denied",
  };
  let at: Awaited<ReturnType<typeof fieldOf>>;
  beforeEach(async ({ task }) => {
    const stacks = /kept|hold|century/.test(task.name) ? locked : vault;
    at = await fieldOf(withoutBucketPolicies(stacks), "administrator");
  });
  afterEach(() => at.close());

  test.each(names(attacks))("%s", async (name) => {
    expect(await outcome(name!, at)).toBe(refused[name!] ?? "done");
  });
});

describe("a host", () => {
  test("creates whole objects and large ones in its two places, and aborts what it began", async () => {
    const { field, place, close } = await fieldOf(vault, "mailark-host");
    onTestFinished(close);
    useCredentials(place.who("mailark-host", stolen));
    const open = (bucket: string) =>
      s3Store(parseS3Url(`s3://${bucket}?endpoint=${place.server.url}&region=${region}`));
    async function* body(pieces: number) {
      for (let piece = 0; piece < pieces; piece++) yield Buffer.alloc(1024 * 1024, piece);
    }
    expect(await open(field.data).put(`hosts/${field.own}/mail/s2/0001.pack`, body(1))).toMatchObject({
      bytes: 1024 * 1024,
    });
    await open(field.data).put(`hosts/${field.own}/mail/s2/0002.pack`, body(40));
    await open(field.keyring).put(`keyring/${field.own}/o1/k2.age`, body(1));
    const failing = (async function* () {
      yield* body(40);
      throw new Error("the source broke");
    })();
    await expect(open(field.data).put(`hosts/${field.own}/mail/s2/0003.pack`, failing)).rejects.toThrow();
    const done = place.server.requests.filter(({ who, status }) => who === `mailark-host/${stolen}` && status! < 300);
    expect(new Set(done.map(({ operation }) => operation))).toEqual(
      new Set(["PutObject", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload", "AbortMultipartUpload"]),
    );
    const used = new Set(place.decisions.map(({ action }) => action));
    expect(used).toEqual(new Set(["s3:PutObject", "s3:AbortMultipartUpload", "kms:GenerateDataKey", "kms:Decrypt"]));
    expect(place.decisions.filter(({ allowed }) => !allowed)).toEqual([]);
  });

  test("is bound to its id even where a session is named like a wildcard", async () => {
    const { field, place, close } = await fieldOf(vault, "mailark-host");
    onTestFinished(close);
    const { accessKeyId, secretAccessKey, sessionToken } = place.who("mailark-host", "*");
    field.client.config.credentials = async () => ({ accessKeyId, secretAccessKey, sessionToken: sessionToken! });
    const put = (id: string) =>
      field.client.send(
        new PutObjectCommand({ Bucket: field.data, Key: `hosts/${id}/x`, Body: "x", IfNoneMatch: "*" }),
      );
    await expect(put(field.other)).rejects.toMatchObject({ name: "AccessDenied" });
    await put(place.userId("mailark-host", "*"));
  });
});

// biome-ignore lint/suspicious/noExplicitAny: statements as they stand in the template
type Written = any;
type Change = (statement: Written) => Written;

const drop =
  (sid: string): Change =>
  (each) =>
    each.Sid === sid ? undefined : each;
const edit =
  (sid: string, change: (statement: Written) => object): Change =>
  (each) =>
    each.Sid === sid ? { ...each, ...change(each) } : each;
const both =
  (...changes: readonly Change[]): Change =>
  (each) =>
    changes.reduce((now, change) => now && change(now), each);
/** Texts of a value, with the joins around them left as they are. */
const rewrite = (value: unknown, from: string, to: string) => JSON.parse(JSON.stringify(value).replaceAll(from, to));
const userId = `$${"{aws:userid}"}`;
const ofCondition =
  (key: string): Change =>
  (each) =>
    JSON.stringify(each.Condition ?? {}).includes(key) ? undefined : each;
const keepOnly = (sid: string, left: string) =>
  edit(sid, ({ Action }) => ({ Action: Action.filter((each: string) => each !== left) }));

describe("a mistake in a policy lets somebody", () => {
  const bucket = { type: "AWS::S3::BucketPolicy", role: "administrator", base: vault } as const;
  const host = { type: "AWS::IAM::ManagedPolicy", role: "mailark-host", base: withoutBucketPolicies(vault) } as const;
  const overloaded = { ...host, role: "overloaded-host" } as const;

  test.each<[string, string, typeof bucket | typeof host | typeof overloaded, Change]>([
    ["put other bytes in the place of a manifest", "the bucket's OnlyCreate is dropped", bucket, drop("OnlyCreate")],
    [
      "put other bytes in the place of a key",
      "it is about parts alone",
      bucket,
      edit("OnlyCreate", ({ Condition }) => ({
        Condition: { ...Condition, Bool: { "s3:ObjectCreationOperation": "false" } },
      })),
    ],
    [
      "complete an upload over a manifest without the condition",
      "it denies only the host's role",
      bucket,
      edit("OnlyCreate", () => ({ Principal: { AWS: "arn:aws:iam::111122223333:role/mailark-host" } })),
    ],
    [
      "copy over a manifest",
      "it looks at another bucket's objects",
      bucket,
      edit("OnlyCreate", ({ Resource }) => ({ Resource: rewrite(Resource, "mailark-data", "mailark-other") })),
    ],
    ["create an object of another host", "the bucket's OnlyUnderOwnId is dropped", bucket, drop("OnlyUnderOwnId")],
    [
      "create a key of another host",
      "its place is all hosts'",
      bucket,
      edit("OnlyUnderOwnId", ({ NotResource }) => ({ NotResource: rewrite(NotResource, userId, "*") })),
    ],
    [
      "create an object whose place begins with its id",
      "the slash behind the id is missing",
      bucket,
      edit("OnlyUnderOwnId", ({ NotResource }) => ({ NotResource: rewrite(NotResource, `${userId}/`, userId) })),
    ],
    [
      "store as a class that takes hours to read",
      "the bucket's OnlyStorageClass is dropped",
      bucket,
      drop("OnlyStorageClass"),
    ],
    [
      "begin an upload of such a class",
      "a class more is allowed",
      bucket,
      edit("OnlyStorageClass", ({ Condition }) => ({
        Condition: rewrite(Condition, '["STANDARD"]', '["STANDARD","GLACIER"]'),
      })),
    ],
    ["seal with S3's own key", "the bucket's OnlyKms is dropped", bucket, drop("OnlyKms")],
    ["seal with another key of the account", "the bucket's OnlyOurKey is dropped", bucket, drop("OnlyOurKey")],
    [
      "seal with a key that only the caller has",
      "the bucket's NoKeyOfTheCaller is dropped",
      bucket,
      drop("NoKeyOfTheCaller"),
    ],
    ["hide a manifest behind a delete marker", "the bucket's NeverDelete is dropped", bucket, drop("NeverDelete")],
    ["delete a version", "it says nothing of versions", bucket, keepOnly("NeverDelete", "s3:DeleteObjectVersion")],
    ["delete a key", "it says nothing of markers", bucket, keepOnly("NeverDelete", "s3:DeleteObject")],
    [
      "abort another host's upload",
      "its place says nothing of aborts",
      bucket,
      keepOnly("OnlyUnderOwnId", "s3:AbortMultipartUpload"),
    ],
    ["tag a manifest as expired", "the bucket's OnlyRetentionTags is dropped", bucket, drop("OnlyRetentionTags")],
    [
      "tag a version as expired",
      "it says nothing of a version's tags",
      bucket,
      keepOnly("OnlyRetentionTags", "s3:PutObjectVersionTagging"),
    ],
    [
      "store it with the tag of what expires",
      "it is about versions alone",
      bucket,
      keepOnly("OnlyRetentionTags", "s3:PutObjectTagging"),
    ],
    [
      "begin an upload with that tag",
      "a role more may tag",
      bucket,
      edit("OnlyRetentionTags", () => ({
        Condition: { ArnNotEquals: { "aws:PrincipalArn": "arn:aws:iam::111122223333:role/administrator" } },
      })),
    ],
    ["store over plain HTTP", "nothing demands TLS", bucket, ofCondition("aws:SecureTransport")],
    ["store over a TLS that is broken", "any TLS will do", bucket, ofCondition("s3:TlsVersion")],
    ["put other bytes in the place of a manifest", "the host's OnlyCreate is dropped", host, drop("OnlyCreate")],
    [
      "create an object of another host",
      "the host's own place is all hosts'",
      host,
      edit("Create", ({ Resource }) => ({ Resource: rewrite(Resource, userId, "*") })),
    ],
    [
      "create an object whose place begins with its id",
      "the slash behind the host's id is missing",
      host,
      edit("Create", ({ Resource }) => ({ Resource: rewrite(Resource, `${userId}/`, userId) })),
    ],
    [
      "store as a class that takes hours to read",
      "the host's OnlyStorageClass is dropped",
      host,
      drop("OnlyStorageClass"),
    ],
    ["seal with S3's own key", "the host's OnlyKms is dropped", host, drop("OnlyKms")],
    [
      "seal with another key of the account",
      "the host may use all keys and name any",
      host,
      both(
        drop("OnlyOurKey"),
        edit("Seal", () => ({ Resource: "*" })),
      ),
    ],
    [
      "seal with a key that only the caller has",
      "the host's NoKeyOfTheCaller is dropped",
      host,
      drop("NoKeyOfTheCaller"),
    ],
    ["read what it stored", "the host may more, and NothingElse is dropped", overloaded, drop("NothingElse")],
    [
      "tag a manifest as expired",
      "NothingElse leaves out tags",
      overloaded,
      edit("NothingElse", ({ NotAction }) => ({ NotAction: [...NotAction, "s3:PutObjectTagging"] })),
    ],
    [
      "write what the controller believes",
      "the host may more, and NothingElsewhere is dropped",
      overloaded,
      drop("NothingElsewhere"),
    ],
    [
      "remove the bucket of logs",
      "NothingElsewhere is about objects alone",
      overloaded,
      edit("NothingElsewhere", ({ Resource }) => ({
        Resource: Resource.filter((each: unknown) => JSON.stringify(each).includes("/*")),
      })),
    ],
    [
      "read another host's keys",
      "NothingElse is about data alone",
      overloaded,
      edit("NothingElse", ({ Resource }) => ({ Resource: rewrite(Resource, "mailark-keyring", "mailark-other") })),
    ],
  ])("%s, when %s", async (name, _, { type, role, base }, change) => {
    const tried = async (stacks: readonly SynthesizedStack[]) => {
      const at = await fieldOf(stacks, role);
      onTestFinished(at.close);
      return outcome(name, at);
    };
    expect(await tried(base)).toBe("denied");
    expect(await tried(statements(base, type, change))).toBe("done");
  });
});
