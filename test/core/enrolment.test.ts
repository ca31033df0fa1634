import { beforeEach, describe, expect, test } from "vitest";
import { generateIdentity } from "../../core/age/age.ts";
import { readTrust } from "../../core/enrolment.ts";
import { enrolmentKey } from "../../core/keys.ts";
import { generateSigningKey, type Signer, signDocument, signerOf } from "../../core/signed-document.ts";
import type { ObjectReader } from "../../core/stores/store.ts";
import { errnoError } from "../fixtures/faults.ts";
import { type MemoryStore, memoryStore } from "../fixtures/memory-store.ts";

const hostId = "host-1";
let store: MemoryStore;
let signer: Signer;
let good: string;
const document = (by: Signer) => ({
  format: "mailark-enrolment/1",
  hostId,
  createdAt: "2026-11-21T02:00:00.000Z",
  name: "mail.example.com",
  signingKey: by.publicKey,
  recoveryRecipient: generateIdentity().recipient,
});

beforeEach(async () => {
  store = memoryStore();
  signer = signerOf(generateSigningKey());
  good = enrolmentKey(hostId, signer.keyId);
  await store.put(good, [signDocument(document(signer), signer)]);
});

describe("an enrolment", () => {
  test.each([
    ["is cut off", (bytes: Buffer) => bytes.subarray(0, 40)],
    ["is not JSON", (bytes: Buffer) => Buffer.from(bytes.toString().replace("{", "["))],
    ["is no UTF-8", (bytes: Buffer) => Buffer.from(bytes.toString("latin1").replace("mail.ex", "\xff"), "latin1")],
    ["is JSON of another kind", (bytes: Buffer) => Buffer.from(bytes.toString().replace(/^.*/, "null"))],
    [
      "brings no key",
      (bytes: Buffer) => Buffer.from(bytes.toString().replace(/"signingKey":"[^"]*"/, '"signingKey":"AAAA"')),
    ],
    ["is empty", () => Buffer.alloc(0)],
  ])("that %s is refused for that reason, and the others count", async (_, damage) => {
    const other = signerOf(generateSigningKey());
    const key = enrolmentKey(hostId, other.keyId);
    await store.put(key, [damage(signDocument(document(other), other))]);
    const { keys, refused } = await readTrust(store, hostId, undefined);
    expect(keys.map(({ verifier }) => verifier.keyId)).toEqual([signer.keyId]);
    expect(refused).toEqual([{ key, error: expect.objectContaining({ exitCode: 4 }) }]);
  });

  test("that the disk does not give is no question of trust", async () => {
    const reader: ObjectReader = {
      head: store.head,
      list: store.list,
      // biome-ignore lint/correctness/useYield: it fails before it has anything
      async *get() {
        throw errnoError("EIO");
      },
    };
    await expect(readTrust(reader, hostId, undefined)).rejects.toMatchObject({ code: "FILE_FAILED" });
  });

  test("of nobody whom the operator trusts is not believed", async () => {
    await expect(readTrust(store, hostId, ["0".repeat(64)])).rejects.toMatchObject({ code: "SIGNER_UNTRUSTED" });
  });
});
