import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Container, startContainer } from "../../sandbox/container/container.ts";
import { type MariadbContainer, startMariadbContainer } from "../../sandbox/container/mariadb.ts";
import type { Check } from "../../shipper/components/component.ts";
import { mysqlComponent } from "../../shipper/components/mysql/component.ts";
import { type MysqlConfig, mysqlConfigSchema } from "../../shipper/components/mysql/config.ts";
import { nodeProcesses, outputOf, type Processes } from "../../shipper/processes.ts";
import { createVault, type Vault } from "../fixtures/vault.ts";
import { scratchPath } from "../shipper/components/mysql/server-content.ts";

let db: MariadbContainer;
let vault: Vault;
beforeAll(async () => {
  [db, vault] = await Promise.all([startMariadbContainer(), createVault()]);
  await db.sql(`
    CREATE DATABASE mailserver; USE mailserver;
    CREATE TABLE virtual_users (id INT PRIMARY KEY, email VARCHAR(200), password VARCHAR(200));
    INSERT INTO virtual_users SELECT seq, CONCAT('user', seq, '@example.com'), MD5(seq) FROM seq_1_to_2000;
    CREATE VIEW emails AS SELECT email FROM virtual_users;
    CREATE FUNCTION one() RETURNS INT DETERMINISTIC RETURN 1;
    CREATE USER app@localhost IDENTIFIED BY 'app'; GRANT SELECT ON mailserver.* TO app@localhost;`);
});
afterAll(async () => {
  vault?.remove();
  await db?.remove();
});

const config = (more: Partial<MysqlConfig> = {}): MysqlConfig =>
  mysqlConfigSchema.parse({ command: [...db.command], user: "root", passwordFile: passwordFile(), ...more });

function passwordFile(): string {
  const path = join(vault.directory, "password");
  if (!existsSync(path)) writeFileSync(path, `${db.password}\n`, { mode: 0o600 });
  return path;
}

/** What a program that is run in a container leaves in it: nothing. */
async function leftIn(container: Container): Promise<string[]> {
  const processes = (await container.processes()).filter(
    (line) => !/^(mariadbd --no-defaults --datadir=\/var\/lib|sleep inf)/.test(line),
  );
  return [...processes, ...readdirSync(join(container.root, "var/tmp")), ...readdirSync(join(container.root, "tmp"))];
}

async function eventually(holds: () => Promise<boolean>): Promise<boolean> {
  for (let tries = 0; tries < 100; tries += 1) {
    if (await holds()) return true;
    await sleep(50);
  }
  return false;
}

const component = mysqlComponent;
const passed = (checks: readonly Check[]) => checks.filter(({ outcome }) => outcome !== "passed");

