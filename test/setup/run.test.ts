import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { rootPrefix } from "../../setup/launch.js";
import { nodeComplaint } from "../../setup/node-version.js";
import { readCommandLine, targets } from "../../setup/targets.js";

const run = fileURLToPath(new URL("../../setup/run.js", import.meta.url));

describe("the command line", () => {
  test("--yes belongs to the setup, and everything else to the target", () => {
    expect(readCommandLine(["demo", "--yes", "--fast"])).toEqual({ target: targets.demo, args: ["--fast"], yes: true });
    expect(readCommandLine(["test", "test/core"])).toEqual({ target: targets.test, args: ["test/core"], yes: false });
  });

  test("--yes behind -- belongs to the target", () => {
    expect(readCommandLine(["bench", "--", "--yes"])).toMatchObject({ args: ["--yes"], yes: false });
  });

  test("the mailark program gets every word of its own", () => {
    expect(readCommandLine(["mailark", "restore", "--yes"])).toMatchObject({ args: ["restore", "--yes"] });
  });

  test("an unknown target is none, also when every object has it", () => {
    expect(readCommandLine(["nonsense"])).toBeUndefined();
    expect(readCommandLine(["constructor"])).toBeUndefined();
    expect(readCommandLine([])).toBeUndefined();
  });
});

test("a Node that is too old is told so, by its version", () => {
  expect(nodeComplaint("18.20.4")).toMatch(/Node 18\.20\.4.*Node 20/);
  expect(nodeComplaint("20.0.0")).toBeUndefined();
  expect(nodeComplaint("24.21.0")).toBeUndefined();
});

test("sudo gets the settings of the project and of the terminal, and no others", () => {
  const environment = { PATH: "/bin", CI: "1", MAILARK_LONG: "1", HOME: "/home/me", AWS_SECRET_ACCESS_KEY: "x" };
  const person = { root: false, sudo: true, canAsk: true };
  expect(rootPrefix(person, environment)).toEqual(["sudo", "env", "PATH=/bin", "CI=1", "MAILARK_LONG=1"]);
  expect(rootPrefix({ ...person, canAsk: false }, {})).toEqual(["sudo", "-n", "env"]);
  expect(rootPrefix({ ...person, root: true }, environment)).toEqual([]);
  expect(rootPrefix({ ...person, sudo: false }, environment)).toBeUndefined();
});

test("an unknown target ends with the usage status, and names the targets", () => {
  const ended = spawnSync(process.execPath, [run, "nonsense"], { encoding: "utf8" });
  expect(ended.status).toBe(2);
  expect(ended.stdout).toBe("");
  expect(ended.stderr).toMatch(/demo\|sandbox\|test/);
});
