import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type Files, nodeFiles } from "../../core/ports/files.ts";
import { lock } from "../../shipper/lock.ts";
import { processTag } from "../../shipper/process-tag.ts";
import { scratchDirectory } from "../fixtures/scratch.ts";

const stat = readFileSync("/proc/self/stat", "utf8");
/** Another lock of a process that runs: this one. */
const held = `${process.pid}-${stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]} another\n`;
const stale = "4194999-123 x\n";

describe("a lock", () => {
  test("is given back, and leaves nothing", () => {
    const path = join(scratchDirectory(), "state", "lock");
    const release = lock(nodeFiles, path);
    expect(() => lock(nodeFiles, path)).toThrow(expect.objectContaining({ code: "LOCKED", retryable: true }));
    release();
    expect(existsSync(path)).toBe(false);
    lock(nodeFiles, path)();
    expect(readdirSync(join(path, ".."))).toEqual([]);
  });

  test("that another took over is left to it", () => {
    const path = join(scratchDirectory(), "lock");
    const release = lock(nodeFiles, path);
    writeFileSync(path, held);
    release();
    expect(readFileSync(path, "utf8")).toBe(held);
  });

  test("of another namespace of process numbers is held, though nobody here has that number; of another boot it is not", () => {
    const path = join(scratchDirectory(), "lock");
    const [, , boot, namespace] = processTag(nodeFiles).split("-");
    const hidden = `4194999-123-${boot}-${Number.parseInt(namespace!, 36) + 1} x\n`;
    writeFileSync(path, hidden);
    expect(() => lock(nodeFiles, path)).toThrow(
      expect.objectContaining({ code: "LOCKED", message: expect.stringContaining("another container") }),
    );
    expect(readFileSync(path, "utf8")).toBe(hidden);
    const other = boot === "abcd" ? "dcba" : "abcd";
    writeFileSync(path, held.replace(" ", `-${other}-${namespace} `));
    lock(nodeFiles, path)();
  });

  test("that was replaced while it was found stale is put back", () => {
    const path = join(scratchDirectory(), "lock");
    writeFileSync(path, stale);
    const renameSync: Files["renameSync"] = (from, to) => {
      writeFileSync(path, held);
      nodeFiles.renameSync(from, to);
    };
    expect(() => lock({ ...nodeFiles, renameSync }, path)).toThrow(expect.objectContaining({ code: "LOCKED" }));
    expect(readFileSync(path, "utf8")).toBe(held);
    expect(readdirSync(join(path, ".."))).toEqual(["lock"]);
  });
});
