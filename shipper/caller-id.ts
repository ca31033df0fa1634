import { GetCallerIdentityCommand, STSClient } from "@aws-sdk/client-sts";
import { asMailarkError, MailarkError } from "../core/errors.ts";
import { patterns } from "../core/keys.ts";

/** Who the credentials are that AWS gives to this machine, as the id of a host: `ROLE-ID:SESSION`, `aws:userid` in a policy. */
export type CallerId = (region: string, signal?: AbortSignal) => Promise<string>;

/** As the SDK throws it: an answer of the service has `$metadata.httpStatusCode`, a failure on the way there has not. */
interface SdkError extends Error {
  readonly $metadata?: { readonly httpStatusCode?: number };
}

/**
 * Asks STS in this region, once (GetCallerIdentity, which needs no permission).
 *
 * @throws MailarkError `STORE_FORBIDDEN` without credentials that AWS accepts, or where they are no role's session that can name a host; `STORE_UNREACHABLE` or
 *   `STORE_BUSY`, both `retryable`, where there is no answer; the signal's own reason when it is aborted.
 */
export const callerId: CallerId = async (region, signal) => {
  const client = new STSClient({
    region,
    maxAttempts: 1,
    requestHandler: { connectionTimeout: 10_000, socketTimeout: 30_000 },
  });
  try {
    signal?.throwIfAborted();
    const { UserId = "" } = await client.send(new GetCallerIdentityCommand(), {
      ...(signal && { abortSignal: signal }),
    });
    return hostIdOf(UserId);
  } catch (thrown) {
    throw signal?.aborted ? asMailarkError(signal.reason) : stsError(thrown, region);
  } finally {
    client.destroy();
  }
};

/** Ids that begin with AROA are those of roles (IAM user guide, "IAM identifiers"); what follows the colon is the session's name. */
function hostIdOf(userId: string): string {
  if (!/^AROA[A-Z0-9]+:/.test(userId)) {
    throw new MailarkError("STORE_FORBIDDEN", "the credentials of this machine are not of a role's session", {
      detail: `AWS calls them ${userId}`,
      hint: "give the machine the role for mail hosts, and take keys of a user out of its environment and its ~/.aws",
    });
  }
  if (patterns.hostId.test(userId)) return userId;
  throw new MailarkError("STORE_FORBIDDEN", "the session of these credentials has a name that can not name a host", {
    detail: userId,
    hint: "use the credentials that AWS gives to the machine itself: their session is called as the machine",
  });
}

function stsError(thrown: unknown, region: string): MailarkError {
  if (thrown instanceof MailarkError || !(thrown instanceof Error) || thrown.name === "AbortError")
    return asMailarkError(thrown);
  const { name, message, $metadata } = thrown as SdkError;
  const status = $metadata?.httpStatusCode;
  const more = { detail: `STS in ${region}: ${[status, name, message].filter(Boolean).join(" ")}`, cause: thrown };
  if (name === "CredentialsProviderError" || name === "TokenProviderError") {
    return new MailarkError("STORE_FORBIDDEN", "this machine has no credentials of AWS", {
      ...more,
      hint: "give it the role for mail hosts: as an instance profile on EC2, by registering it with SSM elsewhere",
    });
  }
  if (status === undefined) {
    return new MailarkError("STORE_UNREACHABLE", "STS does not answer, which says who this machine is", {
      ...more,
      retryable: true,
      hint: "it must be reached, as the store must: look at the network, the firewall and the region in the store's URL",
    });
  }
  if (status >= 500 || name === "Throttling" || name === "ThrottlingException") {
    return new MailarkError("STORE_BUSY", "STS wants to be asked later", {
      ...more,
      retryable: true,
      hint: "run the command again in a while",
    });
  }
  return new MailarkError("STORE_FORBIDDEN", "STS does not accept the credentials of this machine", {
    ...more,
    hint: "renew them where they have expired; a clock that is wrong looks the same",
  });
}
