/**
 * Judges one snapshot that arrived: is it whole, and written by whom the operator trusts. The judgement says what the next run may build on.
 */
import { readTrust } from "../../core/enrolment.ts";
import { MailarkError } from "../../core/errors.ts";
import { componentPrefix, hostRecordKey, manifestKey, type SnapshotAddress, verdictKey } from "../../core/keys.ts";
import { type Manifest, readManifest } from "../../core/manifest.ts";
import type { Clock } from "../../core/ports/clock.ts";
import { maximumSignedBytes } from "../../core/signed-document.ts";
import { readWhole } from "../../core/stores/read-whole.ts";
import type { ObjectReader } from "../../core/stores/store.ts";
import { type Finding, findingOfManifest, type Measured, SnapshotVerifier } from "../../core/verification.ts";
import type { ControlStore } from "../control/control-store.ts";
import { readRecord, recordBytes, type Verdict, type VerdictOutcome } from "../control/records.ts";
import { anomaliesOf } from "./anomalies.ts";
import { noteGood, noteLost, readLatest } from "./latest.ts";

export interface VerifyPorts {
  /** Data and keyring, as one store. */
  readonly vault: ObjectReader;
  readonly measure: (key: string, signal?: AbortSignal) => Promise<MeasuredVersion | undefined>;
  readonly control: ControlStore;
  readonly clock: Clock;
  /** Tells the world; may be told the same twice. */
  readonly announce: (verdict: Verdict, hostName: string | undefined) => Promise<void>;
}

export interface MeasuredVersion extends Measured {
  readonly version: string | undefined;
}

export interface VerifyRequest {
  readonly address: SnapshotAddress;
  /** Judge it although there is a verdict. Default: false. */
  readonly again?: boolean;
  /** The same, and read every byte instead of asking the store for its checksums. Default: false. */
  readonly deep?: boolean;
  readonly signal?: AbortSignal;
}

/**
 * Judges, announces the verdict and writes it down. An event that comes twice has no second effect, and one that comes late no wrong one. What
 * nobody has approved yet is announced and not written down, so that it is judged when somebody has.
 *
 * @throws what a store throws that can not be read: then there is no verdict, and it should be asked again.
 */
export async function verifySnapshot(
  ports: VerifyPorts,
  { address, again, deep, signal }: VerifyRequest,
): Promise<Verdict> {
  const { control, clock, announce } = ports;
  const key = verdictKey(address);
  const before = await readRecord(control, "verdict", key, signal);
  if (before && !again && !deep) return before.record;

  const host = await readRecord(control, "host", hostRecordKey(address.hostId), signal);
  const judged = await judge(ports, address, host?.record.fingerprints, deep === true, signal);
  const { manifest, findings, versions, receivedAt } = judged;
  const outcome = host === undefined ? "unenrolled" : outcomeOf(findings);
  const known = await readLatest(control, address, signal);
  const whole = outcome === "intact" && manifest?.completeness === "complete" ? manifest : undefined;
  const verdict: Verdict = {
    format: "mailark-verdict/1",
    ...address,
    outcome,
    ...(manifest && { completeness: manifest.completeness }),
    judgedAt: timeText(clock.now()),
    ...(receivedAt !== undefined && { receivedAt: timeText(receivedAt) }),
    versions,
    findings: findings.slice(0, 100).map(({ key, code, message }) => ({ key, code, message })),
    findingCount: findings.length,
    anomalies: whole && receivedAt !== undefined ? anomaliesOf(whole, timeText(receivedAt), known) : [],
  };
  if (whole && receivedAt !== undefined) await noteGood(control, address, whole, timeText(receivedAt), signal);
  else await noteLost(control, address, signal);
  await announce(verdict, host?.record.name);
  if (outcome === "unenrolled") return verdict;
  // Last: as long as it is not there, everything above is done again.
  if (await control.replace(key, recordBytes(verdict), before?.held, signal)) return verdict;
  throw new MailarkError("STORE_BUSY", "two judgements of one snapshot crossed", { retryable: true });
}

interface Judgement {
  readonly manifest: Manifest | undefined;
  readonly findings: readonly Finding[];
  readonly versions: Record<string, string>;
  readonly receivedAt: number | undefined;
}

async function judge(
  ports: VerifyPorts,
  address: SnapshotAddress,
  fingerprints: readonly string[] | undefined,
  deep: boolean,
  signal: AbortSignal | undefined,
): Promise<Judgement> {
  const { vault } = ports;
  const options = { ...(signal && { signal }) };
  const versions: Record<string, string> = {};
  const measure = async (key: string) => {
    const measured = await ports.measure(key, signal);
    if (measured?.version !== undefined) versions[key] = measured.version;
    return measured;
  };
  const at = manifestKey(address);
  await measure(at);
  const receivedAt = (await vault.head(at, options))?.receivedAt;
  try {
    if (fingerprints === undefined) throw new MailarkError("SIGNER_UNTRUSTED", "nobody has approved this host");
    const trusted = (await readTrust(vault, address.hostId, fingerprints)).keys.map(({ verifier }) => verifier);
    const manifest = readManifest(await readWhole(vault, at, maximumSignedBytes, signal), address, trusted);
    const verifier = new SnapshotVerifier(vault, {
      ...options,
      ...(!deep && {
        measure,
        earlier: () => sizesBelow(vault, componentPrefix(address.hostId, address.component), signal),
      }),
    });
    return { manifest, findings: await verifier.verify(manifest), versions, receivedAt };
  } catch (thrown) {
    return { manifest: undefined, findings: [findingOfManifest(address, thrown)], versions, receivedAt };
  }
}

async function sizesBelow(vault: ObjectReader, prefix: string, signal: AbortSignal | undefined) {
  const sizes = new Map<string, number>();
  for await (const row of vault.list(prefix, { ...(signal && { signal }) })) {
    if ("key" in row) sizes.set(row.key, row.bytes);
  }
  return sizes;
}

/** The worst of what was found names the outcome. */
function outcomeOf(findings: readonly Finding[]): VerdictOutcome {
  const codes = new Set(findings.map(({ code }) => code));
  if (codes.has("SIGNATURE_INVALID") || codes.has("SIGNER_UNTRUSTED")) return "forged";
  if (codes.size === 0) return "intact";
  return [...codes].every((code) => code === "OBJECT_MISSING") ? "incomplete" : "corrupt";
}

const timeText = (milliseconds: number) => new Date(milliseconds).toISOString();
