import { describe, expect, test } from "vitest";
import { redisConfigSchema } from "../../../../shipper/components/redis/config.ts";
import { Crc64 } from "../../../../shipper/components/redis/crc64.ts";
import { KeyCounter } from "../../../../shipper/components/redis/facts.ts";
import { holder } from "../../../../shipper/components/redis/hold.ts";
import { decompress } from "../../../../shipper/components/redis/lzf.ts";
import { type RdbKey, RdbReader } from "../../../../shipper/components/redis/rdb.ts";
import { type RdbVerdict, verified } from "../../../../shipper/components/redis/rdb-stream.ts";

const text = (value: string) => Buffer.concat([Buffer.of(value.length), Buffer.from(value, "latin1")]);
const header = Buffer.from("REDIS0010");

/** A file of these pieces, with its end. */
function fileOf(...pieces: (Buffer | number)[]): Buffer {
  const body = Buffer.concat([
    header,
    ...pieces.map((piece) => (typeof piece === "number" ? Buffer.of(piece) : piece)),
    Buffer.of(0xff),
  ]);
  return Buffer.concat([body, new Crc64().update(body).digest()]);
}

function keysOf(file: Buffer, chunk = file.length): { keys: RdbKey[]; end: RdbReader["end"] } {
  const keys: RdbKey[] = [];
  const reader = new RdbReader({ key: (key) => keys.push(key) });
  for (let at = 0; at < file.length; at += chunk) reader.push(file.subarray(at, at + chunk));
  return { keys, end: reader.end };
}

async function pass(file: Buffer, chunk = 7) {
  async function* chunks() {
    for (let at = 0; at < file.length; at += chunk) yield file.subarray(at, at + chunk);
  }
  const out: Buffer[] = [];
  let verdict: RdbVerdict | undefined;
  for await (const piece of verified(chunks(), new KeyCounter(), (given) => (verdict = given))) out.push(piece);
  return { out: Buffer.concat(out), verdict };
}

/** Encodings of releases before 7, which today's servers no longer write. */
const old = fileOf(
  0xfe,
  2,
  0xfb,
  6,
  1,
  1,
  text("list"),
  2,
  text("a"),
  text("b"),
  3,
  text("scores"),
  2,
  text("a"),
  text("1.5"),
  text("b"),
  254,
  0xfd,
  Buffer.from([0, 0, 0, 0x70]),
  10,
  text("ziplist"),
  text("\x11\0\0\0\x0e\0\0\0\x03\0\xf2\0\0\xf3\0\0\xff"),
  9,
  text("zipmap"),
  text("\x01\x01a\x01\0b\xff"),
  14,
  text("quick"),
  1,
  text("\x11\0\0\0\x0e\0\0\0\x04\0\xf2\0\0\xf3\0\0\xff"),
  7,
  text("module"),
  5,
  2,
  8,
  4,
  Buffer.alloc(8),
  5,
  text("x"),
  0,
);

