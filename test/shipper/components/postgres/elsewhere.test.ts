import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { accountFor, isRoot } from "../../../../sandbox/host/account.ts";
import { type SandboxHost, startHost } from "../../../../sandbox/host/host.ts";
import { postgresComponent } from "../../../../shipper/components/postgres/component.ts";
import { nodeProcesses, type Processes } from "../../../../shipper/processes.ts";
import { createVault, type Vault } from "../../../fixtures/vault.ts";
import { configOf, scratchPath } from "./server-content.ts";

let host: SandboxHost;
let vault: Vault;
beforeAll(async () => {
  [host, vault] = await Promise.all([startHost({ services: ["postgres"] }), createVault()]);
  await host.postgres.sql("CREATE DATABASE one");
  await host.postgres.sql("CREATE TABLE t AS SELECT generate_series(1, 100) AS a", "one");
});
afterAll(async () => {
  vault?.remove();
  await host?.stop();
});

/** Places as a container is one to its words: one without this process's environment, one where another user is. */
const places = [
  ["env", "-i", `PATH=${process.env.PATH}`],
  ...(isRoot ? [["runuser", "-u", accountFor("postgres").name, "--"]] : []),
];

test.each(places.map((place) => ({ place })))(
  "programs at another place (%#) are handed the password, and no command line or local file has it",
  async ({ place }) => {
    const passwordFile = join(vault.directory, "password");
    writeFileSync(passwordFile, `${host.postgres.password}\n`, { mode: 0o600 });
    const commands: (readonly string[])[] = [];
    const watched: Processes = {
      start(command, options) {
        commands.push(command);
        expect(JSON.stringify(options?.env ?? {})).not.toContain(host.postgres.password);
        return nodeProcesses.start(command, options);
      },
    };
    const component = postgresComponent(configOf(host, { command: place, passwordFile, passfile: undefined }));
    const { outcomes } = await vault.backup([component], { processes: watched });
    expect(outcomes[0]?.error).toBeUndefined();
    const scratch = scratchPath();
    const world = vault.world({ processes: watched });
    const staged = await component.stage(
      await vault.open("postgres"),
      { kind: "scratch", path: scratch.path },
      {},
      world,
    );
    const checks = await component.check(staged, world);
    await staged.remove();
    scratch.remove();
    expect(checks.filter(({ outcome }) => outcome !== "passed")).toEqual([]);
    for (const command of commands) {
      expect(command.join(" ")).not.toContain(host.postgres.password);
      expect(command.join(" ")).not.toContain("mailark-client-");
    }
    const clients = commands.filter((command) =>
      command.some((word) => /^(psql|pg_dump|pg_dumpall|pg_restore)$/.test(word)),
    );
    expect(clients.length).toBeGreaterThan(5);
    for (const command of clients) expect(command.slice(0, 3)).toEqual(place.slice(0, 3));
  },
);

test("a server that does not answer any more is given up", async () => {
  process.kill(host.postgres.pid!, "SIGSTOP");
  try {
    const { outcomes } = await vault.backup([postgresComponent(configOf(host, { stallSeconds: 0.5 }))]);
    expect(outcomes[0]?.error).toMatchObject({ code: "PROGRAM_STALLED", retryable: true });
  } finally {
    process.kill(host.postgres.pid!, "SIGCONT");
  }
});
