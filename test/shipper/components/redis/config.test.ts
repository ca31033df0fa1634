import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { generateIdentity } from "../../../../core/age/age.ts";
import { nodeFiles } from "../../../../core/ports/files.ts";
import { redisConfigSchema } from "../../../../shipper/components/redis/config.ts";
import { readConfig } from "../../../../shipper/config.ts";
import { scratchDirectory } from "../../../fixtures/scratch.ts";

test("a password file that others can read is refused", () => {
  const directory = scratchDirectory();
  const passwordFile = join(directory, "password");
  const path = join(directory, "config.yaml");
  writeFileSync(passwordFile, "secret\n", { mode: 0o644 });
  const text = `version: 1
host: {id: h-0123456789, name: mail}
store: file:///mnt/store
recovery: ${generateIdentity().recipient}
components:
  redis: {socket: /run/redis/redis.sock, password-file: ${passwordFile}, hold: ["jobs:*"]}
`;
  writeFileSync(path, text, { mode: 0o600 });
  expect(() => readConfig(nodeFiles, path)).toThrow("the password file of Redis can be read by other users");
  chmodSync(passwordFile, 0o600);
  expect(readConfig(nodeFiles, path).components.redis).toMatchObject({ passwordFile, hold: ["jobs:*"] });
});

test("a socket and a host exclude each other, and there is a server by default", () => {
  expect(redisConfigSchema.safeParse({ socket: "/s", host: "h" }).success).toBe(false);
  expect(redisConfigSchema.parse({})).toMatchObject({ command: [], stallSeconds: 300 });
});
