import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type SandboxHost, startHost } from "../../../../sandbox/host/host.ts";
import { send } from "../../../../sandbox/host/smtp.ts";
import { readIndex } from "../../../../shipper/components/queue/index-rows.ts";
import { createVault, type Vault } from "../../../fixtures/vault.ts";
import { defer, letter, queueOf, shownOf } from "./queue-host.ts";

let host: SandboxHost;
let vault: Vault;
beforeAll(async () => {
  [host, vault] = await Promise.all([startHost({ services: ["postfix"] }), createVault()]);
}, 60_000);
afterAll(async () => {
  vault?.remove();
  await host?.stop();
});

test("every message that waits during a whole capture is in it once and whole, however fast Postfix moves them", async () => {
  await defer(
    host,
    Array.from({ length: 40 }, (_, n) => `old${n}`),
  );
  let busy = true;
  let sent = 0;
  const senders = [0, 1, 2].map(async (sender) => {
    for (let n = 0; busy; n += 1) {
      const name = `new${sender}x${n}`;
      // One recipient is delivered to, the other waits.
      await send(host, [
        letter(name, [`${name}@example.test`, `${name}@deferred.test`]),
        letter(name, `gone-${name}@example.test`),
      ]);
      sent += 1;
      await sleep(40);
    }
  });
  const flusher = (async () => {
    while (busy) {
      await host.postfix.command("postqueue", "-f");
      await sleep(10);
    }
  })();
  const component = queueOf(host);
  let walked = 0;
  let met = 0;
  try {
    for (let round = 0, attempts = 0; round < 3; attempts += 1) {
      const waiting = await settledAddresses();
      const { outcomes } = await vault.backup([component]);
      if (outcomes[0]?.error) throw outcomes[0].error;
      const snapshot = await vault.open("queue");
      // A machine that is too slow for this queue says so, and is asked again.
      if (snapshot.manifest.completeness === "partial" && attempts < 8) continue;
      round += 1;
      const { messages } = await readIndex(snapshot);
      await component.examine!(snapshot, vault.world());
      expect(snapshot.manifest.warnings).toEqual([]);
      const captured = messages.flatMap(({ envelope }) => envelope?.recipients ?? []);
      expect(new Set(captured).size, "each once").toBe(captured.length);
      // Nothing that was deferred is ever delivered here, so all of it is still queued.
      expect(waiting.filter((address) => !captured.includes(address))).toEqual([]);
      met += waiting.length;
      walked += captured.length;
    }
  } finally {
    busy = false;
    await Promise.all([...senders, flusher]);
  }
  expect(sent).toBeGreaterThan(10);
  expect(met).toBeGreaterThan(3 * 40);
  expect(walked).toBeGreaterThanOrEqual(met);
}, 120_000);

/** Recipients that wait; `postqueue` walks over the queue as well, so it is asked until nobody of the first is missing. */
async function settledAddresses(): Promise<string[]> {
  const addresses = new Set<string>();
  for (let walk = 0; walk < 3; walk += 1) {
    for (const { recipients } of await shownOf(host)) {
      for (const { address } of recipients) if (address.endsWith("@deferred.test")) addresses.add(address);
    }
  }
  return [...addresses];
}
