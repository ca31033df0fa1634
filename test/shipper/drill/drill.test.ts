import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { systemClock } from "../../../core/ports/clock.ts";
import { nodeFiles } from "../../../core/ports/files.ts";
import { isRoot } from "../../../sandbox/host/account.ts";
import type { World } from "../../../shipper/components/component.ts";
import { drill } from "../../../shipper/drill/drill.ts";
import { nodeProcesses } from "../../../shipper/processes.ts";
import { scratchDirectory } from "../../fixtures/scratch.ts";

const world: World = {
  files: nodeFiles,
  processes: nodeProcesses,
  clock: systemClock,
  signal: new AbortController().signal,
  progress: () => {},
};

/** A directory that every account may pass through. */
function scratch(): string {
  const path = scratchDirectory();
  chmodSync(path, 0o711);
  return path;
}

const nothing = { checkHost: async () => [] };

describe("what a drill left that ended with the machine", () => {
  const left = "mailark-drill-4194999-1-0123abcd";

  test("is removed by the next", async () => {
    const base = scratch();
    mkdirSync(join(base, left, "mysql"), { recursive: true });
    writeFileSync(join(base, left, "mysql", "table"), "");
    await drill([], { scratch: base, ...nothing }, world);
    expect(readdirSync(base)).toEqual([]);
  });

  test("is not what a link of that name leads to", async () => {
    const [base, other] = [scratch(), scratchDirectory()];
    writeFileSync(join(other, "precious"), "");
    symlinkSync(other, join(base, left));
    await drill([], { scratch: base, ...nothing }, world);
    expect(existsSync(join(other, "precious"))).toBe(true);
  });

  test.runIf(isRoot)("is not a directory of that name that another user made", async () => {
    const base = scratch();
    mkdirSync(join(base, left));
    chownSync(join(base, left), 65534, 65534);
    await drill([], { scratch: base, ...nothing }, world);
    expect(readdirSync(base)).toEqual([left]);
  });
});
