import type { Session } from "./iam/account.ts";
import { type Caller, roleNameOf } from "./iam/caller.ts";
import { digestOf } from "./made-up.ts";
import { type Cloud, refuseUnlessAllowed } from "./service.ts";

/**
 * A session of the role that a service was given for something of its user's; its trust policy decides.
 *
 * @param forWhat - ARN; the session is named after it, as services name theirs after ids of their own.
 * @throws CallRefused where the trust does not let the service in; Error where no stack has the role.
 */
export function serviceSession(
  cloud: Pick<Cloud, "account" | "allows">,
  service: string,
  role: string,
  forWhat: string,
  context: Readonly<Record<string, string>>,
): Session {
  const name = digestOf(forWhat).slice(0, 32);
  const session = cloud.account.session(roleNameOf(role), name);
  const caller: Caller = { kind: "service", service };
  const need = { action: "sts:AssumeRole", resource: session.role, context };
  refuseUnlessAllowed(cloud, caller, need);
  return session;
}
