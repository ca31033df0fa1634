import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { MailarkError } from "../../../../core/errors.ts";
import { type SandboxHost, startHost } from "../../../../sandbox/host/host.ts";
import { mysqlComponent } from "../../../../shipper/components/mysql/component.ts";
import {
  connectionSettings,
  optionFileText,
  refuseForeignOptions,
} from "../../../../shipper/components/mysql/option-files.ts";
import { nodeProcesses, type Processes } from "../../../../shipper/processes.ts";
import { scratchDirectory } from "../../../fixtures/scratch.ts";
import { createVault, type Vault } from "../../../fixtures/vault.ts";
import { configOf } from "./server-content.ts";

let host: SandboxHost;
let vault: Vault;
beforeAll(async () => {
  [host, vault] = await Promise.all([startHost({ services: ["mariadb"] }), createVault()]);
  await host.mariadb.sql("CREATE DATABASE second; CREATE TABLE second.t (id INT); INSERT INTO second.t VALUES (4711);");
});
afterAll(async () => {
  vault?.remove();
  await host?.stop();
});

/** The sandbox's own option file, with more in it. */
const fileWith = (more: string) => `${readFileSync(host.mariadb.defaultsFile, "utf8")}${more}`;

/** A backup, and what it has of the table. */
async function backup(more: Parameters<typeof configOf>[1], processes: Processes = nodeProcesses) {
  const { outcomes } = await vault.backup([mysqlComponent(configOf(host, { databases: ["second"], ...more }))], {
    processes,
  });
  const [outcome] = outcomes;
  if (outcome?.error) throw outcome.error;
  const snapshot = await vault.open("mysql");
  const chunks: Buffer[] = [];
  for await (const chunk of snapshot.readPart(snapshot.part("database-0001"))) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

const harmful = ["ignore-table=second.t", "no-data", "where=1=0", "no-create-info", "ignore-table-data=second.t"];

describe("a setting for the dump program that would take something out of the dump", () => {
  test.each(harmful.flatMap((setting) => [[setting, "mariadb-dump"] as const, [setting, "mysqldump"] as const]))(
    "%s does nothing in section %s of the home's option file or of the one that is configured",
    async (setting, section) => {
      const home = scratchDirectory();
      const file = join(home, ".my.cnf");
      writeFileSync(file, fileWith(`[${section}]\n${setting}\n`), { mode: 0o600 });
      const athome: Processes = {
        start: (command, options) => nodeProcesses.start(command, { ...options, env: { HOME: home, ...options?.env } }),
      };
      for (const text of [await backup({ defaultsFile: undefined }, athome), await backup({ defaultsFile: file })]) {
        expect(text).toContain("CREATE TABLE `t`");
        expect(text).toContain("INSERT INTO `t` VALUES\n(4711)");
      }
    },
  );

  test.each(harmful)("%s is told, and nothing is stored, where the program runs elsewhere", async (setting) => {
    const file = join(scratchDirectory(), "client.cnf");
    writeFileSync(file, fileWith(`[mariadb-dump]\n${setting}\n`), { mode: 0o600 });
    await expect(backup({ defaultsFile: file, command: ["env"] })).rejects.toMatchObject({
      code: "CONFIG_INVALID",
      detail: setting.split("=")[0],
    });
    expect(await backup({ defaultsFile: host.mariadb.defaultsFile, command: ["env"] })).toContain("(4711)");
  });

  test("is told as well where nothing can read option files", async () => {
    const file = join(scratchDirectory(), "client.cnf");
    writeFileSync(file, fileWith("[mariadb-dump]\nno-data\n"), { mode: 0o600 });
    const poor: Processes = {
      async start(command, options) {
        if (command[0] === "my_print_defaults") throw new MailarkError("PROGRAM_MISSING", "can not start it");
        return nodeProcesses.start(command, options);
      },
    };
    await expect(backup({ defaultsFile: file }, poor)).rejects.toMatchObject({ code: "CONFIG_INVALID" });
    expect(await backup({}, poor)).toContain("(4711)");
  });
});

test("what says how to reach a server goes from one option file into another as it is, and nothing else does", async () => {
  const folder = scratchDirectory();
  const [first, second] = [join(folder, "first.cnf"), join(folder, "second.cnf")];
  const settings = [
    { name: "user", value: " a # b;'c'" },
    { name: "password", value: 'p"\\n\\\\#ü\nx\ty ' },
    { name: "ssl_ca", value: "/etc/ca.pem" },
    { name: "skip-ssl" },
    { name: "loose-ssl-verify-server-cert", value: "0" },
  ];
  const options = { env: { HOME: "/nonexistent" }, signal: new AbortController().signal };
  const other = [{ name: "where", value: "1=0" }, { name: "loose-ignore-table", value: "a.b" }, { name: "no-data" }];
  writeFileSync(first, optionFileText([...other, ...settings]));
  const read = await connectionSettings(nodeProcesses, "mariadb", [`--defaults-file=${first}`], options);
  expect(read).toEqual(settings);
  writeFileSync(second, optionFileText(read!));
  expect(await connectionSettings(nodeProcesses, "mariadb", [`--defaults-file=${second}`], options)).toEqual(settings);
});

test("a configured option file that is not there is told", async () => {
  await expect(backup({ defaultsFile: "/nowhere/client.cnf" })).rejects.toMatchObject({
    code: "PROGRAM_FAILED",
    detail: expect.stringContaining("/nowhere/client.cnf"),
  });
});

test("settings that change nothing in a dump are not refused", () => {
  const debian = "--socket=/run/mysqld/mysqld.sock --quick --quote-names --max_allowed_packet=16M --user=root";
  refuseForeignOptions(`mariadb-dump would have been started with the following arguments:\n${debian} \n`);
  for (const option of ["--skip-quote-names", "--loose_where=1", "--skip-opt", "--force", "--tab=/x"]) {
    expect(() => refuseForeignOptions(`${debian} ${option}\n`)).toThrow("an option file");
  }
});
