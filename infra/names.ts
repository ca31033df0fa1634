/** Names that more than one stack, a host or a document must know before anything is deployed. */
import { Aws } from "aws-cdk-lib";
import type { Config } from "./config.ts";
import type { Deployment } from "./deployment.ts";

type Named = Pick<Deployment, "name" | "account" | "region">;
type BucketKind = "data" | "keyring" | "control" | "logs";

/** Names of buckets are shared by all accounts of the world: account and region make this one ours. */
export const bucketName = ({ name, account, region }: Named, kind: BucketKind) =>
  `${name}-${kind}-${account}-${region}`;
export const bucketArn = (named: Named, kind: BucketKind) => `arn:${Aws.PARTITION}:s3:::${bucketName(named, kind)}`;

/** Policy variable: the unique id of whoever signs a request, ROLE-ID:SESSION-NAME. */
export const userId = `$${"{aws:userid}"}`;

export const vaultAlias = ({ name }: Pick<Named, "name">) => `${name}-vault`;
export const replicaAlias = ({ name }: Pick<Named, "name">) => `${name}-replica`;

/** What is run on hosts by SSM. */
export const documentKinds = ["backup", "drill", "restore", "install", "doctor"] as const;
export type DocumentKind = (typeof documentKinds)[number];
export const documentName = ({ name }: Pick<Named, "name">, kind: DocumentKind) => `${name}-${kind}`;

/** Tag of the machines that are backed up. */
export const hostTag = { key: "mailark", value: "host" } as const;

/** Parameter of SSM, a SecureString, that holds the drill key. It is put there by hand and is no part of a stack. */
export const drillKeyParameter = ({ name }: Pick<Named, "name">) => `/${name}/drill-key`;

/** URL of the vault as a store in a host's configuration. Its policy knows hosts by {@link userId}. */
export function storeUrl(named: Named & Pick<Config, "storageClass">): string {
  const { region, storageClass = "STANDARD" } = named;
  const url = `s3://${bucketName(named, "data")}?region=${region}&keyring=${bucketName(named, "keyring")}&host-id=sts`;
  return storageClass === "STANDARD" ? url : `${url}&storage-class=${storageClass}`;
}
