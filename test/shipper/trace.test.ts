import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { type CommandLine, commandLine } from "../fixtures/command-line.ts";
import { makeFolder, writeFile } from "../fixtures/mailboxes.ts";
import { scratchDirectory } from "../fixtures/scratch.ts";

let host: CommandLine;
beforeEach(async () => {
  host = commandLine(scratchDirectory());
  makeFolder(`${host.vmail}/example.com/alice/Maildir`);
  writeFile(`${host.vmail}/example.com/alice/Maildir/cur/1.a:2,S`, "Subject: one\r\n\r\none");
  await host.init();
});
const backup = async (...words: string[]) => host.configured([...words, "backup"]);

test("debug tells each request to the store with its size or its error, and each program with how it ended", async () => {
  host.edit((text) => `${text}  configs:\n    paths: [${join(host.directory, "etc")}]\n`);
  const { stderr, code } = await backup("--log-level", "debug");
  expect(code).toBe(0);
  expect(stderr).toMatch(/Z debug store put hosts\/\S+\/mail\/\S+\/0001\.pack: [\d.]+ \w+, [\d.]+ m?s$/m);
  expect(stderr).toMatch(/Z debug store head hosts\/\S+\/enrol\/\S+: [\d.]+ \w+, /m);
  expect(stderr).toMatch(/Z debug store list hosts\/\S+\/mail\/: done, 0 rows, /m);
  expect(stderr).toMatch(/Z debug program .*tar .*: exit status 0, /m);
  expect((await backup("--debug")).stderr).toMatch(/store put hosts\/\S+restore\.sh: OBJECT_EXISTS/);
});

test("info tells the steps, warn what must be seen, and error not even that", async () => {
  const info = await backup("--log-level", "info");
  expect(info.stderr).toMatch(/Z info mail: begins\n.*Z info mail: [\d.]+ \w+, [\d.]+ m?s\n/);
  expect(info.stderr).not.toContain("debug");
  expect((await backup()).stderr).toBe("");
  host.edit((text) => `${text}\naudit: ${host.configPath}/audit.jsonl\n`);
  expect((await backup()).stderr).toMatch(/^Warning: /);
  expect((await backup("--log-level", "error")).stderr).toBe("");
});

test("with --json each is a line of its own, and progress goes by the level too", async () => {
  const { stderr } = await backup("--json", "--log-level", "debug");
  const events = stderr
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(events).toContainEqual(expect.objectContaining({ event: "begin", label: "mail" }));
  expect(events).toContainEqual(
    expect.objectContaining({ event: "log", level: "debug", message: expect.stringContaining("store put") }),
  );
  expect((await backup("--json", "--log-level", "error")).stderr).toBe("");
});

test("a level that there is none of is refused with those there are", async () => {
  const said = await backup("--log-level", "loud");
  expect(said.code).toBe(2);
  expect(said.stderr).toContain("error, warn, info, debug");
});
