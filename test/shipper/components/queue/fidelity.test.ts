import { execFileSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  copyFileSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { accountFor } from "../../../../sandbox/host/account.ts";
import { type SandboxHost, startHost } from "../../../../sandbox/host/host.ts";
import { makeQueue } from "../../../../sandbox/host/postfix.ts";
import { createVault, type Vault } from "../../../fixtures/vault.ts";
import { defer, filesOf, postfixNow, queueOf, shownOf } from "./queue-host.ts";

let host: SandboxHost;
let vault: Vault;
beforeAll(async () => {
  [host, vault] = await Promise.all([startHost({ services: ["postfix", "dovecot"] }), createVault()]);
  for (const mailbox of ["box@deferred.test", "sender@example.test"]) await host.dovecot.addMailbox(mailbox);
}, 60_000);
afterAll(async () => {
  vault?.remove();
  await host?.stop();
});

/** Mail that has come to a mailbox. */
function mailOf(mailbox: string): string[] {
  const [user = "", domain = ""] = mailbox.split("@");
  const folder = join(host.vmail, domain, user, "Maildir", "new");
  try {
    return readdirSync(folder).map((name) => readFileSync(join(folder, name), "utf8"));
  } catch {
    return [];
  }
}

/** Without `pickup`, what the host's own programs send stays in `maildrop`. */
async function withoutPickup(work: () => Promise<void>): Promise<void> {
  const path = join(host.postfix.configDirectory, "master.cf");
  const before = readFileSync(path, "utf8");
  const write = (text: string) => {
    writeFileSync(path, text);
    utimesSync(path, Date.now() / 1000 - 60, Date.now() / 1000 - 60);
  };
  write(before.replace(/^pickup.*$/m, ""));
  await host.postfix.stop();
  await host.postfix.start();
  await work();
  write(before);
}

test.each([
  {
    ids: "short ids",
    settings: ["enable_long_queue_ids=no", "hash_queue_names=deferred, defer", "hash_queue_depth=1"],
  },
  {
    ids: "long ids and deep directories",
    settings: ["enable_long_queue_ids=yes", "hash_queue_names=deferred, defer, hold", "hash_queue_depth=2"],
  },
])(
  "a queue with $ids is captured at work, lost, brought back on hold, and delivered once when it is released",
  async ({ ids, settings }) => {
    const run = ids.slice(0, 1) + ids.length;
    const { postfix } = host;
    const component = queueOf(host);
    await postfix.stop();
    postfixNow(
      host,
      "postconf",
      ...settings,
      "transport_maps=inline:{ deferred.test=retry:4.0.0_held_back_by_the_sandbox }",
    );
    await postfix.start();
    const waiting = Array.from({ length: 20 }, (_, n) => `${run}wait${n}`);
    const onHold = [`${run}hold0`, `${run}hold1`];
    await defer(host, [...waiting, ...onHold, `${run}gone`]);
    let shown = await shownOf(host);
    const idOf = (user: string) =>
      shown.find(({ recipients }) => recipients[0]?.address === `box+${user}@deferred.test`)!.queue_id;
    for (const user of onHold) postfixNow(host, "postsuper", "-h", idOf(user));
    // One that was given up in part: what is said of it in the end goes to its sender.
    const log = filesOf(join(postfix.queueDirectory, "defer")).find((path) => path.endsWith(idOf(`${run}gone`)))!;
    const bounce = join(postfix.queueDirectory, "bounce", idOf(`${run}gone`));
    copyFileSync(join(postfix.queueDirectory, "defer", log), bounce);
    const { uid, gid } = accountFor("postfix");
    chownSync(bounce, uid, gid);
    chmodSync(bounce, 0o600);

    await withoutPickup(async () => {
      execFileSync(
        "sendmail",
        ["-C", postfix.configDirectory, "-f", "root@example.test", `box+${run}drop@deferred.test`],
        {
          input: `Subject: ${run}drop\n\ntext of ${run}drop\n`,
        },
      );
      const { outcomes } = await vault.backup([component]);
      if (outcomes[0]?.error) throw outcomes[0].error;
    });
    const snapshot = await vault.open("queue");
    expect(snapshot.manifest.facts).toMatchObject({
      messages: 24,
      hold: 2,
      deferred: 21,
      maildrop: 1,
      logs: 24,
      unfinished: 0,
    });
    expect(snapshot.manifest.warnings).toEqual([]);
    expect(JSON.stringify(snapshot.manifest)).not.toMatch(/@|wait0/);

    shown = await shownOf(host);
    const before = filesOf(join(postfix.queueDirectory, "deferred")).map((path) =>
      statSync(join(postfix.queueDirectory, "deferred", path)),
    );
    await postfix.stop();
    rmSync(postfix.queueDirectory, { recursive: true });
    makeQueue(postfix.queueDirectory);
    const staged = await component.stage(snapshot, { kind: "service" }, {}, vault.world());
    const checks = await component.check(staged, vault.world());
    expect(checks.filter(({ outcome }) => outcome !== "passed")).toEqual([]);
    expect(checks.map(({ name }) => name)).toEqual(["contents", "hold", "ids", "envelopes", "readable", "maildrop"]);
    await staged.remove();
    const inHold = filesOf(join(postfix.queueDirectory, "hold")).map((path) =>
      statSync(join(postfix.queueDirectory, "hold", path)),
    );
    const stamps = (all: typeof before) =>
      all.map(({ mode, uid, mtimeMs, size }) => [mode, uid, mtimeMs, size].join()).toSorted();
    expect(stamps(inHold)).toEqual(expect.arrayContaining(stamps(before)));

    await postfix.start();
    postfixNow(host, "postqueue", "-f");
    await sleep(1500);
    expect(mailOf("box@deferred.test").filter((text) => text.includes(run))).toEqual([]);
    const back = await shownOf(host);
    expect(back.map(({ queue_name }) => queue_name)).toEqual(Array(23).fill("hold"));
    const said = ({ sender, recipients, message_size }: (typeof back)[number]) =>
      JSON.stringify([sender, recipients, message_size]);
    expect(back.map(said).toSorted()).toEqual(
      shown
        .filter(({ queue_name }) => queue_name !== "maildrop")
        .map(said)
        .toSorted(),
    );

    // Dovecot takes what the sandbox held back.
    await postfix.stop();
    postfixNow(host, "postconf", "transport_maps=");
    await postfix.start();
    postfixNow(host, "postsuper", "-H", "ALL");
    execFileSync("sh", ["-c", "mv maildrop.held/* maildrop/ && rmdir maildrop.held"], { cwd: postfix.queueDirectory });
    postfixNow(host, "postqueue", "-f");
    await expect.poll(() => shownOf(host), { timeout: 15_000, interval: 100 }).toEqual([]);
    const arrived = mailOf("box@deferred.test");
    for (const user of [...waiting, ...onHold, `${run}gone`, `${run}drop`]) {
      const mail = arrived.filter((text) => text.includes(`text of ${user}\n`) || text.includes(`text of ${user}\r\n`));
      expect(mail, user).toHaveLength(1);
      expect(mail[0]).toContain(`Delivered-To: box+${user}@deferred.test`);
      expect(mail[0]).toContain(`Return-Path: <${user.endsWith("drop") ? "root" : "sender"}@example.test>`);
    }
    // The log of what was given up has come along, with the new id: its sender is told.
    await expect
      .poll(() => mailOf("sender@example.test").filter((text) => text.includes(`${run}gone@deferred.test`)), {
        timeout: 5000,
      })
      .toHaveLength(1);
  },
  60_000,
);
