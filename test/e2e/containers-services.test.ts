import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Container } from "../../sandbox/container/container.ts";
import { type PostfixContainer, startPostfixContainer } from "../../sandbox/container/postfix.ts";
import { type PostgresContainer, startPostgresContainer } from "../../sandbox/container/postgres.ts";
import { type RedisContainer, startRedisContainer } from "../../sandbox/container/redis.ts";
import { writeMaildir } from "../../sandbox/host/maildir.ts";
import type { Component, Staged } from "../../shipper/components/component.ts";
import { configsComponent } from "../../shipper/components/configs/component.ts";
import { configsConfig } from "../../shipper/components/configs/config.ts";
import { mailComponent } from "../../shipper/components/mail/component.ts";
import { mailConfig } from "../../shipper/components/mail/config.ts";
import { postgresComponent } from "../../shipper/components/postgres/component.ts";
import { postgresConfigSchema } from "../../shipper/components/postgres/config.ts";
import { queueComponent } from "../../shipper/components/queue/component.ts";
import { queueConfigSchema } from "../../shipper/components/queue/config.ts";
import { redisComponent } from "../../shipper/components/redis/component.ts";
import { redisConfigSchema } from "../../shipper/components/redis/config.ts";
import { createVault, type Vault } from "../fixtures/vault.ts";
import { scratchPath } from "../shipper/components/mysql/server-content.ts";

let postgres: PostgresContainer;
let redis: RedisContainer;
let mail: PostfixContainer;
let vault: Vault;
let volume: string;
beforeAll(async () => {
  vault = await createVault();
  volume = join(vault.directory, "volume");
  mkdirSync(volume, { mode: 0o755 });
  [postgres, redis, mail] = await Promise.all([
    startPostgresContainer(),
    startRedisContainer(),
    startPostfixContainer({ "/var/mail": volume }),
  ]);
});
afterAll(async () => {
  await Promise.all([postgres, redis, mail].map((container) => container?.remove()));
  vault?.remove();
});

/** Captures, brings it back in a scratch place, judges it, and leaves nothing of that. */
async function proven(component: Component, container: Container, where: "there" | "here"): Promise<void> {
  const before = await leftIn(container);
  const { outcomes } = await vault.backup([component]);
  if (outcomes[0]?.error) throw outcomes[0].error;
  expect(outcomes[0]?.manifest).toMatchObject({ completeness: "complete" });
  const place = scratchPath();
  const world = vault.world();
  const at = { kind: "scratch", path: place.path } as const;
  const staged: Staged = await component.stage(await vault.open(component.name), at, {}, world);
  expect(existsSync(place.path)).toBe(where === "here");
  const checks = await component.check(staged, world);
  expect(checks.filter(({ outcome }) => outcome !== "passed")).toEqual([]);
  expect(checks.length).toBeGreaterThan(0);
  await staged.remove();
  expect(existsSync(place.path)).toBe(false);
  expect(await leftIn(container)).toEqual(before);
  place.remove();
}

/** What is amiss with a component, and what can not be seen. */
async function ailments(component: Component): Promise<string[]> {
  const seen = await component.diagnose(vault.world());
  return seen.flatMap((each) => (each.outcome === "fine" ? [] : ["code" in each ? each.code : each.outcome]));
}

/** What a program that is run in a container leaves in it: nothing but the service's own processes and files. */
async function leftIn(container: Container): Promise<string[]> {
  const ours = (await container.processes()).filter((line) => /mailark|^sh |^cat|pg_|psql|redis-cli|tar/.test(line));
  return [...ours, ...readdirSync(join(container.root, "var/tmp")), ...readdirSync(join(container.root, "tmp"))];
}

describe("PostgreSQL in a container", () => {
  const component = () =>
    postgresComponent(
      postgresConfigSchema.parse({
        command: [...postgres.command],
        socketDirectory: "/run/postgresql",
        user: "postgres",
      }),
    );

  test("is captured, and comes back in a server there", async () => {
    await postgres.sql("CREATE ROLE app LOGIN PASSWORD 'app'; CREATE DATABASE mail OWNER app");
    await postgres.sql(
      `CREATE TABLE messages (id int PRIMARY KEY, subject text);
       INSERT INTO messages SELECT n, 'subject ' || n FROM generate_series(1, 2000) n;`,
      "mail",
    );
    await proven(component(), postgres, "there");
    expect(await ailments(component())).toEqual([]);
  });

  test("comes back into an empty server there", async () => {
    const world = vault.world();
    const snapshot = await vault.open("postgres");
    await expect(component().stage(snapshot, { kind: "service" }, {}, world)).rejects.toMatchObject({
      code: "TARGET_NOT_EMPTY",
    });
    await postgres.sql("DROP DATABASE mail");
    await postgres.sql("DROP ROLE app");
    const staged = await component().stage(snapshot, { kind: "service" }, {}, world);
    const checks = await component().check(staged, world);
    expect(checks.filter(({ outcome }) => outcome === "failed")).toEqual([]);
    await staged.remove();
    expect(await postgres.sql("SELECT count(*) FROM messages", "mail")).toBe("2000\n");
    expect(await leftIn(postgres)).toEqual([]);
  });

  test("that is paused is told as such", async () => {
    await postgres.pause();
    const { outcomes } = await vault.backup([component()]);
    await postgres.unpause();
    expect(outcomes[0]?.error).toMatchObject({ code: "PLACE_UNREACHABLE" });
  });
});

