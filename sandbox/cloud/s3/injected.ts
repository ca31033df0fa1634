import { S3Error, type S3ErrorCode } from "./errors.ts";
import type { Reply } from "./exchange.ts";
import type { Fault } from "./faults.ts";

/** An error that was asked for. */
export class Injected extends S3Error {
  readonly inSuccess: boolean;

  constructor({ kind, code }: Extract<Fault, { code: S3ErrorCode }>) {
    super(code, "this fault was asked for");
    this.inSuccess = kind === "error-in-success";
  }
}

/** The reply with the first bit of each checksum turned, in its headers and in its document. */
export function withWrongChecksums(reply: Reply): Reply {
  const headers = Object.entries(reply.headers ?? {}).map(([name, value]) =>
    /^x-amz-checksum-(?!type|algorithm)/.test(name) ? [name, turned(value)] : [name, value],
  );
  const inDocument = /(<Checksum(?!Type|Algorithm)\w+>)([^<]*)/g;
  return {
    ...reply,
    headers: Object.fromEntries(headers),
    ...(typeof reply.body === "string" && {
      body: reply.body.replace(inDocument, (_, tag, value) => tag + turned(value)),
    }),
  };
}

function turned(checksum: string): string {
  const [, value = "", suffix = ""] = /^([^-]*)(.*)$/.exec(checksum) ?? [];
  const bytes = Buffer.from(value, "base64");
  bytes[0]! ^= 0x80;
  return bytes.toString("base64") + suffix;
}
