import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { scratchDirectory } from "../fixtures/scratch.ts";

const megabyte = 1024 * 1024;

test("a stream of 2 GB is stored with less than 250 MB of memory", async () => {
  const script = join(import.meta.dirname, "stream-a-part.ts");
  const { stdout } = await promisify(execFile)(process.execPath, [script, scratchDirectory(), "2000000000"]);
  const { peak, stored } = JSON.parse(stdout) as { peak: number; stored: number };
  expect(stored).toBeGreaterThan(900 * megabyte);
  expect(peak).toBeLessThan(250_000_000);
});
