/** Who asks. */
export type Caller =
  | {
      readonly kind: "session";
      readonly account: string;
      /** ARN of the role. */
      readonly role: string;
      /** `AROA…`. */
      readonly roleId: string;
      readonly session: string;
    }
  | { readonly kind: "root"; readonly account: string }
  /** A service of AWS for itself: `scheduler.amazonaws.com`. */
  | { readonly kind: "service"; readonly service: string }
  /** Somebody that another identity provider vouches for. */
  | { readonly kind: "federated"; readonly provider: string };

/** What a policy calls somebody. */
export type Principal =
  | { readonly kind: "everyone" }
  | { readonly kind: "account"; readonly account: string }
  | { readonly kind: "arn"; readonly arn: string }
  | { readonly kind: "service"; readonly service: string }
  | { readonly kind: "federated"; readonly provider: string };

/** Condition keys that follow from who asks ("AWS global condition context keys", "Properties of the principal"). */
export function contextOfCaller(caller: Caller): Readonly<Record<string, string>> {
  const service = { "aws:PrincipalIsAWSService": String(caller.kind === "service") };
  switch (caller.kind) {
    case "session":
      return {
        ...service,
        "aws:PrincipalAccount": caller.account,
        "aws:PrincipalArn": caller.role,
        "aws:PrincipalType": "AssumedRole",
        "aws:userid": `${caller.roleId}:${caller.session}`,
        "kms:CallerAccount": caller.account,
      };
    case "root":
      return {
        ...service,
        "aws:PrincipalAccount": caller.account,
        "aws:PrincipalArn": `arn:aws:iam::${caller.account}:root`,
        "aws:PrincipalType": "Account",
        "aws:userid": caller.account,
        "kms:CallerAccount": caller.account,
      };
    case "service":
      return { ...service, "aws:PrincipalServiceName": caller.service };
    case "federated":
      return service;
  }
}

/**
 * Whether a policy that names the principal means the caller: `itself`, as `session`, or only as one of an `account`,
 * which leaves it to that account whom it lets in. `undefined`: somebody else.
 */
export function meets(caller: Caller, principal: Principal): "itself" | "session" | "account" | undefined {
  switch (principal.kind) {
    case "everyone":
      return "itself";
    case "service":
      return caller.kind === "service" && caller.service === principal.service ? "itself" : undefined;
    case "federated":
      return caller.kind === "federated" && caller.provider === principal.provider ? "itself" : undefined;
    case "account":
      if (!("account" in caller) || caller.account !== principal.account) return undefined;
      return caller.kind === "root" ? "itself" : "account";
    case "arn":
      if (caller.kind !== "session") return undefined;
      if (principal.arn === sessionArn(caller)) return "session";
      return principal.arn === caller.role ? "itself" : undefined;
  }
}

/**
 * Whether `NotPrincipal` leaves the caller out: each of its names must be there, the account's and the role's too ("IAM
 * JSON policy elements: NotPrincipal").
 */
export function isLeftOut(caller: Caller, principals: readonly Principal[]): boolean {
  if (principals.some(({ kind }) => kind === "everyone")) return true;
  const has = (wanted: Principal) =>
    principals.some((each) => JSON.stringify(Object.entries(each)) === JSON.stringify(Object.entries(wanted)));
  switch (caller.kind) {
    case "session":
      return (
        has({ kind: "account", account: caller.account }) &&
        has({ kind: "arn", arn: caller.role }) &&
        has({ kind: "arn", arn: sessionArn(caller) })
      );
    case "root":
      return has({ kind: "account", account: caller.account });
    default:
      return has(caller);
  }
}

/** What `GetCallerIdentity` says of somebody with a key. @throws Error for one without. */
export function identityOf(caller: Caller): { readonly UserId: string; readonly Arn: string } {
  const { "aws:userid": UserId, "aws:PrincipalArn": Arn } = contextOfCaller(caller);
  if (UserId === undefined || Arn === undefined) throw new Error(`a ${caller.kind} has no key`);
  return { UserId, Arn: caller.kind === "session" ? sessionArn(caller) : Arn };
}

/** Of a role's ARN, which may have a path before it. */
export const roleNameOf = (arn: string): string => arn.slice(arn.lastIndexOf("/") + 1);

function sessionArn({ account, role, session }: Extract<Caller, { kind: "session" }>): string {
  return `arn:aws:sts::${account}:assumed-role/${roleNameOf(role)}/${session}`;
}
