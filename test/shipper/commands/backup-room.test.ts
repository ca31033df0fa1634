import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { nodeFiles } from "../../../core/ports/files.ts";
import { type CommandLine, commandLine } from "../../fixtures/command-line.ts";
import { makeFolder, treeOf, writeFile } from "../../fixtures/mailboxes.ts";
import { scratchDirectory } from "../../fixtures/scratch.ts";

let host: CommandLine;
beforeEach(async () => {
  host = commandLine(scratchDirectory());
  makeFolder(`${host.vmail}/example.com/alice/Maildir`);
  writeFile(`${host.vmail}/example.com/alice/Maildir/cur/1.a:2,S`, "Subject: one\r\n\r\none");
  await host.init();
});

/** A disk below `directory` that has so many bytes left. */
const disk = (directory: string, free: number) => ({
  ports: {
    files: {
      ...nodeFiles,
      statfsSync: ((path: string) =>
        path.startsWith(directory) ? { bavail: free, bsize: 1 } : nodeFiles.statfsSync(path)) as never,
    },
  },
});
const sizes = () => join(host.directory, "state/sizes.json");
const stored = () => JSON.parse(readFileSync(sizes(), "utf8")).mail;
const objects = (directory = host.storeDirectory) => Object.keys(treeOf(directory));

describe("a backup to a disk that has less than the last one took", () => {
  test("is refused before anything is written, with both figures, the place and what to do", async () => {
    expect((await host.configured(["backup"], disk(host.storeDirectory, 1))).code).toBe(0);
    const before = objects();
    const said = await host.configured(["backup"], disk(host.storeDirectory, stored() - 1));
    expect(said.code).toBe(1);
    expect(said.stderr).toMatch(
      /^Error: .* are needed for mail, and .* are free\n {2}.*\/store\nTry: make room with `mailark prune/,
    );
    expect(said.stderr).toContain("if this host has shrunk since, remove sizes.json");
    expect(objects()).toEqual(before);
    expect((await host.configured(["backup"], disk(host.storeDirectory, stored()))).code).toBe(0);
  });

  test("goes through where it is not known how much it takes", async () => {
    await host.configured(["backup"]);
    for (const text of ["{", '{"mail": -1}', '{"mysql": 100}']) {
      writeFileSync(sizes(), text);
      expect((await host.configured(["backup"], disk(host.storeDirectory, 1))).code).toBe(0);
    }
    rmSync(sizes());
    expect((await host.configured(["backup"], disk(host.storeDirectory, 1))).code).toBe(0);
    expect(existsSync(sizes())).toBe(true);
  });

  test("goes to the other store, and says which one is left out", async () => {
    const second = join(host.directory, "second");
    host.edit((text) => text.replace(/^store: .*$/m, `stores: ["${host.store}", "file://${second}"]`));
    await host.configured(["enrol"]);
    expect((await host.configured(["backup"])).code).toBe(0);
    const before = objects(second);
    const said = await host.configured(["backup"], disk(second, 1));
    expect(said.code).toBe(3);
    expect(said.stderr).toMatch(/second is left out of this run: .* are needed for mail, and 1 B are free/);
    expect(objects(second)).toEqual(before);
    expect((await host.configured(["verify"])).stdout).toContain("Intact: 2 snapshots");
  });
});
