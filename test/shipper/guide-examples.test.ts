import { readFileSync } from "node:fs";
import {
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  PutObjectCommand,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import { describe, expect, onTestFinished, test } from "vitest";
import { z } from "zod";
import { systemClock } from "../../core/ports/clock.ts";
import { probeStore } from "../../core/stores/probe.ts";
import { withRetries } from "../../core/stores/retry.ts";
import { s3Store } from "../../core/stores/s3.ts";
import { parseS3Url, s3Parameters } from "../../core/stores/s3-url.ts";
import type { Caller } from "../../sandbox/cloud/iam/caller.ts";
import { decide } from "../../sandbox/cloud/iam/decide.ts";
import { readPolicy } from "../../sandbox/cloud/iam/policy.ts";
import type { Credential } from "../../sandbox/cloud/s3/credentials.ts";
import { configSchema } from "../../shipper/config.ts";
import { parseYaml } from "../../shipper/config-text.ts";
import { s3Place, useCredentials } from "../fixtures/s3-place.ts";
import { owner, s3Client } from "../fixtures/sandbox-s3.ts";

const page = (name: string) => readFileSync(new URL(`../../docs/${name}`, import.meta.url), "utf8");
const { components } = configSchema.shape;

test("the guide's configuration of a system in docker compose is taken as it stands", () => {
  const [, text = ""] = /## Services in containers\n.*?\n```yaml\n(.*?)```/s.exec(page("guide.md")) ?? [];
  const parsed = parseYaml(text, "guide.md", z.strictObject({ components }));
  expect(Object.keys(parsed.components).toSorted()).toEqual(["certs", "configs", "mail", "postgres", "queue", "redis"]);
});

test("so is what the page on restores has for the queue of a container that is stopped", () => {
  const [, text = ""] = /## Services in containers\n.*?\n {2}```yaml\n(.*?) {2}```/s.exec(page("restore.md")) ?? [];
  const wrapped = `components:\n${text}`;
  const parsed = parseYaml(wrapped, "restore.md", z.strictObject({ components }));
  expect(parsed.components.queue?.command).toContain("--entrypoint=env");
});

test("so are the rules of what expires", () => {
  const [, text = ""] = /## What expires\n.*?```yaml\n(.*?)```/s.exec(page("guide.md")) ?? [];
  const [store] = parseYaml(text, "guide.md", z.strictObject({ stores: configSchema.shape.stores })).stores ?? [];
  expect(store).toMatchObject({ retention: { daily: 7, monthly: 12, components: { mail: { daily: 30 } } } });
});

describe("the guide's policy for a host that can create, and nothing else", () => {
  const caller: Caller = {
    ...{ kind: "session", account: "123456789012", role: "arn:aws:iam::123456789012:role/mail1" },
    ...{ roleId: "AROAEXAMPLE", session: "backup" },
  };

  /** A bucket without versions, and whoever has exactly what the guide's JSON gives. */
  async function place() {
    const [, text = ""] =
      /\*\*Give the host credentials that can create.*?```json\n(.*?)```/s.exec(page("guide.md")) ?? [];
    const identity = [
      readPolicy(JSON.parse(text.replaceAll("example-backups/mail1", "backups/mail")), "guide", "identity"),
    ];
    const host: Credential = {
      ...{ accessKeyId: "AKIAHOST", secretAccessKey: "the host's secret", name: "host" },
      allow: (need) => decide({ caller, ...need }, { identity, authority: "either" }).allowed,
    };
    const s3 = await s3Place({ credentials: [owner, host], versioned: false });
    onTestFinished(s3.close);
    useCredentials(host);
    return { store: s3Store(parseS3Url(s3.url())), thief: s3Client(s3.server, host) };
  }

  test("lets a host store what fits a request and what goes up in parts, and the probe makes sure of it", async () => {
    const { store } = await place();
    await store.put("hosts/h-1/small", [Buffer.from("small")]);
    await store.put("hosts/h-1/large", [Buffer.alloc(17 << 20)]);
    const patient = withRetries(store, { clock: systemClock, random: Math.random });
    const { guarantee } = await probeStore({ ...patient, replace: store.replace }, "h-1", new AbortController().signal);
    expect(guarantee).toEqual(["Who steals these credentials can not replace or erase what was stored before."]);
  });

  test("refuses a thief who leaves the condition out, in one request and in parts", async () => {
    const { store, thief } = await place();
    await store.put("hosts/h-1/small", [Buffer.from("small")]);
    const at = { Bucket: "backups", Key: "mail/hosts/h-1/small" };
    const denied = { name: "AccessDenied" };
    await expect(thief.send(new PutObjectCommand({ ...at, Body: "gone" }))).rejects.toMatchObject(denied);
    const { UploadId } = await thief.send(new CreateMultipartUploadCommand({ ...at, ChecksumAlgorithm: "CRC32" }));
    const part = { ...at, UploadId, PartNumber: 1, ChecksumAlgorithm: "CRC32" as const, Body: "gone" };
    const { ETag, ChecksumCRC32 } = await thief.send(new UploadPartCommand(part));
    const completing = { ...at, UploadId, MultipartUpload: { Parts: [{ PartNumber: 1, ETag, ChecksumCRC32 }] } };
    await expect(thief.send(new CompleteMultipartUploadCommand(completing))).rejects.toMatchObject(denied);
    await expect(
      thief.send(new CompleteMultipartUploadCommand({ ...completing, IfNoneMatch: "*" })),
    ).rejects.toMatchObject({ name: "PreconditionFailed" });
    await expect(store.erase("hosts/h-1/small")).rejects.toMatchObject({ code: "STORE_FORBIDDEN" });
    await expect(store.head("hosts/h-1/small")).rejects.toMatchObject({ code: "STORE_FORBIDDEN" });
  });
});

test("so is the store in S3, with everything that its table names", () => {
  const [, section = ""] = /## A store in S3\n(.*?)\n## /s.exec(page("guide.md")) ?? [];
  const [, text = ""] = /```yaml\n(.*?)```/s.exec(section) ?? [];
  const { store, bandwidthLimit } = configSchema.shape;
  const parsed = parseYaml(text, "guide.md", z.strictObject({ store, bandwidthLimit }));
  expect(parsed.bandwidthLimit).toBe(10_000_000);
  const named = [...section.matchAll(/^\| `([a-z-]+)` \|/gm)].map(([, name]) => name);
  expect(named.toSorted()).toEqual([...s3Parameters].sort());
});