describe("Redis in a container", () => {
  const component = () => {
    const passwordFile = join(vault.directory, "redis-password");
    writeFileSync(passwordFile, `${redis.password}\n`, { mode: 0o600 });
    return redisComponent(redisConfigSchema.parse({ command: [...redis.command], socket: redis.socket, passwordFile }));
  };

  test("is captured, and comes back in a server there", async () => {
    await redis.commands('SET greeting "hello"\nRPUSH celery task1 task2\nHSET cache:1 a 1 b 2\nSET t 1 EX 100000\n');
    await proven(component(), redis, "there");
    expect(await ailments(component())).toEqual([]);
  });

  test("comes back into an empty server there, its queue on hold", async () => {
    const world = vault.world();
    await redis.commands("FLUSHALL\n");
    const staged = await component().stage(await vault.open("redis"), { kind: "service" }, {}, world);
    const checks = await component().check(staged, world);
    expect(checks.filter(({ outcome }) => outcome === "failed")).toEqual([]);
    await staged.remove();
    expect(await redis.commands("GET greeting\nEXISTS celery\n")).toContain("hello\n0\n");
    expect(await leftIn(redis)).toEqual([]);
  });

  test("that is paused is told as such, and its backup is proven by this machine's server meanwhile", async () => {
    await redis.pause();
    const { outcomes } = await vault.backup([component()]);
    expect(outcomes[0]?.error).toMatchObject({ code: "PLACE_UNREACHABLE" });
    const place = scratchPath();
    const world = vault.world();
    const at = { kind: "scratch", path: place.path } as const;
    const staged = await component().stage(await vault.open("redis"), at, {}, world);
    expect(existsSync(place.path)).toBe(true);
    const checks = await component().check(staged, world);
    expect(checks.filter(({ outcome }) => outcome !== "passed")).toEqual([]);
    await staged.remove();
    place.remove();
    await redis.unpause();
  });
});

describe("a mail server in a container", () => {
  const queue = () => queueComponent(queueConfigSchema.parse({ command: [...mail.command] }));

  test("has its queue captured, which comes back under a Postfix there", async () => {
    for (const name of ["one", "two", "three"]) {
      await mail.send("sender@example.test", `${name}@example.com`, `Subject: ${name}\n\nHello\n`);
    }
    await deferred(3);
    await proven(queue(), mail, "there");
    expect(await ailments(queue())).toEqual([]);
  });

  test("has its configuration captured through the container", async () => {
    const configs = configsComponent(configsConfig.parse({ paths: ["/etc/postfix"], command: [...mail.command] }));
    await proven(configs, mail, "here");
    expect(await ailments(configs)).toEqual([]);
    const place = scratchPath();
    const to = { kind: "directory", path: place.path } as const;
    await configs.stage(await vault.open("configs"), to, {}, vault.world());
    expect(readFileSync(join(place.path, "etc/postfix/main.cf"), "utf8")).toContain("mx.example.test");
    place.remove();
  });

  test("has its mailboxes captured from the volume, by its path on this machine", async () => {
    writeMaildir(join(volume, "example.com/alice/Maildir"), { seed: "alice", messages: 5, folders: ["Sent"] });
    expect(await mail.run(["ls", "/var/mail/example.com"])).toBe("alice\n");
    await proven(mailComponent(mailConfig.parse({ root: volume })), mail, "here");
  });

  test("has its queue brought back while it is stopped, by a container of its own, and then all of it is on hold", async () => {
    const service = { kind: "service" } as const;
    const snapshot = await vault.open("queue");
    const world = vault.world();
    await expect(queue().stage(snapshot, service, {}, world)).rejects.toMatchObject({ code: "RESTORE_FAILED" });
    await mail.run(["postsuper", "-d", "ALL"]);
    await mail.stop();
    await expect(queue().stage(snapshot, service, {}, world)).rejects.toMatchObject({ code: "PLACE_UNREACHABLE" });
    const beside = queueComponent(queueConfigSchema.parse({ command: [...mail.oneOff] }));
    const staged = await beside.stage(snapshot, service, {}, world);
    const checks = await beside.check(staged, world);
    expect(checks.filter(({ outcome }) => outcome === "failed")).toEqual([]);
    await staged.remove();
    await mail.start();
    const held = readdirSync(join(mail.root, "var/spool/postfix/hold"));
    expect(held).toHaveLength(3);
    expect(await mail.run(["postcat", "-q", held[0]!])).toContain("Hello");
  });

  test("that is stopped is told as such", async () => {
    await mail.stop();
    const configs = configsComponent(configsConfig.parse({ paths: ["/etc/postfix"], command: [...mail.command] }));
    const { outcomes } = await vault.backup([queue(), configs]);
    expect(outcomes.map(({ error }) => error?.code)).toEqual(["PLACE_UNREACHABLE", "PLACE_UNREACHABLE"]);
    expect(await ailments(queue())).toEqual(["unproven"]);
    expect(await ailments(configs)).toEqual(["PLACE_UNREACHABLE", "unproven", "unproven", "unproven"]);
  });
});

/** Resolves when so many messages wait for their next attempt. */
async function deferred(count: number): Promise<void> {
  for (let tries = 0; tries < 200; tries += 1) {
    const names = readdirSync(join(mail.root, "var/spool/postfix/deferred"), { recursive: true, withFileTypes: true });
    if (names.filter((entry) => entry.isFile()).length === count) return;
    await sleep(50);
  }
  throw new Error(`no ${count} messages are deferred below ${dirname(mail.root)}`);
}
