import { readTrust } from "../../core/enrolment.ts";
import { asMailarkError, exitCodes, MailarkError } from "../../core/errors.ts";
import { hostRecordKey, type RunAddress, requestRunKey, runKey } from "../../core/keys.ts";
import { parseDocument, type RunRecord } from "../../core/manifest.ts";
import { checkSignature, maximumSignedBytes, splitDocument } from "../../core/signed-document.ts";
import { readWhole } from "../../core/stores/read-whole.ts";
import { type RequestRun, readRecord, recordBytes } from "../control/records.ts";
import type { VerifyPorts } from "./verify-snapshot.ts";

/**
 * Writes down what a host says of a run that it was asked for, where whoever asked can read it. It is no judgement: what may be built on comes of
 * verdicts. The word that the store received last counts.
 *
 * @returns `undefined` for what is not believed (nobody approved the host, or another key signed it) and what nobody asked for.
 * @throws what a store throws that can not be read: then it should be asked again.
 */
export async function noteRun(
  ports: Pick<VerifyPorts, "vault" | "control">,
  address: RunAddress,
  signal?: AbortSignal,
): Promise<RequestRun | undefined> {
  const { vault, control } = ports;
  const { hostId, runId } = address;
  const approved = await readRecord(control, "host", hostRecordKey(hostId), signal);
  if (approved === undefined) return undefined;
  const { name, fingerprints } = approved.record;
  const said = await readRun(ports, address, fingerprints, signal);
  if (said?.requestId === undefined) return undefined;
  const head = await vault.head(runKey(hostId, runId), { ...(signal && { signal }) });
  if (head === undefined) return undefined;

  const noted: RequestRun = {
    format: "mailark-request-run/1",
    requestId: said.requestId,
    hostId,
    host: name,
    runId,
    receivedAt: new Date(head.receivedAt).toISOString(),
    startedAt: said.startedAt,
    finishedAt: said.finishedAt,
    components: said.components.map(
      ({ component, outcome, snapshotId, kind, base, bytesRead, bytesStored, error }) => ({
        component,
        outcome,
        snapshotId,
        kind,
        base,
        bytesRead,
        bytesStored,
        error: error?.code,
      }),
    ),
  };
  const key = requestRunKey(said.requestId, hostId);
  const before = await readRecord(control, "run", key, signal);
  if (before && before.record.receivedAt > noted.receivedAt) return before.record;
  if (await control.replace(key, recordBytes(noted), before?.held, signal)) return noted;
  throw new MailarkError("STORE_BUSY", "two runs for one request crossed", { retryable: true });
}

async function readRun(
  { vault }: Pick<VerifyPorts, "vault">,
  { hostId, runId }: RunAddress,
  fingerprints: readonly string[],
  signal: AbortSignal | undefined,
): Promise<RunRecord | undefined> {
  try {
    const trusted = (await readTrust(vault, hostId, fingerprints, signal)).keys.map(({ verifier }) => verifier);
    const bytes = await readWhole(vault, runKey(hostId, runId), maximumSignedBytes, signal);
    const run = parseDocument("run", checkSignature(splitDocument(bytes), trusted));
    return run.hostId === hostId && run.runId === runId ? run : undefined;
  } catch (thrown) {
    const error = asMailarkError(thrown);
    if (error.exitCode === exitCodes.verification) return undefined;
    throw error;
  }
}
