import { chmodSync, mkdirSync, utimesSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** A queue file as Postfix's cleanup writes it. */
export function queueFile(
  name: string,
  {
    arrivedAt = 1_700_000_000,
    end = true,
    headers = [],
  }: { readonly arrivedAt?: number; readonly end?: boolean; readonly headers?: readonly string[] } = {},
): Buffer {
  const record = (type: string, text: string) =>
    Buffer.concat([Buffer.from(type), lengthOf(Buffer.byteLength(text)), Buffer.from(text)]);
  const lines = [...headers, `Subject: ${name}`, ""].map((line) => record("N", line));
  const content = [...lines, record("N", `text of ${name} ${"x".repeat(300)}`)];
  const before = [
    record("T", `${arrivedAt} 123456`),
    record("S", "sender@example.test"),
    record("D", `done-${name}@example.test`),
    record("R", `${name}@example.test`),
    record("M", ""),
  ];
  const sizes = (offset: number) =>
    record("C", [1, offset, 3, 4, 5, 6].map((one) => String(one).padStart(15)).join(" "));
  return Buffer.concat([
    sizes(Buffer.concat([sizes(0), ...before]).length),
    ...before,
    ...content,
    record("X", ""),
    ...(end ? [record("E", "")] : []),
  ]);
}

/** Seven bits a byte, least first. */
function lengthOf(length: number): Buffer {
  return length < 0x80 ? Buffer.from([length]) : Buffer.from([0x80 | (length & 0x7f), length >> 7]);
}

/** Puts a file into a queue directory, long ago enough for a walk to be believed. */
export function put(directory: string, path: string, content: Buffer | string, mode = 0o700): void {
  const file = join(directory, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, content);
  chmodSync(file, mode);
  utimesSync(file, 4_000_000_000, 4_000_000_000.25);
}
