import { createHash } from "node:crypto";
import { inflateSync } from "node:zlib";
import * as cctv from "cctv-age";
import { describe, expect, test } from "vitest";
import { generateIdentity, open, openHeader } from "../../../core/age/age.ts";
import { formatHeader, parseHeader } from "../../../core/age/header.ts";
import { openPayload, payloadBytes, sealPayload } from "../../../core/age/payload.ts";
import { asMailarkError } from "../../../core/errors.ts";

/** The vectors of c2sp.org/CCTV/age: lines of `key: value`, an empty line, and the file, sometimes compressed. */
interface Vector {
  readonly name: string;
  readonly expect: string;
  readonly identities: readonly string[];
  readonly fields: ReadonlyMap<string, readonly string[]>;
  readonly file: Buffer;
}

const vectors = Object.entries(cctv as unknown as Record<string, Uint8Array>).map(([name, bytes]) => read(name, bytes));

/** What this implementation does not claim. A vector that is none of these is run. */
const exclusions: Record<string, (vector: Vector) => boolean> = {
  armor: (vector) => vector.fields.has("armored"),
  passphrase: (vector) => vector.fields.has("passphrase"),
  "post-quantum": (vector) => vector.identities.some((identity) => identity.startsWith("AGE-SECRET-KEY-PQ-")),
};
const reasonFor = (vector: Vector) => Object.keys(exclusions).find((reason) => exclusions[reason]!(vector));
const claimed = vectors.filter((vector) => reasonFor(vector) === undefined);

describe("the age test vectors", () => {
  test("are all there, and each is either run or excluded for a stated reason", () => {
    const tally: Record<string, number> = {};
    for (const vector of vectors) {
      const reason = reasonFor(vector) ?? `run: ${vector.expect}`;
      tally[reason] = (tally[reason] ?? 0) + 1;
    }
    expect(vectors).toHaveLength(143);
    expect(tally).toEqual({
      "run: success": 14,
      "run: header failure": 31,
      "run: HMAC failure": 1,
      "run: no match": 3,
      "run: payload failure": 18,
      armor: 33,
      passphrase: 25,
      "post-quantum": 18,
    });
  });

  test.each(claimed)("$name: $expect", (vector) => {
    const known = ["expect", "payload", "identity", "file key", "comment", "compressed"];
    expect([...vector.fields.keys()].filter((key) => !known.includes(key))).toEqual([]);

    const outcome = outcomeOf(vector);

    expect(outcome.kind).toBe(vector.expect);
    if (outcome.plaintext !== undefined) {
      expect(createHash("sha256").update(outcome.plaintext).digest("hex")).toBe(vector.fields.get("payload")?.[0]);
    }
  });

  test.each(claimed.filter((vector) => vector.expect !== "header failure"))(
    "$name: the file key is found from the header alone, if it is mine",
    (vector) => {
      const header = vector.file.subarray(0, parseHeader(vector.file).bytes);
      if (vector.expect === "no match") {
        expect(openHeader(header, vector.identities)).toBeUndefined();
      } else if (vector.expect === "HMAC failure") {
        expect(() => openHeader(header, vector.identities)).toThrow("not authentic");
      } else {
        expect(openHeader(header, vector.identities)?.toString("hex")).toBe(vector.fields.get("file key")?.[0]);
      }
    },
  );

  test("have headers that are written again as they were read, whatever the type of their recipients", () => {
    const readable = vectors.filter(
      (vector) => !vector.fields.has("armored") && ["success", "no match", "payload failure"].includes(vector.expect),
    );
    for (const { file, fields } of readable) {
      const header = parseHeader(file);
      const fileKey = Buffer.from(fields.get("file key")![0]!, "hex");
      expect(formatHeader(header.stanzas, fileKey)).toEqual(file.subarray(0, header.bytes));
    }
    expect(readable).toHaveLength(49);
  });

  test("have payloads of the length that their plaintext says, which open again when they are sealed again", () => {
    const readable = claimed.filter((vector) => vector.expect === "success");
    for (const { file, fields, identities } of readable) {
      const fileKey = Buffer.from(fields.get("file key")![0]!, "hex");
      const plaintext = open(file, identities);
      const payload = Buffer.alloc(payloadBytes(plaintext.length));
      expect(payload).toHaveLength(file.length - parseHeader(file).bytes);
      sealPayload(plaintext, fileKey, payload);
      expect(openPayload(payload, fileKey).equals(plaintext)).toBe(true);
    }
  });

  test("are refused, not misread, where they are armored", () => {
    const armored = vectors.filter(exclusions.armor!);
    for (const { file } of armored) {
      expect(() => open(file, [generateIdentity().identity])).toThrow("not a valid age file");
    }
  });
});

interface Outcome {
  readonly kind: string;
  readonly plaintext?: Buffer;
}

/** The vectors tell failures apart by where they are; here the message does. A failure releases no plaintext at all. */
function outcomeOf(vector: Vector): Outcome {
  // A file that is broken before any key matters comes without an identity.
  const identities = vector.identities.length > 0 ? vector.identities : [generateIdentity().identity];
  try {
    return { kind: "success", plaintext: open(vector.file, identities) };
  } catch (thrown) {
    const error = asMailarkError(thrown);
    expect(error.code).toBe("DECRYPTION_FAILED");
    expect(thrown).toBe(error);
    if (error.message.startsWith("not a valid age file: ")) return { kind: "header failure" };
    if (error.message === "the header of the age file is not authentic") return { kind: "HMAC failure" };
    if (error.message === "none of the identities opens this file") return { kind: "no match" };
    if (error.message.startsWith("the payload of the age file ")) return { kind: "payload failure" };
    throw thrown;
  }
}

function read(name: string, bytes: Uint8Array): Vector {
  const content = Buffer.from(bytes);
  const end = content.indexOf("\n\n");
  const fields = new Map<string, string[]>();
  for (const line of content.toString("utf8", 0, end).split("\n")) {
    const [, key, value] = /^([^:]+): (.*)$/.exec(line)!;
    fields.set(key!, [...(fields.get(key!) ?? []), value!]);
  }
  const rest = content.subarray(end + 2);
  return {
    name,
    expect: fields.get("expect")![0]!,
    identities: fields.get("identity") ?? [],
    fields,
    file: fields.get("compressed")?.[0] === "zlib" ? inflateSync(rest) : rest,
  };
}
