import type { Caller } from "../../iam/caller.ts";
import type { Cloud } from "../../service.ts";

/** A key of the cloud, and what became of it ("Key states of AWS KMS keys"). */
export interface Key {
  readonly arn: string;
  readonly id: string;
  readonly description: string;
  /** Days after which it turns by itself. `undefined`: never. */
  readonly rotation: number | undefined;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
  state: "Enabled" | "Disabled" | "PendingDeletion";
  /** Milliseconds since 1970; only of one that is to be deleted. */
  deletedAt?: number;
}

/** The keys of a cloud, which its services share. */
export class Keys {
  readonly #keys = new Map<string, Key>();
  /** ARN of the key by `alias/NAME`. */
  readonly #aliases = new Map<string, string>();

  add(key: Key): void {
    this.#keys.set(key.arn, key);
  }

  /** @param key - its id or its ARN. */
  name(alias: string, key: string): void {
    this.#aliases.set(alias, key);
  }

  remove(key: Key): void {
    this.#keys.delete(key.arn);
  }

  /** By id, ARN, alias or the ARN of an alias. `undefined`: there is none, or no more. */
  find(name: string): Key | undefined {
    const alias = /(?:^|:)(alias\/.+)$/.exec(name)?.[1];
    const wanted = alias === undefined ? name : this.#aliases.get(alias);
    return [...this.#keys.values()].find(({ arn, id }) => wanted === arn || wanted === id);
  }
}

const known = new WeakMap<Cloud, Keys>();

export function keysOf(cloud: Cloud): Keys {
  const keys = known.get(cloud) ?? new Keys();
  known.set(cloud, keys);
  return keys;
}

/** What another service does with a key in somebody's name. */
export interface Use {
  /** As a property of a resource names it. */
  readonly key: string;
  readonly caller: Caller;
  readonly actions: readonly `kms:${string}`[];
  /** The service that asks, as its host is named: `sns`. */
  readonly via: string;
  /** The encryption context: what is sealed. */
  readonly sealing: Readonly<Record<string, string>>;
  /** Condition keys of the call of which this is a part. */
  readonly context?: Readonly<Record<string, string>>;
}

/** Why a key can not be used, as SNS and SQS name it behind their prefix. */
export type KeyRefusal = "AccessDenied" | "Disabled" | "InvalidState" | "NotFound";

/**
 * Whether a service may use a key in somebody's name: the key must be in a state for it, and its policy must let that
 * somebody in. A key that AWS manages (`alias/aws/sns`) lets in whoever is of the account, and therefore no service of AWS
 * ("Enable compatibility between event sources from AWS services and encrypted topics").
 *
 * @returns `undefined` where it may.
 */
export function refusedUse(cloud: Cloud, use: Use): KeyRefusal | undefined {
  const { caller, via } = use;
  if (use.key === `alias/aws/${via}`) {
    return "account" in caller && caller.account === cloud.accountId ? undefined : "AccessDenied";
  }
  const key = keysOf(cloud).find(use.key);
  if (key === undefined) return "NotFound";
  const context = {
    ...use.context,
    "kms:ViaService": `${via}.${cloud.region}.amazonaws.com`,
    ...Object.fromEntries(Object.entries(use.sealing).map(([name, value]) => [`kms:EncryptionContext:${name}`, value])),
    "kms:EncryptionContextKeys": Object.keys(use.sealing).join(","),
  };
  const may = (action: string) => cloud.allows(caller, { action, resource: key.arn, context });
  if (!use.actions.every(may)) return "AccessDenied";
  if (key.state === "Disabled") return "Disabled";
  return key.state === "PendingDeletion" ? "InvalidState" : undefined;
}