describe("a database in a container", () => {
  test("sees nothing of this machine's directories", async () => {
    await expect(db.run(["ls", vault.directory])).rejects.toMatchObject({
      detail: expect.stringContaining("No such file"),
    });
    expect(existsSync("/run/mysqld/mysqld.sock")).toBe(false);
  });

  test("is captured, and comes back in a server there", async () => {
    const mysql = component(config());
    const { outcomes } = await vault.backup([mysql]);
    expect(outcomes[0]?.error).toBeUndefined();
    expect(outcomes[0]?.manifest).toMatchObject({
      completeness: "complete",
      warnings: [],
      facts: { databases: 1, rows: 2000 },
    });
    const place = scratchPath();
    const world = vault.world();
    expect((await mysql.diagnose(world)).filter(({ outcome }) => outcome !== "fine")).toEqual([]);
    const staged = await mysql.stage(await vault.open("mysql"), { kind: "scratch", path: place.path }, {}, world);
    expect(existsSync(place.path)).toBe(false);
    expect(
      (await db.processes()).filter((line) => /^\S*mariadbd .*--datadir=\/var\/tmp\/mailark-/.test(line)),
    ).toHaveLength(1);
    const checks = await mysql.check(staged, world);
    expect(passed(checks)).toEqual([]);
    expect(checks.length).toBeGreaterThan(3);
    await staged.remove();
    expect(await leftIn(db)).toEqual([]);
    place.remove();
  });

  test("tells its password to nobody: not to a command line, an environment, a file or the container engine", async () => {
    const seen: string[] = [];
    const look = async () => {
      seen.push(...everyProcess());
      seen.push(await db.podman.run(["inspect", db.name]), await db.podman.run(["ps", "--all", "--format", "json"]));
      // What the engine knows of programs that run in the container.
      seen.push(await textBelow(dirname(db.root)));
    };
    const slowly: Processes = {
      async start(command, options) {
        const running = await nodeProcesses.start(command, options);
        if (command.includes("mariadb-dump") && command.includes("--databases")) await look();
        return running;
      },
    };
    const { outcomes } = await vault.backup([component(config())], { processes: slowly });
    expect(outcomes[0]?.error).toBeUndefined();
    expect(seen.join("")).toContain("mariadb-dump");
    expect(seen.join("")).not.toContain(db.password);
    expect(JSON.stringify(outcomes)).not.toContain(db.password);
  });

  test("with another password is refused with the server's words, and without the password", async () => {
    const path = join(vault.directory, "wrong");
    writeFileSync(path, "wrong 'password' \\ $(id) # \"\n", { mode: 0o600 });
    const { outcomes } = await vault.backup([component(config({ passwordFile: path }))]);
    expect(outcomes[0]?.error).toMatchObject({ detail: expect.stringContaining("ERROR 1045") });
    expect(JSON.stringify([outcomes[0]?.error, outcomes[0]?.error?.message])).not.toContain("wrong '");
  });

  test("takes a password with every character that means something to a shell or an option file", async () => {
    const password = "p \"a'\\ $HOME `id` $(id) #;%s\\n é";
    await db.sql(
      `CREATE USER odd@localhost IDENTIFIED BY '${password.replace(/[\\']/g, "\\$&")}'; GRANT SELECT ON *.* TO odd@localhost`,
    );
    const path = join(vault.directory, "odd");
    writeFileSync(path, password, { mode: 0o600 });
    const estimated = await component(config({ user: "odd", passwordFile: path })).estimate(vault.world());
    expect(estimated.map(({ what }) => what)).toEqual(["mailserver"]);
    await db.sql("DROP USER odd@localhost");
    // An option file of the container does as well.
    const byFile = component(config({ passwordFile: undefined, defaultsFile: db.defaultsFile }));
    expect(await byFile.estimate(vault.world())).toEqual(estimated);
  });

  test("leaves nothing in the container when mailark is killed", async () => {
    const child = spawn(process.execPath, ["--input-type=module-typescript", "-e", busy(db.command)], {
      stdio: ["ignore", "pipe", "inherit"],
      cwd: new URL("../..", import.meta.url).pathname,
    });
    await once(child.stdout, "data");
    const running = (await db.processes()).join("\n");
    expect(running).toContain("--datadir=/var/tmp/mailark-");
    expect(running).toContain("sleep 1234");
    child.kill("SIGKILL");
    expect(await eventually(async () => (await leftIn(db)).length === 0), (await leftIn(db)).join("\n")).toBe(true);
  });

  test("comes back into an empty server there", async () => {
    const mysql = component(config());
    await vault.backup([mysql]);
    const world = vault.world();
    const snapshot = await vault.open("mysql");
    await expect(mysql.stage(snapshot, { kind: "service" }, {}, world)).rejects.toMatchObject({
      code: "TARGET_NOT_EMPTY",
    });
    await db.sql("DROP DATABASE mailserver; DROP USER app@localhost");
    const staged = await mysql.stage(snapshot, { kind: "service" }, {}, world);
    expect(passed(await mysql.check(staged, world))).toEqual([]);
    await staged.remove();
    expect(await db.sql("SELECT COUNT(*) FROM mailserver.emails; SHOW GRANTS FOR app@localhost")).toMatch(
      /^2000\n.*app/s,
    );
    expect(await leftIn(db)).toEqual([]);
  });
});

