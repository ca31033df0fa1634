// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the text of the product is quoted as it is
import type { Guard } from "./guard.ts";

const vault = "test/infra/vault.test.ts";
const control = "test/infra/control.test.ts";
const policies = "test/infra/policies.test.ts";
const config = "test/infra/config.test.ts";
const verify = "test/lambdas/verify/verify-snapshot.test.ts";
const redTeam = "test/sandbox/cloud/red-team.test.ts";
const api = "test/lambdas/api/routes.test.ts";
const apiStack = "test/infra/api.test.ts";
const dispatch = "test/lambdas/dispatch/dispatch-backup.test.ts";

const verdicts: readonly Guard[] = [
  {
    guard: "a host that nobody approved is judged when somebody has",
    file: "lambdas/verify/verify-snapshot.ts",
    find: 'if (outcome === "unenrolled") return verdict;',
    replace: "",
    test: { file: verify, name: "is unenrolled until the operator has approved the host, and is judged then" },
  },
  {
    guard: "only signing keys count that the operator approved",
    file: "lambdas/verify/verify-snapshot.ts",
    find: "readTrust(vault, address.hostId, fingerprints)",
    replace: "readTrust(vault, address.hostId, undefined)",
    test: { file: verify, name: "is forged when another key signed it, also one that the host enrolled by itself" },
  },
  {
    guard: "the latest snapshot is the one that the store received last",
    file: "lambdas/verify/latest.ts",
    find: ": order(b.receivedAt, a.receivedAt)",
    replace: ": order(b.snapshotId, a.snapshotId)",
    test: { file: verify, name: "is good and not the latest when it came earlier, whatever the host calls it" },
  },
  {
    guard: "nothing builds on a partial snapshot",
    file: "lambdas/verify/verify-snapshot.ts",
    find: 'outcome === "intact" && manifest?.completeness === "complete" ? manifest',
    replace: 'outcome === "intact" ? manifest',
    test: { file: verify, name: "is no base when it is only partial" },
  },
  {
    guard: "nothing builds any more on a snapshot that turned out bad",
    file: "lambdas/verify/verify-snapshot.ts",
    find: "else await noteLost(control, address, signal);",
    replace: "",
    test: {
      file: verify,
      name: "that reads every byte finds what the store's checksum does not say, and takes the snapshot from the good ones",
    },
  },
  {
    guard: "a deep look reads the bytes",
    file: "lambdas/verify/verify-snapshot.ts",
    find: "...(!deep && {",
    replace: "...(true && {",
    test: {
      file: verify,
      name: "that reads every byte finds what the store's checksum does not say, and takes the snapshot from the good ones",
    },
  },
  {
    guard: "an event that comes twice is announced once",
    file: "lambdas/verify/verify-snapshot.ts",
    find: "if (before && !again && !deep) return before.record;",
    replace: "",
    test: { file: verify, name: "that comes twice has no second effect" },
  },
  {
    guard: "two judgements at once lose nothing of each other",
    file: "lambdas/verify/latest.ts",
    find: "if (await control.replace(key, recordBytes(record), before?.held, signal)) return;",
    replace: "await control.replace(key, recordBytes(record), before?.held, signal);\n    return;",
    test: { file: verify, name: "that another overtakes loses nothing of what either found" },
  },
  {
    guard: "somebody is told when half of what was counted is gone",
    file: "lambdas/verify/anomalies.ts",
    find: "before >= noticeable && now < before / 2",
    replace: "before < 0 && now < 0",
    test: { file: verify, name: "is odd when half of what it counts is gone since the one before" },
  },
  {
    guard: "only the data bucket's manifests are judged",
    file: "lambdas/verify/event.ts",
    find: "detail.bucket.name === bucket ?",
    replace: "detail.bucket.name ?",
    test: { file: "test/lambdas/verify/event.test.ts", name: "is not %s" },
  },
];

