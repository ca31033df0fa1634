import { spawn } from "node:child_process";
import { once } from "node:events";
import type { Dirent } from "node:fs";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Files } from "../../../../core/ports/files.ts";
import { mailComponent } from "../../../../shipper/components/mail/component.ts";
import { mailConfig } from "../../../../shipper/components/mail/config.ts";
import { listMailbox } from "../../../../shipper/components/mail/listing.ts";
import { makeFolder, treeOf, uidlist, writeFile } from "../../../fixtures/mailboxes.ts";
import { createVault, type Vault } from "../../../fixtures/vault.ts";

let vault: Vault;
let maildir: string;
const bases = Array.from({ length: 210 }, (_, number) => `1700000${String(number).padStart(3, "0")}.M1P1.mx`);

beforeEach(async () => {
  vault = await createVault();
  maildir = `${vault.directory}/vmail/a.org/u/Maildir`;
  for (const folder of ["", "/.A", "/.B"]) makeFolder(`${maildir}${folder}`);
});
afterEach(() => vault.remove());

describe("a mailbox that another process changes all the time", () => {
  test.each(["flags", "moves"])("is captured with every message, while %s never rest", async (kind) => {
    for (const [number, base] of bases.entries()) {
      writeFile(`${maildir}${["", "/.A", "/.B"][number % 3]}/cur/${base}:2,`, `message ${base}`);
    }
    // A uidlist lags behind what it lists; moves leave names in it that are gone.
    writeFile(
      `${maildir}/dovecot-uidlist`,
      uidlist(
        1,
        bases.filter((_, number) => number % 3 === 0),
      ),
    );
    const churn = spawn(process.execPath, [
      new URL("../../../fixtures/churn.ts", import.meta.url).pathname,
      maildir,
      kind,
    ]);
    try {
      await once(churn.stdout, "data");
      const component = mailComponent(mailConfig.parse({ root: `${vault.directory}/vmail` }));
      const { exitCode } = await vault.backup([component]);
      expect(exitCode).toBe(0);
      const target = `${vault.directory}/out`;
      await component.stage(await vault.open("mail"), { kind: "directory", path: target }, {}, vault.world());
      const found = new Set(Object.keys(treeOf(target)).flatMap((path) => path.match(/cur\/([^:]+):2,/)?.[1] ?? []));
      expect([...found].sort()).toEqual(bases);
    } finally {
      churn.kill("SIGKILL");
      await once(churn, "exit");
    }
  });
});

