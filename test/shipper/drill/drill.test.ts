import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { MailarkError } from "../../../core/errors.ts";
import { systemClock } from "../../../core/ports/clock.ts";
import { nodeFiles } from "../../../core/ports/files.ts";
import { isRoot } from "../../../sandbox/host/account.ts";
import type { World } from "../../../shipper/components/component.ts";
import { openShelter } from "../../../shipper/components/shelter.ts";
import { drill, type Subject } from "../../../shipper/drill/drill.ts";
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
  const left = "mailark-drill-4194999-1-0123";

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

test.runIf(isRoot)("a directory that the servers can not pass into is refused before anything is staged", async () => {
  const closed = scratchDirectory();
  chmodSync(closed, 0o700);
  await expect(drill([], { scratch: closed, ...nothing }, world)).rejects.toMatchObject({
    code: "ARGUMENT_INVALID",
    hint: expect.stringContaining("--scratch"),
  });
  expect(readdirSync(closed)).toEqual([]);
});

/** A component of which only staging matters, and a snapshot that was complete. */
const subject = (stage: (path: string) => Promise<unknown>): Subject => ({
  component: {
    name: "mysql",
    stage: (_: unknown, place: { path: string }) => stage(place.path),
    check: async () => [{ name: "rows", outcome: "passed", detail: "" }],
  } as unknown as Subject["component"],
  snapshot: { manifest: { completeness: "complete" } } as Subject["snapshot"],
});

const failures: Record<string, { verdict: string; stage: (path: string) => Promise<unknown> }> = {
  "the disk is full": {
    verdict: "unproven",
    stage: async () => {
      throw Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC", syscall: "write" });
    },
  },
  "a program says that the disk is full": {
    verdict: "unproven",
    stage: async () => {
      const cause = new MailarkError("PROGRAM_FAILED", "tar failed", { detail: "tar: x: No space left on device" });
      throw new MailarkError("RESTORE_FAILED", "a part was not accepted", { cause });
    },
  },
  "there is no place": {
    verdict: "unproven",
    stage: (path) => openShelter({ path: join(path, "not", "there"), accounts: [] }, world),
  },
  "an empty server does not start": { verdict: "unproven", stage: (path) => serve(path, false) },
  "a server does not start with what was restored": { verdict: "failed", stage: (path) => serve(path, true) },
  "the snapshot is damaged": {
    verdict: "failed",
    stage: async () => {
      throw new MailarkError("OBJECT_CORRUPT", "a segment can not be read");
    },
  },
};

async function serve(path: string, reads: boolean) {
  const shelter = await openShelter({ path, accounts: [] }, world);
  try {
    await shelter.serve({ name: "server", words: ["false"], ready: async () => false, reads });
  } finally {
    await shelter.remove();
  }
}

test.each(Object.entries(failures))("where %s, that is not taken for the other", async (_, { verdict, stage }) => {
  const { components } = await drill([subject(stage)], { scratch: scratch(), ...nothing }, world);
  expect(components[0]).toMatchObject({ verdict, checks: [{ name: "it can be brought back", outcome: verdict }] });
});

test("what could not be removed is told", async () => {
  const remove = async () => {
    throw new Error("the server does not end");
  };
  const { components, host } = await drill(
    [subject(async () => ({ remove }))],
    { scratch: scratch(), ...nothing },
    world,
  );
  expect(components[0]!.verdict).toBe("proven");
  expect(host).toMatchObject({ verdict: "failed", checks: [{ name: "nothing stays", outcome: "failed" }] });
});