describe("an RDB file", () => {
  test("of an older release is understood in chunks of any size", () => {
    for (const chunk of [1, 2, 5, 1000]) {
      const { keys, end } = keysOf(old, chunk);
      expect(end).toEqual({ bytes: old.length });
      expect(keys.map(({ name, type, size, database }) => [name.toString(), type, size, database])).toEqual([
        ["list", "list", 2, 2],
        ["scores", "zset", 2, 2],
        ["ziplist", "list", 3, 2],
        ["zipmap", "hash", undefined, 2],
        ["quick", "list", 4, 2],
        ["module", "module", undefined, 2],
      ]);
      expect(keys[2]!.expiresAt).toBe(0x70000000 * 1000);
    }
  });

  test("passes as it is, also where something in it is unknown, and without what follows it", async () => {
    const unknown = fileOf(0xfe, 0, 99, text("later"), text("something"));
    for (const [file, understood] of [
      [old, true],
      [unknown, false],
    ] as const) {
      for (const mark of ["", "0123456789abcdef0123456789abcdef01234567"]) {
        const { out, verdict } = await pass(Buffer.concat([file, Buffer.from(mark)]));
        expect(out.equals(file)).toBe(true);
        expect(verdict).toEqual({ understood, checked: true });
      }
    }
  });

  test("is refused wherever it is cut off, with any other byte, and with something after it", async () => {
    for (const file of [old, fileOf(0xfe, 0, 99, text("later"), text("something"))]) {
      for (let length = 0; length < file.length; length++) {
        await expect(pass(file.subarray(0, length)), `${length}`).rejects.toMatchObject({ code: "DUMP_TRUNCATED" });
      }
      for (let at = 0; at < file.length; at++) {
        const other = Buffer.from(file);
        other[at] = other[at]! ^ 4;
        await expect(pass(other), `${at}`).rejects.toMatchObject({ code: "DUMP_TRUNCATED" });
      }
      await expect(pass(Buffer.concat([file, Buffer.alloc(3)]))).rejects.toMatchObject({ code: "DUMP_TRUNCATED" });
      await expect(pass(Buffer.concat([file, Buffer.alloc(40)]))).rejects.toMatchObject({ code: "DUMP_TRUNCATED" });
    }
  });

  test("without a checksum is believed only where its structure ends there", async () => {
    const without = (file: Buffer) => Buffer.concat([file.subarray(0, -8), Buffer.alloc(8)]);
    expect((await pass(without(old))).verdict).toEqual({ understood: true, checked: false });
    await expect(pass(without(fileOf(0xfe, 0, 99, text("later"))))).rejects.toMatchObject({ code: "DUMP_TRUNCATED" });
  });

  test("with fewer keys than the server announced is not counted", () => {
    const counter = new KeyCounter();
    const reader = new RdbReader(counter);
    reader.push(fileOf(0xfe, 0, 0xfb, 2, 0, 0, text("a"), text("b")));
    expect(reader.end).toHaveProperty("bytes");
    expect(counter.asAnnounced).toBe(false);
  });
});

describe("the checksum", () => {
  test("is the one of Redis, however the bytes come", () => {
    expect(new Crc64().update(Buffer.from("123456789")).digest().toString("hex")).toBe("cad9b8c414d9c6e9");
    const bytes = Buffer.from(Array.from({ length: 1000 }, (_, index) => (index * 7919) & 255));
    const whole = new Crc64().update(bytes).digest();
    const pieces = new Crc64();
    for (let at = 0; at < bytes.length; at += 13) pieces.update(bytes.subarray(at, at + 13));
    expect(pieces.digest().equals(whole)).toBe(true);
  });
});

describe("packed bytes", () => {
  test("are unpacked, also only the first of them, and nothing is read from before their start", () => {
    // "ab", then eight bytes from two bytes before, as lzf_c.c packs a repeated pair.
    const packed = Buffer.from([1, 0x61, 0x62, 0xc0, 1]);
    expect(decompress(packed, 10).toString()).toBe("ababababab");
    expect(decompress(packed, 5).toString()).toBe("ababa");
    expect(() => decompress(packed, 11)).toThrow("too early");
    expect(() => decompress(Buffer.from([0, 0x61, 0xc0, 9]), 9)).toThrow("nothing");
  });
});

describe("the keys on hold by default", () => {
  const held = holder(redisConfigSchema.parse({}).hold);
  test.each([
    "celery",
    "celery\u0006\u00163",
    "_kombu.binding.celery",
    "unacked",
    "unacked_index",
    "unacked_mutex",
    "session:1",
  ])("have %j among them", (name) => expect(held(Buffer.from(name))).toBe(true));
  test.each(["celery-task-meta-1", "my_kombu.binding", "sessions", "cache:session:1", ""])("do not have %j", (name) =>
    expect(held(Buffer.from(name))).toBe(false),
  );
});
