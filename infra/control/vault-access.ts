import { PolicyStatement } from "aws-cdk-lib/aws-iam";
import type { IKey } from "aws-cdk-lib/aws-kms";
import type { Deployment } from "../deployment.ts";
import { bucketArn, bucketName } from "../names.ts";
import type { MailarkFunction } from "./mailark-function.ts";

/** Grants what a function needs of the vault, with the variables that name it. Nothing here can delete, or write data. */
export class VaultAccess {
  readonly #deployment: Deployment;
  readonly #key: IKey;

  constructor(deployment: Deployment, key: IKey) {
    this.#deployment = deployment;
    this.#key = key;
  }

  /** Reading everything that hosts store. It is sealed by keys that no function has. */
  grantRead(to: MailarkFunction): void {
    const [data, keyring] = [bucketArn(this.#deployment, "data"), bucketArn(this.#deployment, "keyring")];
    to.allow(
      new PolicyStatement({
        sid: "ReadVault",
        actions: ["s3:GetObject"],
        resources: [`${data}/hosts/*`, `${keyring}/keyring/*`],
      }),
      {
        DATA_BUCKET: bucketName(this.#deployment, "data"),
        KEYRING_BUCKET: bucketName(this.#deployment, "keyring"),
      },
      "it judges the snapshots of every host",
    );
    to.allow(new PolicyStatement({ sid: "ListVault", actions: ["s3:ListBucket"], resources: [data, keyring] }));
    this.#unseal(to, "UnsealVault", ["kms:Decrypt"]);
  }

  /** Reading and, where `write` names anything, replacing what the controller knows, by the first part of its keys below `control/`. */
  grantControl(
    to: MailarkFunction,
    { read, write }: { readonly read: readonly string[]; readonly write: readonly string[] },
  ): void {
    const bucket = bucketArn(this.#deployment, "control");
    const below = (parts: readonly string[]) => parts.map((part) => `${bucket}/control/${part}/*`);
    const reason = "records of every host";
    to.allow(
      new PolicyStatement({ sid: "ReadControl", actions: ["s3:GetObject"], resources: below(read) }),
      { CONTROL_BUCKET: bucketName(this.#deployment, "control") },
      reason,
    );
    to.allow(new PolicyStatement({ sid: "ListControl", actions: ["s3:ListBucket"], resources: [bucket] }));
    const writes = write.length > 0;
    if (writes) {
      const actions = ["s3:PutObject"];
      to.allow(new PolicyStatement({ sid: "WriteControl", actions, resources: below(write) }), {}, reason);
    }
    this.#unseal(to, "SealControl", writes ? ["kms:Decrypt", "kms:GenerateDataKey"] : ["kms:Decrypt"]);
  }

  #unseal(to: MailarkFunction, sid: string, actions: string[]) {
    const conditions = { StringEquals: { "kms:ViaService": `s3.${this.#deployment.region}.amazonaws.com` } };
    to.allow(new PolicyStatement({ sid, actions, resources: [this.#key.keyArn], conditions }));
  }
}
