/** Run by memory.test.ts: stores a part of so many bytes in a store, then says how much memory that took. */
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { generateIdentity, keyIdOf, sealer } from "../../core/age/age.ts";
import { systemClock } from "../../core/ports/clock.ts";
import { nodeFiles } from "../../core/ports/files.ts";
import { generateSigningKey, signerOf } from "../../core/signed-document.ts";
import { newSnapshotId } from "../../core/snapshot-id.ts";
import { fileStore } from "../../core/stores/file.ts";
import { parseS3Url } from "../../core/stores/s3-url.ts";
import { SnapshotWriter } from "../../shipper/pipeline/snapshot-writer.ts";
import { keepHeapSmall } from "../../shipper/small-heap.ts";

const [url = "", size = ""] = process.argv.slice(2);

/** In turn what does not compress, what compresses as a dump does, and what is all the same. */
async function* mixed(bytes: number): AsyncGenerator<Buffer> {
  const random = randomBytes(6 * 1024 * 1024);
  const text = Buffer.alloc(6 * 1024 * 1024);
  for (let at = 0; at < text.length; at += 16) text.write(`${((at * at) % 99_991).toString(36)},'word ',`, at);
  const same = Buffer.alloc(1024 * 1024);
  for (let sent = 0, turn = 0; sent < bytes; turn += 1) {
    const source = [random, random, text, same][(turn >> 7) % 4]!;
    const start = (turn * 65_537) % (source.length - 65_536);
    const chunk = source.subarray(start, start + Math.min(65_536, bytes - sent));
    sent += chunk.length;
    yield chunk;
  }
}

/** As the program opens it. */
async function open() {
  if (!url.startsWith("s3:")) return fileStore(fileURLToPath(url), { files: nodeFiles, clock: systemClock });
  return (await import("../../core/stores/s3.ts")).s3Store(parseS3Url(url));
}

keepHeapSmall();
const { recipient } = generateIdentity();
const started = systemClock.now();
let stored = 0;
const writer = new SnapshotWriter({
  address: { hostId: "host-1", component: "mysql", snapshotId: newSnapshotId(started) },
  runId: newSnapshotId(started),
  store: await open(),
  signer: signerOf(generateSigningKey()),
  breakGlass: `1-${"0".repeat(16)}`,
  signal: new AbortController().signal,
  sealed: (bytes) => {
    stored += bytes.stored;
  },
});
const key = { ownerId: "host", keyId: keyIdOf(recipient), sha256: "0".repeat(64), seal: sealer([recipient]) };
await writer.part("database-0001", mixed(Number(size)), key);
const time = new Date(systemClock.now()).toISOString();
await writer.finish({
  startedAt: time,
  cutAt: time,
  finishedAt: time,
  completeness: "complete",
  tools: {},
  facts: {},
  warnings: [],
});
const peak = Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync("/proc/self/status", "utf8"))?.[1]) * 1024;
console.log(JSON.stringify({ peak, stored, seconds: (systemClock.now() - started) / 1000 }));
