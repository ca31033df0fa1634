import { expect, test } from "vitest";
import { asMailarkError, MailarkError } from "../../../core/errors.ts";
import type { ObjectWriter } from "../../../core/stores/store.ts";
import { toldApart } from "../../../shipper/stores/told-apart.ts";
import { memoryStore } from "../../fixtures/memory-store.ts";

const refusal = new MailarkError("STORE_FORBIDDEN", "these credentials do not allow s3:PutObject", {
  hint: "allow it",
  detail: "bucket data",
});
const failing = (error: MailarkError): ObjectWriter => ({ put: () => Promise.reject(error) });
const put = (store: ObjectWriter, key: string) => store.put(key, []).then(() => undefined, asMailarkError);

test.each(["hosts/R:i-old/enrol/k.json", "keyring/R:i-old/host/k.age"])(
  "a refusal of what belongs to another host than the credentials says so: %s",
  async (key) => {
    const error = await put(
      toldApart(failing(refusal), async () => "R:i-new"),
      key,
    );
    expect(error).toMatchObject({
      code: "STORE_FORBIDDEN",
      message: "the credentials of this machine are not those of the configured host",
      detail: "configured is R:i-old, the credentials are of R:i-new",
      cause: refusal,
    });
  },
);

test("a refusal of what is the host's own is told as it is", async () => {
  expect(
    await put(
      toldApart(failing(refusal), async () => "R:i-1"),
      "hosts/R:i-1/runs/r.json",
    ),
  ).toBe(refusal);
});

test("a refusal is told with why nobody knows whose the credentials are", async () => {
  const whose = () =>
    Promise.reject(new MailarkError("STORE_UNREACHABLE", "STS does not answer", { detail: "timeout" }));
  expect(await put(toldApart(failing(refusal), whose), "hosts/R:i-1/runs/r.json")).toMatchObject({
    code: "STORE_FORBIDDEN",
    message: refusal.message,
    hint: "allow it",
    detail: "bucket data\nSTS does not answer: timeout",
  });
});

test("nobody is asked where the store takes it, or fails in another way", async () => {
  const whose = () => Promise.reject(new Error("asked"));
  const full = new MailarkError("STORE_UNREACHABLE", "made up");
  expect(await put(toldApart(memoryStore(), whose), "hosts/R:i-1/runs/r.json")).toBeUndefined();
  expect(await put(toldApart(failing(full), whose), "hosts/R:i-1/runs/r.json")).toBe(full);
});
