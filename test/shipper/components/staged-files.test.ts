import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { nodeFiles } from "../../../core/ports/files.ts";
import { fileStem, isAsWritten, writeStaged } from "../../../shipper/components/staged-files.ts";
import { scratchDirectory } from "../../fixtures/scratch.ts";

describe("a file for a person", () => {
  const body = [Buffer.alloc(1_500_000, "a"), Buffer.from("the end\n")];

  test("is new, for this user only, and is shown whole to whom looks at it again", async () => {
    const path = join(scratchDirectory(), "dump.rdb");
    const staged = await writeStaged(nodeFiles, path, body);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    const seen: Buffer[] = [];
    expect(isAsWritten(nodeFiles, staged, (chunk) => seen.push(chunk))).toBe(true);
    expect(Buffer.concat(seen).equals(Buffer.concat(body))).toBe(true);
    await expect(writeStaged(nodeFiles, path, [])).rejects.toThrow("EEXIST");
  });

  test("is another with a single byte changed, or one more", async () => {
    const path = join(scratchDirectory(), "dump.rdb");
    const staged = await writeStaged(nodeFiles, path, body);
    const bytes = readFileSync(path);
    bytes[1_100_000]! ^= 1;
    writeFileSync(path, bytes);
    expect(isAsWritten(nodeFiles, staged)).toBe(false);
    writeFileSync(path, Buffer.concat([...body, Buffer.from("\n")]));
    expect(isAsWritten(nodeFiles, staged)).toBe(false);
  });

  test("has a name that harms nobody, and no other file's", () => {
    expect(fileStem("database-0001", "mail_server-2")).toBe("0001-mail_server-2");
    expect(fileStem("database-0002", "../a b'ä")).toBe("0002-%2E%2E%2Fa%20b%27%C3%A4");
    expect(fileStem("database-0003", "x".repeat(300))).toHaveLength(155);
  });
});
