import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { crc32, constants as zstd, zstdCompressSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { generateIdentity, opener, seal, sealer } from "../../core/age/age.ts";
import { compressSegment, maximumSealedBytes, maximumSegmentBytes, openSegment } from "../../core/segment.ts";
import { scratchDirectory } from "../fixtures/scratch.ts";

const { identity, recipient } = generateIdentity();
const sealing = sealer([recipient]);
const sealSegment = async (plain: Buffer, level?: number) => sealing(await compressSegment(plain, level));
const opening = opener([identity]);
const frameOf = (plain: Buffer, options = {}) => zstdCompressSync(plain, { pledgedSrcSize: plain.length, ...options });
const openFrame = (frame: Uint8Array) => openSegment(frame, (bytes) => Buffer.from(bytes));

describe("a segment", () => {
  test("comes back as it was", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ minLength: 1, maxLength: 4096 }),
        fc.nat(200),
        fc.integer({ min: 1, max: 12 }),
        async (piece, times, level) => {
          const plain = Buffer.concat(Array.from({ length: times + 1 }, () => piece));
          const segment = await sealSegment(Buffer.from(plain), level);
          expect((await openSegment(segment, opening)).equals(plain)).toBe(true);
        },
      ),
    );
  });

  test.each([1, 64, 255, 256, 65_535, 65_536, 65_792, maximumSegmentBytes - 1, maximumSegmentBytes])(
    "comes back as it was with %i bytes, compressible or not, and is not too large",
    async (length) => {
      for (const plain of [Buffer.alloc(length), randomBytes(length)]) {
        const segment = await sealSegment(Buffer.from(plain));
        expect(segment.length).toBeLessThanOrEqual(maximumSealedBytes);
        expect((await openSegment(segment, opening)).equals(plain)).toBe(true);
      }
    },
  );

  test("leaves what it was given as it is", async () => {
    const plain = randomBytes(100_000);
    const before = Buffer.from(plain);
    await compressSegment(plain);
    expect(plain.equals(before)).toBe(true);
  });

  test("is read by the age and zstd programs", async () => {
    const folder = scratchDirectory();
    writeFileSync(join(folder, "identity"), `${identity}\n`);
    for (const plain of [Buffer.from("x"), Buffer.alloc(3_000_000, "text "), randomBytes(1_500_000)]) {
      writeFileSync(join(folder, "segment"), await sealSegment(Buffer.from(plain)));
      const script = "age -d -i identity < segment | zstd -d";
      const printed = execFileSync("sh", ["-ec", script], { cwd: folder, maxBuffer: 8_000_000 });
      expect(printed.equals(plain)).toBe(true);
    }
  });

  test("that the age and zstd programs made is read", async () => {
    const folder = scratchDirectory();
    const plain = Buffer.alloc(1_000_000, "made by others ");
    writeFileSync(join(folder, "plain"), plain);
    for (const options of ["", "--no-check", "-19", "--ultra -22"]) {
      const script = `zstd -q ${options} -o frame -f plain && age -r ${recipient} < frame`;
      const segment = execFileSync("sh", ["-ec", script], { cwd: folder, maxBuffer: 8_000_000 });
      expect((await openSegment(segment, opening)).equals(plain)).toBe(true);
    }
  });

  test("is never made empty or too large", async () => {
    for (const plain of [Buffer.alloc(0), Buffer.alloc(maximumSegmentBytes + 1)]) {
      await expect(compressSegment(plain)).rejects.toMatchObject({ code: "INTERNAL" });
    }
  });

  test("that was sealed to another is not opened", async () => {
    const segment = seal(await compressSegment(Buffer.from("x")), [generateIdentity().recipient]);
    await expect(openSegment(segment, opening)).rejects.toMatchObject({ code: "DECRYPTION_FAILED" });
  });
});

describe("a segment is refused", () => {
  const plain = Buffer.from("one two one two one two one two three");
  const frame = frameOf(plain);
  const corrupt = { code: "OBJECT_CORRUPT" };

  test.each([
    ["a second frame", Buffer.concat([frame, frame])],
    ["an empty second frame", Buffer.concat([frame, zstdCompressSync(Buffer.alloc(0))])],
    ["a skippable frame after the frame", Buffer.concat([frame, Buffer.from("502a4d180400000001020304", "hex")])],
    ["a skippable frame before it", Buffer.concat([Buffer.from("502a4d180400000001020304", "hex"), frame])],
    ["junk after the frame", Buffer.concat([frame, Buffer.from("junk")])],
    ["one zero byte after the frame", Buffer.concat([frame, Buffer.alloc(1)])],
    ["no frame", Buffer.from("plain text, which is no frame")],
    ["nothing", Buffer.alloc(0)],
    ["no content", zstdCompressSync(Buffer.alloc(0), { pledgedSrcSize: 0 })],
    ["a frame that does not state its size", zstdCompressSync(plain, { params: { [zstd.ZSTD_c_contentSizeFlag]: 0 } })],
  ])("with %s", async (_, bytes) => {
    await expect(openFrame(bytes)).rejects.toMatchObject(corrupt);
  });

  test("cut off anywhere", async () => {
    for (let length = 0; length < frame.length; length += 1) {
      await expect(openFrame(frame.subarray(0, length)), `${length}`).rejects.toMatchObject(corrupt);
    }
  });

  test("with a content size that is not the content's", async () => {
    const single = frame[4]! & 0x20;
    expect(single, "this frame has its size in the byte after the descriptor").toBe(0x20);
    for (const size of [1, plain.length - 1, plain.length + 1, 255]) {
      const lying = Buffer.from(frame);
      lying[5] = size;
      await expect(openFrame(lying), `${size}`).rejects.toMatchObject(corrupt);
    }
  });

  test("that would fill the memory: a bomb, honest or not about its size", async () => {
    const bomb = frameOf(Buffer.alloc(maximumSegmentBytes * 16));
    expect(bomb.length).toBeLessThan(100_000);
    const lengthOf = async (frame: Buffer) => (await openFrame(frame)).length;
    await expect(lengthOf(bomb)).rejects.toMatchObject(corrupt);
    const lying = Buffer.from(bomb);
    const width = { 160: 4, 128: 4, 164: 4, 132: 4 }[bomb[4]!]!;
    lying.writeUInt32LE(1000, 5 + ((bomb[4]! & 0x20) === 0 ? 1 : 0));
    expect(width).toBe(4);
    const before = process.memoryUsage().arrayBuffers;
    await expect(lengthOf(lying)).rejects.toMatchObject(corrupt);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(maximumSegmentBytes);
  });

  test("in any way that is not a failure of its own, for any bytes", async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(frame.length - 1), fc.integer({ min: 1, max: 255 }), async (at, flip) => {
        const damaged = Buffer.from(frame);
        damaged[at]! ^= flip;
        const outcome = await openFrame(damaged).catch((error) => error);
        // A flip may give another frame that is as whole: what tells is the encryption around it.
        if (outcome instanceof Error) expect(outcome).toMatchObject(corrupt);
        else expect(outcome.length).toBeGreaterThan(0);
      }),
      { numRuns: 300 },
    );
  });

  test("with any bit of its file flipped", async () => {
    const segment = seal(frame, [recipient]);
    for (let at = 0; at < segment.length; at += 1) {
      const damaged = Buffer.from(segment);
      damaged[at]! ^= 1 << (crc32(String(at)) & 7);
      await expect(openSegment(damaged, opening)).rejects.toMatchObject({ code: "DECRYPTION_FAILED" });
    }
  });
});
