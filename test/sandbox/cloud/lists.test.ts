import {
  DeleteObjectCommand,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  PutObjectCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { raw } from "../../fixtures/raw-s3.ts";
import { s3Client, sandboxS3 } from "../../fixtures/sandbox-s3.ts";

async function filled(keys: readonly string[]): Promise<S3Client> {
  const s3 = s3Client(await sandboxS3());
  for (const Key of keys) await s3.send(new PutObjectCommand({ Bucket: "data", Key, Body: Key }));
  return s3;
}

/** All pages, each row as its key or its prefix. */
async function everyPage(s3: S3Client, more: object): Promise<string[][]> {
  const pages: string[][] = [];
  for (let ContinuationToken: string | undefined; ; ) {
    const page = await s3.send(new ListObjectsV2Command({ Bucket: "data", ContinuationToken, ...more }));
    const names = [
      ...(page.Contents ?? []).map(({ Key }) => Key!),
      ...(page.CommonPrefixes ?? []).map((p) => p.Prefix!),
    ];
    expect(page.KeyCount).toBe(names.length);
    pages.push(names.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))));
    ContinuationToken = page.NextContinuationToken;
    expect(page.IsTruncated).toBe(ContinuationToken !== undefined);
    if (ContinuationToken === undefined) return pages;
  }
}

describe("a list of objects", () => {
  const keys = ["a", "b/1", "b/2/x", "b/2/y", "b/3", "c", "d/1"];

  test("is in the order of the keys' bytes", async () => {
    const odd = ["\u{1f600}", "\uffee", "z", "a b", "a+b", "é"];
    const inBytes = [...odd].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    const { Contents } = await (await filled(odd)).send(new ListObjectsV2Command({ Bucket: "data" }));
    expect(Contents?.map(({ Key }) => Key)).toEqual(inBytes);
  });

  test.each<[object, string[][]]>([
    [{ Prefix: "b/" }, [["b/1", "b/2/x", "b/2/y", "b/3"]]],
    [{ Delimiter: "/" }, [["a", "b/", "c", "d/"]]],
    [{ Delimiter: "/", Prefix: "b/" }, [["b/1", "b/2/", "b/3"]]],
    [{ StartAfter: "b/2/x" }, [["b/2/y", "b/3", "c", "d/1"]]],
    [{ StartAfter: "b/2/x", Delimiter: "/" }, [["b/", "c", "d/"]]],
    [{ MaxKeys: 3 }, [["a", "b/1", "b/2/x"], ["b/2/y", "b/3", "c"], ["d/1"]]],
    [
      { MaxKeys: 2, Delimiter: "/" },
      [
        ["a", "b/"],
        ["c", "d/"],
      ],
    ],
    [{ MaxKeys: 1, Delimiter: "/", Prefix: "b/" }, [["b/1"], ["b/2/"], ["b/3"]]],
    [{ MaxKeys: 0 }, [[]]],
    [{ Prefix: "none" }, [[]]],
  ])("by %o", async (asked, pages) => {
    expect(await everyPage(await filled(keys), asked)).toEqual(pages);
  });

  test("has no hidden ones, nor prefixes of nothing but them", async () => {
    const s3 = await filled(keys);
    for (const Key of ["a", "d/1"]) await s3.send(new DeleteObjectCommand({ Bucket: "data", Key }));
    expect(await everyPage(s3, { Delimiter: "/" })).toEqual([["b/", "c"]]);
  });

  test("has names that no XML can hold, encoded", async () => {
    const s3 = await filled(["a\u0001b&<>", "c d/e+f%"]);
    const { Contents } = await s3.send(new ListObjectsV2Command({ Bucket: "data", EncodingType: "url" }));
    expect(Contents?.map(({ Key }) => Key)).toEqual(["a%01b%26%3C%3E", "c%20d/e%2Bf%25"]);
    expect(await everyPage(s3, { Prefix: "c" })).toEqual([["c d/e+f%"]]);
  });

  test("whatever its pages, is what sorting the keys gives", async () => {
    const server = await sandboxS3();
    const s3 = s3Client(server);
    const key = fc.stringMatching(/^[ab/]{1,4}$/).filter((each) => !each.startsWith("/"));
    const delimiter = fc.constantFrom("/", "a/", undefined);
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(key, { maxLength: 12 }),
        delimiter,
        fc.nat(3),
        key,
        async (names, Delimiter, n, Prefix) => {
          const { clear, put } = bucketOf(s3);
          await clear();
          for (const name of names) await put(name);
          const rows = names
            .filter((name) => name.startsWith(Prefix))
            .map((name) => {
              const cut = Delimiter === undefined ? -1 : name.indexOf(Delimiter, Prefix.length);
              return cut < 0 ? name : name.slice(0, cut + Delimiter!.length);
            });
          const pages = await everyPage(s3, { Prefix, Delimiter, MaxKeys: n + 1 });
          expect(pages.flat()).toEqual([...new Set(rows)].sort());
          expect(pages.slice(0, -1).every((page) => page.length === n + 1)).toBe(true);
        },
      ),
      { numRuns: 25 },
    );
  });

  test("does not go on from what is no token of its own, nor take a number that is none", async () => {
    const server = await sandboxS3();
    for (const query of ["continuation-token=abc", "max-keys=many", "encoding-type=xml"]) {
      const answer = await raw(server.url, { method: "GET", path: `/data?list-type=2&${query}` });
      expect(answer.code).toBe("InvalidArgument");
    }
  });
});

describe("a list of versions", () => {
  test("has every version and delete marker, newest first, page by page", async () => {
    const s3 = await filled(["a", "b", "b", "b/1", "c"]);
    await s3.send(new DeleteObjectCommand({ Bucket: "data", Key: "b" }));
    const rows: string[] = [];
    let next: { KeyMarker?: string | undefined; VersionIdMarker?: string | undefined } = {};
    for (let pages = 1; ; pages++) {
      const page = await s3.send(new ListObjectVersionsCommand({ Bucket: "data", MaxKeys: 2, ...next }));
      const markers = page.DeleteMarkers?.map(({ Key, IsLatest }) => `${Key} hidden ${IsLatest}`) ?? [];
      rows.push(...markers, ...(page.Versions ?? []).map(({ Key, IsLatest, Size }) => `${Key} ${Size} ${IsLatest}`));
      next = { KeyMarker: page.NextKeyMarker, VersionIdMarker: page.NextVersionIdMarker };
      if (page.IsTruncated) continue;
      expect(pages).toBe(3);
      break;
    }
    expect(rows.sort()).toEqual(
      ["a 1 true", "b hidden true", "b 1 false", "b 1 false", "b/1 3 true", "c 1 true"].sort(),
    );
    const below = await s3.send(new ListObjectVersionsCommand({ Bucket: "data", Delimiter: "/", Prefix: "b" }));
    expect(below.CommonPrefixes).toEqual([{ Prefix: "b/" }]);
  });
});

function bucketOf(s3: S3Client) {
  const Bucket = "data";
  return {
    put: (Key: string) => s3.send(new PutObjectCommand({ Bucket, Key, Body: "x" })),
    async clear() {
      const { Versions = [], DeleteMarkers = [] } = await s3.send(new ListObjectVersionsCommand({ Bucket }));
      for (const { Key, VersionId } of [...Versions, ...DeleteMarkers]) {
        await s3.send(new DeleteObjectCommand({ Bucket, Key: Key!, VersionId }));
      }
    },
  };
}
