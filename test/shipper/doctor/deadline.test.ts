import { writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { type Clock, systemClock } from "../../../core/ports/clock.ts";
import { commandLine } from "../../fixtures/command-line.ts";
import { makeFolder, writeFile } from "../../fixtures/mailboxes.ts";
import { scratchDirectory } from "../../fixtures/scratch.ts";

/** Half a minute passes in a second. */
const hurried: Clock = {
  now: systemClock.now,
  sleep: (milliseconds, signal) => systemClock.sleep(milliseconds / 30, signal),
};

async function host() {
  const line = commandLine(scratchDirectory());
  makeFolder(`${line.vmail}/example.com/alice/Maildir`);
  writeFile(`${line.vmail}/example.com/alice/Maildir/cur/1.a:2,S`, "Subject: one\r\n\r\none");
  await line.init();
  const doctor = async (...parts: string[]) => {
    const { json, code } = await line.configured(["doctor", ...parts, "--json"], { ports: { clock: hurried } });
    const seen = (about: string): { check: string; outcome: string; code?: string; detail: string }[] =>
      json.sections.find((each: { about: string }) => each.about === about).observations;
    return { code, seen };
  };
  return { ...line, doctor };
}

const unanswered = "it did not answer in time";
const notAsked = "what was asked before did not answer";

test("a place that never answers is unproven, and hides nothing of the others", async () => {
  const { directory, edit, doctor } = await host();
  const place = join(directory, "place");
  writeFileSync(place, "#!/bin/sh\nexec sleep 1000\n", { mode: 0o755 });
  edit((text) => text.replace(/^components:\n/m, `components:\n  redis:\n    command: [${place}]\n`));
  const { seen } = await doctor("redis", "mail");
  expect(seen("redis")).toEqual([
    { check: "tools", outcome: "unproven", detail: unanswered },
    { check: "rights", outcome: "unproven", detail: unanswered },
    { check: "content", outcome: "unproven", detail: notAsked },
  ]);
  expect(seen("mail")).toContainEqual(expect.objectContaining({ check: "content", outcome: "fine" }));
});

test("a server that accepts and is silent is unproven, and is not asked for its content", async () => {
  const { edit, doctor } = await host();
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address() as { port: number };
  edit((text) => text.replace(/^components:\n/m, `components:\n  redis: { host: 127.0.0.1, port: ${port} }\n`));
  const { seen } = await doctor("redis");
  expect(seen("redis").slice(-2)).toEqual([
    { check: "rights", outcome: "unproven", detail: unanswered },
    { check: "content", outcome: "unproven", detail: notAsked },
  ]);
  server.close();
});

test("a store that can not be reached is asked once: the rest of it is unproven, and what this machine knows is told", async () => {
  vi.stubEnv("AWS_ACCESS_KEY_ID", "AKIANOBODY");
  vi.stubEnv("AWS_SECRET_ACCESS_KEY", "nothing");
  const { edit, store, doctor } = await host();
  edit((text) => text.replace(store, "s3://bucket/p?endpoint=http://127.0.0.1:1"));
  const { seen, code } = await doctor("store");
  expect(seen("store").map(({ check, outcome, code }) => [check, outcome, code])).toEqual([
    ["there", "fine", undefined],
    ["enrolment", "problem", "STORE_FAILED"],
    ["everything else", "unproven", undefined],
    ["backlog", "fine", undefined],
  ]);
  expect(code).toBe(1);
  vi.unstubAllEnvs();
});