const starts: readonly Guard[] = [
  {
    guard: "a request that comes again starts nothing",
    file: "lambdas/dispatch/dispatch-backup.ts",
    find: "if (before) return before.record;",
    replace: "",
    test: { file: dispatch, name: "starts nothing, and gets the answer of the first time" },
  },
  {
    guard: "no second backup is started where one runs",
    file: "lambdas/dispatch/dispatch-backup.ts",
    find: "machines.filter(({ id }) => !running.has(id))",
    replace: "machines.filter(({ id }) => id)",
    test: { file: dispatch, name: "passes over a machine where one runs already, and says so" },
  },
  {
    guard: "a backup is asked for once over the API",
    file: "lambdas/api/request-backup.ts",
    find: "if (before) return before;",
    replace: "",
    test: { file: api, name: "is started once, however often it is asked for" },
  },
  {
    guard: "a request over the API is in the name of who signed it",
    file: "lambdas/api/routes.ts",
    find: "dispatchRequest.omit({ requestedBy: true })",
    replace: "dispatchRequest.partial({ requestedBy: true })",
    test: { file: api, name: "is refused with one sentence for %s" },
  },
  {
    guard: "what can not be read is not left out of the list",
    file: "lambdas/api/routes.ts",
    find: "refusal(400, error.message);\n    throw error;",
    replace: "refusal(400, error.message);\n    return refusal(400, String(error));",
    test: { file: api, name: "is not made up where a record can not be read" },
  },
  {
    guard: "a function announces nothing but its own events",
    file: "infra/control/bus-access.ts",
    find: ', "events:detail-type": [...detailTypes]',
    replace: "",
    test: {
      file: apiStack,
      name: "has behind it what can ask for a backup and read what was written down, and nothing else",
    },
  },
  {
    guard: "a replaced object of the control store is not replaced again",
    file: "lambdas/runtime/s3-control-store.ts",
    find: ": { IfMatch: over.tag };",
    replace: ": {};",
    test: { file: "test/lambdas/runtime/s3.test.ts", name: "replaces the state that was read, and no other" },
  },
];

