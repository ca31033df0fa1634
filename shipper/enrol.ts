import { MailarkError } from "../core/errors.ts";
import { enrolmentKey } from "../core/keys.ts";
import type { Enrolment } from "../core/manifest.ts";
import type { Clock } from "../core/ports/clock.ts";
import { type Signer, signDocument } from "../core/signed-document.ts";
import { putWhole } from "../core/stores/put-whole.ts";
import type { ObjectWriter } from "../core/stores/store.ts";
import type { Config } from "./config.ts";

/** A host, as it introduces itself to a store. */
export interface Introduction extends Pick<Enrolment, "hostId" | "name" | "createdAt" | "recoveryRecipient"> {
  readonly drillRecipient?: string | undefined;
}

/** As the configuration has it. */
export function introductionOf({ host, recovery, drill }: Config, clock: Clock): Introduction {
  const createdAt = new Date(clock.now()).toISOString();
  return { hostId: host.id, name: host.name, createdAt, recoveryRecipient: recovery, drillRecipient: drill };
}

/**
 * Introduces a host to a store (docs/format.md §7).
 *
 * @returns whether it was new there; an introduction is never replaced.
 */
export async function enrol(
  store: ObjectWriter,
  signer: Signer,
  { hostId, name, createdAt, recoveryRecipient, drillRecipient }: Introduction,
  signal: AbortSignal,
): Promise<boolean> {
  const enrolment: Enrolment = {
    format: "mailark-enrolment/1",
    hostId,
    createdAt,
    name,
    signingKey: signer.publicKey,
    recoveryRecipient,
    ...(drillRecipient !== undefined && { drillRecipient }),
  };
  try {
    await putWhole(store, enrolmentKey(hostId, signer.keyId), signDocument(enrolment, signer), { signal });
    return true;
  } catch (error) {
    if (error instanceof MailarkError && error.code === "OBJECT_EXISTS") return false;
    throw error;
  }
}
