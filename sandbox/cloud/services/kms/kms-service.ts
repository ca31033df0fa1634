import { type Caller, identityOf } from "../../iam/caller.ts";
import { type ApiCall, accessDenied, CallRefused, type Cloud, type Service } from "../../service.ts";
import type { Json } from "../../template/assembly.ts";
import type { Resource } from "../../template/stack.ts";
import { only, onlyInput, placeOf } from "../../understood.ts";
import { type Key, keysOf } from "./keys.ts";

const day = 24 * 60 * 60_000;

/**
 * KMS as far as others seal with its keys ({@link keysOf}), and as far as a key can be ended: whoever tries to, with or
 * without success, is seen in the event of CloudTrail on the default bus. No data passes through it.
 */
export function kmsService(cloud: Cloud): Service {
  const keys = keysOf(cloud);
  return {
    name: "kms",
    types: ["AWS::KMS::Key", "AWS::KMS::Alias"],
    make(resource) {
      if (resource.type === "AWS::KMS::Key") return keys.add(keyOf(resource, cloud.clock.now()));
      only(resource, ["AliasName", "TargetKeyId"]);
      keys.name(resource.properties.AliasName, resource.properties.TargetKeyId);
    },
    async answer(call) {
      const operation = operations[call.operation];
      if (operation === undefined) throw new Error(`kms: unknown operation ${call.operation}`);
      onlyInput(call, ["KeyId", ...(operation.inputs ?? [])]);
      const key = keys.find(String(call.input.KeyId));
      if (key === undefined) throw new CallRefused("NotFoundException", "there is no such key");
      const need = { action: `kms:${call.operation}`, resource: key.arn, context: {} };
      const denied = cloud.allows(call.caller, need) ? undefined : accessDenied(call.caller, need);
      if (operation.changes) cloud.goOn(cloud.publish(trailOf(cloud, call, key, denied)));
      if (denied !== undefined) throw denied;
      return operation.answer({ cloud, key, input: call.input });
    },
  };
}

function keyOf(resource: Resource, now: number): Key {
  only(resource, [
    ...["Description", "Enabled", "EnableKeyRotation", "KeyPolicy", "KeySpec", "KeyUsage", "MultiRegion"],
    ...["PendingWindowInDays", "RotationPeriodInDays", "Tags"],
  ]);
  const { Description = "", Enabled = true, EnableKeyRotation = false, ...rest } = resource.properties;
  const { KeySpec = "SYMMETRIC_DEFAULT", KeyUsage = "ENCRYPT_DECRYPT", MultiRegion = false } = rest;
  if (KeySpec !== "SYMMETRIC_DEFAULT" || KeyUsage !== "ENCRYPT_DECRYPT" || MultiRegion) {
    throw new Error(`${placeOf(resource)}: unknown kind of key: ${KeySpec}, ${KeyUsage}`);
  }
  return {
    arn: resource.attributes.Arn as string,
    id: resource.ref,
    description: Description,
    rotation: EnableKeyRotation ? (rest.RotationPeriodInDays ?? 365) : undefined,
    createdAt: now,
    state: Enabled ? "Enabled" : "Disabled",
  };
}

interface Asked {
  readonly cloud: Cloud;
  readonly key: Key;
  readonly input: ApiCall["input"];
}

interface Operation {
  /** Beside `KeyId`. */
  readonly inputs?: readonly string[];
  /** CloudTrail tells EventBridge of those that change something. */
  readonly changes: boolean;
  answer(asked: Asked): Readonly<Record<string, unknown>>;
}

/** From a state that the operation allows into another. */
const turn = (from: readonly Key["state"][], to: Key["state"]): Operation => ({
  changes: true,
  answer({ key }) {
    demandState(key, from);
    key.state = to;
    delete key.deletedAt;
    return {};
  },
});

