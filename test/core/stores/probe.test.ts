import { describe, expect, test } from "vitest";
import { MailarkError } from "../../../core/errors.ts";
import { type ProbedStore, probeStore } from "../../../core/stores/probe.ts";
import { withRetries } from "../../../core/stores/retry.ts";
import { memoryStore } from "../../fixtures/memory-store.ts";
import { setClock } from "../../fixtures/set-clock.ts";

const { signal } = new AbortController();
const probe = (change: Partial<ProbedStore> = {}) => {
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
      "lets overwrite": true,
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
      replace: forbid,
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

  test("promises nothing of a store that refuses, where the credentials may leave out what it refuses by", async () => {
    const replaced: unknown[] = [];
    const replace = async (...[key, body]: Parameters<NonNullable<ProbedStore["replace"]>>) => {
      replaced.push([key, body]);
    };
    const { memory, probing } = probe({ replace, erase: forbid });
    expect(answers(await probing)).toMatchObject({ "refuses to replace": true, "lets overwrite": true });
    expect((await probing).guarantee).toEqual([
      expect.stringMatching(/^Who steals these credentials can overwrite every backup: .*\(s3:if-none-match\)\.$/),
      expect.stringMatching(/^This host can read/),
    ]);
    // Nothing but what the probe has stored itself.
    expect(replaced).toEqual([[[...memory.objects.keys()][0], [Buffer.from("mailark probe\n")]]]);
  });

  test.each(["before", "after"])("judges anew where an answer was lost %s the put was done", async (when) => {
    const memory = memoryStore();
    let puts = 0;
    const put: typeof memory.put = async (...given) => {
      puts += 1;
      if (puts > 1) return { ...(await memory.put(...given)), crc64nvme: undefined, version: "1" };
      if (when === "after") await memory.put(...given);
      throw new MailarkError("STORE_UNREACHABLE", "made up", { retryable: true });
    };
    const store = withRetries({ ...memory, put }, { clock: setClock(), random: () => 0 });
    expect(answers(await probeStore(store, "h-test", signal))).toMatchObject({
      "refuses to replace": true,
      "says the checksum": false,
      "keeps versions": true,
    });
  });

  test("says nothing of a store that loses every answer", async () => {
    const { put } = memoryStore();
    const { probing } = probe({ put: async (...given) => ({ ...(await put(...given)), assumed: true }) });
    await expect(probing).rejects.toMatchObject({ code: "STORE_UNREACHABLE", retryable: true });
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
