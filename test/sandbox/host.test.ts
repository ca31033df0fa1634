import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { createTransport } from "nodemailer";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { isRoot } from "../../sandbox/host/account.ts";
import { correspond, unicodeFolder } from "../../sandbox/host/correspondence.ts";
import { destroy } from "../../sandbox/host/destroy.ts";
import { type SandboxHost, serviceNames, startHost } from "../../sandbox/host/host.ts";
import { viewMailbox, withMailbox } from "../../sandbox/host/imap.ts";
import { mailboxPassword } from "../../sandbox/host/mailbox-password.ts";
import { processesIn } from "../../sandbox/host/place.ts";
import { deliver, queueSettled, send } from "../../sandbox/host/smtp.ts";

const unprivileged = serviceNames.filter((name) => name !== "postfix");

describe("a whole mail host", () => {
  let host: SandboxHost;
  const alice = "alice@example.test";

  beforeAll(async () => {
    host = await startHost();
    await host.dovecot.addMailbox(alice);
  });
  afterAll(() => host?.stop());

  test("delivers mail by SMTP, signed by DKIM, readable by IMAP", async () => {
    await deliver(host, [{ from: "bob@example.test", to: alice, subject: "Grüße ✉", text: "hello" }]);
    const message = await withMailbox(host, alice, async (session) => {
      const [first] = await session.uids("INBOX");
      return (await session.read("INBOX", first!)).toString();
    });
    expect(message).toContain("\r\n\r\nhello\r\n");
    expect(message).toMatch(/^DKIM-Signature: v=1; a=rsa-sha256; [^\n]*d=example\.test; s=mail;/m);
  });

  test("keeps flags, keywords, folders and subscriptions, and shows the same mailbox twice", async () => {
    await host.dovecot.addMailbox("carol@example.test");
    await correspond(host, { seed: "one", addresses: ["carol@example.test"] });
    const first = await viewMailbox(host, "carol@example.test");
    expect(await viewMailbox(host, "carol@example.test")).toEqual(first);
    expect(Object.keys(first.folders).sort()).toEqual(
      ["Archive.2025", "Empty", "Entwürfe & mehr", "INBOX", "Sent", unicodeFolder].sort(),
    );
    expect(first.folders[unicodeFolder]).toMatchObject({ subscribed: true });
    expect(first.folders.Empty).toMatchObject({ subscribed: false, messages: [] });
    expect(first.folders.INBOX!.messages[2]!.flags).toEqual(["$Important", "\\Seen", "todo", "work"]);
    expect(first.folders.Sent!.messages[0]).toMatchObject({ receivedAt: "2025-03-04T05:06:07.000Z" });
    expect(first.folders.INBOX!.messages).toHaveLength(8);
    expect(readdirSync(join(host.vmail, "example.test", "carol", "Maildir"))).toContain(".Projekte.&ZeVnLA-");
  });

  test("asks MariaDB who may log in", async () => {
    await expect(withMailbox(host, "nobody@example.test", async () => {})).rejects.toThrow();
    await host.dovecot.addMailbox("dora@example.test");
    await expect(withMailbox(host, "dora@example.test", (session) => session.folders())).resolves.toEqual(["INBOX"]);
    await expect(withMailbox(host, "dora@example.test", async () => {}, "wrong")).rejects.toThrow();
  });

  test("defers mail while Dovecot is down, and delivers it when it is back", async () => {
    await host.dovecot.stop();
    await send(host, [{ from: "bob@example.test", to: alice, subject: "late", text: "late" }]);
    await queueSettled(host);
    expect(await host.postfix.command("postqueue", "-p")).toContain("in 1 Request");
    await host.dovecot.start();
    await host.postfix.command("postqueue", "-f");
    await expect.poll(() => host.postfix.command("postqueue", "-p"), { timeout: 10_000 }).toContain("empty");
  });

  test("lets no secret reach a command line", () => {
    const commandLines = processesIn(host.directory).map((pid) => readFileSync(`/proc/${pid}/cmdline`, "utf8"));
    expect(commandLines.length).toBeGreaterThan(serviceNames.length);
    for (const { password } of [host.mariadb, host.postgres, host.redis]) {
      expect(commandLines.join("\n")).not.toContain(password);
    }
  });

  test("finds nothing wrong with Postfix's own configuration and queue", async () => {
    await host.postfix.command("postfix", "check");
    expect(readFileSync(host.postfix.log, "utf8")).not.toMatch(/warning|fatal/);
  });

  test("lets send who may log in, with the right password only", async () => {
    await host.dovecot.addMailbox("gina@example.test");
    const login = async (pass: string) => {
      const transport = createTransport({
        host: "127.0.0.1",
        port: host.postfix.submissionPort,
        secure: false,
        ignoreTLS: true,
        auth: { user: "gina@example.test", pass },
        authMethod: "PLAIN",
      });
      try {
        return await transport.verify();
      } finally {
        transport.close();
      }
    };
    await expect(login(mailboxPassword)).resolves.toBe(true);
    await expect(login("wrong")).rejects.toThrow(/535/);
  });

  test("survives an orderly restart of every service with its data", async () => {
    await host.redis.command("SET", "key", "value");
    await host.redis.command("SAVE");
    await host.postgres.sql("CREATE TABLE kept (id int); INSERT INTO kept VALUES (7)");
    for (const name of serviceNames) {
      await host[name].stop();
      expect(host[name].pid).toBeUndefined();
      await host[name].start();
    }
    expect(await host.redis.command("GET", "key")).toBe("value");
    expect((await host.postgres.sql("SELECT id FROM kept")).trim()).toBe("7");
    await deliver(host, [{ from: "bob@example.test", to: alice, subject: "after", text: "after the restart" }]);
    const uids = await withMailbox(host, alice, (session) => session.uids("INBOX"));
    expect(uids.length).toBeGreaterThan(1);
  });

  test("can lose any component for good", async () => {
    writeFileSync(join(host.vmail, "a-file"), "");
    for (const component of ["mysql", "postgres", "redis", "mail", "queue", "configs"] as const) {
      await destroy(host, component);
    }
    expect(await host.mariadb.sql("SHOW DATABASES")).not.toContain("mailserver");
    expect(await host.postgres.sql("SELECT count(*) FROM pg_class WHERE relname = 'kept'")).toBe("0\n");
    expect(await host.redis.command("DBSIZE")).toBe("0");
    expect(readdirSync(host.vmail)).toEqual([]);
    expect(readdirSync(host.etc)).toEqual([]);
    expect(readdirSync(join(host.postfix.queueDirectory, "deferred"))).toEqual([]);
  });
});