const stack: readonly Guard[] = [
  {
    guard: "the buckets refuse to replace an object",
    file: "infra/vault/bucket-rules.ts",
    find: 'Null: { "s3:if-none-match": "true" },',
    replace: "",
    test: { file: vault, name: "lets nobody replace what is there" },
  },
  {
    guard: "the buckets bind everybody to his own id",
    file: "infra/vault/bucket-rules.ts",
    find: "notResources: [own],",
    replace: "notResources: [objects],",
    test: { file: vault, name: "lets everybody write below his own id only" },
  },
  {
    guard: "the buckets refuse every deletion",
    file: "infra/vault/bucket-rules.ts",
    find: '    deny("NeverDelete", neverAllowed, [objects]),\n',
    replace: '    deny("NeverDelete", ["s3:PutObjectAcl"], [objects]),\n',
    test: { file: vault, name: "lets nobody delete, change access, or go round a lock" },
  },
  {
    guard: "a host is denied what it is not granted",
    file: "infra/host/host-identity.ts",
    find: 'notActions: ["s3:PutObject", "s3:AbortMultipartUpload"],',
    replace: 'notActions: ["s3:PutObject", "s3:AbortMultipartUpload", "s3:GetObject"],',
    test: { file: vault, name: "is denied the rest of the vault, whatever else is attached to it" },
  },
  {
    guard: "the buckets let nobody tag",
    file: "infra/vault/bucket-rules.ts",
    find: '    deny("OnlyRetentionTags", tagging, [objects], exceptFor(rules.retentionRole)),\n',
    replace: "",
    test: { file: redTeam, name: "%s" },
  },
  {
    guard: "a copy is not tagged but by replication",
    file: "infra/vault/bucket-rules.ts",
    find: "...neverAllowed, ...tagging]",
    replace: "...neverAllowed]",
    test: {
      file: vault,
      name: "another region gets data and keyring, with their tags and without delete markers, and nobody else writes there",
    },
  },
  {
    guard: "the buckets let nobody abort another's upload",
    file: "infra/vault/bucket-rules.ts",
    find: 'actions: ["s3:PutObject", "s3:AbortMultipartUpload"],',
    replace: 'actions: ["s3:PutObject"],',
    test: {
      file: redTeam,
      name: "%s",
    },
  },
  {
    guard: "a host is denied everything of control and logs",
    file: "infra/host/host-identity.ts",
    find: '    new PolicyStatement({ sid: "NothingElsewhere", effect: Effect.DENY, actions: ["s3:*"], resources: others }),\n',
    replace: "",
    test: { file: redTeam, name: "%s" },
  },
  {
    guard: "only what is tagged expires",
    file: "infra/vault/vault-bucket.ts",
    find: "tagFilters: { [expiredTag.key]: expiredTag.value },",
    replace: "",
    test: { file: vault, name: "lets data expire only where it is tagged, and keys never" },
  },
  {
    guard: "buckets outlive their stack",
    file: "infra/vault/vault-bucket.ts",
    find: "removalPolicy: RemovalPolicy.RETAIN,",
    replace: "removalPolicy: RemovalPolicy.DESTROY,",
    test: {
      file: vault,
      name: "outlives its stack: buckets and key stay when it is taken down or a resource is replaced",
    },
  },
  {
    guard: "nobody may end the vault's key",
    file: "infra/vault/vault-key.ts",
    find: "effect: Effect.DENY,",
    replace: "",
    test: { file: vault, name: "turns its key once a year, and lets nobody end it" },
  },
  {
    guard: "a delete marker is not copied to the other region",
    file: "infra/vault/replication.ts",
    find: 'deleteMarkerReplication: { status: "Disabled" },',
    replace: 'deleteMarkerReplication: { status: "Enabled" },',
    test: {
      file: vault,
      name: "another region gets data and keyring, with their tags and without delete markers, and nobody else writes there",
    },
  },
  {
    guard: "commands reach tagged machines only",
    file: "infra/control/dispatch.ts",
    find: "conditions: { StringEquals: { [`ssm:resourceTag/${hostTag.key}`]: hostTag.value } },",
    replace: "",
    test: { file: policies, name: "each way to a host goes through one document, to machines with the tag" },
  },
  {
    guard: "no function writes where backups are",
    file: "infra/control/vault-access.ts",
    find: 'actions: ["s3:GetObject"],\n        resources: [`${data}/hosts/*`',
    replace: 'actions: ["s3:GetObject", "s3:PutObject"],\n        resources: [`${data}/hosts/*`',
    test: { file: policies, name: "none lets a function write where backups are" },
  },
  {
    guard: "values of documents are environment",
    file: "infra/control/documents.ts",
    find: 'interpolationType: "ENV_VAR", ',
    replace: "",
    test: {
      file: control,
      name: "gets its values as environment, each of a pattern from end to end, and never as text of the script",
    },
  },
  {
    guard: "words of a document are not read as patterns of files",
    file: "infra/control/documents.ts",
    find: '"set -fu",',
    replace: '"set -u",',
    test: { file: control, name: "a value is never read as shell, even where its pattern did not stop it" },
  },
  {
    guard: "an agent that sets no values runs nothing",
    file: "infra/control/documents.ts",
    find: 'update it" >&2; exit 2; }`,',
    replace: 'update it" >&2; SSM_${name}=; }`,',
    test: { file: control, name: "a machine whose agent does not set the values refuses, and runs nothing" },
  },
  {
    guard: "silence is an alarm",
    file: "infra/control/alarm.ts",
    find: "TreatMissingData.BREACHING",
    replace: "TreatMissingData.MISSING",
    test: { file: control, name: "turns red when nothing is heard any more; only counters of faults may be silent" },
  },
  {
    guard: "EventBridge may use the key of the topics",
    file: "infra/control/alerts.ts",
    find: '    use("events");\n',
    replace: "",
    test: {
      file: control,
      name: "is sealed with a key that CloudWatch and EventBridge may use, so that what is published arrives",
    },
  },
  {
    guard: "CloudWatch may use the key of the topics",
    file: "infra/control/alerts.ts",
    find: '    use("cloudwatch", {',
    replace: "    void ({",
    test: {
      file: control,
      name: "is sealed with a key that CloudWatch and EventBridge may use, so that what is published arrives",
    },
  },
  {
    guard: "a mistake in the configuration stops the synthesis",
    file: "infra/config-check.ts",
    find: "if (mistakes.length === 0) return;",
    replace: "if (mistakes.length >= 0) return;",
    test: { file: config, name: "tells every mistake at once" },
  },
];

/** The controller: what it believes, what it starts, and what the stacks let anybody do. */
export const controllerGuards: readonly Guard[] = [...verdicts, ...starts, ...stack];
