import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, onTestFinished, test } from "vitest";
import example from "../../../../infra/config.example.ts";
import { mailarkApp } from "../../../../infra/mailark-app.ts";
import { startCloud } from "../../../../sandbox/cloud/cloud.ts";
import { apiUrl } from "../../../../sandbox/cloud/services/http-api/http-api-service.ts";
import { scratchDirectory } from "../../../fixtures/scratch.ts";

const run = promisify(execFile);

test("the API as it is synthesized starts a backup through dispatch, in the name of who signed with curl, and tells of it", async () => {
  const assembly = scratchDirectory();
  mailarkApp(example, { outdir: assembly }).synth();
  const cloud = await startCloud({ assembly, directory: scratchDirectory() });
  onTestFinished(() => cloud.close());
  const api = cloud.stacks.flatMap(({ resources }) => resources).find(({ type }) => type === "AWS::ApiGatewayV2::Api")!;
  const { accessKeyId, secretAccessKey } = cloud.root;
  const call = async (path: string, ...words: readonly string[]) => {
    const config = ["--config", "-", "--silent", "--show-error", "--header", "content-type: application/json"];
    const sigv4 = ["--aws-sigv4", `aws:amz:${example.region}:execute-api`, "--write-out", "\n%{http_code}"];
    const asked = run("curl", [...config, ...sigv4, `${apiUrl(cloud, api.ref)}${path}`, ...words]);
    asked.child.stdin!.end(`user = "${accessKeyId}:${secretAccessKey}"\n`);
    const [body = "", status] = (await asked).stdout.split(/\n(?=\d+$)/);
    return { status: Number(status), body: JSON.parse(body) };
  };
  const request = '{"requestId": "before-the-upgrade", "components": ["mysql", "mail"]}';
  const started = await call("/system/backup", "--data", request);
  expect(started).toMatchObject({
    status: 202,
    body: {
      ...{ requestId: "before-the-upgrade", state: "started", components: ["mysql", "mail"] },
      ...{ requestedBy: `arn:aws:iam::${example.account}:root`, commands: [], skipped: [] },
    },
  });
  expect(await call("/system/backup", "--data", request)).toEqual(started);
  expect(await call("/system/backup/status?requestId=before-the-upgrade")).toEqual({
    status: 200,
    body: { ...started.body, hosts: [] },
  });
  expect(await call("/system/backups")).toEqual({ status: 200, body: { backups: [] } });
  expect(await call("/system/backup", "--data", "{}")).toMatchObject({ status: 400 });
  await cloud.settle();
}, 240_000);
