import { createHash } from "node:crypto";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { GetObjectCommand, HeadObjectCommand, PutObjectCommand } from "@aws-sdk/client-s3";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { checksumAlgorithms, checksumHeader, checksumOf, combineCrcs } from "../../../sandbox/cloud/s3/checksums.ts";
import { chunkedBody } from "../../../sandbox/cloud/s3/chunked-body.ts";
import { type RawRequest, raw, type Signature } from "../../fixtures/raw-s3.ts";
import { s3Client, sandboxS3 } from "../../fixtures/sandbox-s3.ts";
import { scratchDirectory } from "../../fixtures/scratch.ts";

const bytes = Buffer.alloc(20_000, "some bytes ");
const crc = checksumOf("CRC64NVME", bytes).toString("base64");
const chunk = (size: number, start = 0) =>
  `${size.toString(16)}\r\n${bytes.toString("latin1", start, start + size)}\r\n`;
const trailer = `x-amz-checksum-crc64nvme:${crc}\r\n\r\n`;
const put = { method: "PUT", path: "/data/key" } as const;

describe("a body in chunks", () => {
  const unsigned = {
    ...put,
    payloadHash: "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
    headers: {
      "content-encoding": "aws-chunked",
      "x-amz-decoded-content-length": String(bytes.length),
      "x-amz-trailer": "x-amz-checksum-crc64nvme",
    },
    body: `${chunk(9000)}${chunk(11_000, 9000)}0\r\n${trailer}`,
  } satisfies RawRequest;
  const declaring = (length: number) => ({ ...unsigned.headers, "x-amz-decoded-content-length": String(length) });

  test.each<[string, Partial<RawRequest>, string | undefined]>([
    ["as it should be", {}, undefined],
    ["less than it declares", { headers: declaring(20_001) }, "IncompleteBody"],
    ["more than it declares", { headers: declaring(19_999) }, "IncompleteBody"],
    ["an end in the middle of a chunk", { body: chunk(9000).slice(0, 5000) }, "IncompleteBody"],
    ["an end before the last chunk", { body: chunk(9000) + chunk(11_000, 9000) }, "IncompleteBody"],
    ["a chunk longer than its size", { body: unsigned.body.replace("2328", "2327") }, "IncompleteBody"],
    ["a size that is no number", { body: unsigned.body.replace("2328", "some") }, "IncompleteBody"],
    ["an endless first line", { body: "1".repeat(100_000) }, "IncompleteBody"],
    ["bytes behind the trailer", { body: `${unsigned.body}more` }, "IncompleteBody"],
    [
      "a small chunk that is not the last",
      { body: `${chunk(8191)}${chunk(11_809, 8191)}0\r\n${trailer}` },
      "InvalidChunkSizeError",
    ],
    ["no trailer", { body: unsigned.body.replace(trailer, "\r\n") }, "MalformedTrailerError"],
    ["another trailer", { body: unsigned.body.replace("crc64nvme", "crc32") }, "MalformedTrailerError"],
    ["two trailers", { body: unsigned.body.replace(trailer, `x-amz-meta-a:1\r\n${trailer}`) }, "MalformedTrailerError"],
    ["a trailer that is no checksum", { body: unsigned.body.replace(crc, "short") }, "InvalidRequest"],
    ["a wrong checksum", { body: unsigned.body.replace(crc, "AAAAAAAAAAA=") }, "BadDigest"],
    ["a byte changed on the way", { body: unsigned.body.replace("some", "same") }, "BadDigest"],
    ["no length", { headers: { ...unsigned.headers, "x-amz-decoded-content-length": "" } }, "InvalidArgument"],
    [
      "a trailer that this server does not know",
      { headers: { ...unsigned.headers, "x-amz-trailer": "x-amz-checksum-xxhash64" } },
      "NotImplemented",
    ],
    [
      "signatures it has no key for",
      { payloadHash: "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER" },
      "NotImplemented",
    ],
  ])("with %s", async (_, change, code) => {
    const directory = scratchDirectory();
    const server = await sandboxS3({ directory });
    expect((await raw(server.url, { ...unsigned, ...change })).code).toBe(code);
    const stored = readdirSync(directory).flatMap((each) => readdirSync(join(directory, each)));
    expect(stored).toHaveLength(code === undefined ? 1 : 0);
  });

  describe("that are signed", () => {
    const body =
      (change: { readonly last?: string; readonly trailer?: string; readonly bytes?: Buffer } = {}) =>
      ({ next }: Signature) => {
        const frames = [bytes.subarray(0, 9000), bytes.subarray(9000), Buffer.alloc(0)].map((piece, index) => {
          const signature = index === 1 && change.last !== undefined ? change.last : next("PAYLOAD", piece);
          const sent = index === 0 ? (change.bytes ?? piece) : piece;
          return [`${piece.length.toString(16)};chunk-signature=${signature}\r\n`, sent, piece.length ? "\r\n" : ""];
        });
        const lines = `x-amz-checksum-crc64nvme:${crc}\n`;
        const signature = change.trailer ?? next("TRAILER", lines);
        const end = [lines.replace("\n", "\r\n"), `x-amz-trailer-signature:${signature}\r\n\r\n`];
        return Buffer.concat([...frames.flat(), ...end].map((each) => Buffer.from(each)));
      };
    const signed = { ...unsigned, payloadHash: "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER" };
    const other = "0".repeat(64);

    test.each<[string, Parameters<typeof body>[0], string | undefined]>([
      ["as they should be", {}, undefined],
      ["with another chunk's signature", { last: other }, "SignatureDoesNotMatch"],
      ["with another trailer's signature", { trailer: other }, "SignatureDoesNotMatch"],
      ["with bytes changed on the way", { bytes: Buffer.alloc(9000, "x") }, "SignatureDoesNotMatch"],
    ])("%s", async (_, change, code) => {
      const server = await sandboxS3();
      expect((await raw(server.url, { ...signed, body: body(change) })).code).toBe(code);
    });

    test("are refused without their signatures", async () => {
      const server = await sandboxS3();
      expect((await raw(server.url, { ...signed, body: unsigned.body })).code).toBe("SignatureDoesNotMatch");
    });
  });

  test("is the same however the network cuts it", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 0, max: unsigned.body.length }), { maxLength: 30 }), async (cuts) => {
        const places = [0, ...cuts.sort((a, b) => a - b), unsigned.body.length];
        const pieces = places.slice(1).map((end, index) => Buffer.from(unsigned.body.slice(places[index], end)));
        const decoded = chunkedBody(streamOf(pieces), {
          decodedBytes: bytes.length,
          trailer: true,
          signatures: undefined,
        });
        const all: Buffer[] = [];
        for await (const piece of decoded.bytes) all.push(piece);
        expect(Buffer.concat(all).equals(bytes)).toBe(true);
        expect([...decoded.trailer]).toEqual([["x-amz-checksum-crc64nvme", crc]]);
      }),
      { numRuns: 50 },
    );
  });

  test("that is refused early leaves the connection to the next request", async () => {
    const server = await sandboxS3();
    const s3 = s3Client(server);
    const Body = Buffer.alloc(8 * 1024 * 1024);
    await s3.send(new PutObjectCommand({ Bucket: "data", Key: "key", Body: "first" }));
    const again = s3.send(new PutObjectCommand({ Bucket: "data", Key: "key", Body, IfNoneMatch: "*" }));
    await expect(again).rejects.toMatchObject({ name: "PreconditionFailed" });
    const broken = { ...unsigned, body: `x${"y".repeat(4 * 1024 * 1024)}` };
    expect((await raw(server.url, broken)).code).toBe("IncompleteBody");
    await s3.send(new PutObjectCommand({ Bucket: "data", Key: "other", Body }));
  });
});

