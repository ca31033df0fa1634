import { createHash } from "node:crypto";
import { type ApiCall, CallRefused, type Cloud, refuseUnlessAllowed } from "../../service.ts";
import { getParameter, read } from "./inputs.ts";

/** A parameter that somebody has put there by hand. */
export interface StoredParameter {
  /** `/mailark/drill-key`. */
  readonly name: string;
  readonly value: string;
  /** It is a SecureString under this key, by its ARN. `undefined`: a String. */
  readonly keyArn?: string;
}

/** The parameter store, as far as it is read. */
export class ParameterStore {
  readonly #cloud: Cloud;
  readonly #stored = new Map<string, StoredParameter & { readonly version: number; readonly at: number }>();

  constructor(cloud: Cloud) {
    this.#cloud = cloud;
  }

  put(parameter: StoredParameter): void {
    const version = (this.#stored.get(parameter.name)?.version ?? 0) + 1;
    this.#stored.set(parameter.name, { ...parameter, version, at: this.#cloud.clock.now() });
  }

  /** `GetParameter`. A SecureString is opened by KMS in the caller's name, for this parameter alone. */
  get(call: ApiCall): Record<string, unknown> {
    const { caller } = call;
    const { Name, WithDecryption } = read(getParameter, call);
    const { region, accountId } = this.#cloud;
    const arn = `arn:aws:ssm:${region}:${accountId}:parameter/${Name.replace(/^\//, "")}`;
    const demand = (action: string, resource: string, context: Record<string, string> = {}) => {
      const need = { action, resource, context };
      refuseUnlessAllowed(this.#cloud, caller, need);
    };
    demand("ssm:GetParameter", arn);
    const found = this.#stored.get(Name);
    if (found === undefined) throw new CallRefused("ParameterNotFound", `${Name} is not there`);
    const { value, keyArn, version, at } = found;
    if (keyArn !== undefined && WithDecryption) {
      demand("kms:Decrypt", keyArn, {
        "kms:ViaService": `ssm.${region}.amazonaws.com`,
        "kms:EncryptionContext:PARAMETER_ARN": arn,
      });
    }
    const sealed = keyArn !== undefined && !WithDecryption;
    const Value = sealed ? createHash("sha512").update(`${keyArn} ${arn} ${value}`).digest("base64") : value;
    const Type = keyArn === undefined ? "String" : "SecureString";
    return {
      Parameter: { Name, Type, Value, Version: version, LastModifiedDate: at / 1000, ARN: arn, DataType: "text" },
    };
  }
}
