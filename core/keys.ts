/**
 * The keys of objects. They are built and taken apart here and nowhere else (docs/format.md §1).
 */
import { MailarkError } from "./errors.ts";

/**
 * What is captured and restored as a whole, in the order in which a run captures it. The queue comes before the mail: a message that is
 * delivered between the two is then in both, and the other way round it would be in neither.
 */
export const componentNames = ["mysql", "postgres", "redis", "queue", "mail", "configs", "certs"] as const;
export type ComponentName = (typeof componentNames)[number];

/** The owner of the host's own data keys, as against a mailbox's. */
export const hostOwner = "host";

export const patterns = {
  hostId: /^[A-Za-z0-9][A-Za-z0-9:._-]{1,127}$/,
  snapshotId: /^\d{8}T\d{6}\.\d{3}Z-[0-9a-z]{10}$/,
  packName: /^(?!0+$)\d{4,8}$/,
  pack: /^\d{8}T\d{6}\.\d{3}Z-[0-9a-z]{10}\/(?!0+$)\d{4,8}$/,
  ownerId: /^(host|[a-z2-7]{26})$/,
  keyId: /^[0-9a-f]{32}$/,
  sha256: /^[0-9a-f]{64}$/,
  crc64nvme: /^[0-9a-f]{16}$/,
  breakGlass: /^1-[0-9a-f]{16}$/,
  requestId: /^[A-Za-z0-9][A-Za-z0-9_.:-]{0,99}$/,
} as const;

const objectKey = /^(?=.{1,1024}$)[A-Za-z0-9_:-][A-Za-z0-9._:-]*(\/[A-Za-z0-9_:-][A-Za-z0-9._:-]*)*$/;

export const isKey = (key: string): boolean => objectKey.test(key);

/**
 * Passes a key through.
 *
 * @throws MailarkError `ARGUMENT_INVALID` when it is none, so that a key can never name something outside the store.
 */
export function checkedKey(key: string): string {
  if (isKey(key)) return key;
  throw new MailarkError("ARGUMENT_INVALID", "not a key of an object", { detail: JSON.stringify(key) });
}

/**
 * Passes the start of keys through: nothing, a key, or a key and a slash.
 *
 * @throws MailarkError `ARGUMENT_INVALID` when no key can start with it.
 */
export function checkedPrefix(prefix: string): string {
  if (prefix !== "") checkedKey(prefix.replace(/\/$/, ""));
  return prefix;
}

/** A snapshot's place: everything of it has a key below {@link snapshotPrefix}. */
export interface SnapshotAddress {
  readonly hostId: string;
  readonly component: ComponentName;
  readonly snapshotId: string;
}

/** A pack by the name under which manifests and indexes refer to it: `SNAPSHOT/NNNN`. */
export type PackReference = string;

export const hostsPrefix = "hosts/";
export const hostPrefix = (hostId: string) => `hosts/${hostId}/`;
export const componentPrefix = (hostId: string, component: ComponentName) => `hosts/${hostId}/${component}/`;
export const snapshotPrefix = ({ hostId, component, snapshotId }: SnapshotAddress) =>
  `${componentPrefix(hostId, component)}${snapshotId}/`;
export const manifestKey = (address: SnapshotAddress) => checkedKey(`${snapshotPrefix(address)}manifest.json`);
export const closureKey = (address: SnapshotAddress) => checkedKey(`${snapshotPrefix(address)}closure.zst`);
export const packKey = (hostId: string, component: ComponentName, pack: PackReference) =>
  checkedKey(`${componentPrefix(hostId, component)}${pack}.pack`);
export const runsPrefix = (hostId: string) => `hosts/${hostId}/runs/`;
export const runKey = (hostId: string, runId: string) => checkedKey(`${runsPrefix(hostId)}${runId}.json`);
export const enrolmentPrefix = (hostId: string) => `hosts/${hostId}/enrol/`;
export const enrolmentKey = (hostId: string, keyId: string) => checkedKey(`${enrolmentPrefix(hostId)}${keyId}.json`);
export const breakGlassPrefix = (hostId: string) => `hosts/${hostId}/break-glass/`;
export const breakGlassKey = (hostId: string, version: string, file: "restore.sh" | "format.md") =>
  checkedKey(`${breakGlassPrefix(hostId)}${version}/${file}`);
