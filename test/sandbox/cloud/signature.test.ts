import { createHash } from "node:crypto";
import { GetObjectCommand, PutObjectCommand } from "@aws-sdk/client-s3";
import { describe, expect, test } from "vitest";
import { everything } from "../../../sandbox/cloud/s3/credentials.ts";
import { authenticate, chunkSignatures } from "../../../sandbox/cloud/s3/signature.ts";
import { type RawRequest, raw } from "../../fixtures/raw-s3.ts";
import { owner, s3Client, sandboxS3 } from "../../fixtures/sandbox-s3.ts";
import { setClock } from "../../fixtures/set-clock.ts";

const hour = 60 * 60_000;

/** The examples of the API reference: one key, one moment, one region. */
const example = {
  clock: setClock("2013-05-24T00:00:00Z"),
  region: "us-east-1",
  credentials: [
    {
      accessKeyId: "AKIAIOSFODNN7EXAMPLE",
      secretAccessKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
      name: "example",
      allow: everything,
    },
  ],
};
const authorization = (signedHeaders: string, signature: string) =>
  `AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=${signedHeaders},Signature=${signature}`;
const chunked = {
  method: "PUT",
  path: "/examplebucket/chunkObject.txt",
  query: new Map(),
  headers: {
    host: "s3.amazonaws.com",
    "content-encoding": "aws-chunked",
    "x-amz-date": "20130524T000000Z",
    "x-amz-decoded-content-length": "66560",
    "x-amz-storage-class": "REDUCED_REDUNDANCY",
  },
};
const sha256 = (bytes: string | Buffer) => createHash("sha256").update(bytes).digest("hex");

describe("signatures of the API reference's examples", () => {
  test("a GET of a range", () => {
    const empty = sha256("");
    const headers = {
      host: "examplebucket.s3.amazonaws.com",
      range: "bytes=0-9",
      "x-amz-content-sha256": empty,
      "x-amz-date": "20130524T000000Z",
      authorization: authorization(
        "host;range;x-amz-content-sha256;x-amz-date",
        "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
      ),
    };
    const { credential } = authenticate({ method: "GET", path: "/test.txt", query: new Map(), headers }, example);
    expect(credential.name).toBe("example");
  });

  test("a PUT in signed chunks", () => {
    const headers = {
      ...chunked.headers,
      "content-length": "66824",
      "x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
      authorization: authorization(
        "content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class",
        "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
      ),
    };
    const chunks = chunkSignatures(authenticate({ ...chunked, headers }, example));
    chunks.chunk(sha256(Buffer.alloc(65_536, "a")), "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648");
    chunks.chunk(sha256(Buffer.alloc(1024, "a")), "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497");
    chunks.chunk(sha256(""), "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9");
    expect(() => chunks.chunk(sha256(""), undefined)).toThrow("does not match");
  });

  test("a PUT in signed chunks with a trailer", () => {
    const headers = {
      ...chunked.headers,
      "x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
      "x-amz-trailer": "x-amz-checksum-crc32c",
      authorization: authorization(
        "content-encoding;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class;x-amz-trailer",
        "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e",
      ),
    };
    const chunks = chunkSignatures(authenticate({ ...chunked, headers }, example));
    chunks.chunk(sha256(Buffer.alloc(65_536, "a")), "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2");
    chunks.chunk(sha256(Buffer.alloc(1024, "a")), "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7");
    chunks.chunk(sha256(""), "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992");
    const lines = "x-amz-checksum-crc32c:sOO8/Q==\n";
    chunks.trailer(lines, "d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435");
    expect(() => chunks.trailer(lines, undefined)).toThrow("does not match");
  });
});

describe("a request is refused", () => {
  const session = {
    accessKeyId: "ASIASESSION",
    secretAccessKey: "a secret",
    sessionToken: "the token",
    expiresAt: Date.now() + hour,
    name: "session",
    allow: everything,
  };
  const put: RawRequest = { method: "PUT", path: "/data/key", body: "bytes" };
  const sha256OfOther = sha256("other bytes");

  test.each<[string, Partial<RawRequest>, string]>([
    ["without a signature", { tamper: (headers) => delete headers.authorization }, "AccessDenied"],
    ["with a key that nobody has", { who: { ...owner, accessKeyId: "AKIANOBODY" } }, "InvalidAccessKeyId"],
    ["signed with another secret", { who: { ...owner, secretAccessKey: "wrong" } }, "SignatureDoesNotMatch"],
    [
      "with a header changed on the way",
      { tamper: changed("x-amz-content-sha256", /.*/, "0".repeat(64)) },
      "SignatureDoesNotMatch",
    ],
    ["with an x-amz- header that is not signed", { tamper: added("x-amz-acl", "private") }, "AccessDenied"],
    ["for another region", { region: "eu-west-1" }, "AuthorizationHeaderMalformed"],
    ["an hour early", { at: Date.now() - hour }, "RequestTimeTooSkewed"],
    ["an hour late", { at: Date.now() + hour }, "RequestTimeTooSkewed"],
    ["whose bytes are not those of its hash", { payloadHash: sha256OfOther }, "XAmzContentSHA256Mismatch"],
    ["with a hash that is none", { payloadHash: "none" }, "InvalidArgument"],
    ["with a session's key and no token", { who: without(session) }, "InvalidAccessKeyId"],
    ["with a session's key and another token", { who: { ...session, sessionToken: "other" } }, "InvalidToken"],
    ["with a token that belongs to no session", { who: { ...owner, sessionToken: "other" } }, "InvalidToken"],
    ["presigned", { path: "/data/key?X-Amz-Algorithm=AWS4-HMAC-SHA256" }, "NotImplemented"],
    ["in an older version's signature", { tamper: added("authorization", "AWS AKIAOWNER:abc") }, "NotImplemented"],
  ])("%s", async (_, change, code) => {
    const server = await sandboxS3({ credentials: [owner, session] });
    expect((await raw(server.url, put)).status).toBe(200);
    expect((await raw(server.url, { ...put, who: session })).status).toBe(200);
    expect((await raw(server.url, { ...put, ...change })).code).toBe(code);
    expect(server.requests.map(({ status }) => status === 200)).toEqual([true, true, false]);
  });

  test("with the region that would be right", async () => {
    const server = await sandboxS3({ region: "eu-central-1" });
    const answer = await raw(server.url, put);
    expect(answer).toMatchObject({ status: 400, code: "AuthorizationHeaderMalformed" });
    expect(answer.text).toContain("<Region>eu-central-1</Region>");
  });

  test("once its session has expired, by the server's clock", async () => {
    const clock = setClock(Date.now());
    const server = await sandboxS3({ credentials: [session], clock });
    const s3 = s3Client(server, session);
    await s3.send(new PutObjectCommand({ Bucket: "data", Key: "key", Body: "bytes" }));
    clock.set(session.expiresAt);
    const expired = s3.send(new GetObjectCommand({ Bucket: "data", Key: "key" }));
    await expect(expired).rejects.toMatchObject({ name: "ExpiredToken" });
  });
});

function changed(name: string, from: RegExp, to: string) {
  return (headers: Record<string, string>) => {
    headers[name] = headers[name]!.replace(from, to);
  };
}

function added(name: string, value: string) {
  return (headers: Record<string, string>) => {
    headers[name] = value;
  };
}

function without({ sessionToken: _, ...credential }: typeof owner) {
  return credential;
}
