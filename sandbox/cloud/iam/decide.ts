import { type Caller, contextOfCaller, isLeftOut, meets } from "./caller.ts";
import { type Context, variable } from "./conditions.ts";
import type { Pattern } from "./pattern.ts";
import type { Policy, Several, Statement } from "./policy.ts";

export interface Request {
  readonly caller: Caller;
  /** `s3:PutObject`. */
  readonly action: string;
  /** ARN, or `*` where the action knows no resource. */
  readonly resource: string;
  /** Condition keys of the request, beside those that follow from the caller; one that is absent has no value. */
  readonly context: Readonly<Record<string, string | readonly string[]>>;
}

/** All policies that have a say. */
export interface Say {
  readonly identity: readonly Policy[];
  /** What a session was narrowed to when it began. Absent: not at all. */
  readonly session?: readonly Policy[];
  /** The resource's own. Absent: it has none. */
  readonly resource?: Policy | undefined;
  /**
   * What lets in: `either` an identity's policy or the resource's; or always the `resource`'s, which may leave it to
   * the account. So it is with the keys of KMS ("Key policies in AWS KMS") and with who may take a role.
   */
  readonly authority: "either" | "resource";
}

export interface Decision {
  readonly allowed: boolean;
  /** The statements that it rests on; none where nothing allows it. */
  readonly by: readonly string[];
  /** In words. */
  readonly because: string;
}

/**
 * What IAM says to a request in one account: an explicit deny wins, otherwise something must allow it. Source: "Policy
 * evaluation logic" and "How AWS enforcement code logic evaluates requests" of the IAM user guide.
 *
 * @throws Error where the request says a thing twice, or several values where a policy asks for one.
 */
export function decide(request: Request, { identity, session, resource, authority }: Say): Decision {
  const context = contextOf(request);
  const applying = (policies: readonly Policy[], effect: Statement["effect"]) =>
    policies
      .flatMap(({ statements }) => statements)
      .filter((each) => each.effect === effect && applies(each, request, context));
  const own = resource === undefined ? [] : [resource];

  const [denied] = applying([...own, ...(session ?? []), ...identity], "Deny");
  if (denied !== undefined) return { allowed: false, by: [denied.name], because: `denied by ${denied.name}` };

  const { caller } = request;
  const [byIdentity] = applying(identity, "Allow");
  const [narrowed] = session === undefined ? [] : applying(session, "Allow");
  const granting = applying(own, "Allow").map((statement) => ({ statement, how: howOf(statement, caller) }));
  const toSession = granting.find(({ how }) => how === "session");
  if (toSession !== undefined) return allowed([toSession.statement]);
  if (session !== undefined && narrowed === undefined) return refused("the session was not given it");
  const within = narrowed === undefined ? [] : [narrowed];
  const direct = granting.find(({ how }) => how === "itself");
  if (direct !== undefined) return allowed([direct.statement, ...within]);
  if (caller.kind === "service" || caller.kind === "federated") return refused("no policy of the resource allows it");
  const delegated = granting.find(({ how }) => how === "account");
  if (authority === "resource" && delegated === undefined) return refused("no policy of the resource allows it");
  const base = authority === "resource" ? [delegated!.statement] : [];
  if (caller.kind === "root") return allowed(base);
  if (byIdentity === undefined) return refused("no policy allows it");
  return allowed([...base, byIdentity, ...within]);
}

function applies(statement: Statement, { caller, action, resource }: Request, context: Context): boolean {
  const ask = variable(context);
  const among = ({ of, not }: Several<Pattern>, value: string) => of.some((fits) => fits(value, ask)) !== not;
  const { principals } = statement;
  return (
    (principals === undefined ||
      (principals.not ? !isLeftOut(caller, principals.of) : howOf(statement, caller) !== undefined)) &&
    among(statement.actions, action) &&
    (statement.resources === undefined || among(statement.resources, resource)) &&
    statement.holds(context)
  );
}

/** The closest way in which a statement's principals are the caller. */
function howOf({ principals }: Statement, caller: Caller): ReturnType<typeof meets> {
  const found = (principals?.of ?? []).map((principal) => meets(caller, principal));
  return (["session", "itself", "account"] as const).find((how) => found.includes(how));
}

function contextOf({ caller, context }: Request): Context {
  const all = new Map<string, readonly string[]>();
  for (const [key, value] of [...Object.entries(contextOfCaller(caller)), ...Object.entries(context)]) {
    const name = key.toLowerCase();
    if (all.has(name)) throw new Error(`the request says ${key} twice`);
    const values = typeof value === "string" ? [value] : value;
    if (values.length > 0) all.set(name, values);
  }
  return { values: (key) => all.get(key.toLowerCase()) };
}

function allowed(statements: readonly Statement[]): Decision {
  const by = statements.map(({ name }) => name);
  return { allowed: true, by, because: by.length === 0 ? "the account's own" : `allowed by ${by.join(" and ")}` };
}

function refused(because: string): Decision {
  return { allowed: false, by: [], because };
}