describe("listing", () => {
  const list = (files: Files) => listMailbox(maildir, { ...vault.world(), files });
  /** The disk, with another readdir: of names, or of entries where a directory can have others in it. */
  const readingBy = <T = string>(readdir: (disk: Files, path: string, listed: () => T[]) => T[]): Files => {
    const disk = vault.world().files;
    const readdirSync = (...args: Parameters<Files["readdirSync"]>) =>
      readdir(disk, args[0].toString().replace(/\/\.(?=\/|$)/, ""), () => disk.readdirSync(...args) as unknown as T[]);
    return { ...disk, readdirSync: readdirSync as unknown as Files["readdirSync"] };
  };

  test("one pass is enough where nothing changed", async () => {
    writeFile(`${maildir}/cur/1.a:2,S`, "");
    await vault.world().clock.sleep(60);
    let passes = 0;
    const counting = readingBy((_, path, names) => {
      if (path === `${maildir}/cur`) passes += 1;
      return names();
    });
    const listing = await list(counting);
    expect(listing).toMatchObject({ proof: "quiet", messages: [{ base: "1.a", info: ":2,S" }] });
    expect(passes).toBe(1);
  });

  test("a name that readdir passes over during a rename is found by the next pass", async () => {
    writeFile(`${maildir}/cur/1.a:2,`, "");
    writeFile(`${maildir}/cur/2.b:2,`, "");
    await vault.world().clock.sleep(60);
    let calls = 0;
    const racing = readingBy((disk, path, names) => {
      const listed = names();
      if (path !== `${maildir}/cur`) return listed;
      calls += 1;
      if (calls > 1) return listed;
      disk.renameSync(`${maildir}/cur/1.a:2,`, `${maildir}/cur/1.a:2,S`);
      return listed.filter((file) => !file.startsWith("1.a"));
    });
    const listing = await list(racing);
    expect(listing.messages.map(({ base, info }) => base + info).sort()).toEqual(["1.a:2,S", "2.b:2,"]);
  });

  test("a message that moves from a folder not yet listed to one already listed does not escape", async () => {
    writeFile(`${maildir}/.B/cur/1.a:2,`, "");
    await vault.world().clock.sleep(60);
    let moved = false;
    const moving = readingBy((disk, path, names) => {
      if (!moved && path === `${maildir}/.B/cur`) {
        moved = true;
        disk.renameSync(`${maildir}/.B/cur/1.a:2,`, `${maildir}/.A/cur/1.a:2,`);
      }
      return names();
    });
    const listing = await list(moving);
    expect(moved).toBe(true);
    expect(listing.messages).toMatchObject([{ folder: ".A", base: "1.a" }]);
  });

  test("passes go on until every name of the uidlist was seen, where the mailbox never keeps still", async () => {
    writeFile(`${maildir}/cur/1.a:2,`, "");
    writeFile(`${maildir}/cur/2.b:2,`, "");
    writeFile(`${maildir}/dovecot-uidlist`, uidlist(1, ["1.a", "2.b"]));
    let passes = 0;
    const unlucky = readingBy((disk, path, names) => {
      const listed = names();
      if (path !== `${maildir}/cur`) return listed;
      passes += 1;
      disk.utimesSync(`${maildir}/cur`, 1, passes);
      return passes < 9 ? listed.filter((file) => !file.startsWith("1.a")) : listed;
    });
    const listing = await list(unlucky);
    expect(listing.proof).toBe("agreed");
    expect(listing.messages.map(({ base }) => base).sort()).toEqual(["1.a", "2.b"]);
  });

  test.each([
    ["the last pass did not show", [4]],
    ["only the last pass showed", [1, 2, 3]],
  ])("a uidlist that %s is captured, where the mailbox never keeps still", async (_, hidden) => {
    writeFile(`${maildir}/cur/1.a:2,`, "");
    writeFile(`${maildir}/dovecot-uidlist`, uidlist(1, ["1.a"]));
    let passes = 0;
    const racing = readingBy<Dirent>((disk, path, entries) => {
      if (path !== maildir) return entries();
      passes += 1;
      disk.utimesSync(maildir, 1, passes);
      return entries().filter(({ name }) => name !== "dovecot-uidlist" || !hidden.includes(passes));
    });
    expect(await list(racing)).toMatchObject({ proof: "agreed", files: ["dovecot-uidlist"] });
    expect(passes).toBe(4);
  });

  test("a change too short ago to show by its time is waited out", async () => {
    writeFile(`${maildir}/cur/1.a:2,`, "");
    const world = vault.world();
    let slept = 0;
    const clock = {
      now: world.clock.now,
      sleep: (milliseconds: number) => {
        slept += milliseconds;
        return world.clock.sleep(milliseconds);
      },
    };
    const listing = await listMailbox(maildir, { ...world, clock });
    expect(listing.proof).toBe("quiet");
    expect(slept).toBeGreaterThan(0);
  });

  test("a time in whole seconds is not believed before two of them have gone by", async () => {
    writeFile(`${maildir}/cur/1.a:2,`, "");
    const { files, signal } = vault.world();
    files.utimesSync(`${maildir}/cur`, 1_700_000_000, 1_700_000_000);
    let time = Date.now() + 500;
    let slept = 0;
    const clock = {
      now: () => time,
      async sleep(milliseconds: number) {
        slept += milliseconds;
        time += milliseconds;
      },
    };
    expect((await listMailbox(maildir, { files, clock, signal })).proof).toBe("quiet");
    expect(slept).toBeGreaterThan(1000);
  });

  test("what single passes saw is put together, where the mailbox never keeps still", async () => {
    writeFile(`${maildir}/cur/1.a:2,`, "");
    writeFile(`${maildir}/cur/2.b:2,`, "");
    let passes = 0;
    const unlucky = readingBy((disk, path, names) => {
      const listed = names();
      if (path !== `${maildir}/cur`) return listed;
      passes += 1;
      disk.utimesSync(`${maildir}/cur`, 1, passes);
      return listed.filter((file) => !file.startsWith(passes % 2 === 0 ? "1.a" : "2.b"));
    });
    const listing = await list(unlucky);
    expect(listing.messages.map(({ base }) => base).sort()).toEqual(["1.a", "2.b"]);
  });

  test("passes end although the uidlist names what is gone, where the mailbox never keeps still", async () => {
    writeFile(`${maildir}/cur/1.a:2,`, "");
    writeFile(`${maildir}/dovecot-uidlist`, uidlist(1, ["1.a", "2.gone"]));
    let passes = 0;
    const restless = readingBy((disk, path, names) => {
      if (path === `${maildir}/cur`) disk.utimesSync(`${maildir}/cur`, 1, ++passes);
      return names();
    });
    expect(await list(restless)).toMatchObject({ proof: "agreed", messages: [{ base: "1.a" }] });
  });
});
