import { afterAll, beforeAll, expect, test } from "vitest";
import { type SandboxHost, startHost } from "../../../../sandbox/host/host.ts";
import { mysqlComponent } from "../../../../shipper/components/mysql/component.ts";
import { openConnection } from "../../../../shipper/components/mysql/connection.ts";
import { openSession } from "../../../../shipper/components/mysql/session.ts";
import { nodeProcesses, type Processes } from "../../../../shipper/processes.ts";
import { createVault, type Vault } from "../../../fixtures/vault.ts";
import { configOf } from "./server-content.ts";

let host: SandboxHost;
let vault: Vault;
beforeAll(async () => {
  [host, vault] = await Promise.all([startHost({ services: ["mariadb"] }), createVault()]);
});
afterAll(async () => {
  vault?.remove();
  await host?.stop();
});

/** Stops the server in the middle of whatever it does, for as long as the work takes. */
async function whileStopped<T>(work: () => Promise<T>): Promise<T> {
  process.kill(host.mariadb.pid!, "SIGSTOP");
  try {
    return await work();
  } finally {
    process.kill(host.mariadb.pid!, "SIGCONT");
  }
}

test("a statement may take longer than what counts as a stall while the server answers others", async () => {
  const world = vault.world();
  const connection = await openConnection(configOf(host, { stallSeconds: 0.3 }), world);
  const session = await openSession(connection, world);
  expect(await session.query("SELECT SLEEP(1.5)")).toEqual([["0"]]);
  await session.close();
  connection.close();
});

test("a session with a server that answers nobody any more is given up", async () => {
  const world = vault.world();
  const connection = await openConnection(configOf(host, { stallSeconds: 0.3 }), world);
  const session = await openSession(connection, world);
  await expect(whileStopped(() => session.query("SELECT 1"))).rejects.toMatchObject({
    code: "PROGRAM_STALLED",
    retryable: true,
  });
  await session.close();
  connection.close();
});

test("a statement that waits for somebody's lock is given up, and says so", async () => {
  const world = vault.world();
  const connection = await openConnection(configOf(host, { stallSeconds: 1 }), world);
  const [holder, waiter] = await Promise.all([openSession(connection, world), openSession(connection, world)]);
  await holder.query("LOCK TABLES mailserver.api_keys WRITE");
  await expect(waiter.query("SELECT COUNT(*) FROM mailserver.api_keys")).rejects.toMatchObject({
    code: "PROGRAM_FAILED",
    detail: expect.stringContaining("ERROR 1205"),
    retryable: true,
  });
  await Promise.all([holder.close(), waiter.close()]);
  connection.close();
});

test("a load into a server that answers nobody any more is given up", async () => {
  const mysql = mysqlComponent(configOf(host, { stallSeconds: 0.5 }));
  const { outcomes } = await vault.backup([mysql]);
  expect(outcomes[0]?.error).toBeUndefined();
  await host.mariadb.wipe();
  let stopped = false;
  const processes: Processes = {
    async start(command, options) {
      if (command.includes("--database=mailserver") && !stopped) {
        stopped = true;
        process.kill(host.mariadb.pid!, "SIGSTOP");
      }
      return nodeProcesses.start(command, options);
    },
  };
  const goOn = (doing: string) => doing.startsWith("taking back") && process.kill(host.mariadb.pid!, "SIGCONT");
  const world = { ...vault.world({ processes }), progress: (doing: string) => void goOn(doing) };
  await expect(mysql.stage(await vault.open("mysql"), { kind: "service" }, {}, world)).rejects.toMatchObject({
    code: "PROGRAM_STALLED",
  });
  expect(stopped).toBe(true);
  expect(await host.mariadb.sql("SHOW DATABASES")).not.toContain("mailserver");
});
