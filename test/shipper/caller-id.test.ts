import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { MailarkError } from "../../core/errors.ts";
import { callerId } from "../../shipper/caller-id.ts";
import { compose, machine } from "../../shipper/composition.ts";
import { useCredentials, writer } from "../fixtures/s3-place.ts";
import { setClock } from "../fixtures/set-clock.ts";
import { type Sts, startSts } from "../fixtures/sts.ts";

const region = "eu-central-1";
const session = "AROAEXAMPLE0000000000:i-0123456789abcdef0";
let sts: Sts;
beforeEach(async () => {
  sts = await startSts(session);
  vi.stubEnv("AWS_ENDPOINT_URL_STS", sts.url);
  useCredentials(writer);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await sts.close();
});

describe("who the machine's credentials are", () => {
  test.each([session, "AROAEXAMPLE0000000000:mi-0123456789abcdef0"])(
    "is what STS says of a role's session: %s",
    async (userId) => {
      sts.answer = { userId };
      expect(await callerId(region)).toBe(userId);
    },
  );

  test.each([
    ["a user", "AIDAEXAMPLE0000000000", "the credentials of this machine are not of a role's session"],
    ["the account's owner", "111122223333", "the credentials of this machine are not of a role's session"],
    ["a federated user", "111122223333:alice", "the credentials of this machine are not of a role's session"],
    [
      "a person's session",
      "AROAEXAMPLE0000000000:alice@example.com",
      "the session of these credentials has a name that can not name a host",
    ],
    [
      "a session that leads out of its place",
      "AROAEXAMPLE0000000000:../other",
      "the session of these credentials has a name that can not name a host",
    ],
  ])("names no host where it is %s", async (_, userId, message) => {
    sts.answer = { userId };
    await expect(callerId(region)).rejects.toMatchObject({
      code: "STORE_FORBIDDEN",
      message,
      detail: expect.stringContaining(userId),
      hint: expect.any(String),
      retryable: false,
    });
  });

  test("is not known without credentials", async () => {
    useCredentials({ ...writer, accessKeyId: "", secretAccessKey: "" });
    await expect(callerId(region)).rejects.toMatchObject({
      code: "STORE_FORBIDDEN",
      message: "this machine has no credentials of AWS",
    });
    expect(sts.asked).toBe(0);
  });

  test.each([
    [403, "ExpiredToken", "STORE_FORBIDDEN", false],
    [403, "InvalidClientTokenId", "STORE_FORBIDDEN", false],
    [403, "SignatureDoesNotMatch", "STORE_FORBIDDEN", false],
    [400, "Throttling", "STORE_BUSY", true],
    [503, "ServiceUnavailable", "STORE_BUSY", true],
  ])("is told as a failure where STS answers %i %s", async (status, answered, code, retryable) => {
    sts.answer = { status, code: answered };
    await expect(callerId(region)).rejects.toMatchObject({
      code,
      retryable,
      detail: expect.stringContaining(answered),
    });
    expect(sts.asked).toBe(1);
  });

  test("is told as a failure where nobody answers", async () => {
    await sts.close();
    await expect(callerId(region)).rejects.toMatchObject({ code: "STORE_UNREACHABLE", retryable: true });
  });

  test("is not waited for after an interruption", async () => {
    const reason = new MailarkError("INTERRUPTED", "made up");
    await expect(callerId(region, AbortSignal.abort(reason))).rejects.toBe(reason);
    expect(sts.asked).toBe(0);
  });

  test("is asked again while STS is out of order", async () => {
    const clock = setClock(0);
    sts.answer = { status: 503, code: "ServiceUnavailable" };
    const sleep = async (milliseconds: number) => {
      if (sts.asked === 3) sts.answer = { userId: session };
      await clock.sleep(milliseconds);
    };
    expect(await compose({ ...machine, clock: { ...clock, sleep } }).callerId(region)).toBe(session);
    expect(sts.asked).toBe(4);
  });
});
