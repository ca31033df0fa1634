import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { crc64nvme } from "../../core/crc64nvme.ts";

/** The definition, bit by bit, from the highest power down: slow, and sharing no code with what is tested. */
function reference(bytes: Uint8Array): string {
  const mask = 0xffff_ffff_ffff_ffffn;
  const reversed = (value: bigint, bits: number) =>
    BigInt(`0b${[...value.toString(2).padStart(bits, "0")].reverse().join("")}`);
  let register = mask;
  for (const byte of bytes) {
    register ^= reversed(BigInt(byte), 8) << 56n;
    for (let bit = 0; bit < 8; bit++) {
      register = ((register << 1n) & mask) ^ (register >> 63n ? 0xad93_d235_94c9_3659n : 0n);
    }
  }
  return (reversed(register, 64) ^ mask).toString(16).padStart(16, "0");
}

function whole(bytes: Uint8Array): string {
  const crc = crc64nvme();
  crc.update(bytes);
  return crc.digest();
}

describe("crc64nvme", () => {
  test("gives the check value of the catalogue of CRC algorithms", () => {
    expect(whole(Buffer.from("123456789"))).toBe("ae8b14860a799888");
  });

  test("is all zeros for nothing", () => {
    expect(crc64nvme().digest()).toBe("0000000000000000");
    expect(whole(Buffer.alloc(0))).toBe("0000000000000000");
  });

  test("gives the values of the NVM Command Set Specification (5.2.1.3.5) for its four blocks of 4096 bytes", () => {
    const rising = Buffer.from(Array.from({ length: 4096 }, (_, i) => i & 255));
    const falling = Buffer.from(Array.from({ length: 4096 }, (_, i) => 255 - (i & 255)));
    expect(whole(Buffer.alloc(4096, 0x00))).toBe("6482d367eb22b64e");
    expect(whole(Buffer.alloc(4096, 0xff))).toBe("c0ddba7302eca3ac");
    expect(whole(rising)).toBe("3e729f5f6750449c");
    expect(whole(falling)).toBe("9a2df64b8e9e517e");
  });

  test("agrees with the definition for any bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(whole(bytes)).toBe(reference(bytes));
      }),
    );
  });

  test("agrees with the definition around the size of its window", () => {
    const bytes = Buffer.from(Array.from({ length: 65_536 + 40 }, (_, i) => (i * 2_654_435_761) >>> 24));
    for (const length of [65_535, 65_536, 65_537, 65_536 + 17, bytes.length]) {
      expect(whole(bytes.subarray(0, length))).toBe(reference(bytes.subarray(0, length)));
    }
  }, 30_000);

  test("does not depend on how the bytes are cut, nor on where they lie in memory", () => {
    const bytes = Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * 2_654_435_761) >>> 24));
    const cuts = fc.array(fc.nat({ max: 100_000 }), { maxLength: 20 });
    fc.assert(
      fc.property(cuts, fc.nat({ max: 15 }), (sizes, offset) => {
        const crc = crc64nvme();
        let position = offset;
        for (const size of sizes) {
          crc.update(bytes.subarray(position, position + size));
          position += size;
        }
        crc.update(bytes.subarray(position));
        expect(crc.digest()).toBe(whole(Buffer.from(bytes.subarray(offset))));
      }),
    );
  });

  test("keeps two measurements apart", () => {
    const [one, other] = [crc64nvme(), crc64nvme()];
    one.update(Buffer.from("1234"));
    other.update(Buffer.from("something else, of several steps in length"));
    one.update(Buffer.from("56789"));
    expect(one.digest()).toBe("ae8b14860a799888");
  });

  test("goes on after a digest", () => {
    const crc = crc64nvme();
    crc.update(Buffer.from("12345"));
    crc.digest();
    crc.update(Buffer.from("6789"));
    expect(crc.digest()).toBe("ae8b14860a799888");
  });
});
