import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type SandboxHost, startHost } from "../../../../sandbox/host/host.ts";
import { populateMailApp } from "../../../../sandbox/host/mail-app.ts";
import { postgresComponent } from "../../../../shipper/components/postgres/component.ts";
import { createVault, type Vault } from "../../../fixtures/vault.ts";
import { configOf, scratchPath } from "./server-content.ts";

let host: SandboxHost;
let vault: Vault;
beforeAll(async () => {
  [host, vault] = await Promise.all([startHost({ services: ["postgres"] }), createVault()]);
  await populateMailApp(host.postgres, { seed: "round trip" });
});
afterAll(async () => {
  vault?.remove();
  await host?.stop();
});

describe("a server", () => {
  test("comes back in a scratch server", async () => {
    const component = postgresComponent(configOf(host));
    const { outcomes } = await vault.backup([component]);
    if (outcomes[0]?.error) throw outcomes[0].error;
    const snapshot = await vault.open("postgres");
    const place = scratchPath();
    const staged = await component.stage(snapshot, { kind: "scratch", path: place.path }, {}, vault.world());
    const checks = await component.check(staged, vault.world());
    await staged.remove();
    place.remove();
    expect(checks.filter(({ outcome }) => outcome !== "passed")).toEqual([]);
  });
});