describe("a container", () => {
  test("without a server program has its databases proven by this machine's, or by none and says so", async () => {
    const idle = await startContainer({ name: "clients", without: ["mariadbd", "mysqld"] });
    try {
      const mysql = component(config({ command: [...idle.command] }));
      const world = vault.world();
      const place = scratchPath();
      const at = { kind: "scratch", path: place.path } as const;
      const staged = await mysql.stage(await vault.open("mysql"), at, {}, world);
      expect(existsSync(place.path)).toBe(true);
      expect(passed(await mysql.check(staged, world))).toEqual([]);
      await staged.remove();
      expect(existsSync(place.path)).toBe(false);
      const none: Processes = {
        start: (command, options) =>
          nodeProcesses.start(
            command.map((word) => word.replace(/^(mariadbd|mysqld)$/, "no-such")) as unknown as [string],
            options,
          ),
      };
      await expect(
        mysql.stage(await vault.open("mysql"), at, {}, vault.world({ processes: none })),
      ).rejects.toMatchObject({ code: "PROGRAM_MISSING" });
      expect(await leftIn(idle)).toEqual([]);
      place.remove();
    } finally {
      await idle.remove();
    }
  });

  test("that can not be used is told, with the way out", async () => {
    const idle = await startContainer({ name: "idle", without: ["mariadb", "mysql"] });
    try {
      const reason = async (command: readonly string[]) => {
        const { outcomes } = await vault.backup([component(config({ command: [...command] }))]);
        return outcomes[0]?.error;
      };
      expect(await reason(idle.command)).toMatchObject({
        code: "PROGRAM_MISSING",
        message: "there is none of these programs: mariadb, mysql",
        hint: expect.stringContaining("container"),
      });
      await idle.pause();
      expect(await reason(idle.command)).toMatchObject({
        code: "PLACE_UNREACHABLE",
        message: "the container is stopped or paused",
        hint: expect.stringContaining("pause its clients, never the service"),
      });
      await idle.unpause();
      await idle.stop();
      expect(await reason(idle.command)).toMatchObject({ message: "the container is stopped or paused" });
      const unknown = [...idle.command.slice(0, -1), "no-such-container"];
      expect(await reason(unknown)).toMatchObject({
        code: "PLACE_UNREACHABLE",
        message: "there is no container of that name",
        detail: expect.stringContaining("no-such-container"),
      });
      expect(await reason(["no-such-docker", "exec", "-i", "db"])).toMatchObject({
        code: "PROGRAM_MISSING",
        message: expect.stringContaining("no-such-docker"),
      });
    } finally {
      await idle.remove();
    }
  });

  test("of the sandbox ends with its process, killed or not", async () => {
    const child = spawn(process.execPath, ["--input-type=module-typescript", "-e", keeper], {
      stdio: ["ignore", "pipe", "inherit"],
      cwd: new URL("../..", import.meta.url).pathname,
    });
    const [said] = (await once(child.stdout, "data")) as [Buffer];
    const directory = dirname(String(said).trim());
    expect(existsSync(directory)).toBe(true);
    child.kill("SIGKILL");
    expect(await eventually(async () => !existsSync(directory))).toBe(true);
    expect(everyProcess().filter((line) => line.includes(directory))).toEqual([]);
  });
});

/** Command lines and environments of all processes that can be looked at, but for this one; those in containers are among them. */
function everyProcess(): string[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .flatMap((pid) =>
      ["cmdline", "environ"].map((file) => {
        try {
          return readFileSync(`/proc/${pid}/${file}`, "utf8").replaceAll("\0", " ");
        } catch {
          return "";
        }
      }),
    );
}

/** What is in the files of a directory, without the container's own. */
async function textBelow(directory: string): Promise<string> {
  const words = ["grep", "-rahE", "--exclude-dir=root", ".", directory] as const;
  return (await outputOf(nodeProcesses, ["sh", "-c", '"$@" 2> /dev/null; :', "sh", ...words])).toString("latin1");
}

const imports = `
import { systemClock } from "./core/ports/clock.ts";
import { nodeFiles } from "./core/ports/files.ts";
import { startContainer } from "./sandbox/container/container.ts";
import { leashed } from "./shipper/components/elsewhere.ts";
import { startScratchServer } from "./shipper/components/mysql/scratch-server.ts";
import { nodeProcesses } from "./shipper/processes.ts";
const signal = new AbortController().signal;
const world = { files: nodeFiles, processes: nodeProcesses, clock: systemClock, signal, progress() {} };
const stay = () => new Promise(() => setInterval(() => {}, 1000));
`;

/** A scratch server in a container, and a program that reads no input. */
const busy = (command: readonly string[]) => `${imports}
const command = ${JSON.stringify(command)};
await startScratchServer({ path: "/nowhere", command, flavour: "mariadb", stallSeconds: 60 }, world);
await nodeProcesses.start(leashed(command, ["sleep", "1234"]));
await new Promise((go) => setTimeout(go, 500));
console.log("ready");
await stay();`;

const keeper = `${imports}
console.log((await startContainer({ name: "kept" })).root);
await stay();`;
