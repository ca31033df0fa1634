/**
 * What a bucket that backups lie in refuses to everybody, whatever their own policies allow. Each is a statement of its bucket policy; the
 * condition keys are those of "Enforce conditional writes" and "Actions, resources and condition keys for Amazon S3" in AWS' documentation.
 */
import { AnyPrincipal, Effect, PolicyStatement } from "aws-cdk-lib/aws-iam";
import { userId } from "../names.ts";

export interface BucketRules {
  readonly bucketArn: string;
  /** What keys begin with, up to the host's id: `hosts` or `keyring`. */
  readonly prefix: string;
  readonly keyArn: string;
  /** The storage class that a request may name, beside the standard one. */
  readonly storageClass: string;
  /** ARN of the role that alone may tag, and so have an object expire. @default nobody may */
  readonly retentionRole?: string;
}

/**
 * Objects are created and never replaced, each by the host whose id stands in its key, and are never deleted by a request, nor tagged but by retention. Replication, which
 * has actions of its own, and lifecycle are not bound by this.
 */
export function createOnlyRules(rules: BucketRules): PolicyStatement[] {
  const objects = `${rules.bucketArn}/*`;
  const own = `${rules.bucketArn}/${rules.prefix}/${userId}/*`;
  return [
    deny("OnlyCreate", ["s3:PutObject"], [objects], onlyCreate),
    new PolicyStatement({
      sid: "OnlyUnderOwnId",
      effect: Effect.DENY,
      principals: [new AnyPrincipal()],
      actions: ["s3:PutObject", "s3:AbortMultipartUpload"],
      notResources: [own],
    }),
    ...Object.entries(wrongWrites(rules)).map(([sid, conditions]) =>
      deny(sid, ["s3:PutObject"], [objects], conditions),
    ),
    deny("NeverDelete", neverAllowed, [objects]),
    deny("OnlyRetentionTags", tagging, [objects], exceptFor(rules.retentionRole)),
  ];
}

/** A copy is written by replication alone, and nothing is deleted there either. */
export const copyRules = (bucketArn: string): PolicyStatement[] => [
  deny("OnlyReplication", ["s3:PutObject", ...neverAllowed, ...tagging], [`${bucketArn}/*`]),
];

type Conditions = Record<string, Record<string, string | readonly string[]>>;

/** A request that would make an object, and does not demand that there is none. The parts of an upload make none yet. */
export const onlyCreate: Conditions = {
  Null: { "s3:if-none-match": "true" },
  Bool: { "s3:ObjectCreationOperation": "true" },
};

/** Headers of a write that would cost money, take the key out of our hands, or let others in. By name of the statement. */
export function wrongWrites({ keyArn, storageClass }: Pick<BucketRules, "keyArn" | "storageClass">) {
  const named = (key: string) => ({ Null: { [key]: "false" } });
  const classKey = "s3:x-amz-storage-class";
  const classes = [...new Set(["STANDARD", storageClass])];
  const encryption = "s3:x-amz-server-side-encryption";
  const keyId = "s3:x-amz-server-side-encryption-aws-kms-key-id";
  return {
    OnlyStorageClass: { ...named(classKey), StringNotEquals: { [classKey]: classes } },
    OnlyKms: { ...named(encryption), StringNotEquals: { [encryption]: "aws:kms" } },
    OnlyOurKey: { ...named(keyId), StringNotEquals: { [keyId]: keyArn } },
    NoKeyOfTheCaller: named("s3:x-amz-server-side-encryption-customer-algorithm"),
    NoAccessList: named("s3:x-amz-acl"),
  } satisfies Record<string, Conditions>;
}

/** A tag is what makes S3 remove an object. A request that stores one with tags is asked for the first of these as well. */
const tagging = ["s3:PutObjectTagging", "s3:PutObjectVersionTagging"];

const exceptFor = (role: string | undefined): Conditions | undefined =>
  role === undefined ? undefined : { ArnNotEquals: { "aws:PrincipalArn": role } };

/** What nobody needs, and an intruder wants. `s3:BypassGovernanceRetention` is asked for beside a delete. */
export const neverAllowed = [
  "s3:DeleteObject",
  "s3:DeleteObjectVersion",
  "s3:PutObjectAcl",
  "s3:PutObjectVersionAcl",
  "s3:BypassGovernanceRetention",
];

function deny(sid: string, actions: readonly string[], resources: readonly string[], conditions?: Conditions) {
  return new PolicyStatement({
    sid,
    effect: Effect.DENY,
    principals: [new AnyPrincipal()],
    actions: [...actions],
    resources: [...resources],
    ...(conditions && { conditions }),
  });
}
