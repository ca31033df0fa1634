import { describe, expect, test } from "vitest";
import { MailarkError } from "../../../core/errors.ts";
import { probeStore } from "../../../core/stores/probe.ts";
import { memoryStore } from "../../fixtures/memory-store.ts";

const { signal } = new AbortController();
const probe = (change: Partial<ReturnType<typeof memoryStore>> = {}) => {
  const memory = memoryStore();
  return { memory, probing: probeStore({ ...memory, ...change }, "h-test", signal) };
};
const answers = ({ findings }: Awaited<ReturnType<typeof probeStore>>) =>
  Object.fromEntries(findings.map(({ question, answer }) => [question, answer]));
const forbidden = new MailarkError("STORE_FORBIDDEN", "made up");
const forbid = async () => {
  throw forbidden;
};

/** Puts without a condition, and with another receipt. */
const replacing = (receipt = {}) => {
  const { put } = memoryStore();
  let count = 0;
  return { put: async (_: string, ...rest: [[]]) => ({ ...(await put(`key-${count++}`, ...rest)), ...receipt }) };
};

describe("the probe of a store", () => {
  test("says what a store and its credentials allow, and leaves nothing where it may erase", async () => {
    const { memory, probing } = probe();
    expect(answers(await probing)).toEqual({
      "refuses to replace": true,
      "says the checksum": true,
      "keeps versions": false,
      "lets read": true,
      "lets list": true,
      "lets erase": true,
    });
    expect(memory.objects.size).toBe(0);
    expect((await probing).guarantee[0]).toMatch(/can erase every backup/);
  });

  test("finds the best that there is with credentials that can only create", async () => {
    const { memory, probing } = probe({
      head: forbid,
      erase: forbid,
      // biome-ignore lint/correctness/useYield: it fails at its first step
      list: async function* () {
        throw forbidden;
      },
    });
    expect(answers(await probing)).toMatchObject({ "lets read": false, "lets list": false, "lets erase": false });
    expect((await probing).guarantee).toEqual([
      "Who steals these credentials can not replace or erase what was stored before.",
    ]);
    expect([...memory.objects.keys()]).toEqual([expect.stringMatching(/^hosts\/h-test\/doctor\/probe-/)]);
  });

  test("finds a store that replaces, one without checksums, and one with versions", async () => {
    const worst = await probe(replacing({ crc64nvme: undefined })).probing;
    expect(answers(worst)).toMatchObject({ "refuses to replace": false, "says the checksum": false });
    expect(worst.guarantee.join()).toMatch(/can overwrite every backup.*does not say what it received/);
    const versioned = await probe(replacing({ version: "1" })).probing;
    expect(answers(versioned)).toMatchObject({ "keeps versions": true });
    expect(versioned.guarantee.join()).toMatch(/can hide every backup.*the version before it stays/);
  });

  test("tells a store that received something else", async () => {
    await expect(probe(replacing({ crc64nvme: "0".repeat(16) })).probing).rejects.toMatchObject({
      code: "UPLOAD_MISMATCH",
    });
  });

  test("tells what keeps it from writing, and any failure that is no answer", async () => {
    await expect(probe({ put: forbid }).probing).rejects.toBe(forbidden);
    const unreachable = new MailarkError("STORE_UNREACHABLE", "made up", { retryable: true });
    const head = async () => {
      throw unreachable;
    };
    await expect(probe({ head }).probing).rejects.toBe(unreachable);
  });
});
