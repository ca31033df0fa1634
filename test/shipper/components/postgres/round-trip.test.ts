import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type SandboxHost, startHost } from "../../../../sandbox/host/host.ts";
import { populateMailApp } from "../../../../sandbox/host/mail-app.ts";
import { postgresComponent } from "../../../../shipper/components/postgres/component.ts";
import { type Connection, openConnection } from "../../../../shipper/components/postgres/connection.ts";
import type { StagedPostgres } from "../../../../shipper/components/postgres/stage.ts";
import { createVault, type Vault } from "../../../fixtures/vault.ts";
import { ask, configOf, dumpOf, globalsOf, layTraps, scratchPath, trapped } from "./server-content.ts";

let host: SandboxHost;
let vault: Vault;
let source: Connection;
beforeAll(async () => {
  [host, vault] = await Promise.all([startHost({ services: ["postgres"] }), createVault()]);
  source = await openConnection(configOf(host), vault.world());
  await populateMailApp(host.postgres, { seed: "round trip" });
  await layTraps(host);
});
afterAll(async () => {
  source?.close();
  vault?.remove();
  await host?.stop();
});

async function capture(more: Parameters<typeof configOf>[1] = {}) {
  const { outcomes } = await vault.backup([postgresComponent(configOf(host, more))]);
  const [outcome] = outcomes;
  if (outcome?.error) throw outcome.error;
  return vault.open("postgres");
}

/** Captures, stages to a private server, and hands both over. */
async function throughScratch(
  work: (staged: StagedPostgres & { connection: Connection }) => Promise<void>,
  more: Parameters<typeof configOf>[1] = {},
) {
  const snapshot = await capture(more);
  const component = postgresComponent(configOf(host));
  const place = scratchPath();
  try {
    const staged = await component.stage(snapshot, { kind: "scratch", path: place.path }, {}, vault.world());
    try {
      await work(staged as StagedPostgres & { connection: Connection });
    } finally {
      await staged.remove();
    }
  } finally {
    place.remove();
  }
}

describe("a server full of traps", () => {
  test("comes back exactly, with roles, owners, rights, large objects and settings", async () => {
    const component = postgresComponent(configOf(host));
    await throughScratch(async (staged) => {
      const checks = await component.check(staged, vault.world());
      expect(checks.filter(({ outcome }) => outcome !== "passed")).toEqual([]);
      // Of this one only the rights are ours.
      expect(checks.map(({ name }) => name)).toContain("definitions of postgres");
      const subscriptions = checks.find(({ name }) => name === "subscriptions of rewritten");
      expect(subscriptions?.detail).toContain("1 are off, as a restore leaves them: faraway; ALTER SUBSCRIPTION");
      expect(await globalsOf(staged.connection)).toBe(await globalsOf(source));
      for (const database of ["bytes", "empty", "mailapp", "template1", trapped]) {
        expect(await dumpOf(staged.connection, database)).toBe(await dumpOf(source, database));
      }
      for (const question of questions) {
        expect(await ask(staged.connection, trapped, question)).toBe(await ask(source, trapped, question));
      }
    });
  });
});

describe("a server that is written to", () => {
  test("comes back as it was in the view that the facts are of", async () => {
    await host.postgres.sql(
      `CREATE TABLE ledger (id bigserial PRIMARY KEY, amount integer NOT NULL, padding text);
       CREATE TABLE balance (total bigint NOT NULL); INSERT INTO balance VALUES (0);
       CREATE TABLE stop (); CREATE TABLE fleeting (a integer);
       CREATE PROCEDURE churn() LANGUAGE plpgsql AS $$ DECLARE n integer := 0; BEGIN
         WHILE NOT EXISTS (SELECT FROM stop) LOOP
           n := n + 1;
           INSERT INTO ledger (amount, padding) VALUES (n, repeat(md5(n::text), 20));
           UPDATE balance SET total = total + n;
           DELETE FROM ledger WHERE id = n / 2 AND n % 3 = 0;
           COMMIT;
           IF n % 50 = 0 THEN TRUNCATE fleeting; INSERT INTO fleeting VALUES (n), (n); COMMIT; END IF;
         END LOOP; END $$;`,
      "mailapp",
    );
    const writers = [0, 1].map(() => host.postgres.sql("CALL churn()", "mailapp"));
    try {
      const component = postgresComponent(configOf(host));
      await throughScratch(
        async (staged) => {
          const checks = await component.check(staged, vault.world());
          // Who waits to truncate a table when it is dumped keeps it from being measured, no more.
          const amiss = checks.filter(({ name, outcome }) => outcome !== "passed" && !name.endsWith(".fleeting"));
          expect(amiss).toEqual([]);
          expect(checks.filter(({ outcome }) => outcome === "failed")).toEqual([]);
          const rows = "SELECT (SELECT count(*) > 0 FROM public.ledger), (SELECT total FROM public.balance) > 0";
          expect(await ask(staged.connection, "mailapp", rows)).toBe("t|t\n");
        },
        { databases: ["mailapp"] },
      );
    } finally {
      await host.postgres.sql("INSERT INTO stop DEFAULT VALUES", "mailapp");
      await Promise.all(writers);
    }
  });
});

/** To the server itself, not by way of ours. */
const questions = [
  "SELECT * FROM shop.customers ORDER BY id",
  "SELECT id, md5(b), length(b) FROM shop.bytes ORDER BY id",
  "SELECT lo_get(4711) = decode(repeat('00ff7f80', 5000), 'hex'), length(lo_get(4712)), md5(lo_get(4713))",
  "INSERT INTO shop.customers (email) VALUES ('next@x') RETURNING id",
  "INSERT INTO shop.orders (customer, placed) VALUES (1000, '2024-02-02') RETURNING id, tableoid::regclass",
  "SELECT nextval('shop.down'), nextval('shop.unused')",
  "SELECT shop.answer(), prosecdef FROM pg_proc WHERE proname = 'answer'",
  "SET row_security = on; SET ROLE app; SELECT * FROM shop.secrets",
  "INSERT INTO shop.nodes VALUES (9, 1, NULL); SELECT note FROM shop.nodes WHERE id = 9",
];
