import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type SandboxHost, startHost } from "../../sandbox/host/host.ts";
import type { Component } from "../../shipper/components/component.ts";
import { mailComponent } from "../../shipper/components/mail/component.ts";
import { mailConfig } from "../../shipper/components/mail/config.ts";
import { fillAgency } from "../fixtures/agency.ts";
import { leftOutOfSnapshots, makeOddMailboxes, treeOf } from "../fixtures/mailboxes.ts";
import { createVault, type Vault } from "../fixtures/vault.ts";

/** All that a rescue system needs to have. */
const tools =
  "sh age zstd tar jq awk head tail sha256sum mktemp mkdir rm cat sort ls sed grep touch chmod chown cp ln id".split(
    " ",
  );

let vault: Vault;
let host: SandboxHost;
let mysql: Component;
let path: string;

beforeAll(async () => {
  vault = await createVault();
  host = await startHost({ services: ["mariadb"] });
  [mysql] = (await fillAgency(host)) as [Component];
  makeOddMailboxes(`${vault.directory}/vmail`);
  const mail = mailComponent(mailConfig.parse({ root: `${vault.directory}/vmail` }));
  expect((await vault.backup([mysql, mail])).exitCode).toBe(0);
  path = join(vault.directory, "bin");
  mkdirSync(path);
  for (const tool of tools) symlinkSync(execFileSync("which", [tool], { encoding: "utf8" }).trim(), join(path, tool));
});
afterAll(async () => {
  await host.stop();
  vault.remove();
});

/** The script as it lies in the store, with nothing else on the machine than those tools. */
function restore(
  component: string,
  target: string,
  { snapshot = "latest", identity = vault.identityFile, store = vault.storeDirectory } = {},
): string {
  const glass = join(vault.storeDirectory, "hosts", vault.hostId, "break-glass");
  const script = join(glass, readdirSync(glass)[0]!, "restore.sh");
  const args = [script, store, vault.hostId, component, snapshot, identity, target];
  return execFileSync(join(path, "sh"), args, {
    env: { PATH: path },
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
  });
}

test("the script has at most 60 lines, and none that is too long to read", () => {
  const lines = readFileSync(new URL("../../shipper/break-glass/restore.sh", import.meta.url), "utf8")
    .trimEnd()
    .split("\n");
  expect(lines.length).toBeLessThanOrEqual(60);
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(150);
});

test("there is no Node on the rescue system", () => {
  expect(() =>
    execFileSync(join(path, "sh"), ["-c", "node --version"], { env: { PATH: path }, stdio: "ignore" }),
  ).toThrow();
});

test.each(["awk", "mawk"])("mailboxes come back exactly as mailark itself brings them back, by %s", async (awk) => {
  rmSync(join(path, "awk"));
  symlinkSync(execFileSync("which", [awk], { encoding: "utf8" }).trim(), join(path, "awk"));
  const own = `${vault.directory}/own-${awk}`;
  const mail = mailComponent(mailConfig.parse({ root: `${vault.directory}/vmail` }));
  await mail.stage(await vault.open("mail"), { kind: "directory", path: own }, {}, vault.world());
  restore("mail", `${vault.directory}/glass-${awk}`);
  const tree = (top: string) => {
    const { ".": _, "example.com": __, "example.org": ___, ...below } = treeOf(top);
    return below;
  };
  expect(tree(`${vault.directory}/glass-${awk}`)).toEqual(tree(own));
  // And that is what was there, but for the one message whose name another had.
  const found = Object.keys(tree(own)).filter((name) => !name.includes("9.same"));
  const there = Object.keys(treeOf(`${vault.directory}/vmail`, leftOutOfSnapshots));
  expect(there.filter((name) => name.includes("/") && !name.includes("9.same")).sort()).toEqual(found.sort());
});

test("databases and accounts come back into an empty server, by the lines of the restore page", async () => {
  const target = join(vault.directory, "sql");
  restore("mysql", target);
  const page = readFileSync(new URL("../../docs/restore.md", import.meta.url), "utf8");
  const [, lines = ""] = page.match(/```sh\n(cd \/srv\/sql\n[^`]*)```/) ?? [];
  expect(lines).toContain("load events");
  const other = await startHost({ services: ["mariadb"] });
  try {
    await other.mariadb.sql("DROP DATABASE mailserver");
    const client = execFileSync("which", ["mariadb"], { encoding: "utf8" }).trim();
    const wrapper = `#!/bin/sh\nexec ${client} --defaults-extra-file=${other.mariadb.defaultsFile} "$@"\n`;
    writeFileSync(join(path, "mariadb"), wrapper, { mode: 0o755 });
    execFileSync(join(path, "sh"), ["-ec", lines.replace("/srv/sql", target)], { env: { PATH: path }, stdio: "pipe" });
    const question =
      "SELECT COUNT(*), SUM(CRC32(CONCAT_WS('|', id, email, password, display_name))) FROM mailserver.virtual_users";
    expect(await other.mariadb.sql(question)).toEqual(await host.mariadb.sql(question));
    expect(await other.mariadb.sql("CHECKSUM TABLE mailserver.api_keys, mailserver.virtual_domains")).toEqual(
      await host.mariadb.sql("CHECKSUM TABLE mailserver.api_keys, mailserver.virtual_domains"),
    );
    const programs = `SELECT COUNT(*), MAX(routine_name) FROM information_schema.routines WHERE routine_schema = 'mailserver'
      UNION ALL SELECT COUNT(*), MAX(trigger_name) FROM information_schema.triggers WHERE trigger_schema = 'mailserver'
      UNION ALL SELECT COUNT(*), MAX(event_name) FROM information_schema.events WHERE event_schema = 'mailserver'
      UNION ALL SELECT COUNT(*), MAX(table_name) FROM information_schema.views WHERE table_schema = 'mailserver'`;
    expect(await other.mariadb.sql(programs)).toEqual(await host.mariadb.sql(programs));
  } finally {
    await other.stop();
  }
});

test("a wrong key, a snapshot that is not there and a target with something in it are refused with one line", () => {
  const complaint = (work: () => unknown): string => {
    try {
      work();
    } catch (error) {
      return (error as { stderr: string }).stderr;
    }
    throw new Error("it was not refused");
  };
  const target = `${vault.directory}/refused`;
  const wrong = join(vault.directory, "wrong.key");
  execFileSync("age-keygen", ["-o", wrong], { stdio: "ignore" });
  expect(complaint(() => restore("mail", target, { identity: wrong }))).toMatch(/Error: no key opens .*\.pack/);
  expect(complaint(() => restore("mail", target, { snapshot: "20200101T000000.000Z-0123456789" }))).toMatch(
    /no snapshot/,
  );
  expect(complaint(() => restore("mail", vault.directory))).toMatch(/is not empty/);
});

test("a part that is not what the manifest says is refused", () => {
  const copy = join(vault.directory, "copy");
  cpSync(vault.storeDirectory, copy, { recursive: true });
  for (const component of ["mysql", "mail"]) {
    const folder = join(copy, "hosts", vault.hostId, component);
    const path = join(folder, readdirSync(folder)[0]!, "manifest.json");
    const manifest = readFileSync(path, "utf8");
    const [part] = JSON.parse(manifest.split("\n")[0]!).parts;
    writeFileSync(path, manifest.replace(part.sha256, "0".repeat(64)));
    const target = join(vault.directory, `damaged-${component}`);
    expect(() => restore(component, target, { store: copy })).toThrow(
      expect.objectContaining({ stderr: expect.stringContaining(`part ${part.name} is damaged`) }),
    );
  }
});