test("two hosts run side by side, and stopping one leaves the other", async () => {
  const [first, second] = await Promise.all([startHost(), startHost()]);
  try {
    for (const host of [first, second]) await host.dovecot.addMailbox("eve@example.test");
    const letter = { from: "bob@example.test", to: "eve@example.test", subject: "only here", text: "only here" };
    await deliver(first, [letter]);
    await first.stop();
    await deliver(second, [letter, letter]);
    const view = await viewMailbox(second, "eve@example.test");
    expect(view.folders.INBOX!.messages).toHaveLength(2);
  } finally {
    await Promise.all([first.stop(), second.stop()]);
  }
});

test("stop leaves no process and no directory, and may be called twice", async () => {
  const host = await startHost({ services: ["mariadb", "dovecot", "redis"] });
  expect(processesIn(host.directory).length).toBeGreaterThan(3);
  await host.stop();
  expect(processesIn(host.directory)).toEqual([]);
  expect(existsSync(host.directory)).toBe(false);
  await host.stop();
});

test("a service that was not asked for says so", async () => {
  const host = await startHost({ services: ["redis"] });
  try {
    expect(() => host.mariadb).toThrow(/started without mariadb/);
  } finally {
    await host.stop();
  }
});

test("Dovecot without MariaDB keeps its own list of mailboxes", async () => {
  const host = await startHost({ services: ["dovecot"] });
  try {
    await host.dovecot.addMailbox("frank@example.test");
    await expect(withMailbox(host, "frank@example.test", (session) => session.folders())).resolves.toEqual(["INBOX"]);
  } finally {
    await host.stop();
  }
});

test("an aborted start takes down what it started", async () => {
  const controller = new AbortController();
  const starting = startHost({ signal: controller.signal });
  await sleep(300);
  const directory = newestPlace();
  controller.abort();
  await expect(starting).rejects.toThrow();
  expect(existsSync(directory)).toBe(false);
  expect(processesIn(directory)).toEqual([]);
});

test("a killed parent leaves no process behind, and no directory", async () => {
  const services = JSON.stringify(isRoot ? serviceNames : unprivileged);
  const program = `
    const { startHost } = await import(${JSON.stringify(new URL("../../sandbox/host/host.ts", import.meta.url).href)});
    const host = await startHost({ services: ${services} });
    console.log(host.directory);
    setInterval(() => {}, 1000);`;
  const parent = spawn(process.execPath, ["--input-type=module", "--eval", program], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = once(parent, "exit");
  const [printed] = (await Promise.race([once(parent.stdout, "data"), ended])) as [Buffer];
  expect(printed, "the parent ended before its host was up").toBeInstanceOf(Buffer);
  const directory = printed.toString().trim();
  expect(processesIn(directory).length).toBeGreaterThan(10);
  parent.kill("SIGKILL");
  await ended;
  await expect.poll(() => processesIn(directory), { timeout: 10_000 }).toEqual([]);
  await expect.poll(() => existsSync(directory), { timeout: 10_000 }).toBe(false);
});

function newestPlace(): string {
  const folder = join(process.env.TMPDIR ?? "/tmp");
  const places = readdirSync(folder).filter((name) => name.startsWith(`mailark-host-${process.pid}-`));
  expect(places).toHaveLength(1);
  return join(folder, places[0]!);
}
