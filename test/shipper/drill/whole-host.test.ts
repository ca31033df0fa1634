import { execFileSync, spawn } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { appendFileSync, chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { systemClock } from "../../../core/ports/clock.ts";
import { nodeFiles } from "../../../core/ports/files.ts";
import { isRoot } from "../../../sandbox/host/account.ts";
import { type SandboxHost, startHost } from "../../../sandbox/host/host.ts";
import { mailboxPassword } from "../../../sandbox/host/mailbox-password.ts";
import { processesIn } from "../../../sandbox/host/place.ts";
import { deliver, queueSettled } from "../../../sandbox/host/smtp.ts";
import type { Check, World } from "../../../shipper/components/component.ts";
import type { StagedHost } from "../../../shipper/components/staged-host.ts";
import { checkWholeHost } from "../../../shipper/drill/whole-host/whole-host.ts";
import { nodeProcesses } from "../../../shipper/processes.ts";
import { scratchDirectory } from "../../fixtures/scratch.ts";

const probe = "probe@example.test";
/** Its password is another one in the staged database. */
const changed = "changed@example.test";
/** It has mail, and no row in the staged database. */
const gone = "gone@example.test";
/** The staged database says that its mail is on the live host. */
const moved = "moved@example.test";

const world: World = {
  files: nodeFiles,
  processes: nodeProcesses,
  clock: systemClock,
  signal: new AbortController().signal,
  progress: () => {},
};

let host: SandboxHost;
/** Has the databases of the host, as a scratch server has after a stage. */
let database: SandboxHost;

/** Postfix needs root, here and in the product. */
const asRoot = test.runIf(isRoot);

beforeAll(async () => {
  const services = ["mariadb", "dovecot", "opendkim", ...(isRoot ? (["postfix"] as const) : [])] as const;
  [host, database] = await Promise.all([startHost({ services: [...services] }), startHost({ services: ["mariadb"] })]);
  for (const address of [probe, changed, gone]) await host.dovecot.addMailbox(address);
  const letter = { from: "friend@example.test", to: [probe, changed, gone], subject: "before", text: "there before" };
  if (isRoot) await deliver(host, [letter]);
  const options = [`--defaults-extra-file=${host.mariadb.defaultsFile}`, "--databases", "mailserver"];
  const dump = execFileSync("mariadb-dump", options);
  const account = (await host.mariadb.sql("SHOW CREATE USER dovecot@localhost")).trim();
  await database.mariadb.sql("DROP USER dovecot@localhost; DROP DATABASE mailserver");
  await database.mariadb.sql(`${account}; GRANT SELECT ON mailserver.* TO dovecot@localhost;`);
  await database.mariadb.sql(dump);
  await database.mariadb.sql(
    `UPDATE virtual_users SET password = (SELECT password FROM (SELECT * FROM virtual_users) u WHERE email = '${probe}')
       WHERE email = '${changed}';
     DELETE FROM virtual_users WHERE email = '${gone}';`,
    "mailserver",
  );
  // The hash that Dovecot compares with starts with the salted digest: another digest is another password.
  await database.mariadb.sql(
    `UPDATE virtual_users SET password = INSERT(password, 10, 4, 'AAAA') WHERE email = '${changed}'`,
    "mailserver",
  );
});

afterAll(async () => {
  await Promise.all([host?.stop(), database?.stop()]);
});

/** What a drill has after its stages. `root` holds the configuration under its absolute paths. */
function stage(address = probe) {
  const scratch = scratchDirectory();
  chmodSync(scratch, 0o711);
  const root = join(scratch, "configs");
  const mail = join(scratch, "mail");
  mkdirSync(join(root, host.directory), { recursive: true });
  execFileSync("cp", ["-a", host.etc, join(root, host.etc)]);
  execFileSync("cp", ["-a", host.vmail, mail]);
  chmodSync(mail, 0o700);
  const keys = join(root, host.opendkim.configDirectory, "keys", "example.test");
  writeFileSync(
    join(keys, "mail.txt"),
    `mail._domainkey IN TXT ( "v=DKIM1; k=rsa; "\n  "p=${host.opendkim.publicKey.slice(0, 200)}"\n  "${host.opendkim.publicKey.slice(200)}" )\n`,
  );
  const passwordFile = join(scratch, "password");
  writeFileSync(passwordFile, `${mailboxPassword}\n`, { mode: 0o600 });
  const staged: StagedHost = {
    configs: { root, paths: [host.etc] },
    mail: { root: mail, liveRoot: host.vmail, layout: "{domain}/{user}" },
    mysql: { socket: database.mariadb.socket },
  };
  const path = join(scratch, "host");
  return { staged, path, root, mail, keys, options: { path, probe: { address, passwordFile } } };
}

const names = {
  dovecot: "Dovecot runs on the staged configuration",
  account: "the mailbox has an account",
  password: "its password opens it, and another one does not",
  opendkim: "OpenDKIM runs on the staged keys",
  postfix: "Postfix runs on the staged configuration",
  closed: "nothing can leave",
  message: "a message arrives in the mailbox, whole",
  signature: "the message is signed with the staged key",
} as const;

const failed = (checks: readonly Check[]) =>
  checks.filter(({ outcome }) => outcome === "failed").map(({ name }) => name);
const unproven = (checks: readonly Check[]) =>
  checks.filter(({ outcome }) => outcome === "unproven").map(({ name }) => name);
const detailOf = (checks: readonly Check[], which: keyof typeof names) =>
  checks.find(({ name }) => name === names[which])!.detail;

/** What the live host would show of a drill that touched it. */
function traces(): string {
  const list = (path: string) => execFileSync("find", [path, "-printf", "%p %s %T@ %C@\n"]).toString();
  const text = (path: string) => readFileSync(path, "utf8");
  return [
    list(host.vmail),
    list(host.postfix.queueDirectory).replace(/^\S*\/(pid|public|private)\/.*$/gm, ""),
    text(host.postfix.log),
    text(host.dovecot.log),
    text(host.opendkim.log),
    list(host.etc),
  ].join("\n");
}

describe("the whole host on what was staged", () => {
  asRoot(
    "takes a message in and finds it again, signed, in the mailbox; the live host sees nothing of it",
    async () => {
      await queueSettled(host);
      const before = traces();
      const { staged, options, path } = stage();
      const checks = await checkWholeHost(staged, options, world);
      expect(checks.map(({ name, outcome }) => [name, outcome])).toEqual(
        Object.values(names).map((name) => [name, "passed"]),
      );
      expect(detailOf(checks, "message")).toContain("sent after a login");
      expect(detailOf(checks, "signature")).toContain("that of the record kept beside the key");
      expect(detailOf(checks, "signature")).toContain("DNS was not asked");
      expect(existsSync(path)).toBe(false);
      expect(processesIn(path)).toEqual([]);
      expect(traces()).toBe(before);
    },
  );

  asRoot(
    "without a mailbox named, and under a umask of 077, takes one that signs, and leaves its password open",
    async () => {
      const { staged, path } = stage();
      const usual = process.umask(0o077);
      onTestFinished(() => void process.umask(usual));
      const checks = await checkWholeHost(staged, { path }, world);
      expect(failed(checks)).toEqual([]);
      expect(unproven(checks)).toEqual([names.password]);
      expect(detailOf(checks, "password")).toContain("--probe");
      expect(detailOf(checks, "message")).toContain("sent from this machine");
    },
  );
});

describe("what is broken turns its own check red, and no other:", () => {
  asRoot("another key than the one that was published", async () => {
    const { staged, options, keys } = stage();
    const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    writeFileSync(join(keys, "mail.private"), privateKey.export({ format: "pem", type: "pkcs8" }));
    const checks = await checkWholeHost(staged, options, world);
    expect(failed(checks)).toEqual([names.signature]);
    expect(detailOf(checks, "signature")).toContain("not the one of the record");
  });

  asRoot("a key that is no key", async () => {
    const { staged, options, keys } = stage();
    writeFileSync(join(keys, "mail.private"), "");
    const checks = await checkWholeHost(staged, options, world);
    expect(failed(checks)).toEqual([names.opendkim]);
    expect(unproven(checks)).toEqual([names.signature]);
  });

  asRoot("a password that is not the one that was", async () => {
    const { staged, options } = stage(changed);
    const checks = await checkWholeHost(staged, options, world);
    expect(failed(checks)).toEqual([names.password]);
    expect(unproven(checks)).toEqual([]);
  });

  asRoot("a password that anybody may make up", async () => {
    const { staged, options, root } = stage();
    const any = "passdb {\n  driver = static\n  args = nopassword=yes\n}\n";
    appendFileSync(join(root, host.dovecot.config), any);
    const checks = await checkWholeHost(staged, options, world);
    expect(failed(checks)).toEqual([names.password]);
    expect(detailOf(checks, "password")).toContain("another password");
  });

  test("an account that did not come back", async () => {
    const { staged, options } = stage(gone);
    const checks = await checkWholeHost(staged, options, world);
    expect(failed(checks)).toEqual([names.account]);
    expect(detailOf(checks, "account")).toContain(gone);
  });

  asRoot("a mailbox that its owner can not write to", async () => {
    const { staged, options, mail } = stage();
    execFileSync("chown", ["-R", "root:root", join(mail, "example.test", "probe")]);
    execFileSync("chmod", ["-R", "a+rX,go-w", join(mail, "example.test", "probe")]);
    const checks = await checkWholeHost(staged, options, world);
    expect(failed(checks)).toEqual([names.message]);
    expect(detailOf(checks, "message")).toContain("ermission denied");
  });

  asRoot("a delivery that knows nobody", async () => {
    const { staged, options, root } = stage();
    appendFileSync(join(root, host.dovecot.config), "protocol lmtp {\n  auth_username_format = nobody\n}\n");
    const checks = await checkWholeHost(staged, options, world);
    expect(failed(checks)).toEqual([names.message]);
    expect(detailOf(checks, "message")).toContain("User doesn't exist");
  });

  test("an account of the database's that may not read it", async () => {
    await database.mariadb.sql("REVOKE SELECT ON mailserver.* FROM dovecot@localhost");
    onTestFinished(async () => {
      await database.mariadb.sql("GRANT SELECT ON mailserver.* TO dovecot@localhost");
    });
    const { staged, options } = stage();
    const checks = await checkWholeHost(staged, options, world);
    expect(failed(checks)).toEqual([names.account]);
    expect(detailOf(checks, "account")).toMatch(/denied/i);
  });
});

describe("nothing live is reached:", () => {
  /** Counts who comes: it stands for the host that live mail is relayed to. */
  async function relay() {
    let visitors = 0;
    const server = createServer((socket) => {
      visitors += 1;
      socket.end();
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    onTestFinished(() => void server.close());
    return { port: (server.address() as { port: number }).port, visitors: () => visitors };
  }

  async function forwarded(by: World) {
    const { staged, options, root } = stage();
    const { port, visitors } = await relay();
    appendFileSync(
      join(root, host.postfix.configDirectory, "main.cf"),
      `virtual_mailbox_domains = example.test
relayhost = [127.0.0.1]:${port}
transport_maps = inline:{ elsewhere.test=smtp:[127.0.0.1]:${port} }
virtual_alias_maps = inline:{ ${probe}=someone@elsewhere.test }
`,
    );
    const checks = await checkWholeHost(staged, options, by);
    return { checks, visitors: visitors() };
  }

  asRoot("mail that an alias sends to another host stays here", async () => {
    const { checks, visitors } = await forwarded(world);
    expect(visitors).toBe(0);
    expect(detailOf(checks, "closed")).toMatch(/no network at all.*: 5\d\d /);
    expect(failed(checks)).toEqual([names.message]);
    expect(detailOf(checks, "message")).toContain("nothing leaves a drill");
  });

  asRoot("not even where the system gives no network of its own", async () => {
    const processes: World["processes"] = {
      start: (command, options) =>
        nodeProcesses.start(command.map((word) => (word === "unshare" ? "false" : word)) as [string], options),
    };
    const { checks, visitors } = await forwarded({ ...world, processes });
    expect(visitors).toBe(0);
    expect(detailOf(checks, "closed")).toContain("without a network namespace");
    expect(detailOf(checks, "message")).toContain("nothing leaves a drill");
  });

  asRoot("a mailbox that the database says is on the live host is the staged one", async () => {
    const { staged, options, root } = stage(moved);
    await database.mariadb.sql(
      `INSERT INTO virtual_users (domain_id, email, password, display_name)
         SELECT domain_id, '${moved}', password, '${host.vmail}/example.test/probe' FROM virtual_users WHERE email = '${probe}'`,
      "mailserver",
    );
    onTestFinished(async () => {
      await database.mariadb.sql(`DELETE FROM virtual_users WHERE email = '${moved}'`, "mailserver");
    });
    const sql = join(root, host.dovecot.configDirectory, "dovecot-sql.conf.ext");
    writeFileSync(sql, readFileSync(sql, "utf8").replace(`'${host.vmail}/%d/%n' AS home`, "display_name AS home"));
    const before = traces();
    const checks = await checkWholeHost(staged, options, world);
    expect(failed(checks)).toEqual([]);
    expect(detailOf(checks, "account")).toContain("read from");
    expect(traces()).toBe(before);
  });
});

describe("what can not be proven is said, with the reason:", () => {
  test("no configuration", async () => {
    const { path, staged } = stage();
    const { configs: _, ...rest } = staged;
    const checks = await checkWholeHost(rest, { path }, world);
    expect(unproven(checks)).toEqual(Object.values(names));
    expect(checks[0]?.detail).toBe("no configuration was staged");
    expect(existsSync(path)).toBe(false);
  });

  test("a path that no socket fits in", async () => {
    const { staged, path } = stage();
    const checks = await checkWholeHost(staged, { path: `${path}-${"x".repeat(75)}` }, world);
    expect(unproven(checks)).toEqual(Object.values(names));
    expect(checks[0]?.detail).toContain("too long");
  });

  test("no database", async () => {
    const { options, staged } = stage();
    const { mysql: _, ...rest } = staged;
    const checks = await checkWholeHost(rest, options, world);
    expect(failed(checks)).toEqual([]);
    expect(detailOf(checks, "account")).toContain("MySQL databases were not staged");
  });

  asRoot("no OpenDKIM: all else is proven", async () => {
    const { options, staged } = stage();
    const processes: World["processes"] = {
      start: (command, given) =>
        nodeProcesses.start(command.map((word) => (word === "opendkim" ? "no-opendkim" : word)) as [string], given),
    };
    const checks = await checkWholeHost(staged, options, { ...world, processes });
    expect(failed(checks)).toEqual([]);
    expect(unproven(checks)).toEqual([names.opendkim, names.signature]);
    expect(detailOf(checks, "opendkim")).toContain("can not start opendkim");
  });
});

asRoot("leaves nothing when it is interrupted in the middle", async () => {
  const { staged, options, path } = stage();
  const controller = new AbortController();
  const progress = (doing: string) => {
    if (doing.startsWith("sending")) controller.abort(new Error("enough"));
  };
  const check = checkWholeHost(staged, options, { ...world, signal: controller.signal, progress });
  await expect(check).rejects.toThrow("enough");
  expect(existsSync(path)).toBe(false);
  expect(processesIn(path)).toEqual([]);
});

asRoot("leaves nothing when it is killed in the middle", async () => {
  const { staged, options, path } = stage();
  const program = `
import { systemClock } from "./core/ports/clock.ts";
import { nodeFiles } from "./core/ports/files.ts";
import { checkWholeHost } from "./shipper/drill/whole-host/whole-host.ts";
import { nodeProcesses } from "./shipper/processes.ts";
const signal = new AbortController().signal;
const world = { files: nodeFiles, processes: nodeProcesses, clock: systemClock, signal, progress() {} };
await checkWholeHost(${JSON.stringify(staged)}, ${JSON.stringify(options)}, world);
`;
  const child = spawn(process.execPath, ["--input-type=module-typescript", "-e", program], {
    cwd: new URL("../../..", import.meta.url).pathname,
    stdio: "ignore",
  });
  const eventually = async (holds: () => boolean) => {
    for (let tries = 0; tries < 800 && !holds(); tries += 1) await sleep(10);
    return holds();
  };
  expect(await eventually(() => existsSync(join(path, "p/q/public/smtp")))).toBe(true);
  expect(processesIn(path).length).toBeGreaterThan(2);
  child.kill("SIGKILL");
  expect(await eventually(() => !existsSync(path))).toBe(true);
  expect(await eventually(() => processesIn(path).length === 0)).toBe(true);
});
