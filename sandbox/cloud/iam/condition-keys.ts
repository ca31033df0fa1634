/**
 * Condition keys that may stand in a policy, and of which a request has several values. A family ends in `/`. Sources:
 * "AWS global condition context keys", and the service authorization reference of each service. What is not here is
 * refused: a key that is misspelled in a policy would otherwise just never be there.
 */
const single = [
  ...["CurrentTime", "EpochTime", "PrincipalAccount", "PrincipalArn", "PrincipalIsAWSService", "PrincipalServiceName"],
  ...["PrincipalType", "RequestedRegion", "SecureTransport", "SourceAccount", "SourceArn", "SourceIp", "userid"],
  ...["username", "ViaAWSService", "PrincipalTag/", "RequestTag/", "ResourceTag/", "ResourceAccount"],
].map((name) => `aws:${name}`);
const several = ["aws:CalledVia", "aws:PrincipalServiceNamesList", "aws:TagKeys"];

const ofServices = [
  ...["delimiter", "if-match", "if-none-match", "max-keys", "ObjectCreationOperation", "prefix", "TlsVersion"],
  ...["object-lock-legal-hold", "object-lock-mode", "object-lock-remaining-retention-days"],
  ...["object-lock-retain-until-date", "VersionId", "x-amz-acl", "x-amz-content-sha256", "x-amz-copy-source"],
  ...["x-amz-metadata-directive", "x-amz-server-side-encryption", "x-amz-server-side-encryption-aws-kms-key-id"],
  ...["x-amz-server-side-encryption-customer-algorithm", "x-amz-storage-class", "ResourceAccount"],
  ...["ExistingObjectTag/", "RequestObjectTag/"],
].map((name) => `s3:${name}`);
const ofKms = ["kms:CallerAccount", "kms:EncryptionContext:", "kms:GrantIsForAWSResource", "kms:ViaService"];
const others = [
  ...["cloudwatch:namespace", "events:detail-type", "events:source", "iam:PassedToService"],
  ...["lambda:FunctionArn", "lambda:SourceFunctionArn", "sns:Endpoint", "sns:Protocol", "ssm:resourceTag/"],
  ...["ssm:SourceInstanceARN", "sts:ExternalId", "sts:RoleSessionName"],
];
const severalOfServices = ["kms:EncryptionContextKeys", "kms:ResourceAliases", "s3:RequestObjectTagKeys"];

const kinds = new Map<string, "single" | "several">([
  ...[...single, ...ofServices, ...ofKms, ...others].map((name) => [name.toLowerCase(), "single"] as const),
  ...[...several, ...severalOfServices].map((name) => [name.toLowerCase(), "several"] as const),
]);

/** How many values a request may have of a key, in whatever case it is written. @throws Error for an unknown one. */
export function kindOfKey(key: string): "single" | "several" {
  const name = key.toLowerCase();
  const family = /^[a-z0-9]+:[^/:]+[/:]/.exec(name)?.[0];
  const kind = kinds.get(name) ?? (family === undefined || family === name ? undefined : kinds.get(family));
  if (kind === undefined) throw new Error(`unknown condition key ${key}`);
  return kind;
}
