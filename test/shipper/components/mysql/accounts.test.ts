import { describe, expect, test } from "vitest";
import {
  narrowAccounts,
  objectOf,
  recreateInMysql,
  withoutIdentity,
} from "../../../../shipper/components/mysql/accounts.ts";
import { withoutDatabase } from "../../../../shipper/components/mysql/programs.ts";

describe("a grant", () => {
  test("on one table or routine is told from a grant on a database, on all, of a role or of a proxy", () => {
    expect(objectOf("GRANT SELECT (`id`), UPDATE ON `a``b`.`t` TO `u`@`h` WITH GRANT OPTION")).toEqual({
      database: "a`b",
      name: "t",
    });
    expect(objectOf("GRANT EXECUTE ON PROCEDURE `aaa`.`p` TO `u`@`h`")).toEqual({ database: "aaa", name: "p" });
    for (const grant of [
      "GRANT SELECT ON `mailserver`.* TO `u`@`h`",
      "GRANT USAGE ON *.* TO `u`@`h` IDENTIFIED BY PASSWORD '*B69027D44F6E5EDC07F1AEAD1477967B16F28227'",
      "GRANT `role` TO `u`@`h` WITH ADMIN OPTION",
      "GRANT PROXY ON `ed`@`%` TO `u`@`h`",
      "SET DEFAULT ROLE `r2` FOR `u`@`h`",
    ]) {
      expect(objectOf(grant), grant).toBeUndefined();
    }
  });
});

test("a grant does not set the password again, and keeps its option", () => {
  const start = "GRANT SELECT ON *.* TO `a ``b`@`%`";
  expect(withoutIdentity(`${start} IDENTIFIED BY PASSWORD '*D8' REQUIRE SSL WITH MAX_USER_CONNECTIONS 5`)).toBe(start);
  expect(withoutIdentity(`${start} IDENTIFIED BY PASSWORD '*D8' WITH GRANT OPTION MAX_USER_CONNECTIONS 5`)).toBe(
    `${start} WITH GRANT OPTION`,
  );
  expect(withoutIdentity(`${start} REQUIRE SUBJECT ' WITH GRANT OPTION'`)).toBe(start);
  expect(withoutIdentity("GRANT `r` TO `u`@`h` WITH ADMIN OPTION")).toBe("GRANT `r` TO `u`@`h` WITH ADMIN OPTION");
});

describe("accounts that are narrowed", () => {
  const sql = [
    "SET NAMES utf8mb4;\n",
    "-- account app@localhost\nCREATE OR REPLACE USER `app`@`localhost`;\n",
    "-- account backup@10.%25\nCREATE OR REPLACE USER `backup`@`10.%`;\n",
    "-- account backup@10.%25\nGRANT SELECT ON *.* TO `backup`@`10.%`;\n",
    "-- object mail\nGRANT SELECT ON `mail`.`t` TO `app`@`localhost`;\n",
    "-- object odd%20name\nGRANT SELECT ON `odd name`.`t` TO `app`@`localhost`;\n",
    "\n-- Dump completed\n",
  ].join("\n");

  test("keep the grants on objects of the databases that are there", () => {
    const narrowed = narrowAccounts(sql, ["odd name"]);
    expect(narrowed).toContain("`odd name`.`t`");
    expect(narrowed).not.toContain("`mail`.`t`");
    expect(narrowed).toContain("backup");
  });

  test("leave out the account that the restore itself runs with", () => {
    const narrowed = narrowAccounts(sql, ["mail"], "backup@10.%");
    expect(narrowed).not.toContain("backup");
    expect(narrowed).toContain("CREATE OR REPLACE USER `app`");
  });

  test("are all of them when nothing is narrowed", () => {
    expect(narrowAccounts(sql, ["mail", "odd name"])).toBe(sql);
  });
});

test("MySQL's accounts are made without their default roles, which come after the grants", () => {
  const create =
    "CREATE USER `app`@`%` IDENTIFIED WITH 'caching_sha2_password' AS 0x24 DEFAULT ROLE `r1`@`%`,`r2`@`%` REQUIRE NONE PASSWORD EXPIRE DEFAULT";
  expect(recreateInMysql(create, "`app`@`%`")).toEqual({
    create: [
      "DROP USER IF EXISTS `app`@`%`",
      "CREATE USER `app`@`%` IDENTIFIED WITH 'caching_sha2_password' AS 0x24 REQUIRE NONE PASSWORD EXPIRE DEFAULT",
    ],
    after: ["ALTER USER `app`@`%` DEFAULT ROLE `r1`@`%`,`r2`@`%`"],
  });
});

test("a dump of programs changes the collation of the database that it is loaded into, never of the live one", () => {
  const dump = Buffer.from(
    "SELECT 1;\nALTER DATABASE `li``ve ü` CHARACTER SET latin1 COLLATE latin1_swedish_ci ;\nDELIMITER ;;\nALTER DATABASE `li``ve ü` CHARACTER SET utf8mb4 COLLATE utf8mb4_bin ;;\n",
  );
  expect(withoutDatabase(dump, "li`ve ü").toString()).toBe(
    "SELECT 1;\nALTER DATABASE CHARACTER SET latin1 COLLATE latin1_swedish_ci ;\nDELIMITER ;;\nALTER DATABASE CHARACTER SET utf8mb4 COLLATE utf8mb4_bin ;;\n",
  );
});
