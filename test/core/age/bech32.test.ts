import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeBech32, encodeBech32 } from "../../../core/age/bech32.ts";

describe("bech32", () => {
  test("gives back any prefix and bytes", () => {
    const letters = [..."abcdefghijklmnopqrstuvwxyz-1"];
    const prefix = fc.string({ unit: fc.constantFrom(...letters), minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(prefix, fc.uint8Array({ maxLength: 100 }), (text, bytes) => {
        const encoded = encodeBech32(text, bytes);
        expect(decodeBech32(encoded)).toEqual({ prefix: text, bytes: Buffer.from(bytes) });
        expect(decodeBech32(encoded.toUpperCase())).toEqual({ prefix: text, bytes: Buffer.from(bytes) });
      }),
    );
  });

  test("notices any one wrong letter", () => {
    const encoded = encodeBech32("age", Buffer.alloc(32, 0x5a));
    for (let at = 0; at < encoded.length; at++) {
      for (const letter of "qpzry9x8gf2tvdw0s3jn54khce6mua7l1bio-") {
        if (letter === encoded[at]) continue;
        expect(decodeBech32(encoded.slice(0, at) + letter + encoded.slice(at + 1))).toBeUndefined();
      }
    }
  });

  // From BIP 173, "Test vectors", without those that only break its limit on the length or hold no whole bytes.
  test.each([
    "A12UEL5L",
    "a12uel5l",
    "an83characterlonghumanreadablepartthatcontainsthenumber1andtheexcludedcharactersbio1tt5tgs",
  ])("reads %s", (text) => {
    expect(decodeBech32(text)).toMatchObject({ bytes: Buffer.alloc(0) });
  });

  test.each([
    ["a character below the printable ones in the prefix", "\u00201nwldj5"],
    ["a character above them", "\u007f1axkwrx"],
    ["no separator", "pzry9x0s0muk"],
    ["an empty prefix", "1pzry9x0s0muk"],
    ["a foreign character", "x1b4n0q5v"],
    ["a checksum that is too short", "li1dgmt3"],
    ["a checksum of the upper-case prefix", "A1G7SGD8"],
    ["nothing before the separator", "10a06t8"],
    ["mixed case", "A12uEL5L"],
    ["a Kelvin sign for a k", encodeBech32("age-secret-key-", Buffer.alloc(32)).toUpperCase().replace("K", "\u212a")],
  ])("refuses %s", (_, text) => {
    expect(decodeBech32(text)).toBeUndefined();
  });

  test("refuses padding that is not zero or a whole group, so that a key has one spelling", () => {
    const byte = Buffer.from([0xff]);
    const encoded = encodeBech32("a", byte);
    expect(encoded).toBe("a1lu9cgf6y");
    expect(decodeBech32(encoded)?.bytes).toEqual(byte);
    expect(decodeBech32("a1lacwuu8k")).toBeUndefined();
    expect(decodeBech32("a1luq25lfhf")).toBeUndefined();
  });
});
