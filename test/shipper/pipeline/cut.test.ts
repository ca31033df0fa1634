import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { maximumSegmentBytes } from "../../../core/segment.ts";
import { cut } from "../../../shipper/pipeline/cut.ts";
import { collect } from "../../fixtures/read-all.ts";

async function* stream(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks;
}

describe("a stream that is cut", () => {
  test("has the same bytes, in pieces of one size but the last, however it came", async () => {
    const chunks = fc.array(fc.uint8Array({ maxLength: 50 }), { maxLength: 20 });
    await fc.assert(
      fc.asyncProperty(chunks, fc.integer({ min: 1, max: 40 }), async (source, size) => {
        const whole = Buffer.concat(source);
        const pieces = await collect(cut(stream(source), size));
        expect(Buffer.concat(pieces).equals(whole)).toBe(true);
        expect(pieces).toHaveLength(Math.ceil(whole.length / size));
        for (const piece of pieces.slice(0, -1)) expect(piece).toHaveLength(size);
      }),
    );
  });

  test("gives pieces that share no memory with the stream or each other", async () => {
    const reused = Buffer.alloc(10, 1);
    const source = async function* () {
      yield reused;
      reused.fill(2);
      yield reused;
      reused.fill(3);
    };
    const pieces = await collect(cut(source(), 10));
    expect(pieces).toEqual([Buffer.alloc(10, 1), Buffer.alloc(10, 2)]);
    expect(new Set(pieces.map(({ buffer }) => buffer)).size).toBe(2);
  });

  test("gives nothing for nothing, and pieces that fit a segment", async () => {
    expect(await collect(cut(stream([])))).toEqual([]);
    expect(await collect(cut(stream([Buffer.alloc(0)])))).toEqual([]);
    const pieces = await collect(cut(stream([Buffer.alloc(maximumSegmentBytes * 2 + 1)])));
    for (const { length } of pieces) expect(length).toBeLessThanOrEqual(maximumSegmentBytes);
  });

  test("fails with its source, and ends it when no more is wanted", async () => {
    let ended = false;
    const source = async function* () {
      try {
        yield Buffer.alloc(25);
        throw new Error("the source failed");
      } finally {
        ended = true;
      }
    };
    await expect(collect(cut(source(), 10))).rejects.toThrow("the source failed");
    ended = false;
    for await (const _ of cut(source(), 10)) break;
    expect(ended).toBe(true);
  });
});
