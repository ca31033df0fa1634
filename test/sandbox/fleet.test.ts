import { once } from "node:events";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { execa } from "execa";
import { describe, expect, onTestFinished, test } from "vitest";
import type { RunningCloud } from "../../sandbox/cloud/cloud.ts";
import { startFleet } from "../../sandbox/fleet/fleet.ts";
import { operatorsShell } from "../../sandbox/fleet/operators-shell.ts";
import { outputOf } from "../../sandbox/fleet/outputs.ts";
import { scratchDirectory } from "../fixtures/scratch.ts";

/** What of an account a fleet looks at before it asks it for anything. */
function account(...stacks: readonly Readonly<Record<string, string>>[]): RunningCloud {
  const resources = [{ type: "AWS::ApiGatewayV2::Api", ref: "an-api" }];
  return {
    ...{ region: "eu-central-1", directory: "/account" },
    endpoints: { api: "http://127.0.0.1:1", s3: "http://127.0.0.1:2" },
    s3: { url: "http://127.0.0.1:2", region: "eu-central-1" },
    root: { accessKeyId: "AKIAROOT", secretAccessKey: "only/the/owners" },
    stacks: stacks.map((outputs) => ({ outputs, resources })),
  } as unknown as RunningCloud;
}
const outputs = { Store: "s3://data?region=eu-central-1", ControlBucket: "control", VerifyFunction: "verify" };

describe("the operator's shell", () => {
  test("finds the account, and keeps its owner's secret in files that are the operator's alone", async () => {
    const directory = scratchDirectory();
    const shell = operatorsShell(account(outputs), directory);
    const files = readdirSync(directory).map((name) => join(directory, name));
    expect(files.map((file) => statSync(file).mode & 0o777)).toEqual(files.map(() => 0o600));
    expect(readFileSync(shell, "utf8")).not.toContain("only/the/owners");
    const script = `. '${shell}'; echo "$DATA $CONTROL $VERIFY $AWS_ENDPOINT_URL"; cat "$AWS_SHARED_CREDENTIALS_FILE"`;
    const { stdout } = await execa("/bin/sh", ["-c", script], { env: { AWS_ACCESS_KEY_ID: "another" } });
    expect(stdout).toContain("data control verify http://127.0.0.1:1\n");
    expect(stdout).toContain("aws_secret_access_key = only/the/owners");
  });

  test("does not go on with the credentials that somebody has for a real account", async () => {
    const shell = operatorsShell(account(outputs), scratchDirectory());
    const env = {
      AWS_ACCESS_KEY_ID: "real",
      AWS_SECRET_ACCESS_KEY: "real",
      AWS_SESSION_TOKEN: "real",
      AWS_PROFILE: "real",
    };
    const { stdout } = await execa("/bin/sh", ["-c", `. '${shell}'; env`], { env });
    expect(stdout).not.toMatch(/=real$/m);
  });

  test("has commands that fail where the account refuses", async () => {
    const refusing = createServer((_, response) => response.writeHead(404).end("no such function"));
    await once(refusing.listen(0, "127.0.0.1"), "listening");
    onTestFinished(() => void refusing.close());
    const shell = operatorsShell(account(outputs), scratchDirectory());
    const command = `. '${shell}'; signed lambda http://127.0.0.1:${(refusing.address() as AddressInfo).port}/`;
    const { exitCode, stdout } = await execa("/bin/sh", ["-c", command], { reject: false });
    expect({ exitCode, stdout }).toEqual({ exitCode: 22, stdout: "no such function" });
  });
});

test("an output is of one stack", () => {
  expect(outputOf(account(outputs, { Other: "x" }), "Store")).toBe(outputs.Store);
  expect(() => outputOf(account(outputs, outputs), "Store")).toThrow("not one stack has the output Store");
  expect(() => outputOf(account(), "Store")).toThrow("not one stack has the output Store");
});

test("a fleet that can not be started leaves no host behind", async () => {
  let directory = "";
  const plan = {
    ...{ name: "mail-1", instanceId: "i-0a11ce00000000001", services: [] },
    async populate(host: { readonly directory: string }) {
      directory = host.directory;
      throw new Error("no mailboxes");
    },
  };
  await expect(startFleet(account(outputs), { directory: scratchDirectory(), plans: [plan] })).rejects.toThrow(
    "no mailboxes",
  );
  expect(directory).not.toBe("");
  expect(existsSync(directory)).toBe(false);
});
