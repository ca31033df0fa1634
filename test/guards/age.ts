import type { Guard } from "./guard.ts";

const own = "test/core/age/age.test.ts";
const vectors = "test/core/age/vectors.test.ts";
const bech32 = "test/core/age/bech32.test.ts";

/** Encryption: nothing is released that is not authentic, and nothing is sealed to what is no key. */
export const ageGuards: readonly Guard[] = [
  {
    guard: "a header is authentic",
    file: "core/age/header.ts",
    find: "if (!timingSafeEqual(macOf(header.authenticated, fileKey), header.mac)) {",
    replace: "if (!timingSafeEqual(header.mac, header.mac)) {",
    test: { file: vectors, name: "$name: $expect" },
  },
  {
    guard: "a header does not keep its reader busy",
    file: "core/age/header.ts",
    find: "if (stanzas.length === maximumStanzas) throw",
    replace: "if (stanzas.length < 0) throw",
    test: { file: own, name: "does not keep the reader busy with more recipients than any of our files has" },
  },
  {
    guard: "a passphrase stands alone",
    file: "core/age/header.ts",
    find: 'if (stanzas.length > 1 && stanzas.some((stanza) => stanza.args[0] === "scrypt")) {',
    replace: "if (stanzas.length < 0) {",
    test: { file: own, name: "is refused when a passphrase stands beside its recipient" },
  },
  {
    guard: "a payload that was cut off after a chunk is refused: the last one bears a flag",
    file: "core/age/payload.ts",
    find: "bytes[11] = last ? 1 : 0;",
    replace: "bytes[11] = last ? 0 : 0;",
    test: { file: own, name: "is refused when chunks were left out, repeated or exchanged" },
  },
  {
    guard: "chunks can not be moved: each bears its number",
    file: "core/age/payload.ts",
    find: "bytes.writeUIntBE(number, 5, 6);",
    replace: "bytes.writeUIntBE(number < 0 ? 1 : 0, 5, 6);",
    test: { file: own, name: "is refused when chunks were left out, repeated or exchanged" },
  },
  {
    guard: "a chunk is authentic",
    file: "core/age/payload.ts",
    find: "try {\n      decipher.final();",
    replace: "try {",
    test: { file: own, name: "is refused after any single bit was flipped" },
  },
  {
    guard: "there is no empty chunk after others",
    file: "core/age/payload.ts",
    find: " || (lastChunk === tagBytes && chunks > 1)",
    replace: "",
    test: { file: vectors, name: "$name: $expect" },
  },
  {
    guard: "a share of low order is refused",
    file: "core/age/x25519.ts",
    find: 'if (secret === undefined) throw malformed("an X25519 recipient has a share of low order");',
    replace: "if (secret === undefined) return undefined;",
    test: { file: vectors, name: "$name: $expect" },
  },
  {
    guard: "nothing is sealed to a point of low order",
    file: "core/age/x25519.ts",
    find: 'agree(generateKeyPairSync("x25519").privateKey, recipient.key) === undefined ? undefined : recipient',
    replace: "recipient",
    test: { file: own, name: "refuse %s as a recipient" },
  },
  {
    guard: "a wrapped file key has its size",
    file: "core/age/x25519.ts",
    find: "if (stanza.body.length !== fileKeyBytes + tagBytes)",
    replace: "if (stanza.body.length < 0)",
    test: { file: vectors, name: "$name: $expect" },
  },
  {
    guard: "a recipient has one share and nothing else",
    file: "core/age/x25519.ts",
    find: "share === undefined || others.length > 0 ? undefined",
    replace: "share === undefined ? undefined",
    test: { file: vectors, name: "$name: $expect" },
  },
  {
    guard: "base64 has one spelling",
    file: "core/age/base64.ts",
    find: "return encodeBase64(bytes) === text ? bytes : undefined;",
    replace: "return bytes;",
    test: { file: vectors, name: "$name: $expect" },
  },
  {
    guard: "a key with a wrong letter is refused",
    file: "core/age/bech32.ts",
    find: "if (checksumOf([...expand(prefix), ...groups]) !== 1) return undefined;",
    replace: "",
    test: { file: bech32, name: "notices any one wrong letter" },
  },
  {
    guard: "a key has one spelling",
    file: "core/age/bech32.ts",
    find: "return bits >= 5 || padding !== 0 ? undefined : Buffer.from(bytes);",
    replace: "return Buffer.from(bytes);",
    test: { file: bech32, name: "refuses padding that is not zero or a whole group, so that a key has one spelling" },
  },
  {
    guard: "nothing is sealed to nobody",
    file: "core/age/age.ts",
    find: "if (recipients.length === 0) throw",
    replace: "if (recipients.length < 0) throw",
    test: { file: own, name: "must be given: nobody could read a file without recipients" },
  },
  {
    guard: "nothing is sealed to more than can be opened",
    file: "core/age/age.ts",
    find: "if (recipients.length > maximumStanzas) {",
    replace: "if (recipients.length < 0) {",
    test: { file: own, name: "can be 128 for one file and not more, since none would open that file" },
  },
];
