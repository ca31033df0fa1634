/**
 * What the manifests of a host say, read back from the store.
 */
import { asMailarkError, exitCodes, MailarkError } from "./errors.ts";
import {
  addressOfManifest,
  type ComponentName,
  componentNames,
  componentPrefix,
  hostPrefix,
  hostsPrefix,
  manifestKey,
  patterns,
  type SnapshotAddress,
} from "./keys.ts";
import { type Manifest, readManifest } from "./manifest.ts";
import { maximumSignedBytes, type Verifier } from "./signed-document.ts";
import { readWhole } from "./stores/read-whole.ts";
import type { ObjectReader } from "./stores/store.ts";

/** A snapshot that the store lists: its manifest, or why it can not be believed. */
export type CatalogEntry =
  | { readonly address: SnapshotAddress; readonly manifest: Manifest; readonly error?: undefined }
  | { readonly address: SnapshotAddress; readonly manifest?: undefined; readonly error: MailarkError };

/** The same with the moment at which the store received its manifest, in milliseconds since 1970 by the store's clock. */
export type ListedSnapshot = CatalogEntry & { readonly receivedAt: number };

/** Which snapshot is meant: the newest, one by id, or the newest that is not younger than a time in milliseconds. */
export type Moment = "latest" | { readonly snapshotId: string } | { readonly notAfter: number };

/** All hosts that a store has something of. */
export async function listHosts(reader: ObjectReader): Promise<string[]> {
  const hosts: string[] = [];
  for await (const row of reader.list(hostsPrefix, { delimiter: "/" })) {
    if ("prefix" in row) hosts.push(row.prefix.slice(hostsPrefix.length, -1));
  }
  return hosts.filter((hostId) => patterns.hostId.test(hostId));
}

/** The components that a store has something of, in the order of capture. */
export async function listComponents(reader: ObjectReader, hostId: string): Promise<ComponentName[]> {
  const found = new Set<string>();
  for await (const row of reader.list(hostPrefix(hostId), { delimiter: "/" })) {
    if ("prefix" in row) found.add(row.prefix.slice(hostPrefix(hostId).length, -1));
  }
  return componentNames.filter((name) => found.has(name));
}

/**
 * The snapshots of a host, oldest first, by component in the order of capture. A manifest that can not be read, or is not trusted,
 * is an entry with its error; a store that can not be read throws.
 */
export async function* listSnapshots(
  reader: ObjectReader,
  hostId: string,
  trusted: readonly Verifier[],
  components: readonly ComponentName[] = componentNames,
): AsyncGenerator<ListedSnapshot> {
  for (const component of components) {
    for await (const row of reader.list(componentPrefix(hostId, component))) {
      if (!("key" in row)) continue;
      const address = addressOfManifest(row.key);
      if (address === undefined) continue;
      yield { ...(await readEntry(reader, address, trusted)), receivedAt: row.receivedAt };
    }
  }
}

/**
 * The snapshot that a restore should take, and the newer ones that were passed over because they can not be believed.
 *
 * @throws MailarkError `SNAPSHOT_UNKNOWN` when there is none; what is wrong with it where it was named by id.
 */
export async function findSnapshot(
  reader: ObjectReader,
  hostId: string,
  component: ComponentName,
  moment: Moment,
  trusted: readonly Verifier[],
): Promise<{ readonly manifest: Manifest; readonly passedOver: readonly CatalogEntry[] }> {
  if (typeof moment === "object" && "snapshotId" in moment) {
    const { snapshotId } = moment;
    const address = { hostId, component, snapshotId };
    if (!patterns.snapshotId.test(snapshotId) || (await reader.head(manifestKey(address))) === undefined) {
      throw unknown(`there is no snapshot ${snapshotId} of ${component}`);
    }
    const entry = await readEntry(reader, address, trusted);
    if (entry.error) throw entry.error;
    return { manifest: entry.manifest, passedOver: [] };
  }
  const addresses: SnapshotAddress[] = [];
  for await (const row of reader.list(componentPrefix(hostId, component))) {
    const address = "key" in row ? addressOfManifest(row.key) : undefined;
    if (address !== undefined) addresses.push(address);
  }
  const passedOver: CatalogEntry[] = [];
  for (const address of addresses.reverse()) {
    const entry = await readEntry(reader, address, trusted);
    if (entry.error) passedOver.push(entry);
    else if (moment === "latest" || Date.parse(entry.manifest.cutAt) <= moment.notAfter) {
      return { manifest: entry.manifest, passedOver };
    }
  }
  const when = moment === "latest" ? "" : ` up to ${new Date(moment.notAfter).toISOString()}`;
  throw passedOver[0]?.error ?? unknown(`there is no snapshot of ${component}${when}`);
}

async function readEntry(
  reader: ObjectReader,
  address: SnapshotAddress,
  trusted: readonly Verifier[],
): Promise<CatalogEntry> {
  try {
    const bytes = await readWhole(reader, manifestKey(address), maximumSignedBytes);
    return { address, manifest: readManifest(bytes, address, trusted) };
  } catch (thrown) {
    const error = asMailarkError(thrown);
    if (error.exitCode !== exitCodes.verification) throw error;
    return { address, error };
  }
}

const unknown = (message: string) =>
  new MailarkError("SNAPSHOT_UNKNOWN", message, { hint: "`mailark list` shows what the store holds" });
