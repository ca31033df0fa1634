import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { zstdCompressSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { populateAgency } from "../../sandbox/host/agency.ts";
import { agencyTables } from "../../sandbox/host/agency-schema.ts";
import { type SandboxHost, startHost } from "../../sandbox/host/host.ts";
import { mailAppDatabase, mailAppTables, populateMailApp, populateRedis } from "../../sandbox/host/mail-app.ts";
import { writeMaildir } from "../../sandbox/host/maildir.ts";
import { seedOf } from "../../sandbox/host/seed.ts";

describe("a Maildir written directly", () => {
  const root = mkdtempSync(join(tmpdir(), "mailark-maildir-"));
  afterAll(() => rmSync(root, { recursive: true }));

  const options = { seed: "mail", messages: 1500, folders: ["Sent", "Entw&APw-rfe"] };
  const files = (name: string) =>
    (readdirSync(join(root, name), { recursive: true }) as string[])
      .map((path) => join(root, name, path))
      .filter((path) => statSync(path).isFile())
      .sort();

  test("is the same for the same seed", () => {
    writeMaildir(join(root, "a"), options);
    writeMaildir(join(root, "b"), options);
    expect(files("b").map((path) => path.replace("/b/", "/a/"))).toEqual(files("a"));
    for (const path of files("a").slice(0, 50)) {
      expect(readFileSync(path.replace("/a/", "/b/")).equals(readFileSync(path))).toBe(true);
    }
  });

  test("has the sizes and the compressibility of real mail", () => {
    const written = writeMaildir(join(root, "c"), { ...options, seed: "sizes" });
    const sizes = files("c")
      .map((path) => statSync(path).size)
      .sort((a, b) => a - b);
    expect(sizes).toHaveLength(1500);
    expect(sizes[750]!).toBeGreaterThan(8500);
    expect(sizes[750]!).toBeLessThan(11_500);
    expect(written.bytes / written.messages).toBeGreaterThan(15_000);
    expect(written.bytes / written.messages).toBeLessThan(21_000);
    const sample = Buffer.concat(files("c").map((path) => readFileSync(path)));
    const ratio = sample.length / zstdCompressSync(sample).length;
    expect(ratio).toBeGreaterThan(1.8);
    expect(ratio).toBeLessThan(3.5);
  });

  test("names each file by its real size", () => {
    for (const path of files("a").slice(0, 100)) {
      expect(/,S=(\d+)/.exec(path)![1]).toBe(String(statSync(path).size));
    }
  });
});

test("a seed gives the same values again, and its branches do not disturb it", () => {
  const first = seedOf("seed");
  const second = seedOf("seed");
  second.branch("other").bytes(100);
  expect(second.bytes(100)).toEqual(first.bytes(100));
  expect(second.integer(1000)).toBe(first.integer(1000));
});

describe("the populations of the databases", () => {
  let host: SandboxHost;
  beforeAll(async () => {
    host = await startHost({ services: ["mariadb", "postgres", "redis"] });
  });
  afterAll(() => host?.stop());

  async function agencyDigest(): Promise<string> {
    return host.mariadb.sql(`CHECKSUM TABLE ${agencyTables.join(", ")} EXTENDED`, "mailserver");
  }

  test("the agency's database is the same for the same seed, with everything a dump can forget", async () => {
    const agency = await populateAgency(host.mariadb, { seed: "agency", mailboxes: 9 });
    expect(agency.addresses).toHaveLength(9);
    const first = await agencyDigest();
    const kinds = await host.mariadb.sql(`
      SELECT COUNT(*) FROM information_schema.views WHERE table_schema = 'mailserver';
      SELECT COUNT(*) FROM information_schema.triggers WHERE trigger_schema = 'mailserver';
      SELECT COUNT(*) FROM information_schema.routines WHERE routine_schema = 'mailserver';
      SELECT COUNT(*) FROM information_schema.events WHERE event_schema = 'mailserver';
      SELECT COUNT(*) FROM information_schema.referential_constraints WHERE constraint_schema = 'mailserver';`);
    expect(kinds).toBe("1\n1\n2\n1\n4\n");
    expect(await host.mariadb.sql("SELECT SUM(mailbox_count) FROM virtual_domains", "mailserver")).toBe("9\n");

    await host.mariadb.sql(
      agencyTables
        .toReversed()
        .map((table) => `DELETE FROM ${table};`)
        .join("\n"),
      "mailserver",
    );
    await populateAgency(host.mariadb, { seed: "agency", mailboxes: 9 });
    expect(await agencyDigest()).toBe(first);
  });

  test("the email client's database has rows in every table", async () => {
    await populateMailApp(host.postgres, { seed: "app" });
    for (const table of mailAppTables) {
      const count = await host.postgres.sql(`SELECT count(*) FROM ${table}`, mailAppDatabase);
      expect(Number(count), table).toBeGreaterThan(0);
    }
    expect(await host.postgres.sql("SELECT sum(message_count) FROM folders", mailAppDatabase)).toBe("200\n");
  });

  test("Redis has keys of every kind, some of which expire", async () => {
    await populateRedis(host.redis, { seed: "redis" });
    expect(await host.redis.command("LLEN", "celery")).toBe("5");
    expect(await host.redis.command("TYPE", "recent:3")).toBe("zset");
    expect(await host.redis.command("INFO", "keyspace")).toMatch(/expires=50/);
  });
});
