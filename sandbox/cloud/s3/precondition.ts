import { notImplemented, S3Error } from "./errors.ts";
import type { Exchange } from "./exchange.ts";

/** What a writing call asks of the key it writes. */
export interface Precondition {
  /** To be called right before the key changes. @throws S3Error when it is no longer as it was asked for. */
  stillHolds(): void;
}

/**
 * `If-None-Match: *` and `If-Match` of PutObject, CopyObject and CompleteMultipartUpload ("How to prevent object
 * overwrites with conditional writes", Amazon S3 user guide). A key whose newest version is a delete marker counts as
 * absent.
 *
 * @throws S3Error `PreconditionFailed` when it does not hold now; later `ConditionalRequestConflict`, when another call
 *   has changed the key in between.
 */
export function preconditionOf({ call, bucket, world }: Exchange): Precondition {
  const { "if-none-match": absent, "if-match": etag } = call.headers;
  if (!world.rules.conditions || (absent === undefined && etag === undefined)) return { stillHolds: () => {} };
  if (absent !== undefined && absent !== "*") throw notImplemented(`If-None-Match: ${absent} of ${call.operation}`);
  const current = bucket.newest(call.key)?.content;
  if (absent !== undefined && current !== undefined) throw failed("If-None-Match");
  if (etag !== undefined && current === undefined) throw new S3Error("NoSuchKey", "The specified key does not exist.");
  if (etag !== undefined && unquoted(etag) !== current?.etag) throw failed("If-Match");

  const revision = bucket.revision(call.key);
  return {
    stillHolds() {
      if (bucket.revision(call.key) === revision) return;
      throw new S3Error(
        "ConditionalRequestConflict",
        "The conditional request cannot succeed due to a conflicting operation against this resource.",
        { elements: { Condition: absent === undefined ? "If-Match" : "If-None-Match", Key: call.key } },
      );
    },
  };
}

/** The conditions of a read. @throws S3Error `PreconditionFailed` or `NotModified`. */
export function checkReadCondition(headers: Readonly<Record<string, string>>, etag: string): void {
  const { "if-match": wanted, "if-none-match": known } = headers;
  const matches = (list: string) => list.split(/\s*,\s*/).some((each) => each === "*" || unquoted(each) === etag);
  if (wanted !== undefined && !matches(wanted)) throw failed("If-Match");
  if (known !== undefined && matches(known)) {
    throw new S3Error("NotModified", "Not Modified", { headers: { etag: `"${etag}"` } });
  }
}

function failed(condition: string): S3Error {
  return new S3Error("PreconditionFailed", "At least one of the pre-conditions you specified did not hold", {
    elements: { Condition: condition },
  });
}

function unquoted(etag: string): string {
  return etag.replace(/^"(.*)"$/, "$1");
}
