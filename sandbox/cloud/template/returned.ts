import { createHash } from "node:crypto";
import { uuidOf } from "../made-up.ts";
import type { Json } from "./assembly.ts";

/** What a template can learn of a resource once it is made. */
export interface Returned {
  /** What `Ref` gives. */
  readonly ref: string;
  /** What `Fn::GetAtt` gives, by name. */
  readonly attributes: Readonly<Record<string, Json>>;
}

interface Bare {
  readonly stack: string;
  readonly account: string;
  readonly region: string;
  readonly logicalId: string;
  readonly type: string;
  // biome-ignore lint/suspicious/noExplicitAny: properties are as many as resource types
  readonly properties: any;
}

/**
 * The return values of a resource, by its type, as the template reference of CloudFormation has them. What AWS would
 * make up (names, ids) is made from stack and logical id: the same in each run.
 *
 * @throws Error for a type that is not known.
 */
export function returnedBy(resource: Bare, path: string): Returned {
  const returns = types[resource.type];
  if (returns === undefined) throw new Error(`${path}.Type: unknown type of resource: ${resource.type}`);
  return returns(resource);
}

type Returns = (resource: Bare) => Returned;

const types: Readonly<Record<string, Returns>> = {
  "AWS::S3::Bucket": (it) => {
    const name = it.properties.BucketName ?? `${made(it)}`.toLowerCase();
    const host = `${name}.s3.${it.region}.amazonaws.com`;
    return {
      ref: name,
      attributes: {
        Arn: `arn:aws:s3:::${name}`,
        DomainName: `${name}.s3.amazonaws.com`,
        RegionalDomainName: host,
      },
    };
  },
  "AWS::S3::BucketPolicy": (it) => only(it.properties.Bucket),
  "AWS::KMS::Key": (it) => {
    const id = uuid(it);
    return { ref: id, attributes: { Arn: arn(it, "kms", `key/${id}`), KeyId: id } };
  },
  "AWS::KMS::Alias": (it) => only(it.properties.AliasName),
  "AWS::IAM::Role": (it) => {
    const name = it.properties.RoleName ?? made(it);
    const path = it.properties.Path ?? "/";
    return {
      ref: name,
      attributes: { Arn: `arn:aws:iam::${it.account}:role${path}${name}`, RoleId: uniqueId("AROA", it) },
    };
  },
  "AWS::IAM::ManagedPolicy": (it) => {
    const path = it.properties.Path ?? "/";
    const policy = `arn:aws:iam::${it.account}:policy${path}${it.properties.ManagedPolicyName ?? made(it)}`;
    return { ref: policy, attributes: { PolicyArn: policy, PolicyId: uniqueId("ANPA", it) } };
  },
  "AWS::IAM::Policy": (it) => only(it.properties.PolicyName),
  "AWS::IAM::InstanceProfile": (it) => {
    const name = it.properties.InstanceProfileName ?? made(it);
    return { ref: name, attributes: { Arn: `arn:aws:iam::${it.account}:instance-profile/${name}` } };
  },
  "AWS::Lambda::Function": (it) => {
    const name = it.properties.FunctionName ?? made(it);
    return { ref: name, attributes: { Arn: arn(it, "lambda", `function:${name}`) } };
  },
  "AWS::Lambda::Permission": (it) => only(made(it)),
  "AWS::Lambda::EventInvokeConfig": (it) => only(made(it)),
  "AWS::SNS::Topic": (it) => {
    const name = it.properties.TopicName ?? made(it);
    const topic = arn(it, "sns", name);
    return { ref: topic, attributes: { TopicArn: topic, TopicName: name } };
  },
  "AWS::SNS::TopicPolicy": (it) => only(made(it)),
  "AWS::SNS::Subscription": (it) => only(`${it.properties.TopicArn}:${uuid(it)}`),
  "AWS::SQS::Queue": (it) => {
    const name = it.properties.QueueName ?? made(it);
    const url = `https://sqs.${it.region}.amazonaws.com/${it.account}/${name}`;
    return { ref: url, attributes: { Arn: arn(it, "sqs", name), QueueName: name, QueueUrl: url } };
  },
  "AWS::SQS::QueuePolicy": (it) => only(made(it)),
  "AWS::SSM::Document": (it) => only(it.properties.Name ?? made(it)),
  "AWS::Logs::LogGroup": (it) => {
    const name = it.properties.LogGroupName ?? made(it);
    return { ref: name, attributes: { Arn: `${arn(it, "logs", `log-group:${name}`)}:*` } };
  },
  "AWS::CloudWatch::Alarm": (it) => {
    const name = it.properties.AlarmName ?? made(it);
    return { ref: name, attributes: { Arn: arn(it, "cloudwatch", `alarm:${name}`) } };
  },
  "AWS::CloudWatch::Dashboard": (it) => only(it.properties.DashboardName ?? made(it)),
  "AWS::Events::Rule": (it) => {
    const name = it.properties.Name ?? made(it);
    return { ref: name, attributes: { Arn: arn(it, "events", `rule/${name}`) } };
  },
  "AWS::Scheduler::ScheduleGroup": (it) => {
    const name = it.properties.Name ?? made(it);
    return { ref: name, attributes: { Arn: arn(it, "scheduler", `schedule-group/${name}`) } };
  },
  "AWS::ApiGatewayV2::Api": (it) => {
    const id = shortId(it);
    const ApiEndpoint = `https://${id}.execute-api.${it.region}.amazonaws.com`;
    return { ref: id, attributes: { ApiEndpoint, ApiId: id } };
  },
  "AWS::ApiGatewayV2::Integration": (it) => ({ ref: shortId(it), attributes: { IntegrationId: shortId(it) } }),
  "AWS::ApiGatewayV2::Route": (it) => ({ ref: shortId(it), attributes: { RouteId: shortId(it) } }),
  "AWS::ApiGatewayV2::Stage": (it) => only(it.properties.StageName),
  "AWS::Scheduler::Schedule": (it) => {
    const name = it.properties.Name ?? made(it);
    const group = it.properties.GroupName ?? "default";
    return { ref: name, attributes: { Arn: arn(it, "scheduler", `schedule/${group}/${name}`) } };
  },
};

function only(ref: string): Returned {
  return { ref, attributes: {} };
}

function arn({ region, account }: Bare, service: string, resource: string): string {
  return `arn:aws:${service}:${region}:${account}:${resource}`;
}

/** A name like those that CloudFormation makes up. */
function made(it: Bare): string {
  return `${it.stack}-${it.logicalId}-${uniqueId("", it).slice(0, 12)}`;
}

function uuid(it: Bare): string {
  return uuidOf(digest(it).toString("hex"));
}

/** Ids of API Gateway: ten small letters and digits. */
const shortId = (it: Bare) => uniqueId("", it).slice(0, 10).toLowerCase();

/** Ids of IAM: a prefix that tells the kind, and 17 letters and digits. */
function uniqueId(prefix: string, it: Bare): string {
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  return prefix + [...digest(it).subarray(0, 17)].map((byte) => alphabet[byte % 32]).join("");
}

function digest({ account, region, stack, logicalId }: Bare): Buffer {
  return createHash("sha256").update([account, region, stack, logicalId].join("/")).digest();
}
