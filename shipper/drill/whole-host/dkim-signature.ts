/**
 * Verifies a DKIM signature (RFC 6376; Ed25519: RFC 8463) with a public key that is at hand. DNS is never asked, and an expiry is not looked at.
 */
import { createHash, type KeyObject, verify } from "node:crypto";

export interface DkimSignature {
  readonly domain: string;
  readonly selector: string;
  /** Why it does not hold with this key; `undefined`: it does. */
  problemWith(publicKey: KeyObject): string | undefined;
}

/** The signatures of a message, which has CRLF at the end of each line, from the top. */
export function signaturesOf(message: Buffer): DkimSignature[] {
  const text = message.toString("latin1");
  const end = text.indexOf("\r\n\r\n");
  const head = end === -1 ? text : text.slice(0, end + 2);
  const body = end === -1 ? "" : text.slice(end + 4);
  const fields = head.match(/[^\r\n]+\r\n(?:[ \t][^\r\n]*\r\n)*/g) ?? [];
  return fields
    .filter((field) => nameOf(field) === "dkim-signature")
    .map((field) => {
      const tags = tagsOf(field);
      const problemWith = (key: KeyObject) => problemOf(field, tags, fields, body, key);
      return { domain: tags.get("d") ?? "", selector: tags.get("s") ?? "", problemWith };
    });
}

function problemOf(
  signature: string,
  tags: ReadonlyMap<string, string>,
  fields: readonly string[],
  body: string,
  key: KeyObject,
): string | undefined {
  const algorithm = tags.get("a") ?? "";
  const type = { "rsa-sha256": "rsa", "ed25519-sha256": "ed25519" }[algorithm];
  if (type === undefined) return `its algorithm is ${algorithm || "not given"}`;
  if (type !== key.asymmetricKeyType) return `it is ${algorithm}, and the key is ${key.asymmetricKeyType}`;
  const [headerForm = "simple", bodyForm = "simple"] = (tags.get("c") ?? "simple/simple").split("/");
  let canonicalBody = bodyForm === "relaxed" ? relaxedBody(body) : simpleBody(body);
  if (tags.has("l")) canonicalBody = canonicalBody.slice(0, Number(tags.get("l")));
  if (sha256(canonicalBody).toString("base64") !== tags.get("bh")) return "the body is not the one that was signed";
  const header = headerForm === "relaxed" ? relaxedField : (field: string) => field;
  const left = [...fields];
  const signed = (tags.get("h") ?? "").split(":").map((name) => {
    const at = left.findLastIndex((field) => nameOf(field) === name.trim().toLowerCase());
    return at === -1 ? "" : header(left.splice(at, 1)[0]!);
  });
  const own = header(signature.replace(/([;:\s]b[ \t\r\n]*=)[^;]*/, "$1")).replace(/\r\n$/, "");
  const content = Buffer.from(signed.join("") + own, "latin1");
  const proof = Buffer.from(tags.get("b") ?? "", "base64");
  // RFC 8463, 3: Ed25519 signs the hash.
  const holds = type === "rsa" ? verify("sha256", content, key, proof) : verify(null, sha256(content), key, proof);
  return holds ? undefined : "the signature over the header is not one of this key";
}

const nameOf = (field: string) => field.slice(0, field.indexOf(":")).trim().toLowerCase();

const sha256 = (content: string | Buffer) =>
  createHash("sha256")
    .update(typeof content === "string" ? Buffer.from(content, "latin1") : content)
    .digest();

/** `tag=value; …` (RFC 6376, 3.2), with all white space taken out of the values. */
function tagsOf(field: string): Map<string, string> {
  const list = field.slice(field.indexOf(":") + 1).split(";");
  return new Map(
    list
      .filter((tag) => tag.includes("="))
      .map((tag) => {
        const at = tag.indexOf("=");
        return [tag.slice(0, at).trim(), tag.slice(at + 1).replace(/\s+/g, "")];
      }),
  );
}

/** RFC 6376, 3.4.2. */
function relaxedField(field: string): string {
  const at = field.indexOf(":");
  const value = field
    .slice(at + 1)
    .replace(/\r\n/g, "")
    .replace(/[ \t]+/g, " ")
    .trim();
  return `${nameOf(field)}:${value}\r\n`;
}

/** RFC 6376, 3.4.3: an empty body is one line end. */
const simpleBody = (body: string) => `${body.replace(/(?:\r\n)+$/, "")}\r\n`;

/** RFC 6376, 3.4.4: an empty body is nothing. */
function relaxedBody(body: string): string {
  const lines = body.replace(/[ \t]+(?=\r\n|$)/g, "").replace(/[ \t]+/g, " ");
  const trimmed = lines.replace(/(?:\r\n)+$/, "");
  return trimmed === "" ? "" : `${trimmed}\r\n`;
}