describe("a checksum", () => {
  test.each(checksumAlgorithms)("%s is taken from the SDK, kept and given back", async (ChecksumAlgorithm) => {
    const s3 = s3Client(await sandboxS3());
    const put = await s3.send(new PutObjectCommand({ Bucket: "data", Key: "key", Body: bytes, ChecksumAlgorithm }));
    const name = `Checksum${ChecksumAlgorithm}` as const;
    expect(put[name]).toBe(checksumOf(ChecksumAlgorithm, bytes).toString("base64"));
    const asked = { Bucket: "data", Key: "key", ChecksumMode: "ENABLED" } as const;
    expect((await s3.send(new HeadObjectCommand(asked)))[name]).toBe(put[name]);
    const got = await s3.send(new GetObjectCommand(asked));
    expect(got[name]).toBe(put[name]);
    expect(Buffer.from(await got.Body!.transformToByteArray()).equals(bytes)).toBe(true);
    expect((await s3.send(new HeadObjectCommand({ Bucket: "data", Key: "key" })))[name]).toBeUndefined();
  });

  test.each(checksumAlgorithms)("%s that is wrong is refused, and nothing is stored", async (algorithm) => {
    const server = await sandboxS3();
    const wrong = checksumOf(algorithm, Buffer.from("other")).toString("base64");
    const send = (value: string) =>
      raw(server.url, { ...put, body: bytes, headers: { [checksumHeader(algorithm)]: value } });
    expect((await send(wrong)).code).toBe("BadDigest");
    expect((await send("no base64 of its length")).code).toBe("InvalidRequest");
    expect((await raw(server.url, { ...put, method: "GET" })).code).toBe("NoSuchKey");
    expect((await send(checksumOf(algorithm, bytes).toString("base64"))).status).toBe(200);
  });

  test("that nobody sent is CRC64NVME", async () => {
    const server = await sandboxS3();
    await raw(server.url, { ...put, body: bytes });
    const headers = { "x-amz-checksum-mode": "ENABLED" };
    expect((await raw(server.url, { ...put, method: "HEAD", headers })).headers["x-amz-checksum-crc64nvme"]).toBe(crc);
  });

  test("Content-MD5 that is wrong is refused", async () => {
    const server = await sandboxS3();
    const md5 = (of: Buffer | string) => createHash("md5").update(of).digest("base64");
    const send = (value: string) => raw(server.url, { ...put, body: bytes, headers: { "content-md5": value } });
    expect((await send(md5("other"))).code).toBe("BadDigest");
    expect((await send("AAAA")).code).toBe("InvalidDigest");
    expect((await send(md5(bytes))).headers.etag).toBe(`"${createHash("md5").update(bytes).digest("hex")}"`);
  });

  test("must be one, and the one that was named", async () => {
    const server = await sandboxS3();
    const send = async (headers: Record<string, string>) =>
      (await raw(server.url, { ...put, body: bytes, headers })).code;
    const crc32 = checksumOf("CRC32", bytes).toString("base64");
    expect(await send({ "x-amz-checksum-crc64nvme": crc, "x-amz-checksum-crc32": crc32 })).toBe("InvalidRequest");
    expect(await send({ "x-amz-sdk-checksum-algorithm": "CRC32" })).toBe("InvalidRequest");
    const other = { "x-amz-sdk-checksum-algorithm": "CRC32", "x-amz-checksum-crc64nvme": crc };
    expect(await send(other)).toBe("InvalidRequest");
    expect(await send({ "x-amz-checksum-sha512": "AAAA" })).toBe("NotImplemented");
  });

  test("of two byte strings follows from those of each", () => {
    const algorithm = fc.constantFrom("CRC32", "CRC32C", "CRC64NVME");
    fc.assert(
      fc.property(algorithm, fc.uint8Array({ maxLength: 5000 }), fc.uint8Array({ maxLength: 5000 }), (name, a, b) => {
        const combined = combineCrcs(name, checksumOf(name, a), checksumOf(name, b), b.length);
        expect(combined.equals(checksumOf(name, Buffer.concat([a, b])))).toBe(true);
      }),
    );
  });

  test("has the catalogue's check value", () => {
    const values = { CRC32: "cbf43926", CRC32C: "e3069283", CRC64NVME: "ae8b14860a799888" };
    for (const [name, value] of Object.entries(values)) {
      const digits = checksumOf(name as keyof typeof values, Buffer.from("123456789")).toString("hex");
      expect(digits).toBe(value);
    }
  });

  test("is neither compared nor told while its rule is off", async () => {
    const server = await sandboxS3();
    server.rules.checksums = false;
    const wrong = { "x-amz-checksum-crc64nvme": "AAAAAAAAAAA=" };
    const answer = await raw(server.url, { ...put, body: bytes, headers: wrong });
    expect(answer.status).toBe(200);
    expect(answer.headers).not.toHaveProperty("x-amz-checksum-crc64nvme");
    const headers = { "x-amz-checksum-mode": "ENABLED" };
    const head = await raw(server.url, { ...put, method: "HEAD", headers });
    expect(head.headers).not.toHaveProperty("x-amz-checksum-crc64nvme");
  });
});

async function* streamOf(pieces: readonly Buffer[]): AsyncGenerator<Buffer> {
  yield* pieces;
}
