/**
 * Whose signatures count for a host: what its enrolments introduce, narrowed to the fingerprints that an operator vouches for.
 */
import { asMailarkError, exitCodes, MailarkError } from "./errors.ts";
import { enrolmentKey, enrolmentPrefix } from "./keys.ts";
import { type Enrolment, parseDocument } from "./manifest.ts";
import {
  checkSignature,
  maximumDocumentBytes,
  parseJson,
  splitDocument,
  type Verifier,
  verifierOf,
} from "./signed-document.ts";
import { readWhole } from "./stores/read-whole.ts";
import type { ObjectReader } from "./stores/store.ts";

export interface EnrolledKey {
  readonly enrolment: Enrolment;
  readonly verifier: Verifier;
}

export interface Trust {
  readonly keys: readonly EnrolledKey[];
  /** Enrolments that are damaged or introduce somebody else. */
  readonly refused: readonly { readonly key: string; readonly error: MailarkError }[];
}

/**
 * Reads a host's enrolments.
 *
 * @param fingerprints of the keys that the operator trusts, 64 hex digits each. `undefined`: all that are enrolled, which proves that
 *   the store is consistent and not who wrote it.
 * @throws MailarkError `SIGNER_UNTRUSTED` when nothing remains; what the store throws where it can not be read, which says nothing of
 *   whom to trust.
 */
export async function readTrust(
  reader: ObjectReader,
  hostId: string,
  fingerprints: readonly string[] | undefined,
  signal?: AbortSignal,
): Promise<Trust> {
  const keys: EnrolledKey[] = [];
  const refused: { key: string; error: MailarkError }[] = [];
  for await (const row of reader.list(enrolmentPrefix(hostId), { ...(signal && { signal }) })) {
    if (!("key" in row)) continue;
    try {
      const key = readEnrolment(await readWhole(reader, row.key, maximumDocumentBytes, signal), row.key, hostId);
      if (fingerprints === undefined || fingerprints.includes(key.verifier.fingerprint)) keys.push(key);
    } catch (thrown) {
      const error = asMailarkError(thrown);
      if (error.exitCode !== exitCodes.verification) throw error;
      refused.push({ key: row.key, error });
    }
  }
  if (keys.length > 0) return { keys, refused };
  throw new MailarkError("SIGNER_UNTRUSTED", `no trusted enrolment of host ${hostId} is in the store`, {
    hint: fingerprints
      ? "compare the fingerprint with the one on the host's recovery sheet"
      : "check the host id; `mailark list --hosts` shows the hosts of a store",
    cause: refused[0]?.error,
  });
}

/** An enrolment is signed by the key that it introduces: that key is read first, and proves the rest. */
function readEnrolment(bytes: Buffer, key: string, hostId: string): EnrolledKey {
  const document = splitDocument(bytes);
  const claimed = parseDocument("enrolment", parseJson(document.signed));
  const verifier = introducedBy(claimed);
  const enrolment = parseDocument("enrolment", checkSignature(document, [verifier]));
  if (enrolment.hostId !== hostId || key !== enrolmentKey(hostId, verifier.keyId)) {
    throw new MailarkError("MANIFEST_INVALID", "the enrolment introduces another host or another key");
  }
  return { enrolment, verifier };
}

function introducedBy({ signingKey }: Enrolment): Verifier {
  try {
    return verifierOf(signingKey);
  } catch (cause) {
    throw new MailarkError("MANIFEST_INVALID", "the enrolment brings no key that can be used", { cause });
  }
}
