import { createReadStream } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { startHost } from "../../../../sandbox/host/host.ts";
import { openConnection } from "../../../../shipper/components/redis/connection.ts";
import { openShelter } from "../../../../shipper/components/shelter.ts";
import { nodeProcesses, outputOf } from "../../../../shipper/processes.ts";
import { createVault } from "../../../fixtures/vault.ts";
import { asUser, captured, configOf, contentOf, fillWithEverything, scratchPath, sourceOf } from "./fixtures.ts";

test("a server takes up what restore.sh brings back, as the restore page says", async () => {
  const [host, vault] = await Promise.all([startHost({ services: ["redis"] }), createVault()]);
  onTestFinished(async () => {
    vault.remove();
    await host.stop();
  });
  await fillWithEverything(host.redis);
  await captured(vault, configOf(host));
  const script = new URL("../../../../shipper/break-glass/restore.sh", import.meta.url).pathname;
  const parts = join(vault.directory, "parts");
  const words = [
    "sh",
    script,
    vault.storeDirectory,
    vault.hostId,
    "redis",
    "latest",
    vault.identityFile,
    parts,
  ] as const;
  await outputOf(nodeProcesses, [...words]);

  const place = scratchPath();
  onTestFinished(place.remove);
  const world = vault.world();
  const shelter = await openShelter({ path: place.path, accounts: ["redis", "nobody"] }, world);
  try {
    await shelter.write("dump.rdb", createReadStream(join(parts, "rdb")));
    const users = await shelter.write("users.acl", createReadStream(join(parts, "accounts")));
    const socket = `${place.path}/s`;
    const config = configOf(host);
    const wrap = (command: readonly string[]) => shelter.command(command);
    const options = { socket, wrap, stallSeconds: 60, passwordFile: config.passwordFile };
    const connection = await openConnection(options, world);
    const server = [
      "redis-server",
      "--port",
      "0",
      "--unixsocket",
      socket,
      "--dir",
      place.path,
      "--aclfile",
      users,
    ] as const;
    await shelter.serve({
      name: "redis",
      words: server,
      ready: async () => (await connection.ask(["PING"])) === "PONG",
    });
    const found = await contentOf(connection, [0, 3, 11]);
    expect(found).toEqual(await contentOf(await sourceOf(config, vault), [0, 3, 11]));
    expect(await connection.ask(["FCALL", "twice", "0", "21"])).toBe("42");
    const client = ["redis-cli", "-s", socket];
    expect(await asUser([...client, "SET", "cache:1", "x"], "mailapp", "app secret")).toBe("OK");
  } finally {
    await shelter.remove();
  }
});
