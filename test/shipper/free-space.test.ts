import { execFileSync } from "node:child_process";
import { mkdirSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { nodeFiles } from "../../core/ports/files.ts";
import { startHost } from "../../sandbox/host/host.ts";
import { mysqlComponent } from "../../shipper/components/mysql/component.ts";
import { postgresComponent } from "../../shipper/components/postgres/component.ts";
import { redisComponent } from "../../shipper/components/redis/component.ts";
import { type Demand, refuseWithoutRoom, targetOf } from "../../shipper/free-space.ts";
import { scratchDirectory } from "../fixtures/scratch.ts";
import { createVault } from "../fixtures/vault.ts";
import { configOf as mysqlOf } from "./components/mysql/server-content.ts";
import { configOf as postgresOf } from "./components/postgres/server-content.ts";
import { configOf as redisOf } from "./components/redis/fixtures.ts";

const isRoot = process.getuid?.() === 0;
const mebibyte = 1024 * 1024;

/** A file system of 8 MiB. */
function smallDisk(): string {
  const path = join(scratchDirectory(), "disk");
  mkdirSync(path);
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=8m", "tmpfs", path]);
  onTestFinished(() => void execFileSync("umount", [path]));
  return path;
}

describe.runIf(isRoot)("on a small disk", () => {
  const demand = (path: string, bytes: number, what = "mail"): Demand => ({ what, path, bytes });
  const hint = "take a larger one";

  test("what fits is let through, to the byte, also where the directory is not there yet", () => {
    const disk = smallDisk();
    const { bavail, bsize } = statfsSync(disk);
    const free = bavail * bsize;
    refuseWithoutRoom(nodeFiles, [demand(join(disk, "a/b/c"), free)], hint);
    expect(() => refuseWithoutRoom(nodeFiles, [demand(join(disk, "a/b/c"), free + 1)], hint)).toThrow(
      expect.objectContaining({
        code: "FILE_FAILED",
        message: "8.00 MiB are needed for mail, and 8.00 MiB are free",
        detail: join(disk, "a/b/c"),
        hint,
      }),
    );
  });

  test("each file counts for a block more", () => {
    const disk = smallDisk();
    const many = { ...demand(disk, 100_000), files: 2500 };
    expect(() => refuseWithoutRoom(nodeFiles, [many], hint)).toThrow(
      "9.86 MiB are needed for mail, and 8.00 MiB are free",
    );
    refuseWithoutRoom(nodeFiles, [{ ...many, files: 1000 }], hint);
  });

  test("what is there already counts, and demands on one disk count together", () => {
    const disk = smallDisk();
    const elsewhere = scratchDirectory();
    writeFileSync(join(disk, "old"), Buffer.alloc(5 * mebibyte));
    const both = (bytes: number) => [demand(join(disk, "a"), bytes), demand(join(disk, "b"), bytes, "mysql")];
    refuseWithoutRoom(nodeFiles, [...both(mebibyte), demand(elsewhere, mebibyte)], hint);
    expect(() => refuseWithoutRoom(nodeFiles, [demand(elsewhere, mebibyte), ...both(2 * mebibyte)], hint)).toThrow(
      "4.00 MiB are needed for mail, mysql, and 3.00 MiB are free",
    );
  });
});

test("a file system that counts no blocks is not full: /proc is none that could be", () => {
  refuseWithoutRoom(nodeFiles, [{ what: "mail", path: "/proc/x", bytes: 1 }], "");
});

test("servers on this machine tell where they fill its disk, others do not", async () => {
  const [host, vault] = await Promise.all([startHost({ services: ["mariadb", "postgres", "redis"] }), createVault()]);
  onTestFinished(async () => {
    vault.remove();
    await host.stop();
  });
  const world = vault.world();
  const service = { kind: "service" } as const;
  const mysql = mysqlOf(host);
  const told = [mysqlComponent(mysql), postgresComponent(postgresOf(host)), redisComponent(redisOf(host))];
  for (const component of told) {
    const directory = await targetOf(component, service, world);
    expect(directory, component.name).toContain(host.directory);
    expect(nodeFiles.statSync(directory!).isDirectory()).toBe(true);
  }
  for (const changes of [{ command: ["env"] }, { socket: undefined, host: "db.example.com" }, { socket: "/no/such" }]) {
    expect(await targetOf(mysqlComponent({ ...mysql, ...changes }), service, world)).toBeUndefined();
  }
});
