import { execFileSync } from "node:child_process";
import { chmodSync, cpSync, readFileSync, readlinkSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Clock, systemClock } from "../../../../core/ports/clock.ts";
import { makeLetsencrypt } from "../../../../sandbox/host/letsencrypt.ts";
import { certsComponent } from "../../../../shipper/components/certs/component.ts";
import { certsConfig } from "../../../../shipper/components/certs/config.ts";
import { scratchDirectory } from "../../../fixtures/scratch.ts";
import { createVault, type Vault } from "../../../fixtures/vault.ts";

let vault: Vault;
let letsencrypt: string;
let archive: string;
let live: string;
beforeEach(async () => {
  vault = await createVault();
  letsencrypt = makeLetsencrypt({ directory: scratchDirectory() });
  archive = `${letsencrypt}/archive/mx.example.test`;
  live = `${letsencrypt}/live/mx.example.test`;
});
afterEach(() => vault.remove());

/** A clock that goes right, some days later. */
const daysLater = (days: number): Clock => ({ ...systemClock, now: () => systemClock.now() + days * 86_400_000 });

/** What is said of the certificates after a capture and a stage, `days` later: outcome and words by the name of the check. */
async function judged(days = 0) {
  const component = certsComponent(certsConfig.parse({ paths: [letsencrypt] }));
  expect((await vault.backup([component])).exitCode).toBe(0);
  const place = { kind: "scratch", path: `${scratchDirectory()}/scratch` } as const;
  const world = vault.world({ clock: daysLater(days) });
  const staged = await component.stage(await vault.open("certs"), place, {}, world);
  const checks = await component.check(staged, world);
  const links = execFileSync("find", [`${place.path}${live}`, "-type", "l"], { encoding: "utf8" })
    .trim()
    .split("\n");
  const targets = links.map((link) => readlinkSync(link));
  await staged.remove();
  const said = Object.fromEntries(
    checks.map(({ name, outcome, detail }) => [name.split(" ")[0], `${outcome}: ${detail}`]),
  );
  return { said, targets };
}

const two = () => makeLetsencrypt({ directory: scratchDirectory() });

describe("certificates", () => {
  test("of certbot come back with their links, and are found to be good", async () => {
    const { said, targets } = await judged();
    expect(said).toEqual({
      archive: expect.stringMatching(/^passed/),
      files: expect.stringMatching(/^passed/),
      owners: expect.stringMatching(/^passed/),
      certificate: expect.stringMatching(
        /^passed: DNS:mx\.example\.test: 2 in the chain, the key is its own, valid until 20/,
      ),
      links: "passed: 4 lead to what was captured",
      private: expect.stringMatching(/^passed/),
    });
    expect(targets).toContain("../../archive/mx.example.test/fullchain1.pem");
  });

  test("that expired since are told, with what to do", async () => {
    const { said } = await judged(70);
    expect(said.certificate).toMatch(/^unproven: .*: expired on 20..-..-.., after the capture; renew it/);
  });

  test("that had expired already are no fault of the backup", async () => {
    rmSync(letsencrypt, { recursive: true });
    letsencrypt = makeLetsencrypt({ directory: letsencrypt.replace(/\/etc\/letsencrypt$/, "") }, { days: 1 });
    const path = letsencrypt;
    const component = certsComponent(certsConfig.parse({ paths: [path] }));
    const clock = daysLater(10);
    expect((await vault.backup([component], { clock })).exitCode).toBe(0);
    const place = { kind: "scratch", path: `${scratchDirectory()}/scratch` } as const;
    const staged = await component.stage(await vault.open("certs"), place, {}, vault.world({ clock }));
    const checks = await component.check(staged, vault.world({ clock }));
    expect(checks.find(({ name }) => name.startsWith("certificate"))).toMatchObject({
      outcome: "passed",
      detail: expect.stringContaining("had expired already when it was captured"),
    });
    await staged.remove();
  });

  const faults: Record<string, { spoil: () => void; check: string; says: RegExp }> = {
    "whose key is another's": {
      spoil: () => cpSync(`${two()}/archive/mx.example.test/privkey1.pem`, `${archive}/privkey1.pem`),
      check: "certificate",
      says: /^failed: privkey\.pem is the key of another certificate/,
    },
    "whose key is none": {
      spoil: () => writeFileSync(`${archive}/privkey1.pem`, "-----BEGIN PRIVATE KEY-----\n"),
      check: "certificate",
      says: /^failed: privkey\.pem is no key/,
    },
    "whose chain is in the wrong order": {
      spoil: () => {
        const chain = readFileSync(`${archive}/chain1.pem`, "utf8");
        const other = readFileSync(`${two()}/archive/mx.example.test/chain1.pem`, "utf8");
        writeFileSync(`${archive}/fullchain1.pem`, readFileSync(`${archive}/cert1.pem`, "utf8") + other + chain);
      },
      check: "certificate",
      says: /^failed: certificate 2 of the chain did not sign/,
    },
    "that are none": {
      spoil: () =>
        writeFileSync(`${archive}/fullchain1.pem`, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
      check: "certificate",
      says: /^failed: .*fullchain\.pem is no certificate/,
    },
    "that are empty": {
      spoil: () => writeFileSync(`${archive}/fullchain1.pem`, ""),
      check: "certificate",
      says: /^failed/,
    },
    "of which one is not the other": {
      spoil: () => cpSync(`${two()}/archive/mx.example.test/cert1.pem`, `${archive}/cert1.pem`),
      check: "certificate",
      says: /^failed: cert\.pem is not the first of fullchain\.pem/,
    },
    "whose link leads to nothing": {
      spoil: () => unlinkSync(`${archive}/chain1.pem`),
      check: "links",
      says: /^failed: lead to nothing that is here: .*chain\.pem/,
    },
    "whose link leads out of what was captured": {
      spoil: () => {
        unlinkSync(`${live}/chain.pem`);
        symlinkSync("/etc/ssl/chain.pem", `${live}/chain.pem`);
      },
      check: "links",
      says: /^unproven/,
    },
    "whose key everybody can read": {
      spoil: () => {
        for (const path of [`${letsencrypt}/archive`, archive]) chmodSync(path, 0o755);
        for (let path = letsencrypt; path !== "/"; path = path.replace(/\/[^/]+$/, "") || "/") chmodSync(path, 0o1777);
        chmodSync(`${archive}/privkey1.pem`, 0o644);
      },
      check: "private",
      says: /^unproven: everybody on the host can read .*privkey1\.pem/,
    },
  };
  test.each(Object.entries(faults))("are told: %s", async (_, { spoil, check, says }) => {
    spoil();
    expect((await judged()).said[check]).toMatch(says);
  });
});
