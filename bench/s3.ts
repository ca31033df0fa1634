/**
 * Uploads into S3: mailark's store, a plain script on the same SDK that sends parts in parallel, and `aws s3 cp` where it is installed.
 * All against the sandbox's S3, in a process of its own, which answers each request 20 ms late and keeps what it gets on tmpfs.
 */
import { execFile, fork } from "node:child_process";
import { once } from "node:events";
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import {
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import { systemClock } from "../core/ports/clock.ts";
import { withRetries } from "../core/stores/retry.ts";
import { s3Store } from "../core/stores/s3.ts";
import { parseS3Url } from "../core/stores/s3-url.ts";
import { inTurns, median } from "./measure.ts";
import { atLeast, type Bench, type BenchOptions, columns, type Report } from "./report.ts";

export const s3: Bench = {
  title: "uploads into S3, against a plain parallel script and aws s3 cp",
  programs: ["aws"],
  run: measureS3,
};

const leastThroughput = 0.9;
const bytes = 1_000_000_000;
const smallCount = 1000;
const smallBytes = 64 * 1024;
/** Small packs under way at a time, in both programs of ours. */
const lanes = 8;
const partBytes = 16 * 1024 * 1024;
const latency = 20;
const bucket = "bench";
const keys = { accessKeyId: "AKIABENCH", secretAccessKey: "secret of the bench" };

interface Tool {
  readonly name: string;
  /** Of its keys. */
  readonly prefix: string;
  large(round: number): Promise<unknown>;
  small(round: number): Promise<unknown>;
}

async function measureS3({ rounds = 3, say }: BenchOptions): Promise<Report> {
  const place = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "mailark-bench-"));
  const words = [join(place, "s3"), bucket, keys.accessKeyId, keys.secretAccessKey, String(latency)];
  const server = fork(new URL("./s3-server.ts", import.meta.url), words);
  try {
    const [endpoint] = (await once(server, "message")) as [string];
    const input = makeInput(place);
    const tools = [plainScript(endpoint, input), mailark(endpoint, input), ...(await awsProgram(endpoint, input))];
    const measured = await inTurns(tools, rounds, async (tool, round) => {
      say(`round ${round + 1} of ${rounds}: ${tool.name}`);
      const large = await seconds(() => tool.large(round));
      await sdk(endpoint).send(new DeleteObjectCommand({ Bucket: bucket, Key: `${tool.prefix}/large-${round}` }));
      return { large, small: await seconds(() => tool.small(round)) };
    });
    const results = (["large", "small"] as const).flatMap((what) => {
      const medians = measured.map((each) => median(each.map((taken) => taken[what])));
      return tools.map(({ name }, index) => ({
        what,
        name,
        taken: medians[index]!,
        ratio: medians[0]! / medians[index]!,
      }));
    });
    return {
      columns: columns(["upload", "tool"], ["median s", "throughput, script = 1"]),
      rows: results.map(({ what, name, taken, ratio }) => [what, name, taken.toFixed(2), ratio.toFixed(2)]),
      notes: [
        `large: one object of ${bytes / 1e6} MB; small: ${smallCount} objects of ${smallBytes / 1024} KiB; ${rounds} rounds, ${latency} ms of latency`,
      ],
      verdicts: results
        .filter(({ name }) => name === "mailark")
        .map(({ what, ratio }) => atLeast(`${what}, throughput, script = 1`, ratio, leastThroughput)),
    };
  } finally {
    server.kill();
    rmSync(place, { recursive: true, force: true });
  }
}

interface Input {
  readonly file: string;
  readonly folder: string;
}

/** The same megabyte over and over: what it holds does not matter to any of them. */
function makeInput(place: string): Input {
  const input = { file: join(place, "large"), folder: join(place, "small") };
  const megabyte = Buffer.alloc(1_000_000, "incompressible or not");
  writeFileSync(input.file, "");
  for (let written = 0; written < bytes; written += megabyte.length) writeFileSync(input.file, megabyte, { flag: "a" });
  mkdirSync(input.folder);
  for (let number = 0; number < smallCount; number += 1) {
    writeFileSync(join(input.folder, `${number}.pack`), megabyte.subarray(0, smallBytes));
  }
  return input;
}

