import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type Files, nodeFiles } from "../../core/ports/files.ts";
import { readText, writeDurably } from "../../shipper/state-files.ts";
import { errnoError, type faultPlan, sweep, withFaults } from "../fixtures/faults.ts";
import { scratchDirectory } from "../fixtures/scratch.ts";

describe("a file of state", () => {
  test("comes back as it was written, and is the owner's alone", () => {
    const path = join(scratchDirectory(), "new", "state.json");
    const text = `Möl ${"x".repeat(200_000)}`;
    writeDurably(nodeFiles, path, text);
    expect(readText(nodeFiles, path)).toBe(text);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(statSync(join(path, "..")).mode & 0o777).toBe(0o700);
    writeDurably(nodeFiles, path, "");
    expect(readText(nodeFiles, path)).toBe("");
  });

  test("is undefined when there is none, and an error when that is not known", () => {
    const folder = scratchDirectory();
    expect(readText(nodeFiles, join(folder, "none"))).toBeUndefined();
    expect(() => readText(nodeFiles, folder)).toThrow("EISDIR");
  });

  test("is flushed before it gets its name, and its folder afterwards", () => {
    const folder = scratchDirectory();
    const events: string[] = [];
    const files: Files = {
      ...nodeFiles,
      fsyncSync(descriptor) {
        nodeFiles.fsyncSync(descriptor);
        events.push(nodeFiles.fstatSync(descriptor).isDirectory() ? "flush folder" : "flush file");
      },
      renameSync(from, to) {
        nodeFiles.renameSync(from, to);
        events.push("rename");
      },
    };
    writeDurably(files, join(folder, "state.json"), "text");
    expect(events).toEqual(["flush file", "rename", "flush folder"]);
  });

  test.each([
    ["fails", (at: number) => ({ at, throw: errnoError("ENOSPC") })],
    ["dies before", (at: number) => ({ at, die: "before" as const })],
    ["dies after", (at: number) => ({ at, die: "after" as const })],
    ["dies in the middle of", (at: number) => ({ at, die: "torn" as const })],
  ])("is the old or the new one, whole, when the writer %s any call", async (how, fault) => {
    let path = "";
    const work = async (plan: ReturnType<typeof faultPlan>) => {
      path = join(scratchDirectory(), "state.json");
      writeDurably(nodeFiles, path, "the old text");
      try {
        writeDurably(withFaults(nodeFiles, plan, "files"), path, "the new text");
      } catch {
        // What is on disk is what counts.
      }
    };
    for await (const { call } of sweep(fault, work)) {
      expect(readFileSync(path, "utf8"), call).toMatch(/^the (old|new) text$/);
      if (how === "fails") expect(readdirSync(join(path, "..")), call).toEqual(["state.json"]);
      writeDurably(nodeFiles, path, "the next text");
      expect(readText(nodeFiles, path)).toBe("the next text");
    }
  });
});
