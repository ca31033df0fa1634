import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { nodeFiles } from "../../../core/ports/files.ts";
import { writeSecretFile } from "../../../shipper/components/secret-file.ts";
import { processTag } from "../../../shipper/process-tag.ts";
import { scratchDirectory } from "../../fixtures/scratch.ts";

let temporary: string;
beforeEach(() => {
  temporary = scratchDirectory();
  vi.stubEnv("TMPDIR", temporary);
});
afterEach(() => vi.unstubAllEnvs());

describe("a file with a secret", () => {
  test("is for this user only, and leaves nothing", () => {
    const { path, remove } = writeSecretFile(nodeFiles, "pgpass", "secret\n");
    expect(readFileSync(path, "utf8")).toBe("secret\n");
    expect([dirname(path), path].map((each) => statSync(each).mode & 0o777)).toEqual([0o700, 0o600]);
    remove();
    remove();
    expect(readdirSync(temporary)).toEqual([]);
  });

  test("goes with the next run when its own was killed, whoever has its number now, and not before", () => {
    const leave = (name: string) => {
      mkdirSync(join(temporary, name));
      writeFileSync(join(temporary, name, "pgpass"), "secret\n");
      return name;
    };
    const end = "0123456789abcdef";
    const kept = [leave(`mailark-client-${processTag(nodeFiles)}-${end}`), leave(`someone-elses-4194999-1-${end}`)];
    leave(`mailark-client-4194999-123-${end}`);
    leave(`mailark-client-${process.pid}-1-${end}`);
    writeSecretFile(nodeFiles, "pgpass", "secret\n").remove();
    expect(readdirSync(temporary).toSorted()).toEqual(kept);
  });

  test("is not what a link of such a name leads to", () => {
    const other = scratchDirectory();
    writeFileSync(join(other, "passwd"), "");
    symlinkSync(other, join(temporary, "mailark-client-4194999-123-0123456789abcdef"));
    writeSecretFile(nodeFiles, "pgpass", "secret\n").remove();
    expect(existsSync(join(other, "passwd"))).toBe(true);
  });
});
