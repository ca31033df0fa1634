import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Member } from "../../../../shipper/components/tree/member.ts";
import { readTar } from "../../../../shipper/components/tree/read-tar.ts";
import { endOfArchive, headersOf } from "../../../../shipper/components/tree/write-tar.ts";
import { readAll } from "../../../fixtures/read-all.ts";
import { scratchDirectory } from "../../../fixtures/scratch.ts";
import { tarOf } from "../../../fixtures/tar-writer.ts";
import { pieces } from "./tree-content.ts";

/** Everything that a reader learns of an archive. */
async function learnt(archive: Buffer, cuts: readonly number[] = []) {
  const all: { readonly member: Member; readonly content: string }[] = [];
  for await (const { member, chunks } of readTar(pieces(archive, cuts))) {
    all.push({ member, content: (await readAll(chunks)).toString("latin1") });
  }
  return all;
}

const long = `etc/${"long name/".repeat(30)}end`;
const archive = tarOf([
  { name: "etc/", flag: "5", mode: 0o2755 },
  { name: "etc/file", content: "x".repeat(700), user: "postfix", uid: 105 },
  { name: "short", longName: long, content: "by GNU" },
  { name: "short", flag: "2", longLink: "../".repeat(50), longName: "etc/link" },
  {
    name: "short",
    pax: { path: "etc/ü\n=", mtime: "-1.5", uid: "70000000", "SCHILY.xattr.user.a": "b\0c\n" },
    content: "by pax",
  },
  { name: "etc/hard", flag: "1", link: "etc/file" },
  {
    name: "x",
    content: `${"2\n0\n1\n9\n1\n".padEnd(512, "\0")}ab`,
    pax: {
      "GNU.sparse.major": "1",
      "GNU.sparse.minor": "0",
      "GNU.sparse.realsize": "20",
      "GNU.sparse.name": "etc/sparse",
    },
  },
  { name: "etc/nothing" },
]);

describe("an archive is read", () => {
  test("the same, wherever its stream is cut", async () => {
    const whole = await learnt(archive);
    expect(whole.map(({ member }) => member.path)).toEqual([
      "etc",
      "etc/file",
      long,
      "etc/link",
      "etc/ü\n=",
      "etc/hard",
      "etc/sparse",
      "etc/nothing",
    ]);
    const places = fc.array(fc.integer({ min: 0, max: archive.length }), { maxLength: 40 });
    await fc.assert(
      fc.asyncProperty(places, async (cuts) => {
        expect(await learnt(archive, cuts)).toEqual(whole);
      }),
    );
    expect(
      await learnt(
        archive,
        Array.from({ length: archive.length }, (_, at) => at),
      ),
    ).toEqual(whole);
  });

  test("never but whole: cut off at any block it is refused", async () => {
    for (let bytes = 0; bytes < archive.length; bytes += 512) {
      await expect(learnt(archive.subarray(0, bytes)), `${bytes}`).rejects.toMatchObject({ code: "OBJECT_CORRUPT" });
    }
  });

  test("as GNU tar reads it, once its headers are written anew", async () => {
    const text = fc.string({
      unit: fc.integer({ min: 1, max: 255 }).map((byte) => String.fromCharCode(byte)),
      minLength: 1,
      maxLength: 120,
    });
    const path = text.filter((name) => !name.includes("/") && name !== "." && name !== "..");
    const anyMember = fc.record({
      path,
      mode: fc.integer({ min: 0, max: 0o1777 }),
      uid: fc.integer({ min: 0, max: 4_000_000_000 }),
      seconds: fc.integer({ min: -1_000_000_000, max: 10_000_000_000 }),
      nanoseconds: fc.integer({ min: 0, max: 999_999_999 }),
      content: fc.string({ maxLength: 1200, unit: "binary-ascii" }),
    });
    await fc.assert(
      fc.asyncProperty(anyMember, async ({ path, mode, uid, seconds, nanoseconds, content }) => {
        const decimals = String(nanoseconds).padStart(9, "0").replace(/0+$/, "");
        const modified = decimals === "" ? String(seconds) : `${seconds}.${decimals}`;
        const size = content.length;
        const own = { path, mode, uid, gid: 0, user: "", group: "", modified, size, stored: size, target: "" };
        const member: Member = { ...own, kind: "file", flag: "0", attributes: new Map(), acl: {} };
        const zeros = Buffer.alloc((512 - (size % 512)) % 512);
        const written = Buffer.concat([headersOf(member), Buffer.from(content, "latin1"), zeros, endOfArchive]);
        const [read] = await learnt(written);
        expect(read?.member).toMatchObject(own);
        expect(read?.content).toBe(content);
        const file = `${scratchDirectory()}/a.tar`;
        writeFileSync(file, written);
        const list = (...options: string[]) =>
          execFileSync("tar", ["--list", "--quoting-style=literal", ...options, "--file", file], {
            encoding: "latin1",
            env: { ...process.env, LC_ALL: "C" },
          });
        expect(list()).toBe(`${path}\n`);
        expect(list("--verbose", "--numeric-owner")).toContain(`${uid}/0`);
      }),
      { numRuns: 40 },
    );
  });
});
