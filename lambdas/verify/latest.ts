import { MailarkError } from "../../core/errors.ts";
import { latestKey, type SnapshotAddress } from "../../core/keys.ts";
import { type Manifest, storedBytes } from "../../core/manifest.ts";
import type { ControlStore } from "../control/control-store.ts";
import { type GoodSnapshot, readRecord, recordBytes } from "../control/records.ts";

/** Enough to fall back on when the newest ones turn out bad; the catalog has them all. */
const remembered = 16;

/** The last good snapshots of a component, the newest receipt first. */
export async function readLatest(
  control: ControlStore,
  { hostId, component }: Pick<SnapshotAddress, "hostId" | "component">,
  signal?: AbortSignal,
): Promise<readonly GoodSnapshot[]> {
  return (await readRecord(control, "latest", latestKey(hostId, component), signal))?.record.good ?? [];
}

/** Counts a snapshot among the good ones. Order is by receipt: the host's own clock and the names it gives say nothing. */
export async function noteGood(
  control: ControlStore,
  address: SnapshotAddress,
  { cutAt, kind, packs, facts }: Manifest,
  receivedAt: string,
  signal?: AbortSignal,
): Promise<void> {
  const { snapshotId } = address;
  const noted: GoodSnapshot = { snapshotId, receivedAt, cutAt, kind, bytesStored: storedBytes({ packs }), facts };
  await change(control, address, signal, (good) =>
    [...good.filter((each) => each.snapshotId !== snapshotId), noted]
      .sort((a, b) =>
        a.receivedAt === b.receivedAt ? order(b.snapshotId, a.snapshotId) : order(b.receivedAt, a.receivedAt),
      )
      .slice(0, remembered),
  );
}

/** Nothing may build any more on a snapshot that is not good. */
export async function noteLost(control: ControlStore, address: SnapshotAddress, signal?: AbortSignal): Promise<void> {
  await change(control, address, signal, (good) => good.filter(({ snapshotId }) => snapshotId !== address.snapshotId));
}

async function change(
  control: ControlStore,
  { hostId, component }: SnapshotAddress,
  signal: AbortSignal | undefined,
  edit: (good: readonly GoodSnapshot[]) => GoodSnapshot[],
): Promise<void> {
  const key = latestKey(hostId, component);
  for (let attempt = 1; attempt <= 8; attempt += 1) {
    const before = await readRecord(control, "latest", key, signal);
    const was = before?.record.good ?? [];
    const good = edit(was);
    if (JSON.stringify(good) === JSON.stringify(was)) return;
    const record = { format: "mailark-latest/1" as const, hostId, component, good };
    if (await control.replace(key, recordBytes(record), before?.held, signal)) return;
  }
  throw new MailarkError("STORE_BUSY", "too many judgements of one component at once", { retryable: true });
}

const order = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
