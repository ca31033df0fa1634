import { systemClock } from "../../core/ports/clock.ts";
import { listBackups } from "../../lambdas/api/list-backups.ts";
import type { RunningCloud } from "../cloud/cloud.ts";
import type { FleetHost } from "./fleet-host.ts";
import { controlBucket } from "./operator.ts";

/** So long may it take until all is stored and judged. */
const patienceMs = 300_000;

/** The newest good snapshot of one component. */
export interface GoodRow {
  readonly host: string;
  readonly component: string;
  readonly snapshotId: string;
}

/**
 * Waits until the controller has a good snapshot of everything that the hosts capture.
 *
 * @throws Error that names what is missing after five minutes of this machine.
 */
export async function untilGood(
  cloud: RunningCloud,
  hosts: readonly FleetHost[],
  signal?: AbortSignal,
): Promise<readonly GoodRow[]> {
  const control = controlBucket(cloud);
  const wanted = hosts.flatMap(({ hostId, components }) => components.map((name) => `${hostId}/${name}`));
  for (const end = systemClock.now() + patienceMs; ; await systemClock.sleep(500, signal)) {
    const { backups } = await listBackups(control, {}, signal);
    const good = backups.flatMap(({ hostId, host = hostId, component, good: [newest] }) =>
      newest === undefined ? [] : [{ ...newest, key: `${hostId}/${component}`, host, component }],
    );
    const missing = wanted.filter((each) => !good.some(({ key }) => key === each));
    if (missing.length === 0) return good;
    if (systemClock.now() > end) throw new Error(`no good snapshot of ${missing.join(", ")}`);
  }
}
