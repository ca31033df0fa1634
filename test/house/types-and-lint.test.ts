import { execFile } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";
import { repository } from "./source-files.ts";

const run = (program: string, ...args: string[]) =>
  new Promise<{ code: number | string; output: string }>((resolve) => {
    execFile(
      process.execPath,
      [join(repository, "node_modules/.bin", program), ...args],
      { cwd: repository, maxBuffer: 64 * 1024 * 1024 },
      (error, stdout, stderr) => resolve({ code: error?.code ?? 0, output: stdout + stderr }),
    );
  });

test("every type fits", async () => {
  const { code, output } = await run("tsc", "--noEmit", "--pretty", "false");
  expect(output.trim()).toBe("");
  expect(code).toBe(0);
});

test("every file is formatted and free of lint", async () => {
  const { code, output } = await run("biome", "check", "--colors=off", "--max-diagnostics=50", ".");
  expect(code, output).toBe(0);
});
