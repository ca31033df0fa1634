import { beforeEach, expect, onTestFinished, test } from "vitest";
import { systemClock } from "../../core/ports/clock.ts";
import { s3Store } from "../../core/stores/s3.ts";
import { parseS3Url } from "../../core/stores/s3-url.ts";
import type { Credential } from "../../sandbox/cloud/s3/credentials.ts";
import { commandLine } from "../fixtures/command-line.ts";
import { type PaperHost, paperHost } from "../fixtures/paper-host.ts";
import { type S3Place, s3Place, useCredentials, writer } from "../fixtures/s3-place.ts";
import { owner } from "../fixtures/sandbox-s3.ts";
import { setClock } from "../fixtures/set-clock.ts";

/** Whoever may look at everything and erase nothing. */
const reader: Credential = {
  ...{ accessKeyId: "AKIAREADER", secretAccessKey: "the reader's secret", name: "reader" },
  allow: ({ action }) => action === "s3:GetObject" || action === "s3:ListBucket",
};

let s3: S3Place;
let host: PaperHost;
beforeEach(async () => {
  s3 = await s3Place({ credentials: [owner, writer, reader] });
  onTestFinished(s3.close);
  useCredentials(owner);
  const clock = setClock(systemClock.now());
  host = paperHost(s3Store(parseS3Url(s3.url())), clock);
  await host.enrol();
  const full = await host.run({ packs: 2 });
  for (let number = 0; number < 3; number += 1) {
    // S3 tells whole seconds: what came in one of them is in the order of its own time.
    clock.set(clock.now() + 1000);
    await host.run({ base: full });
  }
});

const machine = commandLine("/");
const later = () => ({ ports: { clock: setClock(systemClock.now() + 30 * 24 * 3_600_000) } });
const prune = (...words: string[]) =>
  machine.mailark(
    ["prune", "--store", s3.url(), "--fingerprint", host.trusted[0]!.fingerprint, "--keep-last", "1", ...words],
    later(),
  );
const deletions = () => s3.server.requests.filter(({ operation }) => operation?.startsWith("Delete"));

test("a host that may only create can not prune, and is told which credentials that takes", async () => {
  useCredentials(writer);
  const said = await prune("--delete", "--maximum-expire-share", "1");
  expect(said.code).toBe(6);
  expect(said.stderr).toContain("other credentials");
  expect(deletions()).toEqual([]);
});

test("credentials that read tell what would go, and erase nothing", async () => {
  useCredentials(reader);
  expect((await prune()).stdout).toMatch(/3 snapshots, /);
  expect(deletions()).toEqual([]);
  expect((await prune("--delete")).code).toBe(6);
  expect((await machine.mailark(["verify", "--store", s3.url()])).stdout).toContain("Intact: 4 snapshots");
});

test("others erase, and what is left is whole", async () => {
  const before = s3.server.requests.length;
  expect((await prune("--delete")).code).toBe(0);
  expect(s3.server.requests.length).toBeGreaterThan(before);
  expect(new Set(deletions().map(({ status }) => status))).toEqual(new Set([204]));
  expect((await machine.mailark(["verify", "--store", s3.url()])).stdout).toContain("Intact: 1 snapshot,");
  expect((await prune("--delete")).stdout).toContain("Nothing expires");
});
