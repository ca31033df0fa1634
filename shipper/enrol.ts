import { MailarkError } from "../core/errors.ts";
import { enrolmentKey } from "../core/keys.ts";
import type { Enrolment } from "../core/manifest.ts";
import type { Clock } from "../core/ports/clock.ts";
import { type Signer, signDocument } from "../core/signed-document.ts";
import { putWhole } from "../core/stores/put-whole.ts";
import type { ObjectWriter } from "../core/stores/store.ts";
import type { Config } from "./config.ts";
import type { Acquaintance } from "./sealing-keys.ts";

/** A host, as it introduces itself to a store. */
export interface Introduction extends Pick<Enrolment, "hostId" | "name" | "createdAt" | "recoveryRecipient"> {
  readonly drillRecipient?: string | undefined;
}

/** As the configuration has it. */
export function introductionOf({ host, recovery, drill }: Config, clock: Clock): Introduction {
  const createdAt = new Date(clock.now()).toISOString();
  return { hostId: host.id, name: host.name, createdAt, recoveryRecipient: recovery, drillRecipient: drill };
}

/** Introduces a host to a store (docs/format.md §7); an introduction is never replaced. */
export async function enrol(
  store: ObjectWriter,
  signer: Signer,
  { hostId, name, createdAt, recoveryRecipient, drillRecipient }: Introduction,
  signal: AbortSignal,
): Promise<Acquaintance> {
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
    const content = signDocument(enrolment, signer);
    const { assumed } = await putWhole(store, enrolmentKey(hostId, signer.keyId), content, { signal });
    return assumed ? "unclear" : "new";
  } catch (error) {
    if (error instanceof MailarkError && error.code === "OBJECT_EXISTS") return "known";
    throw error;
  }
}
