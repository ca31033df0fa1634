import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, onTestFinished, test } from "vitest";
import { s3Place, useCredentials, writer } from "../fixtures/s3-place.ts";
import { scratchDirectory } from "../fixtures/scratch.ts";

const megabyte = 1024 * 1024;

/** A store's URL that a stream of so many bytes is stored in, by a process of its own. */
async function stream(url: string, bytes: number): Promise<{ peak: number; stored: number }> {
  const script = join(import.meta.dirname, "stream-a-part.ts");
  // As the program has it.
  const cache = join(import.meta.dirname, "../../node_modules/.cache/mailark");
  const env = { ...process.env, NODE_COMPILE_CACHE: cache };
  const { stdout } = await promisify(execFile)(process.execPath, [script, url, String(bytes)], { env });
  return JSON.parse(stdout);
}

test("a stream of 2 GB is stored with less than 250 MB of memory", async () => {
  const { peak, stored } = await stream(`file://${scratchDirectory()}`, 2_000_000_000);
  expect(stored).toBeGreaterThan(900 * megabyte);
  expect(peak).toBeLessThan(250_000_000);
});

test("a stream of 1 GB is stored in S3 with less than 250 MB of memory", async () => {
  const s3 = await s3Place({ versioned: false });
  onTestFinished(s3.close);
  useCredentials(writer);
  const { peak, stored } = await stream(s3.url(), 1_000_000_000);
  expect(stored).toBeGreaterThan(450 * megabyte);
  expect(peak).toBeLessThan(250_000_000);
});
