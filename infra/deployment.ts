import { type Config, defaultSchedules, type Tier, type Timing } from "./config.ts";
import { checkConfig } from "./config-check.ts";

/** A configuration with everything decided. */
export interface Deployment extends Required<Omit<Config, "replicaRegion" | "schedules">> {
  readonly replicaRegion: string | undefined;
  readonly schedules: Record<Tier, Required<Timing>>;
}

/**
 * Checks a configuration and fills in its defaults.
 *
 * @throws Error that names every mistake with the value and the fix.
 */
export function readConfig(given: Config): Deployment {
  checkConfig(given);
  const { replicaRegion, schedules, ...rest } = given;
  const timing = (tier: Tier): Required<Timing> => ({
    windowMinutes: 15,
    ...defaultSchedules[tier],
    ...schedules?.[tier],
  });
  return {
    timeZone: "UTC",
    objectLock: { mode: "off" },
    undoDays: 14,
    storageClass: "STANDARD",
    logDays: 400,
    ...rest,
    replicaRegion,
    schedules: { databases: timing("databases"), files: timing("files"), mail: timing("mail"), full: timing("full") },
  };
}
