import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { GrowingBody } from "../../../shipper/pipeline/growing-body.ts";
import { readAll } from "../../fixtures/read-all.ts";

const chunk = (text: string) => Buffer.from(text);

describe("a body that grows", () => {
  test("is the same for every reader, whenever it begins", async () => {
    const steps = fc.array(fc.oneof(fc.string({ minLength: 1, maxLength: 5 }), fc.constant(undefined)));
    await fc.assert(
      fc.asyncProperty(steps, async (script) => {
        const body = new GrowingBody();
        const readers = [readAll(body)];
        const expected: string[] = [];
        for (const step of script) {
          if (step === undefined) readers.push(readAll(body));
          else {
            body.add(chunk(step));
            expected.push(step);
          }
          await Promise.resolve();
        }
        body.end();
        readers.push(readAll(body));
        for (const reader of readers) expect((await reader).toString()).toBe(expected.join(""));
      }),
    );
  });

  test("waits for more, and ends when it is ended", async () => {
    const body = new GrowingBody();
    const reader = body[Symbol.asyncIterator]();
    let given: unknown;
    const next = reader.next().then((result) => {
      given = result.value;
    });
    await new Promise(setImmediate);
    expect(given).toBeUndefined();
    body.add(chunk("x"));
    await next;
    expect(given).toEqual(chunk("x"));
    body.end();
    expect((await reader.next()).done).toBe(true);
  });

  test("fails for every reader, at once, with the first reason", async () => {
    const body = new GrowingBody();
    body.add(chunk("x"));
    const waiting = readAll(body);
    body.fail(new Error("first"));
    body.fail(new Error("second"));
    await expect(waiting).rejects.toThrow("first");
    await expect(readAll(body)).rejects.toThrow("first");
  });

  test("can not come to be after it has failed", async () => {
    const body = new GrowingBody();
    body.add(chunk("x"));
    body.fail(new Error("given up"));
    body.end();
    await expect(readAll(body)).rejects.toThrow("given up");
  });
});
