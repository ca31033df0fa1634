/** One thing that a call does, as IAM names it. */
export interface Need {
  /** `s3:PutObject`. */
  readonly action: string;
  /** ARN of what it is done to. */
  readonly resource: string;
  /** Condition keys of the call (`s3:if-none-match`) with their values; a key that is absent has none. */
  readonly context: Readonly<Record<string, string>>;
}

/** A key of someone who may call. */
export interface Credential {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** The key is one of a session, and nothing without this. */
  readonly sessionToken?: string;
  /** Milliseconds since 1970, from which on calls are refused as expired. Default: never. */
  readonly expiresAt?: number;
  /** Stands in the log of requests. */
  readonly name: string;
  /** Whether it may do this; a call is refused when it may not do one of the things that it needs. */
  allow(need: Need): boolean;
}

/** May do whatever is asked: an account's owner. */
export const everything = (): boolean => true;

/**
 * What a mail host gets: creates objects below a prefix, and aborts its own uploads. It never reads, lists, tags,
 * locks, deletes or overwrites, and chooses no storage class, key, or access list but those it was given.
 */
export function createOnly(
  bucket: string,
  prefix: string,
  {
    storageClasses = ["STANDARD"],
    kmsKeyId,
  }: { readonly storageClasses?: readonly string[]; readonly kmsKeyId?: string } = {},
): (need: Need) => boolean {
  const objects = `arn:aws:s3:::${bucket}/${prefix}`;
  return ({ action, resource, context }) => {
    if (action === "kms:GenerateDataKey" || action === "kms:Decrypt") {
      return /^s3\..*\.amazonaws\.com$/.test(context["kms:ViaService"] ?? "");
    }
    if (!resource.startsWith(objects)) return false;
    if (action === "s3:AbortMultipartUpload") return true;
    return (
      action === "s3:PutObject" &&
      (context["s3:ObjectCreationOperation"] === "false" || context["s3:if-none-match"] === "*") &&
      storageClasses.includes(context["s3:x-amz-storage-class"] ?? "STANDARD") &&
      [undefined, kmsKeyId].includes(context["s3:x-amz-server-side-encryption-aws-kms-key-id"]) &&
      context["s3:x-amz-acl"] === undefined &&
      context["s3:x-amz-server-side-encryption-customer-algorithm"] === undefined
    );
  };
}
