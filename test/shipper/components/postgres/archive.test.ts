import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type SandboxHost, startHost } from "../../../../sandbox/host/host.ts";
import { ArchiveWalker } from "../../../../shipper/components/postgres/archive.ts";
import { nodeProcesses, outputOf } from "../../../../shipper/processes.ts";

let archive: Buffer;
let host: SandboxHost;
beforeAll(async () => {
  host = await startHost({ services: ["postgres"] });
  await host.postgres.sql(
    `CREATE TABLE one (a text); INSERT INTO one VALUES ('x'), (repeat('long', 300));
     CREATE TABLE none (a text); CREATE SEQUENCE s;
     SELECT lo_from_bytea(1, repeat('blob', 200)::bytea), lo_from_bytea(2, '')`,
  );
  archive = await outputOf(nodeProcesses, ["pg_dump", "--format=custom", "--compress=0", "--dbname=postgres"], {
    env: host.postgres.environment,
  });
});
afterAll(() => host?.stop());

function walk(bytes: Buffer, step: number) {
  const walker = new ArchiveWalker();
  for (let at = 0; at < bytes.length; at += step) walker.push(bytes.subarray(at, at + step));
  return walker.end();
}

describe("an archive of pg_dump", () => {
  test.each([1, 7, 4096, 1_000_000])("is whole, in pieces of %d bytes", (step) => {
    const { minor, entries } = walk(archive, step);
    expect(minor).toBe(14);
    expect(entries.filter(({ data }) => data).map(({ kind, name }) => [kind, name])).toEqual([
      ["TABLE DATA", "none"],
      ["TABLE DATA", "one"],
      ["BLOBS", "BLOBS"],
    ]);
    expect(entries).toContainEqual(
      expect.objectContaining({ kind: "TABLE", schema: "public", name: "one", data: false }),
    );
  });

  test("is refused wherever it ends too early", () => {
    for (let length = 0; length < archive.length; length++) {
      expect(() => walk(archive.subarray(0, length), 65_536), `${length} of ${archive.length}`).toThrow(
        expect.objectContaining({ code: "DUMP_TRUNCATED" }),
      );
    }
  });

  test("is refused when something follows it, or stands in the place of its data", () => {
    for (const more of ["\n", "\0", "\u0001\0\0\0\0\0", `\u0001${"\0".repeat(10)}`, "pg_dump: warning"]) {
      const bytes = Buffer.concat([archive, Buffer.from(more, "latin1")]);
      expect(() => walk(bytes, 4096)).toThrow(expect.objectContaining({ code: "DUMP_TRUNCATED" }));
    }
    expect(() => walk(Buffer.from("-- PostgreSQL database dump\n".repeat(400)), 4096)).toThrow(
      expect.objectContaining({ code: "DUMP_TRUNCATED" }),
    );
  });

  test("of a version or a format that is not known is refused as that", () => {
    const [newer, directory] = [Buffer.from(archive), Buffer.from(archive)];
    newer[6] = 17;
    directory[10] = 5;
    for (const bytes of [newer, directory]) {
      expect(() => walk(bytes, 4096)).toThrow(expect.objectContaining({ code: "FORMAT_UNSUPPORTED" }));
    }
  });
});
