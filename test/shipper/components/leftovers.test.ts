import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { nodeFiles } from "../../../core/ports/files.ts";
import { isRoot } from "../../../sandbox/host/account.ts";
import { leftoversIn } from "../../../shipper/components/leftovers.ts";
import { removeTree } from "../../../shipper/components/remove-tree.ts";
import { processTag } from "../../../shipper/process-tag.ts";
import { scratchDirectory } from "../../fixtures/scratch.ts";

const pattern = /^left-(\d+-\d+)$/;

describe("what a killed run left", () => {
  test("is a directory of its own, and none whose process runs", () => {
    const parent = scratchDirectory();
    for (const name of ["left-4194999-1", `left-${processTag(nodeFiles)}`, "other"]) mkdirSync(join(parent, name));
    writeFileSync(join(parent, "left-4194999-2"), "");
    expect(leftoversIn(nodeFiles, parent, pattern)).toEqual([join(parent, "left-4194999-1")]);
  });

  test("is not what a link of that name leads to", () => {
    const parent = scratchDirectory();
    symlinkSync(scratchDirectory(), join(parent, "left-4194999-1"));
    expect(leftoversIn(nodeFiles, parent, pattern)).toEqual([]);
  });

  test.runIf(isRoot)("is not a directory of that name that another user made", () => {
    const parent = scratchDirectory();
    mkdirSync(join(parent, "left-4194999-1"));
    chownSync(join(parent, "left-4194999-1"), 65534, 65534);
    expect(leftoversIn(nodeFiles, parent, pattern)).toEqual([]);
  });

  test("is not a directory that others can write to", () => {
    const parent = scratchDirectory();
    mkdirSync(join(parent, "left-4194999-1"));
    chmodSync(join(parent, "left-4194999-1"), 0o770);
    expect(leftoversIn(nodeFiles, parent, pattern)).toEqual([]);
  });

  test("is nothing where others can put another directory in its place", () => {
    const parent = scratchDirectory();
    mkdirSync(join(parent, "left-4194999-1"));
    chmodSync(parent, 0o777);
    expect(leftoversIn(nodeFiles, parent, pattern)).toEqual([]);
    chmodSync(parent, 0o1777);
    expect(leftoversIn(nodeFiles, parent, pattern)).toEqual([join(parent, "left-4194999-1")]);
  });
});

test("removing a tree whose top is a link removes the link", () => {
  const [parent, other] = [scratchDirectory(), scratchDirectory()];
  writeFileSync(join(other, "precious"), "");
  symlinkSync(other, join(parent, "tree"));
  removeTree(nodeFiles, join(parent, "tree"));
  expect(readdirSync(parent)).toEqual([]);
  expect(existsSync(join(other, "precious"))).toBe(true);
});