/** What a probe of the store leaves. */
export const doctorPrefix = (hostId: string) => `hosts/${hostId}/doctor/`;
/** Whether it is the key of a break-glass object, whose version says what is in it. */
export const isBreakGlassKey = (key: string): boolean => /^hosts\/[^/]+\/break-glass\//.test(key);
/** What keys of the keyring begin with: it may lie in a place of its own. */
export const keyringRoot = "keyring/";
export const keyringPrefix = (hostId: string) => `${keyringRoot}${hostId}/`;
export const keyringKey = (hostId: string, ownerId: string, keyId: string) =>
  checkedKey(`${keyringPrefix(hostId)}${ownerId}/${keyId}.age`);

/** What the controller writes, in a bucket of its own; hosts have no part in it. */
export const verdictKey = ({ hostId, component, snapshotId }: SnapshotAddress) =>
  checkedKey(`control/verdicts/${hostId}/${component}/${snapshotId}.json`);
export const latestPrefix = "control/latest/";
export const latestKey = (hostId: string, component: ComponentName) =>
  checkedKey(`${latestPrefix}${hostId}/${component}.json`);
/** What the operator says of a host: its name, and whose signatures count. */
export const hostRecordKey = (hostId: string) => checkedKey(`control/hosts/${hostId}.json`);
export const dispatchKey = (requestId: string) => checkedKey(`control/dispatches/${requestId}.json`);
/** What hosts say of their runs for a request, each in one object. */
export const requestRunsPrefix = (requestId: string) => `control/runs/${requestId}/`;
export const requestRunKey = (requestId: string, hostId: string) =>
  checkedKey(`${requestRunsPrefix(requestId)}${hostId}.json`);

/** What S3 lifecycle may remove: the controller's retention tags it, and nothing else does. */
export const expiredTag = { key: "mailark-expired", value: "true" } as const;

/** The name of a pack by its number in the snapshot, from 1. */
export const packName = (number: number) => String(number).padStart(4, "0");

/** What the key of a manifest says, or `undefined` where the key is not that of a manifest. */
export function addressOfManifest(key: string): SnapshotAddress | undefined {
  const [hosts, hostId = "", component, snapshotId = "", file, ...rest] = key.split("/");
  if (hosts !== "hosts" || file !== "manifest.json" || rest.length > 0) return undefined;
  if (!isComponentName(component) || !patterns.hostId.test(hostId) || !patterns.snapshotId.test(snapshotId)) {
    return undefined;
  }
  return { hostId, component, snapshotId };
}

/** Whether a key is that of a pack or a closure: what a snapshot's data lies in. */
export function isDataKey(key: string): boolean {
  const [hosts, hostId = "", component, snapshotId = "", file = "", ...rest] = key.split("/");
  const placed = hosts === "hosts" && patterns.hostId.test(hostId) && isComponentName(component) && rest.length === 0;
  const named = file === "closure.zst" || (file.endsWith(".pack") && patterns.packName.test(file.slice(0, -5)));
  return placed && patterns.snapshotId.test(snapshotId) && named;
}

/** The key of the manifest of the snapshot that a pack or a closure was stored with. */
export const manifestBeside = (dataKey: string): string =>
  checkedKey(`${dataKey.slice(0, dataKey.lastIndexOf("/"))}/manifest.json`);

/** The id in the key of an object that a host stores; `undefined` where no host does. */
export const hostOfKey = (key: string): string | undefined => /^(?:hosts|keyring)\/([^/]+)\//.exec(key)?.[1];

/** The name of its machine, where a host has its storage id from AWS: `ROLE-ID:INSTANCE-ID`. */
export const machineOf = (hostId: string): string => hostId.slice(hostId.lastIndexOf(":") + 1);

/** A run's place: its record has the key {@link runKey}. */
export interface RunAddress {
  readonly hostId: string;
  readonly runId: string;
}

/** What the key of a run's record says, or `undefined` where the key is not that of one. */
export function addressOfRun(key: string): RunAddress | undefined {
  const [hosts, hostId = "", runs, file = "", ...rest] = key.split("/");
  const runId = file.slice(0, -".json".length);
  const isRecord = file.endsWith(".json") && patterns.snapshotId.test(runId) && rest.length === 0;
  return hosts === "hosts" && patterns.hostId.test(hostId) && runs === "runs" && isRecord
    ? { hostId, runId }
    : undefined;
}

/** Whether it is the key of a run's record. */
export const isRunKey = (key: string): boolean => addressOfRun(key) !== undefined;

export const isComponentName = (name: unknown): name is ComponentName => componentNames.includes(name as ComponentName);
