import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ListMultipartUploadsCommand } from "@aws-sdk/client-s3";
import { expect, onTestFinished, test } from "vitest";
import { s3Store } from "../../core/stores/s3.ts";
import { parseS3Url } from "../../core/stores/s3-url.ts";
import { collect } from "../fixtures/read-all.ts";
import { s3Place, useCredentials, writer } from "../fixtures/s3-place.ts";
import { owner, s3Client } from "../fixtures/sandbox-s3.ts";

const bytes = 10_000_000_000;
const script = join(import.meta.dirname, "../e2e/stream-a-part.ts");

test("10 GB go into S3 with less than 250 MB of memory, also after a run that was killed", async () => {
  const s3 = await s3Place({ versioned: false });
  onTestFinished(s3.close);
  useCredentials(writer);
  const keys = async () => {
    const rows = await collect(s3Store(parseS3Url(s3.url())).list(""));
    return rows.flatMap((row) => ("key" in row ? [row.key] : []));
  };
  const start = () =>
    spawn(process.execPath, [script, s3.url(), String(bytes)], { stdio: ["ignore", "pipe", "inherit"] });

  const killed = start();
  while (s3.server.requests.length < 200) await new Promise((resolve) => setTimeout(resolve, 50));
  expect(Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${killed.pid}/status`, "utf8"))?.[1])).toBeLessThan(
    250_000,
  );
  killed.kill("SIGKILL");
  await once(killed, "exit");
  useCredentials(owner);
  const left = await keys();
  expect(left.length).toBeGreaterThan(10);
  expect(left.filter((key) => !key.endsWith(".pack"))).toEqual([]);

  useCredentials(writer);
  const again = start();
  let said = "";
  again.stdout.setEncoding("utf8").on("data", (text: string) => {
    said += text;
  });
  await once(again, "exit");
  const { peak, stored } = JSON.parse(said) as { peak: number; stored: number };
  expect(peak).toBeLessThan(250_000_000);
  expect(stored).toBeGreaterThan(bytes * 0.45);
  useCredentials(owner);
  expect((await keys()).filter((key) => key.endsWith("manifest.json"))).toHaveLength(1);
  // What the killed run had under way, no more: the bucket's rule for unfinished uploads takes it.
  const { Uploads = [] } = await s3Client(s3.server).send(new ListMultipartUploadsCommand({ Bucket: "backups" }));
  expect(Uploads.length).toBeLessThanOrEqual(2);
});
