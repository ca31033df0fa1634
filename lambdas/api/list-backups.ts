import { type ComponentName, hostRecordKey, isComponentName, latestKey, latestPrefix } from "../../core/keys.ts";
import type { ControlStore } from "../control/control-store.ts";
import { type GoodSnapshot, readRecord } from "../control/records.ts";

export interface BackupsQuery {
  /** Storage id of the only host that is asked about. @default all */
  readonly host?: string | undefined;
  /** Where the page before ended: its `next`. */
  readonly after?: string | undefined;
}

/** One component of one host, as it was last judged. */
export interface ComponentBackups {
  readonly hostId: string;
  /** What people call it; absent where the operator has not approved it. */
  readonly host?: string;
  readonly component: ComponentName;
  /** Good snapshots, the newest receipt first: at most the last 16. Empty: none is good any more. */
  readonly good: readonly Omit<GoodSnapshot, "facts">[];
}

export interface BackupsPage {
  readonly backups: readonly ComponentBackups[];
  /** There are more: ask again with it as `after`. */
  readonly next?: string;
}

/** So many components of hosts are told at once: each is an object that is read. */
const pageLength = 100;

/** What the verifier found to be good, by host and component, in the order of their keys. A component that never had a good snapshot is not there. */
export async function listBackups(
  control: ControlStore,
  { host, after }: BackupsQuery,
  signal?: AbortSignal,
): Promise<BackupsPage> {
  const backups: ComponentBackups[] = [];
  const names = new Map<string, { readonly host?: string }>();
  const prefix = host === undefined ? latestPrefix : `${latestPrefix}${host}/`;
  const from = {
    ...(after !== undefined && { startAfter: `${latestPrefix}${after}.json` }),
    ...(signal && { signal }),
  };
  for await (const key of control.list(prefix, from)) {
    const [hostId = "", file = ""] = key.slice(latestPrefix.length).split("/");
    const component = file.replace(/\.json$/, "");
    if (!isComponentName(component) || key !== latestKey(hostId, component)) continue;
    const last = backups.at(-1);
    if (last && backups.length === pageLength) return { backups, next: `${last.hostId}/${last.component}` };
    const good = (await readRecord(control, "latest", key, signal))?.record.good ?? [];
    const name = names.get(hostId) ?? (await nameOf(control, hostId, signal));
    names.set(hostId, name);
    const told = good.map(({ facts: _, ...snapshot }) => snapshot);
    backups.push({ hostId, ...name, component, good: told });
  }
  return { backups };
}

async function nameOf(control: ControlStore, hostId: string, signal: AbortSignal | undefined) {
  const approved = await readRecord(control, "host", hostRecordKey(hostId), signal);
  return approved ? { host: approved.record.name } : {};
}
