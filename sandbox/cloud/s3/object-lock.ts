import { malformedXml, S3Error } from "./errors.ts";
import { childrenOf, element, textOf, type Xml, type XmlElement } from "./xml.ts";

export type LockMode = "GOVERNANCE" | "COMPLIANCE";

export interface Retention {
  readonly mode: LockMode;
  /** Milliseconds since 1970. */
  readonly until: number;
}

/** What keeps one version from being removed. */
export interface ObjectLock {
  readonly retention?: Retention | undefined;
  readonly legalHold?: boolean | undefined;
}

export interface LockConfiguration {
  /** What a new version gets when its PUT says nothing. */
  readonly default?: { readonly mode: LockMode; readonly days: number } | undefined;
}

const day = 24 * 60 * 60_000;

/** The lock of a new version: what the request says, else the bucket's default. */
export function lockOfNew(
  headers: Readonly<Record<string, string>>,
  configuration: LockConfiguration | undefined,
  now: number,
): ObjectLock {
  const mode = headers["x-amz-object-lock-mode"];
  const until = headers["x-amz-object-lock-retain-until-date"];
  const hold = headers["x-amz-object-lock-legal-hold"];
  if ([mode, until, hold].some((each) => each !== undefined)) requireLock(configuration);
  if ((mode === undefined) !== (until === undefined)) {
    throw new S3Error(
      "InvalidArgument",
      "x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied",
    );
  }
  if (hold !== undefined && hold !== "ON" && hold !== "OFF") {
    throw new S3Error("InvalidArgument", "Legal Hold must be either of 'ON' or 'OFF'");
  }
  const byDefault = configuration?.default;
  return {
    retention:
      mode !== undefined
        ? retention(mode, until!, now)
        : byDefault && { mode: byDefault.mode, until: now + byDefault.days * day },
    legalHold: hold === undefined ? undefined : hold === "ON",
  };
}

export function isLocked({ retention: kept, legalHold }: ObjectLock): boolean {
  return kept !== undefined || legalHold !== undefined;
}

/** @throws S3Error when the bucket was made without Object Lock. */
export function requireLock(configuration: LockConfiguration | undefined): void {
  if (configuration === undefined) {
    throw new S3Error("InvalidRequest", "Bucket is missing Object Lock Configuration");
  }
}

/** @throws S3Error when the version must stay. */
export function checkRemovable(lock: ObjectLock, { now, bypass }: { readonly now: number; readonly bypass: boolean }) {
  const { retention: kept, legalHold } = lock;
  const retained = kept !== undefined && kept.until > now && !(kept.mode === "GOVERNANCE" && bypass);
  if (legalHold || retained) throw protectedByLock();
}

/** @throws S3Error when the new retention would give up what the old one promises. */
export function checkReplaceable(
  before: Retention | undefined,
  next: Retention | undefined,
  { now, bypass }: { readonly now: number; readonly bypass: boolean },
): void {
  if (before === undefined || before.until <= now) return;
  if (before.mode === "GOVERNANCE" && bypass) return;
  const weaker =
    next === undefined || next.until < before.until || (before.mode === "COMPLIANCE" && next.mode !== "COMPLIANCE");
  if (weaker) throw protectedByLock();
}

function protectedByLock(): S3Error {
  return new S3Error("AccessDenied", "Access Denied because object protected by object lock.");
}

export function retention(mode: string, until: string, now: number): Retention {
  if (mode !== "GOVERNANCE" && mode !== "COMPLIANCE")
    throw new S3Error("InvalidArgument", "Unknown wormMode directive.");
  const at = Date.parse(until);
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d/.test(until) || Number.isNaN(at)) {
    throw new S3Error("InvalidArgument", "The retain until date must be provided in ISO 8601 format");
  }
  if (at <= now) throw new S3Error("InvalidArgument", "The retain until date must be in the future!");
  return { mode, until: at };
}

/** Headers that tell of a version's lock. */
export function lockHeaders({ retention: kept, legalHold }: ObjectLock): Record<string, string> {
  return {
    ...(kept && {
      "x-amz-object-lock-mode": kept.mode,
      "x-amz-object-lock-retain-until-date": new Date(kept.until).toISOString(),
    }),
    ...(legalHold !== undefined && { "x-amz-object-lock-legal-hold": legalHold ? "ON" : "OFF" }),
  };
}

/** The body of `PutObjectLockConfiguration`. */
export function lockConfiguration(document: XmlElement): LockConfiguration {
  childrenOf(document, ["ObjectLockEnabled", "Rule"]);
  if (textOf(document, "ObjectLockEnabled") !== "Enabled") throw malformedXml();
  const rule = document.children.find(({ name }) => name === "Rule");
  if (rule === undefined) return {};
  const [byDefault] = childrenOf(rule, ["DefaultRetention"]);
  if (byDefault === undefined) throw malformedXml();
  const [mode, days, years] = ["Mode", "Days", "Years"].map((name) => textOf(byDefault, name));
  const count = Number(days ?? years);
  if (mode !== "GOVERNANCE" && mode !== "COMPLIANCE") throw malformedXml();
  if ((days === undefined) === (years === undefined) || !Number.isInteger(count) || count < 1) throw malformedXml();
  return { default: { mode, days: days === undefined ? count * 365 : count } };
}

export function lockConfigurationDocument({ default: byDefault }: LockConfiguration): (Xml | undefined)[] {
  return [
    element("ObjectLockEnabled", "Enabled"),
    byDefault &&
      element("Rule", [
        element("DefaultRetention", [element("Mode", byDefault.mode), element("Days", byDefault.days)]),
      ]),
  ];
}
