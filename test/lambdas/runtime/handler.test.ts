import type { Context } from "aws-lambda";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { MailarkError } from "../../../core/errors.ts";
import { environment } from "../../../lambdas/runtime/environment.ts";
import { handler } from "../../../lambdas/runtime/handler.ts";

const context = { functionName: "verify", getRemainingTimeInMillis: () => 60_000 } as Context;

/** What is written to the log while a test runs. */
function logged() {
  let text = "";
  for (const stream of [process.stdout, process.stderr]) {
    const spy = vi.spyOn(stream, "write").mockImplementation((chunk) => {
      text += chunk;
      return true;
    });
    onTestFinished(() => spy.mockRestore());
  }
  return () => text;
}

describe("a function", () => {
  test("that fails is tried again, and its log has the error's words and fix without what may name people", async () => {
    const error = new MailarkError("STORE_BUSY", "the store is busy", {
      ...{ hint: "ask again", detail: "s3://data/hosts/jane@example.com", retryable: true },
    });
    const log = logged();
    const failing = handler(async () => {
      throw error;
    });
    await expect(failing({}, context)).rejects.toBe(error);
    expect(log()).toMatch(/"message":"the store is busy".*"hint":"ask again"/);
    expect(log()).not.toContain("jane");
  });

  test("ends its work three seconds before its time is up, so that it can say so", async () => {
    const times = vi.spyOn(AbortSignal, "timeout");
    onTestFinished(() => times.mockRestore());
    await handler(async () => "done")({}, context);
    expect(times).toHaveBeenCalledWith(57_000);
  });

  test("does not go on without a variable that the stack sets", () => {
    expect(() => environment("MAILARK_NOT_THERE")).toThrow(
      expect.objectContaining({ code: "CONFIG_MISSING", hint: expect.stringContaining("deploy the stack again") }),
    );
  });
});
