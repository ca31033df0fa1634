import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { MailarkError } from "../../core/errors.ts";
import { nodeFiles } from "../../core/ports/files.ts";
import { type Acquaintance, withSealingKeysAside } from "../../shipper/sealing-keys.ts";
import { type faultPlan, sweep, withFaults } from "../fixtures/faults.ts";
import { scratchDirectory } from "../fixtures/scratch.ts";

let directory: string;
const keys = () => (existsSync(join(directory, "keys.json")) ? readFileSync(join(directory, "keys.json"), "utf8") : "");
beforeEach(() => {
  directory = join(scratchDirectory(), "state");
  mkdirSync(directory);
  writeFileSync(join(directory, "keys.json"), "the keys");
});
const aside = (introduce: () => Promise<Acquaintance>) => withSealingKeysAside(nodeFiles, directory, introduce);
const fails = (error: MailarkError) => async () => {
  throw error;
};

describe("the keys of a store that can not be asked", () => {
  test("stay where it knows the host, and go where it does not", async () => {
    expect(await aside(async () => "known")).toBe("known");
    expect(keys()).toBe("the keys");
    expect(await aside(async () => "new")).toBe("new");
    expect(keys()).toBe("");
    expect(existsSync(join(directory, "keys.json.aside"))).toBe(false);
  });

  test("go where it is unclear which", async () => {
    expect(await aside(async () => "unclear")).toBe("unclear");
    expect(keys()).toBe("");
  });

  test("stay where nothing can have happened", async () => {
    const forbidden = new MailarkError("STORE_FORBIDDEN", "made up");
    await expect(aside(fails(forbidden))).rejects.toBe(forbidden);
    expect(keys()).toBe("the keys");
  });

  test.each([
    ["STORE_UNREACHABLE", true],
    ["STORE_UNREACHABLE", false],
    ["STORE_FORBIDDEN", true],
    ["STORE_BUSY", true],
    ["UPLOAD_MISMATCH", false],
    ["FILE_FAILED", false],
    ["INTERRUPTED", false],
    ["INTERNAL", false],
  ] as const)("go where nobody can tell: %s, retryable %s", async (code, retryable) => {
    const error = new MailarkError(code, "made up", { retryable });
    await expect(aside(fails(error))).rejects.toBe(error);
    expect(keys()).toBe("");
  });

  test("are not used any more when the program is killed before it is known", async () => {
    let during = "";
    await aside(async () => {
      during = keys();
      return "known";
    });
    expect(during).toBe("");
  });

  test("never come back for a store that was new, killed before or after any call", async () => {
    let introduced = false;
    const work = async (plan: ReturnType<typeof faultPlan>) => {
      writeFileSync(join(directory, "keys.json"), "the keys");
      introduced = false;
      const introduce = async () => {
        introduced = true;
        return "new" as const;
      };
      await withSealingKeysAside(withFaults(nodeFiles, plan), directory, introduce).catch(() => {});
    };
    let killed = 0;
    for (const die of ["before", "after"] as const) {
      for await (const { call } of sweep((at) => ({ at, die }), work)) {
        if (!introduced) continue;
        killed += 1;
        // From its introduction on the store knows the host.
        await aside(async () => "known");
        expect(keys(), `${die} ${call}`).toBe("");
      }
    }
    expect(killed).toBeGreaterThan(0);
  });
});
