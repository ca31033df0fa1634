import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { startHost } from "../../../../sandbox/host/host.ts";
import { mysqlComponent } from "../../../../shipper/components/mysql/component.ts";
import { mysqlConfigSchema } from "../../../../shipper/components/mysql/config.ts";
import { grantsOf, missingRights } from "../../../../shipper/components/mysql/rights.ts";
import { createVault } from "../../../fixtures/vault.ts";

const grants = (...lines: readonly string[]) => grantsOf(lines.map((line) => [line]));

describe("what an account may do", () => {
  test.each([
    ["on everything", "*.*", "mail", true],
    ["on that database", "`mail`.*", "mail", true],
    ["on another", "`other`.*", "mail", false],
    ["on names that it stands for", "`ma%`.*", "mail", true],
    ["on names of one letter more", "`mail_`.*", "mail", false],
    ["on a name with an underscore in it", "`mail\\_old`.*", "mail_old", true],
    ["on that one only, where the underscore stands for itself", "`mail\\_old`.*", "mailxold", false],
    ["on a name with a back-quote and a dot", "`a``b.c`.*", "a`b.c", true],
    ["on one table of it", "`mail`.`t`", "mail", false],
  ])("%s", (_, scope, database, expected) => {
    expect(grants(`GRANT SELECT, EVENT ON ${scope} TO \`u\`@\`h\``).may("EVENT", database)).toBe(expected);
  });

  test("is everything with all privileges, and not what only another right's name begins with", () => {
    expect(grants("GRANT ALL PRIVILEGES ON *.* TO `u`@`h` WITH GRANT OPTION").may("TRIGGER", "*")).toBe(true);
    expect(grants("GRANT EVENTUALLY ON *.* TO `u`@`h`").may("EVENT", "*")).toBe(false);
  });

  test("is told as what is to be granted", () => {
    const few = grants("GRANT SELECT, SHOW VIEW ON *.* TO `u`@`h`", "GRANT TRIGGER ON `a_b`.* TO `u`@`h`");
    expect(missingRights(few, "all", "mariadb")).toEqual({
      needed: ["TRIGGER, EVENT ON *.*"],
      useful: ["RELOAD ON *.*"],
    });
    expect(missingRights(few, ["a_b"], "mysql")).toEqual({ needed: ["EVENT ON `a\\_b`.*"], useful: [] });
  });
});

test("a backup by an account that does not see triggers or events is partial, and says so", async () => {
  const [host, vault] = await Promise.all([startHost({ services: ["mariadb"] }), createVault()]);
  onTestFinished(async () => {
    await host.stop();
    vault.remove();
  });
  const passwordFile = join(vault.directory, "password");
  writeFileSync(passwordFile, "a password\n", { mode: 0o600 });
  const { socket, sql } = host.mariadb;
  await sql(
    "CREATE USER half@localhost IDENTIFIED BY 'a password'; GRANT SELECT, SHOW VIEW, RELOAD ON *.* TO half@localhost",
  );
  const mysql = mysqlComponent(mysqlConfigSchema.parse({ socket, user: "half", passwordFile }));
  const capture = async () => {
    const { outcomes, exitCode } = await vault.backup([mysql]);
    return { exitCode, completeness: outcomes[0]?.manifest?.completeness, warnings: outcomes[0]?.manifest?.warnings };
  };
  const partial = { exitCode: 3, completeness: "partial", warnings: [{ code: "PROGRAMS_UNREADABLE", count: 1 }] };
  expect(await capture()).toEqual(partial);
  await sql("GRANT TRIGGER ON *.* TO half@localhost");
  expect(await capture()).toEqual(partial);
  await sql("GRANT EVENT ON mailserver.* TO half@localhost");
  expect(await capture()).toEqual({ exitCode: 0, completeness: "complete", warnings: [] });
});
