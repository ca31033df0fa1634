import { createHash } from "node:crypto";
import type { Clock } from "../../../core/ports/clock.ts";
import { systemClock } from "../../../core/ports/clock.ts";
import type { Account, Session } from "../iam/account.ts";
import { kindOfKey } from "../iam/condition-keys.ts";
import type { Decision } from "../iam/decide.ts";
import type { Credential, Need } from "../s3/credentials.ts";

export interface SessionCredentialOptions {
  readonly region: string;
  /** How its requests count as having come; the sandbox itself speaks HTTP on this machine. Default: TLS 1.3. */
  readonly transport?: "http" | `TLS ${"1.0" | "1.1" | "1.2" | "1.3"}`;
  /** Default: the machine's. */
  readonly clock?: Clock;
  /** Is told every decision. */
  readonly decided?: (need: Need, decision: Decision) => void;
}

/** What a session signs with; each of its calls is judged by the policies of the account. */
export function sessionCredential(
  account: Account,
  session: Session,
  { region, transport = "TLS 1.3", clock = systemClock, decided }: SessionCredentialOptions,
): Credential {
  const secret = (purpose: string) =>
    createHash("sha256").update([purpose, session.roleId, session.session, transport].join("/")).digest("hex");
  const around = () => ({
    "aws:CurrentTime": new Date(clock.now()).toISOString(),
    "aws:EpochTime": String(Math.floor(clock.now() / 1000)),
    "aws:RequestedRegion": region,
    "aws:SourceIp": "127.0.0.1",
  });
  return {
    accessKeyId: `ASIA${secret("id").slice(0, 16).toUpperCase()}`,
    secretAccessKey: secret("key"),
    sessionToken: secret("token"),
    name: `${session.role.slice(session.role.lastIndexOf("/") + 1)}/${session.session}`,
    allow(need) {
      // S3 asks KMS itself, in the caller's name.
      const forwarded = need.context["kms:ViaService"] !== undefined;
      const [, tls] = transport.split(" ");
      const line = {
        "aws:SecureTransport": String(forwarded || tls !== undefined),
        "aws:ViaAWSService": String(forwarded),
        ...(!forwarded && tls !== undefined && { "s3:TlsVersion": tls }),
      };
      const context = { ...around(), ...line, ...valuesOf(need.context) };
      const decision = account.judge({ caller: session, action: need.action, resource: need.resource, context });
      decided?.(need, decision);
      return decision.allowed;
    },
  };
}

/** The server gives a key of several values as one text, with commas, which none of these values may have. */
function valuesOf(context: Need["context"]): Record<string, string | readonly string[]> {
  return Object.fromEntries(
    Object.entries(context).map(([key, value]) => [key, kindOfKey(key) === "several" ? value.split(",") : value]),
  );
}
