import { chownSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { RunningCloud } from "../cloud/cloud.ts";
import { apiUrl } from "../cloud/services/http-api/http-api-service.ts";
import { outputOf } from "./outputs.ts";

const mailark = new URL("../../shipper/mailark.ts", import.meta.url).pathname;

/**
 * What a shell reads (`. FILE`) to be the operator's: where the account is, credentials of its owner in files that are the operator's alone, and
 * variables and functions for the commands that docs/cloud.md has.
 *
 * @returns the file.
 */
export function operatorsShell(cloud: RunningCloud, directory: string): string {
  const { region, endpoints, root, stacks } = cloud;
  const write = (name: string, lines: readonly string[]) => {
    const path = join(directory, name);
    writeFileSync(path, `${lines.join("\n")}\n`, { mode: 0o600 });
    giveBack(path);
    return path;
  };
  const { accessKeyId, secretAccessKey } = root;
  const keys = [`aws_access_key_id = ${accessKeyId}`, `aws_secret_access_key = ${secretAccessKey}`];
  const credentials = write("credentials", ["[default]", ...keys]);
  const config = write("config", ["[default]", `region = ${region}`]);
  const curl = write("curl", [
    `user = "${accessKeyId}:${secretAccessKey}"`,
    'header = "content-type: application/json"',
    "silent",
    "show-error",
    "fail-with-body",
  ]);
  const api = stacks.flatMap(({ resources }) => resources).find(({ type }) => type === "AWS::ApiGatewayV2::Api");
  if (api === undefined) throw new Error("the stacks have no API");
  const store = outputOf(cloud, "Store");
  const file = write("shell", [
    "unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_PROFILE AWS_REGION AWS_DEFAULT_REGION",
    `export AWS_SHARED_CREDENTIALS_FILE='${credentials}' AWS_CONFIG_FILE='${config}' AWS_EC2_METADATA_DISABLED=true`,
    `export AWS_ENDPOINT_URL='${endpoints.api}' AWS_ENDPOINT_URL_S3='${endpoints.s3}'`,
    `API='${apiUrl(cloud, api.ref)}'`,
    `STORE='${store}'`,
    `DATA='${new URL(store).hostname}'`,
    `CONTROL='${outputOf(cloud, "ControlBucket")}'`,
    `VERIFY='${outputOf(cloud, "VerifyFunction")}'`,
    `INBOX='${join(cloud.directory, "inbox")}'`,
    `signed() { service=$1; shift; curl --config '${curl}' --aws-sigv4 "aws:amz:${region}:$service" "$@"; }`,
    `mailark() { '${process.execPath}' '${mailark}' "$@"; }`,
  ]);
  giveBack(directory);
  return file;
}

/** Under sudo the operator is who called it. */
function giveBack(path: string): void {
  const { SUDO_UID, SUDO_GID } = process.env;
  if (SUDO_UID !== undefined && SUDO_GID !== undefined) chownSync(path, Number(SUDO_UID), Number(SUDO_GID));
}