function mailark(endpoint: string, { file, folder }: Input): Tool {
  process.env.AWS_ACCESS_KEY_ID = keys.accessKeyId;
  process.env.AWS_SECRET_ACCESS_KEY = keys.secretAccessKey;
  const own = s3Store(parseS3Url(`s3://${bucket}/mailark?endpoint=${endpoint}`));
  const store = withRetries(own, { clock: systemClock, random: Math.random });
  return {
    name: "mailark",
    prefix: "mailark",
    large: (round) => store.put(`large-${round}`, { [Symbol.asyncIterator]: () => pieces(file, 4_000_000) }),
    small: (round) =>
      inLanes(async (number) => {
        const body = { [Symbol.asyncIterator]: () => pieces(join(folder, `${number}.pack`), smallBytes) };
        await store.put(`small-${round}/${number}.pack`, body);
      }),
  };
}

/** What one would write on a page: whole parts read into memory, four under way. */
function plainScript(endpoint: string, { file, folder }: Input): Tool {
  const client = sdk(endpoint);
  return {
    name: "script",
    prefix: "script",
    async large(round) {
      const target = { Bucket: bucket, Key: `script/large-${round}` };
      const { UploadId } = await client.send(new CreateMultipartUploadCommand(target));
      const parts: Promise<{ PartNumber: number; ETag: string | undefined }>[] = [];
      const underWay = new Set<Promise<unknown>>();
      for await (const Body of pieces(file, partBytes)) {
        if (underWay.size === 4) await Promise.race(underWay);
        const PartNumber = parts.length + 1;
        const sending = client.send(new UploadPartCommand({ ...target, UploadId, PartNumber, Body }));
        parts.push(sending.then(({ ETag }) => ({ PartNumber, ETag })));
        const ended: Promise<unknown> = sending.then(() => underWay.delete(ended));
        underWay.add(ended);
      }
      const MultipartUpload = { Parts: await Promise.all(parts) };
      await client.send(new CompleteMultipartUploadCommand({ ...target, UploadId, MultipartUpload }));
    },
    small: (round) =>
      inLanes(async (number) => {
        const Body = readFileSync(join(folder, `${number}.pack`));
        await client.send(new PutObjectCommand({ Bucket: bucket, Key: `script/small-${round}/${number}.pack`, Body }));
      }),
  };
}

const sdk = (endpoint: string) =>
  new S3Client({
    ...{ endpoint, region: "us-east-1", forcePathStyle: true, credentials: keys },
    requestChecksumCalculation: "WHEN_REQUIRED",
  });

async function awsProgram(endpoint: string, { file, folder }: Input): Promise<Tool[]> {
  const env = { ...process.env, AWS_ACCESS_KEY_ID: keys.accessKeyId, AWS_SECRET_ACCESS_KEY: keys.secretAccessKey };
  const copy = (...words: string[]) =>
    promisify(execFile)(
      "aws",
      ["s3", "cp", "--only-show-errors", "--endpoint-url", endpoint, "--region", "us-east-1", ...words],
      { env },
    );
  const tool = {
    name: "aws s3 cp",
    prefix: "aws",
    large: (round: number) => copy(file, `s3://${bucket}/aws/large-${round}`),
    small: (round: number) => copy("--recursive", folder, `s3://${bucket}/aws/small-${round}`),
  };
  try {
    await copy(join(folder, "0.pack"), `s3://${bucket}/aws/first`);
    return [tool];
  } catch {
    return [];
  }
}

async function inLanes(work: (number: number) => Promise<void>): Promise<void> {
  let next = 0;
  const lane = async () => {
    while (next < smallCount) await work(next++);
  };
  await Promise.all(Array.from({ length: lanes }, lane));
}

async function* pieces(path: string, size: number): AsyncGenerator<Buffer> {
  const descriptor = openSync(path, "r");
  try {
    for (;;) {
      const piece = Buffer.allocUnsafe(size);
      const read = readSync(descriptor, piece);
      if (read === 0) return;
      yield piece.subarray(0, read);
    }
  } finally {
    closeSync(descriptor);
  }
}

async function seconds(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return (performance.now() - began) / 1000;
}
