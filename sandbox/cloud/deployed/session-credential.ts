import { createHash } from "node:crypto";
import type { Clock } from "../../../core/ports/clock.ts";
import { systemClock } from "../../../core/ports/clock.ts";
import type { Account, Session } from "../iam/account.ts";
import { type Caller, roleNameOf } from "../iam/caller.ts";
import { kindOfKey } from "../iam/condition-keys.ts";
import type { Decision } from "../iam/decide.ts";
import type { Credential, Need } from "../s3/credentials.ts";

export interface JudgeOptions {
  readonly region: string;
  /** How requests count as having come; the sandbox itself speaks HTTP on this machine. Default: TLS 1.3. */
  readonly transport?: "http" | `TLS ${"1.0" | "1.1" | "1.2" | "1.3"}`;
  /** Default: the machine's. */
  readonly clock?: Pick<Clock, "now">;
  /** Is told every decision. */
  readonly decided?: (caller: Caller, need: Need, decision: Decision) => void;
}

/** Whether a caller may do something, by the policies of the account and with the condition keys that every request has. */
export function judge(
  account: Account,
  { region, transport = "TLS 1.3", clock = systemClock, decided }: JudgeOptions,
): (caller: Caller, need: Need) => boolean {
  const around = () => ({
    "aws:CurrentTime": new Date(clock.now()).toISOString(),
    "aws:EpochTime": String(Math.floor(clock.now() / 1000)),
    "aws:RequestedRegion": region,
  });
  return (caller, need) => {
    // S3 asks KMS itself, in the caller's name.
    const forwarded = need.context["kms:ViaService"] !== undefined;
    const [, tls] = transport.split(" ");
    const line = {
      "aws:SecureTransport": String(forwarded || tls !== undefined),
      "aws:ViaAWSService": String(forwarded),
      ...(!forwarded && tls !== undefined && { "s3:TlsVersion": tls }),
      ...(caller.kind !== "service" && { "aws:SourceIp": "127.0.0.1" }),
    };
    const context = { ...around(), ...line, ...valuesOf(need.context) };
    const decision = account.judge({ caller, action: need.action, resource: need.resource, context });
    decided?.(caller, need, decision);
    return decision.allowed;
  };
}

export interface SessionCredentialOptions extends JudgeOptions {
  /** Milliseconds since 1970, from which on it is refused. Default: never. */
  readonly expiresAt?: number;
}

/** What a session signs with; each of its calls is judged by the policies of the account. */
export function sessionCredential(
  account: Account,
  session: Session,
  { expiresAt, ...options }: SessionCredentialOptions,
): Credential {
  const { roleId, role, session: name } = session;
  const secret = (purpose: string) =>
    createHash("sha256").update([purpose, roleId, name, options.transport, expiresAt].join("/")).digest("hex");
  const may = judge(account, options);
  return {
    accessKeyId: `ASIA${secret("id").slice(0, 16).toUpperCase()}`,
    secretAccessKey: secret("key"),
    sessionToken: secret("token"),
    ...(expiresAt !== undefined && { expiresAt }),
    name: `${roleNameOf(role)}/${name}`,
    allow: (need) => may(session, need),
  };
}

/** What the account's owner signs with: no policy has to allow anything, and a denial to everybody counts. */
export function rootCredential(account: Account, accountId: string, options: JudgeOptions): Credential {
  const may = judge(account, options);
  return {
    accessKeyId: "AKIAROOT",
    secretAccessKey: createHash("sha256").update(`root/${accountId}`).digest("hex"),
    name: "root",
    allow: (need) => may({ kind: "root", account: accountId }, need),
  };
}

/** The server gives a key of several values as one text, with commas, which none of these values may have. */
function valuesOf(context: Need["context"]): Record<string, string | readonly string[]> {
  return Object.fromEntries(
    Object.entries(context).map(([key, value]) => [key, kindOfKey(key) === "several" ? value.split(",") : value]),
  );
}
