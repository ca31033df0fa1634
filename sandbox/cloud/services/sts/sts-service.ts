import { identityOf } from "../../iam/caller.ts";
import { type ApiCall, CallRefused, type Cloud, nameOf, type Service } from "../../service.ts";
import type { Resource } from "../../template/stack.ts";
import { onlyInput } from "../../understood.ts";

/** STS: who is who, and who may become whom. Roles are its resources; their policies are the account's. */
export function stsService(cloud: Cloud): Service {
  const roles = new Map<string, Resource>();

  function getCallerIdentity(call: ApiCall) {
    onlyInput(call, []);
    return { Account: cloud.accountId, ...identityOf(call.caller) };
  }

  function assumeRole(call: ApiCall) {
    onlyInput(call, ["RoleArn", "RoleSessionName", "ExternalId", "DurationSeconds"]);
    const { caller } = call;
    const {
      RoleArn,
      RoleSessionName,
      ExternalId,
      DurationSeconds = "3600",
    } = call.input as Partial<Record<string, string>>;
    if (!/^[\w+=,.@-]{2,64}$/.test(RoleSessionName ?? "")) throw invalid("RoleSessionName");
    const role = roles.get(RoleArn ?? "");
    const context = {
      "sts:RoleSessionName": RoleSessionName!,
      ...(ExternalId !== undefined && { "sts:ExternalId": ExternalId }),
    };
    // A role that is not there is refused in the same words.
    if (role === undefined || !cloud.allows(caller, { action: "sts:AssumeRole", resource: RoleArn!, context })) {
      const message = `${nameOf(caller)} is not authorized to perform: sts:AssumeRole on resource: ${RoleArn}`;
      throw new CallRefused("AccessDenied", message, 403);
    }
    // One that a session takes lasts an hour at most ("role chaining").
    const longest = caller.kind === "session" ? 3600 : (role.properties.MaxSessionDuration ?? 3600);
    const seconds = Number(DurationSeconds);
    if (!(seconds >= 900 && seconds <= longest)) throw invalid("DurationSeconds");
    const expiresAt = cloud.clock.now() + seconds * 1000;
    const { accessKeyId, secretAccessKey, sessionToken } = cloud.credential(role.ref, RoleSessionName!, expiresAt);
    const session = cloud.account.session(role.ref, RoleSessionName!);
    cloud.note(`sts: ${nameOf(caller)} is ${nameOf(session)} now`);
    const { UserId, Arn } = identityOf(session);
    return {
      AssumedRoleUser: { AssumedRoleId: UserId, Arn },
      Credentials: {
        AccessKeyId: accessKeyId,
        SecretAccessKey: secretAccessKey,
        SessionToken: sessionToken,
        Expiration: new Date(expiresAt).toISOString(),
      },
    };
  }

  return {
    name: "sts",
    types: ["AWS::IAM::Role"],
    make: (role) => void roles.set(role.attributes.Arn as string, role),
    async answer(call) {
      if (call.operation === "GetCallerIdentity") return getCallerIdentity(call);
      if (call.operation === "AssumeRole") return assumeRole(call);
      throw new Error(`sts: ${call.operation} is not known`);
    },
  };
}

function invalid(member: string): CallRefused {
  return new CallRefused(
    "ValidationError",
    `1 validation error detected: Value at '${member}' failed to satisfy constraint`,
  );
}
