import { beforeEach, expect, test } from "vitest";
import { MailarkError } from "../../../core/errors.ts";
import { withRetries } from "../../../core/stores/retry.ts";
import type { Body } from "../../../core/stores/store.ts";
import { watchedBody } from "../../../core/stores/watched-body.ts";
import { type MemoryStore, memoryStore } from "../../fixtures/memory-store.ts";
import { setClock } from "../../fixtures/set-clock.ts";

const down = new MailarkError("STORE_UNREACHABLE", "the source does not answer", {
  retryable: true,
  hint: "wait",
  detail: "where it is",
});
let store: MemoryStore;
let times: number;
beforeEach(() => {
  store = memoryStore();
  times = 0;
});
/** Fails the first so many times. */
const failing = (failures: number): Body => ({
  async *[Symbol.asyncIterator]() {
    times += 1;
    yield Buffer.from("half");
    if (times <= failures) throw down;
  },
});

test("a body that fails is sent once: the store is not asked again for what is not its fault", async () => {
  const patient = withRetries(store, { clock: setClock(), random: () => 1 });
  const sent = watchedBody(failing(99));
  await expect(patient.put("k", sent.body)).rejects.toMatchObject({
    ...{ code: "STORE_UNREACHABLE", message: down.message, hint: "wait", detail: "where it is", retryable: false },
    cause: down,
  });
  expect(sent.failure?.reason).toBe(down);
  expect(times).toBe(1);
});

test("a failure of before says nothing of the next time that it is sent", async () => {
  const sent = watchedBody(failing(1));
  await expect(store.put("k", sent.body)).rejects.toMatchObject({ code: "STORE_UNREACHABLE" });
  expect(sent.failure).toBeDefined();
  await store.put("k", sent.body);
  expect(sent.failure).toBeUndefined();
});
