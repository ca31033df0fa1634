import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { leashed, placeWith, reach, scratchPathAt } from "../../../shipper/components/elsewhere.ts";
import { nodeProcesses } from "../../../shipper/processes.ts";
import { scratchDirectory } from "../../fixtures/scratch.ts";

const { signal } = new AbortController();
const world = { processes: nodeProcesses, signal };
/** Words that lead to a place as those of a container engine do. */
const there = ["env"];

/** An engine that says this, and runs nothing. */
const saying = (words: string, status: number) => ["sh", "-c", 'echo "$1" >&2; exit "$2"', "sh", words, `${status}`];

describe("a program that is on a leash", () => {
  test("ends when its input does, and not before", async () => {
    const mark = join(scratchDirectory(), "begun");
    const script = 'touch "$1"; exec sleep 300';
    const running = await nodeProcesses.start(leashed(there, ["sh", "-c", script, "sh", mark]));
    while (!existsSync(mark)) await new Promise((resolve) => setTimeout(resolve, 5));
    running.stdin.end();
    expect(await running.exited).toEqual({ code: 137 });
  });

  test.each([0, 3])("gives its output and its exit status %d", async (status) => {
    const words = ["sh", "-c", `cat; echo done; exit ${status}`];
    const running = await nodeProcesses.start(leashed(there, words));
    let said = "";
    for await (const chunk of running.stdout) said += chunk;
    expect(said).toBe("done\n");
    expect(await running.exited).toEqual({ code: status });
    running.stdin.end();
  });

  test("is the program itself on this machine", () => {
    expect(leashed([], ["pg_dump", "--version"])).toEqual(["pg_dump", "--version"]);
  });
});

describe("a place that can not be reached", () => {
  test.each([
    ["Error response from daemon: No such container: db", 1, "there is no container of that name"],
    ['Error: no container with name or ID "db" found: no such container', 125, "there is no container of that name"],
    ["Error response from daemon: container 4c01 is not running", 1, "the container is stopped or paused"],
    [
      "Error response from daemon: Container db is paused, unpause the container before exec",
      1,
      "the container is stopped or paused",
    ],
    ['service "db" is not running', 1, "the container is stopped or paused"],
    [
      "Error: can only create exec sessions on running containers: container state improper",
      255,
      "the container is stopped or paused",
    ],
    [
      "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
      1,
      "the container engine does not answer",
    ],
    ["something new", 1, "the programs of a service can not be reached"],
  ])("is told in words of ours: %s", async (words, status, message) => {
    await expect(reach(saying(words, status), world)).rejects.toMatchObject({
      code: "PLACE_UNREACHABLE",
      message,
      detail: expect.stringContaining(words),
      hint: expect.any(String),
    });
  });

  test("and one without a shell, and words that name no program, are told as what they are", async () => {
    const words = 'OCI runtime exec failed: exec: "sh": executable file not found in $PATH';
    await expect(reach(saying(words, 127), world)).rejects.toMatchObject({ code: "PROGRAM_MISSING" });
    await expect(reach(["no-such-engine", "exec"], world)).rejects.toMatchObject({ code: "PROGRAM_MISSING" });
    await reach(there, world);
    await reach([], world);
  });
});

test("a scratch server runs at the place where there is a program for it, and otherwise here", async () => {
  expect(await placeWith(["no-such-server", "sh"], there, world)).toEqual(there);
  expect(await placeWith(["no-such-server"], there, world)).toEqual([]);
  expect(await placeWith(["sh"], saying("it is paused", 255), world)).toEqual([]);
  expect(scratchPathAt([], "/tmp/x")).toBe("/tmp/x");
  expect(scratchPathAt(there, "/tmp/x")).toMatch(/^\/var\/tmp\/mailark-[0-9a-f]{16}$/);
});
