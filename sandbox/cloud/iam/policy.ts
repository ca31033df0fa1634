import type { Principal } from "./caller.ts";
import { type Condition, condition } from "./conditions.ts";
import { actionPattern, type Pattern, pattern } from "./pattern.ts";

/**
 * What a policy hangs on: an identity; a resource; or a role that it says who may take (`trust`). An identity's
 * statements name no principal, those of a trust no resource.
 */
export type PolicyKind = "identity" | "resource" | "trust";

export interface Policy {
  /** Where it stands, for whoever reads a decision. */
  readonly name: string;
  readonly statements: readonly Statement[];
}

export interface Statement {
  /** The policy's name, and the statement's own, or its number from 1. */
  readonly name: string;
  readonly effect: "Allow" | "Deny";
  /** Absent in a policy of an identity. */
  readonly principals?: Several<Principal>;
  readonly actions: Several<Pattern>;
  /** Absent in a trust. */
  readonly resources?: Several<Pattern>;
  readonly holds: Condition;
}

export interface Several<T> {
  readonly of: readonly T[];
  /** All but these: `NotAction` and its like. */
  readonly not: boolean;
}

/**
 * Reads a policy document ("IAM JSON policy elements reference").
 *
 * @throws Error that begins with the name, for whatever is not known or not allowed in a policy of this kind.
 */
export function readPolicy(document: unknown, name: string, kind: PolicyKind): Policy {
  try {
    const { Version, Statement, ...rest } = objectOf(document);
    if (Version !== "2012-10-17") throw new Error(`unknown version of a policy: ${String(Version)}`);
    refuse(rest, ["Id"]);
    const statements = listOf(Statement).map((each, index) => readStatement(objectOf(each), name, index + 1, kind));
    return { name, statements };
  } catch (error) {
    throw new Error(`${name}: ${(error as Error).message}`, { cause: error });
  }
}

function readStatement(written: Record<string, unknown>, policy: string, number: number, kind: PolicyKind): Statement {
  const { Sid, Effect, Condition = {}, ...rest } = written;
  refuse(rest, ["Action", "NotAction", "Resource", "NotResource", "Principal", "NotPrincipal"]);
  if (Effect !== "Allow" && Effect !== "Deny") throw new Error(`unknown effect: ${String(Effect)}`);
  const actions = several(written, "Action", (value) => textsOf(value).map(actionPattern));
  const resources = several(written, "Resource", (value) => textsOf(value).map((each) => pattern(each, "arn")));
  const principals = several(written, "Principal", principalsOf);
  if (actions === undefined) throw new Error("a statement without an action");
  if ((resources === undefined) !== (kind === "trust"))
    throw new Error(`${resources ? "a" : "no"} resource in a policy of kind ${kind}`);
  if ((principals === undefined) !== (kind === "identity"))
    throw new Error(`${principals ? "a" : "no"} principal in a policy of kind ${kind}`);
  if (principals?.not && Effect === "Allow") throw new Error("NotPrincipal may only deny");
  return {
    name: `${policy} ${Sid ?? number}`,
    effect: Effect,
    actions,
    ...(resources && { resources }),
    ...(principals && { principals }),
    holds: condition(Condition),
  };
}

function several<T>(
  written: Record<string, unknown>,
  element: string,
  read: (value: unknown) => readonly T[],
): Several<T> | undefined {
  const [plain, inverse] = [written[element], written[`Not${element}`]];
  if (plain !== undefined && inverse !== undefined) throw new Error(`${element} and Not${element} in one statement`);
  if (plain === undefined && inverse === undefined) return undefined;
  const of = read(plain ?? inverse);
  if (of.length === 0) throw new Error(`${element} names nothing`);
  return { of, not: plain === undefined };
}

function principalsOf(written: unknown): readonly Principal[] {
  if (written === "*") return [{ kind: "everyone" }];
  return Object.entries(objectOf(written)).flatMap(([kind, value]) => {
    const read = kinds[kind];
    if (read === undefined) throw new Error(`unknown kind of principal: ${kind}`);
    return textsOf(value).map((each) => {
      if (each !== "*" && /[*?]/.test(each)) throw new Error(`a principal with a wildcard: ${each}`);
      return read(each);
    });
  });
}

const kinds: Readonly<Record<string, (value: string) => Principal>> = {
  AWS: (value) => {
    if (value === "*") return { kind: "everyone" };
    const [, account] = /^(?:arn:aws:iam::)?(\d{12})(?::root)?$/.exec(value) ?? [];
    if (account !== undefined) return { kind: "account", account };
    if (/^arn:aws:(iam::\d{12}:role|sts::\d{12}:assumed-role)\//.test(value)) return { kind: "arn", arn: value };
    throw new Error(`unknown principal: ${value}`);
  },
  Service: (service) => {
    if (!/^[a-z0-9.-]+\.amazonaws\.com$/.test(service)) throw new Error(`unknown service: ${service}`);
    return { kind: "service", service };
  },
  Federated: (provider) => ({ kind: "federated", provider }),
};

function refuse(rest: Record<string, unknown>, known: readonly string[]): void {
  const unknown = Object.keys(rest).find((each) => !known.includes(each));
  if (unknown !== undefined) throw new Error(`unknown element ${unknown}`);
}

function objectOf(value: unknown): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new Error("not an object");
  return value as Record<string, unknown>;
}

function listOf(value: unknown): readonly unknown[] {
  if (value === undefined) throw new Error("a policy without statements");
  return Array.isArray(value) ? value : [value];
}

function textsOf(value: unknown): readonly string[] {
  return (Array.isArray(value) ? value : [value]).map((each) => {
    if (typeof each !== "string") throw new Error(`not a text: ${JSON.stringify(each)}`);
    return each;
  });
}