const operations: Readonly<Record<string, Operation>> = {
  DescribeKey: {
    changes: false,
    answer: ({ cloud, key }) => ({
      KeyMetadata: {
        AWSAccountId: cloud.accountId,
        KeyId: key.id,
        Arn: key.arn,
        CreationDate: key.createdAt / 1000,
        Enabled: key.state === "Enabled",
        Description: key.description,
        KeyUsage: "ENCRYPT_DECRYPT",
        KeyState: key.state,
        ...(key.deletedAt !== undefined && { DeletionDate: key.deletedAt / 1000 }),
        Origin: "AWS_KMS",
        KeyManager: "CUSTOMER",
        KeySpec: "SYMMETRIC_DEFAULT",
        EncryptionAlgorithms: ["SYMMETRIC_DEFAULT"],
        MultiRegion: false,
      },
    }),
  },
  GetKeyRotationStatus: {
    changes: false,
    answer: ({ key: { id, rotation } }) => ({
      KeyId: id,
      KeyRotationEnabled: rotation !== undefined,
      ...(rotation !== undefined && { RotationPeriodInDays: rotation }),
    }),
  },
  EnableKey: turn(["Enabled", "Disabled"], "Enabled"),
  DisableKey: turn(["Enabled", "Disabled"], "Disabled"),
  CancelKeyDeletion: {
    ...turn(["PendingDeletion"], "Disabled"),
    answer(asked) {
      turn(["PendingDeletion"], "Disabled").answer(asked);
      return { KeyId: asked.key.arn };
    },
  },
  ScheduleKeyDeletion: {
    inputs: ["PendingWindowInDays"],
    changes: true,
    answer({ cloud, key, input }) {
      const days = Number(input.PendingWindowInDays ?? 30);
      if (!(days >= 7 && days <= 30)) throw new CallRefused("ValidationException", "a window of 7 to 30 days");
      demandState(key, ["Enabled", "Disabled"]);
      const deletedAt = cloud.clock.now() + days * day;
      Object.assign(key, { state: "PendingDeletion", deletedAt });
      cloud.clock.at(deletedAt, () => {
        if (key.deletedAt === deletedAt) keysOf(cloud).remove(key);
      });
      return {
        KeyId: key.arn,
        DeletionDate: deletedAt / 1000,
        KeyState: key.state,
        PendingWindowInDays: days,
      };
    },
  },
  PutKeyPolicy: {
    inputs: ["PolicyName", "Policy", "BypassPolicyLockoutSafetyCheck"],
    changes: true,
    answer() {
      throw new Error("kms: PutKeyPolicy would be allowed, and policies do not change here");
    },
  },
};

function demandState(key: Key, allowed: readonly Key["state"][]): void {
  if (!allowed.includes(key.state)) throw new CallRefused("KMSInvalidStateException", `the key is ${key.state}`);
}

/** What CloudTrail hands to EventBridge ("AWS service events delivered via AWS CloudTrail"), also of what was refused. */
function trailOf(cloud: Cloud, { operation, input, caller }: ApiCall, key: Key, denied: CallRefused | undefined) {
  return {
    source: "aws.kms",
    "detail-type": "AWS API Call via CloudTrail",
    resources: [],
    detail: {
      eventVersion: "1.11",
      userIdentity: trailIdentity(caller),
      eventTime: new Date(cloud.clock.now()).toISOString().replace(/\.\d+Z$/, "Z"),
      eventSource: "kms.amazonaws.com",
      eventName: operation,
      awsRegion: cloud.region,
      ...(denied && { errorCode: "AccessDenied", errorMessage: denied.message }),
      requestParameters: denied
        ? null
        : Object.fromEntries(Object.entries(input).map(([k, v]) => [small(k), v as Json])),
      readOnly: false,
      resources: [{ accountId: cloud.accountId, type: "AWS::KMS::Key", ARN: key.arn }],
      eventType: "AwsApiCall",
      managementEvent: true,
      recipientAccountId: cloud.accountId,
      eventCategory: "Management",
    },
  };
}

const small = (name: string) => name.charAt(0).toLowerCase() + name.slice(1);

function trailIdentity(caller: Caller): Json {
  if (caller.kind === "service") return { type: "AWSService", invokedBy: caller.service };
  const { UserId: principalId, Arn: arn } = identityOf(caller);
  const type = caller.kind === "session" ? "AssumedRole" : "Root";
  return { type, principalId, arn, ...("account" in caller && { accountId: caller.account }) };
}
