import { chmodSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { generateIdentity } from "../../../core/age/age.ts";
import { componentNames } from "../../../core/keys.ts";
import { isRoot } from "../../../sandbox/host/account.ts";
import { type SandboxHost, startHost } from "../../../sandbox/host/host.ts";
import { configSchema, readConfig } from "../../../shipper/config.ts";
import { configTemplate } from "../../../shipper/config-template.ts";
import { parseYaml } from "../../../shipper/config-text.ts";
import { type CommandLine, commandLine } from "../../fixtures/command-line.ts";
import { makeFolder, treeOf } from "../../fixtures/mailboxes.ts";
import { type Relocated, relocated } from "../../fixtures/relocated.ts";
import { scratchDirectory } from "../../fixtures/scratch.ts";

let host: SandboxHost;
let line: CommandLine;
let root: string;

beforeAll(async () => {
  host = await startHost({ services: ["mariadb", "postgres", "redis", "postfix"] });
  makeFolder(join(host.vmail, "example.test/alice/Maildir"));
  await host.postgres.sql("CREATE DATABASE api");
}, 60_000);
afterAll(() => host.stop());

beforeEach(() => {
  const directory = scratchDirectory();
  chmodSync(directory, 0o755);
  line = commandLine(directory);
  root = join(directory, "machine");
});

/** What lets a program in where the sandbox wants a password. */
const secrets = () => ({
  ...host.redis.environment,
  PGUSER: "postgres",
  PGPASSFILE: host.postgres.passwordFile,
});

/** A machine with the sandbox's services in the usual places. */
function usualMachine(env: Readonly<Record<string, string>>): Relocated {
  const machine = relocated(root, { MAIL_CONFIG: host.postfix.configDirectory, ...env });
  machine.link("/var/run/postgresql", host.postgres.socketDirectory);
  machine.link("/run/redis/redis-server.sock", host.redis.socket);
  machine.link("/var/vmail", host.vmail);
  machine.link("/etc/postfix/main.cf", join(host.postfix.configDirectory, "main.cf"));
  machine.directory("/etc/dkimkeys");
  machine.directory("/opt/mailserver-api");
  machine.directory("/etc/letsencrypt");
  return machine;
}

async function init(machine: Relocated, words: readonly string[] = []) {
  const places = ["--store", line.store, "--state", join(line.directory, "state")];
  const said = await line.mailark(["init", "--json", "--yes", "--config", line.configPath, ...places, ...words], {
    ports: machine,
  });
  const text = existsSync(line.configPath) ? readFileSync(line.configPath, "utf8") : "";
  return { ...said, json: said.json, text, written: text === "" ? undefined : parse(text) };
}
const mysql = () => ["--mysql-defaults-file", host.mariadb.defaultsFile];

test("everything that a host has is written, each with where it was found, and a backup can read it", async () => {
  const machine = usualMachine(secrets());
  const { code, json, text, written } = await init(machine, mysql());
  expect({ code, notCaptured: json.notCaptured }).toEqual({ code: 0, notCaptured: [] });
  expect(json.components).toEqual(componentNames);
  expect(written.components).toEqual({
    mysql: { "defaults-file": host.mariadb.defaultsFile, databases: "all" },
    postgres: { "socket-directory": "/var/run/postgresql", databases: "all" },
    redis: { socket: "/run/redis/redis-server.sock" },
    queue: {},
    mail: { root: "/var/vmail", layout: "{domain}/{user}" },
    configs: { paths: ["/etc/postfix", "/etc/dkimkeys", "/opt/mailserver-api"], exclude: ["node_modules"] },
    certs: { paths: ["/etc/letsencrypt"] },
  });
  expect(text.match(/^ {2}# Found: .+$/gm)).toHaveLength(componentNames.length);
  expect(text).toContain(`  # Found: ${host.postfix.queueDirectory}\n  queue: {}\n`);
  for (const secret of [host.redis.password, host.postgres.password]) expect(text).not.toContain(secret);
  expect(readConfig(machine.files, line.configPath).components.redis).toMatchObject({
    socket: "/run/redis/redis-server.sock",
  });

  const { code: status, stdout, stderr } = await line.configured(["backup", "--dry-run"], { ports: machine });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  for (const name of componentNames) expect(stdout).toMatch(new RegExp(`^${name}\\b`, "m"));
});

test("a server that asks for a password is an example with a password file, and is told", async () => {
  const { code, json, text, written } = await init(usualMachine({}));
  expect(code).toBe(0);
  expect(Object.keys(written.components)).toEqual(["queue", "mail", "configs", "certs"]);
  expect(json.components).toEqual(["queue", "mail", "configs", "certs"]);
  expect(json.notCaptured).toEqual([
    expect.stringMatching(/^postgres: \/var\/run\/postgresql, port 5432: .*without a password/),
    expect.stringMatching(/^redis: \/run\/redis\/redis-server\.sock: it asks for a password/),
  ]);
  expect(text).toMatch(
    /# Not active: it asks for a password.*\n {2}# redis:\n {2}# {3}socket: .*\n {2}# {3}password-file: /,
  );
});

test("PostgreSQL that holds nothing yet is told, and no backup fails for it", async () => {
  await host.postgres.sql("DROP DATABASE api");
  try {
    const { json } = await init(usualMachine(secrets()), ["--component", "postgres", "certs"]);
    expect(json.components).toEqual(["certs"]);
    expect(json.notCaptured).toEqual([expect.stringMatching(/^postgres: .*no database to capture/)]);
  } finally {
    await host.postgres.sql("CREATE DATABASE api");
  }
});

test.runIf(isRoot)("PostgreSQL that lets in its own user only is reached as that one", async () => {
  const rules = join(host.postgres.datadir, "pg_hba.conf");
  const before = readFileSync(rules, "utf8");
  const reload = () => host.postgres.sql("SELECT pg_reload_conf(), pg_sleep(0.5)");
  writeFileSync(rules, `local all all peer\n`);
  try {
    await reload();
    const { written } = await init(usualMachine({}), ["--component", "postgres"]);
    expect(written.components).toEqual({
      postgres: {
        "socket-directory": "/var/run/postgresql",
        command: ["runuser", "-u", "postgres", "--"],
        databases: "all",
      },
    });
  } finally {
    writeFileSync(rules, before);
    process.kill(Number(readFileSync(join(host.postgres.datadir, "postmaster.pid"), "utf8").split("\n")[0]), "SIGHUP");
  }
});

test("a socket that nothing listens at is told as such", async () => {
  const machine = relocated(root);
  machine.link("/run/redis/redis.sock", host.redis.socket);
  machine.directory("/etc/letsencrypt");
  const dead = {
    ...machine,
    processes: relocated(root, {}, ["redis-cli", "valkey-cli", "postconf", "doveconf"]).processes,
  };
  const { json } = await init(dead);
  expect(json.components).toEqual(["certs"]);
  expect(json.notCaptured).toEqual([expect.stringMatching(/redis\.sock: it does not answer/)]);
});

test("where nothing is found init refuses, names the options, and writes nothing", async () => {
  const machine = relocated(root, {}, ["doveconf", "postconf", "redis-cli", "valkey-cli"]);
  const before = treeOf(line.directory);
  const said = await line.mailark(["init", "--yes", "--config", line.configPath, "--store", line.store], {
    ports: machine,
  });
  expect(said).toMatchObject({ code: 2, stdout: "" });
  expect(said.stderr).toMatch(/nothing that can be backed up[\s\S]*--mail-root[\s\S]*--mysql-socket/);
  expect(treeOf(line.directory)).toEqual(before);
});

describe("--component", () => {
  test("limits what is looked for and written", async () => {
    const { code, json, written } = await init(usualMachine({}), ["--component", "mail", "certs"]);
    expect(code).toBe(0);
    expect(Object.keys(written.components)).toEqual(["mail", "certs"]);
    expect(json).toMatchObject({ components: ["mail", "certs"], notCaptured: [] });
  });

  test("refuses a name that there is none of", async () => {
    const { code, json, text } = await init(usualMachine({}), ["--component", "mial"]);
    expect({ code, text }).toEqual({ code: 2, text: "" });
    expect(json.error).toMatchObject({ code: "COMPONENT_UNKNOWN", hint: "did you mean mail?" });
  });

  test("refuses the place of what it leaves out", async () => {
    const { code, json, text } = await init(usualMachine({}), ["--component", "mail", ...mysql()]);
    expect({ code, text }).toEqual({ code: 2, text: "" });
    expect(json.error.message).toContain("--mysql-defaults-file");
  });
});

describe("services", () => {
  test("are those that systemd has units of and that are not masked, of databases those that are captured", async () => {
    const machine = usualMachine(secrets());
    machine.directory("/run/systemd/system");
    for (const name of ["mariadb", "mysql", "redis-server", "redis", "dovecot", "postfix", "opendkim"]) {
      machine.file(`/lib/systemd/system/${name}.service`);
    }
    machine.link("/etc/systemd/system/opendkim.service", "/dev/null");
    const { written } = await init(machine);
    expect(written.services).toEqual({ databases: ["redis-server"], mail: ["dovecot", "postfix"] });
  });

  test("are an example where systemd does not run", async () => {
    const machine = usualMachine({});
    machine.file("/lib/systemd/system/postfix.service");
    const { written, text } = await init(machine);
    expect(written.services).toBeUndefined();
    expect(text).toContain("\n# services:\n");
  });
});

describe("the template", () => {
  const draft = (found: Parameters<typeof configTemplate>[0]["components"]) =>
    configTemplate({
      ...{
        hostId: "h-0123456789",
        name: "a",
        stores: ["file:///b"],
        state: "/c",
        drill: undefined,
        services: undefined,
      },
      recovery: generateIdentity().recipient,
      components: found,
    });

  test("has an example of everything, right as it stands once its # are removed", () => {
    const text = draft(new Map()).replace(/^( *)# (?! *(?:mailark|drill):)(?=(?: *- | *[a-z-]+:(?: |$)))/gm, "$1");
    const config = parseYaml(text, "config.yaml", configSchema);
    expect(Object.keys(config.components).sort()).toEqual([...componentNames].sort());
    expect(config.services?.mail).toEqual(["opendkim", "dovecot", "postfix"]);
    expect(config.bandwidthLimit).toBe(10_000_000);
    expect(config.accounts?.database).toBe("mailserver");
  });

  test("keeps what was found elsewhere in its comments, whatever it is", () => {
    const text = draft(
      new Map([
        ["queue", { section: {}, from: "/a\nstate: /evil\rstore: x", lacks: "b\nversion: 2" }],
        ["certs", { section: {}, from: "x" }],
      ]),
    );
    expect(parse(text)).toMatchObject({ version: 1, store: "file:///b", state: "/c", components: { certs: {} } });
    expect(text).not.toMatch(/^\s*(state: \/evil|store: x|version: 2)/m);
  });
});
