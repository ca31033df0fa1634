import type { Resource, Stack } from "../template/stack.ts";
import { only, placeOf } from "../understood.ts";
import type { Caller } from "./caller.ts";
import { type Decision, decide, type Request } from "./decide.ts";
import { managedByAws } from "./managed-by-aws.ts";
import { type Policy, readPolicy } from "./policy.ts";

export type Session = Extract<Caller, { kind: "session" }>;

/** The policies of some stacks, and what they say. */
export interface Account {
  /** @throws Error where the request, or what it is asked of, is not understood. */
  judge(request: Request): Decision;
  /**
   * A session of a role, whether or not its trust lets anybody begin one.
   *
   * @throws Error where there is no such role.
   */
  session(roleName: string, sessionName: string): Session;
}

/**
 * Reads every policy that the resources of the stacks have.
 *
 * @throws Error for what says who may do something and is not understood: a boundary, a user, a policy of AWS that is not
 *   known here, two policies of one resource.
 */
export function accountOf(stacks: readonly Stack[]): Account {
  const resources = stacks.flatMap((stack) => stack.resources);
  const roles = new Map(
    resources.filter(ofType("AWS::IAM::Role")).map((role) => [role.attributes.Arn as string, role]),
  );
  const identities = new Map([...roles].map(([arn, role]) => [arn, policiesOfRole(role, resources)]));
  const others = policiesOfResources(resources);
  return {
    judge(request) {
      const { caller, action, resource } = request;
      const identity = caller.kind === "session" ? identities.get(caller.role) : [];
      if (identity === undefined) throw new Error(`no stack has the role ${(caller as Session).role}`);
      const authority = /^(kms:|sts:AssumeRole)/.test(action) ? "resource" : "either";
      return decide(request, { identity, resource: others.get(ownerOfPolicy(resource)), authority });
    },
    session(roleName, session) {
      const role = [...roles.values()].find(({ ref }) => ref === roleName);
      if (role === undefined) throw new Error(`no stack has a role of the name ${roleName}`);
      const { Arn, RoleId } = role.attributes as { Arn: string; RoleId: string };
      return { kind: "session", account: role.account, role: Arn, roleId: RoleId, session };
    },
  };
}

const ofType =
  (...types: readonly string[]) =>
  ({ type }: Resource) =>
    types.includes(type);

function policiesOfRole(role: Resource, resources: readonly Resource[]): readonly Policy[] {
  only(role, [
    ...["AssumeRolePolicyDocument", "Description", "ManagedPolicyArns", "MaxSessionDuration", "Path", "Policies"],
    ...["RoleName", "Tags"],
  ]);
  const { ManagedPolicyArns = [], Policies = [] } = role.properties;
  const managed = (ManagedPolicyArns as readonly string[]).map((arn) => {
    const found = resources.find((each) => each.type === "AWS::IAM::ManagedPolicy" && each.ref === arn);
    return found === undefined ? managedByAws(arn) : documentOf(found);
  });
  const inline = (Policies as readonly { PolicyName: string; PolicyDocument: unknown }[]).map((each) =>
    readPolicy(each.PolicyDocument, `${placeOf(role)}.${each.PolicyName}`, "identity"),
  );
  const attached = resources
    .filter(ofType("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"))
    .filter(({ properties }) => (properties.Roles ?? []).includes(role.ref))
    .map(documentOf);
  return [...managed, ...inline, ...attached];
}

function documentOf(policy: Resource): Policy {
  only(policy, ["Description", "ManagedPolicyName", "Path", "PolicyDocument", "PolicyName", "Roles"]);
  return readPolicy(policy.properties.PolicyDocument, placeOf(policy), "identity");
}

/** By ARN of what they hang on. */
function policiesOfResources(resources: readonly Resource[]): ReadonlyMap<string, Policy> {
  const found = new Map<string, Policy>();
  const hang = (arn: string, document: unknown, from: Resource) => {
    if (found.has(arn)) throw new Error(`${placeOf(from)}: ${arn} has a policy already`);
    found.set(arn, readPolicy(document, placeOf(from), from.type === "AWS::IAM::Role" ? "trust" : "resource"));
  };
  for (const each of resources) {
    const { type, properties, attributes } = each;
    if (type === "AWS::IAM::Role") hang(attributes.Arn as string, properties.AssumeRolePolicyDocument, each);
    if (type === "AWS::KMS::Key") hang(attributes.Arn as string, properties.KeyPolicy, each);
    if (type === "AWS::S3::BucketPolicy") hang(`arn:aws:s3:::${properties.Bucket}`, properties.PolicyDocument, each);
    if (type === "AWS::SNS::TopicPolicy") {
      for (const topic of properties.Topics) hang(topic, properties.PolicyDocument, each);
    }
    if (type === "AWS::SQS::QueuePolicy") {
      for (const url of properties.Queues)
        hang(arnOf(url, "AWS::SQS::Queue", resources), properties.PolicyDocument, each);
    }
  }
  for (const [arn, document] of permissionsOf(resources)) {
    found.set(arn, readPolicy(document, arn, "resource"));
  }
  return found;
}

/** What `AWS::Lambda::Permission` adds to the policy of a function. */
function permissionsOf(resources: readonly Resource[]): ReadonlyMap<string, unknown> {
  const statements = new Map<string, object[]>();
  for (const permission of resources.filter(ofType("AWS::Lambda::Permission"))) {
    only(permission, ["Action", "FunctionName", "Principal", "SourceAccount", "SourceArn"]);
    const { Action, FunctionName, Principal, SourceAccount, SourceArn } = permission.properties;
    const arn = FunctionName.startsWith("arn:")
      ? FunctionName
      : arnOf(FunctionName, "AWS::Lambda::Function", resources);
    const statement = {
      Sid: permission.logicalId,
      Effect: "Allow",
      Principal: /\.amazonaws\.com$/.test(Principal) ? { Service: Principal } : { AWS: Principal },
      Action,
      Resource: arn,
      Condition: {
        ...(SourceArn !== undefined && { ArnLike: { "aws:SourceArn": SourceArn } }),
        ...(SourceAccount !== undefined && { StringEquals: { "aws:SourceAccount": SourceAccount } }),
      },
    };
    statements.set(arn, [...(statements.get(arn) ?? []), statement]);
  }
  return new Map([...statements].map(([arn, Statement]) => [arn, { Version: "2012-10-17", Statement }]));
}

function arnOf(ref: string, type: string, resources: readonly Resource[]): string {
  const found = resources.find((each) => each.type === type && each.ref === ref);
  if (found === undefined) throw new Error(`no stack has the ${type} ${ref}`);
  return found.attributes.Arn as string;
}

/** An object has its bucket's policy. */
function ownerOfPolicy(resource: string): string {
  return resource.startsWith("arn:aws:s3:::") ? resource.split("/")[0]! : resource;
}
