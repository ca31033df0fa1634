/**
 * What an operator decides about a deployment: one typed object. `infra/config.example.ts` is one; `readConfig` in deployment.ts checks it.
 */
import { componentNames } from "../core/keys.ts";

/**
 * What S3 Object Lock does to what is stored, from its receipt on.
 *
 * - `off`: the vault holds by its policies: no identity may delete data, and lifecycle removes only what is tagged as expired. Whoever may change
 *   policies in the account can take that away.
 * - `governance`: nothing younger than `days` can be deleted, but by an identity that has `s3:BypassGovernanceRetention`. Nothing in these stacks has it.
 * - `compliance`: **nothing younger than `days` can be deleted by anybody, the account's root and AWS included, nor can the period be shortened.**
 *   You pay for every object until then, also for what a mistake or an intruder stored. Try `governance` first.
 *
 * Once on, the lock and versioning of a bucket can not be turned off again. The keyring is never locked, or a mailbox could not be erased.
 */
export type ObjectLock =
  | { readonly mode: "off" }
  | { readonly mode: "governance" | "compliance"; readonly days: number };

/** When something is started: `rate(6 hours)` or `cron(0 3 * * ? *)`, as EventBridge Scheduler reads them. */
export interface Timing {
  /** Keep local times out of 01:00 to 03:59 in a time zone with daylight saving: one night a year they do not exist. */
  readonly expression: string;
  /** Minutes over which hosts are started, so that not all of them come at once; 0 to 1,440. @default 15 */
  readonly windowMinutes?: number;
}

export interface Config {
  /** What names of buckets, roles and documents begin with: 3 to 20 of a-z 0-9 -. It can not be changed later. */
  readonly name: string;
  /** The account that is deployed to, 12 digits: credentials of another one are refused. */
  readonly account: string;
  readonly region: string;
  /** Addresses that alarms go to; each must confirm a message that AWS sends. */
  readonly alarmEmails: readonly string[];
  /** Name of the time zone that `cron(…)` is read in. @default "UTC" */
  readonly timeZone?: string;
  /** @default { mode: "off" } */
  readonly objectLock?: ObjectLock;
  /** Days for which what expired can still be brought back, 1 to 365. @default 14 */
  readonly undoDays?: number;
  /** Another region that data and keyring are copied to. @default no copy */
  readonly replicaRegion?: string;
  /** Storage class that hosts write: only classes that can be read at once. @default "STANDARD" */
  readonly storageClass?: "STANDARD" | "STANDARD_IA" | "INTELLIGENT_TIERING" | "GLACIER_IR";
  /** Days for which access logs and the functions' logs are kept. @default 400 */
  readonly logDays?: number;
  /** Times of the backups of each tier. @default {@link defaultSchedules} */
  readonly schedules?: Partial<Record<Tier, Timing>>;
}

/** Backups that are started together, and what each captures. Mail is incremental, also in `full`, where everything has one cut point. */
export const tiers = {
  databases: ["mysql", "postgres", "redis"],
  files: ["configs", "certs"],
  mail: ["queue", "mail"],
  full: componentNames,
} as const;
export type Tier = keyof typeof tiers;

export const defaultSchedules: Record<Tier, Timing> = {
  databases: { expression: "rate(6 hours)" },
  files: { expression: "cron(30 4 * * ? *)" },
  mail: { expression: "cron(0 5 * * ? *)" },
  full: { expression: "cron(0 6 ? * SUN *)" },
};
