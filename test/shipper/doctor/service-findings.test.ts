import { randomBytes } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { type SandboxHost, startHost } from "../../../sandbox/host/host.ts";
import { commandLine } from "../../fixtures/command-line.ts";
import { ownDirectory } from "../../fixtures/scratch.ts";
import { grantAll, sections, serviceIllnesses, type Ward } from "./service-illnesses.ts";
import { findAndFix, sickroom } from "./sickroom.ts";

let ward: Ward;
let host: SandboxHost;
let remove: () => void;
const password = randomBytes(12).toString("hex");
beforeAll(async () => {
  const directory = ownDirectory();
  remove = directory.remove;
  host = await startHost({ services: ["mariadb", "postgres", "redis"] });
  await grantAll(host, password);
  const line = commandLine(directory.path);
  mkdirSync(join(line.vmail, "example.com", "alice", "Maildir", "cur"), { recursive: true });
  await line.init();
  const passwordFile = join(directory.path, "password");
  writeFileSync(passwordFile, `${password}\n`, { mode: 0o600 });
  line.edit((text) => text.slice(0, text.indexOf("\ncomponents:")) + sections(host, passwordFile));
  ward = { ...sickroom(line), host, passwordFile };
  // Whoever runs a fix is the administrator of the servers.
  writeFileSync(join(directory.path, ".my.cnf"), `[client]\nuser=root\npassword=${host.mariadb.password}\n`, {
    mode: 0o600,
  });
  vi.stubEnv("HOME", directory.path);
  vi.stubEnv("PGUSER", host.postgres.user);
  vi.stubEnv("PGPASSWORD", host.postgres.password);
  vi.stubEnv("REDISCLI_AUTH", host.redis.password);
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await host.stop();
  remove();
});

test("servers that are well give no finding", async () => {
  const said = await ward.line.configured(["doctor", "mysql", "postgres", "redis"]);
  expect(said.stdout).toMatch(/^Ready: 0 problems, 0 warnings, 0 unproven/m);
});

describe("each finding goes away by the fix that is printed with it", () => {
  test.each(serviceIllnesses)("$code: found where $where", async (each) => findAndFix(each, ward));
});

test("no password stands in what is printed, also where it is refused", async () => {
  const said = [await ward.line.configured(["doctor", "mysql", "postgres", "redis", "--json", "--debug"])];
  writeFileSync(ward.passwordFile, `x${password}\n`);
  said.push(await ward.line.configured(["doctor", "mysql", "postgres", "redis", "--json", "--debug"]));
  writeFileSync(ward.passwordFile, `${password}\n`);
  expect(said[1]!.json.problems).toBe(3);
  for (const { stdout, stderr } of said) expect(stdout + stderr).not.toContain(password);
});
