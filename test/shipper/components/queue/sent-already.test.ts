import { execFileSync } from "node:child_process";
import { appendFileSync, chownSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { accountFor } from "../../../../sandbox/host/account.ts";
import { type SandboxHost, startHost } from "../../../../sandbox/host/host.ts";
import { makeQueue } from "../../../../sandbox/host/postfix.ts";
import { queueSettled } from "../../../../sandbox/host/smtp.ts";
import { queueDomains } from "../../../../shipper/components/queue/domains.ts";
import { readAll } from "../../../fixtures/read-all.ts";
import { scratchDirectory } from "../../../fixtures/scratch.ts";
import { createVault, type Vault } from "../../../fixtures/vault.ts";
import { put, queueFile } from "./queue-file.ts";
import { configOf, defer, postfixNow, queueOf, shownOf } from "./queue-host.ts";

let host: SandboxHost;
let vault: Vault;
beforeAll(async () => {
  [host, vault] = await Promise.all([startHost({ services: ["postfix"] }), createVault()]);
}, 60_000);
afterAll(async () => {
  vault?.remove();
  await host?.stop();
});

test("the lines of the restore page tell which of the messages on hold the mail log shows as sent", async () => {
  await defer(host, ["sent0", "sent1", "waits"]);
  expect(await queueDomains(configOf(host), vault.world())).toEqual(["deferred.test"]);
  const { exitCode } = await vault.backup([queueOf(host)]);
  expect(exitCode).toBe(0);
  const waits = (await shownOf(host)).find(({ recipients }) => recipients[0]!.address.includes("waits"))!;
  postfixNow(host, "postsuper", "-h", waits.queue_id);
  postfixNow(host, "postconf", "transport_maps=");
  await host.postfix.stop();
  await host.postfix.start();
  postfixNow(host, "postqueue", "-f");
  await expect.poll(() => shownOf(host), { timeout: 15_000 }).toHaveLength(1);
  // Its writer is a server of its own, which stops with the others.
  const sent = () => readFileSync(host.postfix.log, "utf8").match(/status=sent/g)?.length ?? 0;
  await expect.poll(sent, { timeout: 15_000 }).toBe(2);
  postfixNow(host, "postsuper", "-d", "ALL");
  await queueSettled(host);
  await host.postfix.stop();
  await queueOf(host).stage(await vault.open("queue"), { kind: "service" }, {}, vault.world());
  // One without a Message-ID, and one whose header is folded; the log has the like of both as sent.
  const { uid, gid } = accountFor("postfix");
  for (const [id, headers] of [
    ["AAAAA00001", []],
    ["AAAAA00002", ["Message-ID:", " <folded@example.test>"]],
  ] as const) {
    put(host.postfix.queueDirectory, `hold/${id}`, queueFile(id, { headers }));
    chownSync(join(host.postfix.queueDirectory, "hold", id), uid, gid);
  }
  const logged = (id: string, name: string) =>
    `mx postfix/cleanup[1]: ${id}: message-id=<${name}>\nmx postfix/lmtp[1]: ${id}: to=<a@b>, status=sent (250)\n`;
  appendFileSync(host.postfix.log, logged("FFFFF00001", "") + logged("FFFFF00002", "folded@example.test"));
  // Asked while Postfix is down: the queue itself answers.
  expect(await queueDomains(configOf(host), vault.world())).toContain("deferred.test");
  await host.postfix.start();

  const page = readFileSync(new URL("../../../../docs/restore.md", import.meta.url), "utf8");
  const lines = /```sh\n(for id in [\s\S]*?)```/.exec(page)![1]!.replaceAll("/var/log/mail.log", host.postfix.log);
  const ids = execFileSync("bash", ["-c", lines], {
    encoding: "utf8",
    env: { ...process.env, MAIL_CONFIG: host.postfix.configDirectory },
  });
  const shown = await shownOf(host);
  const users = ids
    .trim()
    .split("\n")
    .map((id) => shown.find(({ queue_id }) => queue_id === id)?.recipients[0]?.address);
  expect(users.toSorted()).toEqual(["AAAAA00002@example.test", "box+sent0@deferred.test", "box+sent1@deferred.test"]);
  postfixNow(host, "postsuper", "-d", "AAAAA00001", "-d", "AAAAA00002");
}, 60_000);

test("the lines of the restore page bring a queue back by hand, on hold", async () => {
  const { queueDirectory, configDirectory } = host.postfix;
  await host.postfix.stop();
  rmSync(queueDirectory, { recursive: true });
  makeQueue(queueDirectory);
  // The sandbox's log belongs to root, and postsuper writes to it as Postfix while no server does it for it.
  const { uid, gid } = accountFor("postfix");
  chownSync(host.postfix.log, uid, gid);
  const snapshot = await vault.open("queue");
  const parts = scratchDirectory();
  for (const name of ["spool", "index"]) {
    writeFileSync(join(parts, name), await readAll(snapshot.readPart(snapshot.part(name))));
  }
  const page = readFileSync(new URL("../../../../docs/restore.md", import.meta.url), "utf8");
  const lines = /^sh .* queue latest .*\n([\s\S]*?)```/m.exec(page)![1]!;
  const here = lines.replaceAll("/var/spool/postfix", queueDirectory).replaceAll("/srv/queue", parts);
  execFileSync("bash", ["-c", here], { env: { ...process.env, MAIL_CONFIG: configDirectory }, stdio: "pipe" });
  expect((await shownOf(host)).map(({ queue_name }) => queue_name)).toEqual(["hold", "hold", "hold"]);
}, 60_000);
