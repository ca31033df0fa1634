import { expect, test } from "vitest";
import { putWhole } from "../../../core/stores/put-whole.ts";
import type { ObjectWriter, Receipt } from "../../../core/stores/store.ts";
import { memoryStore } from "../../fixtures/memory-store.ts";

const key = "hosts/h-1/runs/20261121T020000.000Z-k3m9x2qa7b.json";
const content = Buffer.from("what is stored");
const honest = memoryStore();
const tells = (change: (receipt: Receipt) => Receipt): ObjectWriter => ({
  put: async (...given) => change(await honest.put(...given)),
});

test.each<[string, (receipt: Receipt) => Receipt]>([
  ["another checksum", (receipt) => ({ ...receipt, crc64nvme: "0".repeat(16) })],
  ["another size", (receipt) => ({ ...receipt, bytes: receipt.bytes - 1 })],
])("what a store received with %s is not taken for stored", async (_, change) => {
  honest.objects.clear();
  await expect(putWhole(tells(change), key, content)).rejects.toMatchObject({
    code: "UPLOAD_MISMATCH",
    retryable: true,
  });
});

test("what it received as it was sent is stored, also where it can not say the checksum", async () => {
  honest.objects.clear();
  await putWhole(honest, key, content);
  expect(honest.objects.get(key)).toEqual(content);
  honest.objects.clear();
  await putWhole(
    tells((receipt) => ({ ...receipt, crc64nvme: undefined })),
    key,
    content,
  );
  expect(honest.objects.get(key)).toEqual(content);
});
