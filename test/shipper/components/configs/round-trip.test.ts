import { execFileSync } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { nodeFiles } from "../../../../core/ports/files.ts";
import { type SandboxHost, startHost } from "../../../../sandbox/host/host.ts";
import { certsComponent } from "../../../../shipper/components/certs/component.ts";
import { certsConfig } from "../../../../shipper/components/certs/config.ts";
import type { Check } from "../../../../shipper/components/component.ts";
import { configsComponent } from "../../../../shipper/components/configs/component.ts";
import { configsConfig } from "../../../../shipper/components/configs/config.ts";
import { readConfig } from "../../../../shipper/config.ts";
import { scratchDirectory } from "../../../fixtures/scratch.ts";
import { createVault, type Vault } from "../../../fixtures/vault.ts";

let host: SandboxHost;
let vault: Vault;
beforeAll(async () => {
  [host, vault] = await Promise.all([startHost({ services: ["postfix", "dovecot", "opendkim"] }), createVault()]);
});
afterAll(async () => {
  vault?.remove();
  await host?.stop();
});

const configs = () =>
  configsComponent(
    configsConfig.parse({
      paths: [
        host.postfix.configDirectory,
        host.dovecot.configDirectory,
        host.opendkim.configDirectory,
        host.apiDirectory,
      ],
    }),
  );
const certs = () => certsComponent(certsConfig.parse({ paths: [host.letsencrypt] }));

const outcomes = (checks: readonly Check[]) =>
  checks.map(({ name, outcome, detail }) => [
    name.replace(host.directory, ""),
    outcome === "passed" ? outcome : detail,
  ]);

describe("the configuration and the certificates of a host", () => {
  test("are captured, staged as they were, and read by the services' own checkers", async () => {
    expect(
      (await vault.backup([configs(), certs()])).outcomes.map(({ error, manifest }) => error ?? manifest?.warnings),
    ).toEqual([[], []]);
    for (const component of [configs(), certs()]) {
      const path = `${scratchDirectory()}/scratch`;
      const staged = await component.stage(
        await vault.open(component.name),
        { kind: "scratch", path },
        {},
        vault.world(),
      );
      const checks = await component.check(staged, vault.world());
      const roots = component.name === "certs" ? [host.letsencrypt] : [host.postfix.configDirectory, host.apiDirectory];
      for (const root of roots) execFileSync("diff", ["-r", "--no-dereference", root, `${path}${root}`]);
      expect(outcomes(checks).filter(([, outcome]) => outcome !== "passed")).toEqual([]);
      await staged.remove();
      expect(existsSync(path)).toBe(false);
    }
  });
});

test("the directory of mailark's own configuration comes along", () => {
  const directory = scratchDirectory();
  const path = `${directory}/config.yaml`;
  const paths = (section: string) => {
    const text = `version: 1\nhost: {id: h-1, name: x}\nstore: file:///s\nrecovery: ${vault.recipient}\ncomponents:\n  ${section}\n`;
    writeFileSync(path, text, { mode: 0o600 });
    return readConfig(nodeFiles, path).components.configs?.paths;
  };
  expect(paths("configs: {paths: [/etc/postfix]}")).toEqual(["/etc/postfix", directory]);
  expect(paths(`configs: {paths: [${directory}]}`)).toEqual([directory]);
  expect(paths("configs: {paths: [/etc/postfix], command: [docker, exec, -i, mail]}")).toEqual(["/etc/postfix"]);
  expect(paths("certs: {}")).toBeUndefined();
  for (const wrong of ["/", "/etc/", "etc", "/etc/../root", "/etc//postfix"]) {
    expect(() => paths(`configs: {paths: ["${wrong}"]}`), wrong).toThrow(
      expect.objectContaining({ code: "CONFIG_INVALID" }),
    );
  }
});
