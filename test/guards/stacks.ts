// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the text of the product is quoted as it is
import type { Guard } from "./guard.ts";

const vault = "test/infra/vault.test.ts";
const control = "test/infra/control.test.ts";
const policies = "test/infra/policies.test.ts";
const config = "test/infra/config.test.ts";
const apiStack = "test/infra/api.test.ts";
const eventDeployment = "test/sandbox/cloud/services/event-deployment.test.ts";
const redTeam = "test/sandbox/cloud/red-team.test.ts";

const decisions: readonly Guard[] = [
  {
    guard: "a mistake in the configuration stops the synthesis",
    file: "infra/config-check.ts",
    find: "if (mistakes.length === 0) return;",
    replace: "if (mistakes.length >= 0) return;",
    test: { file: config, name: "tells every mistake at once" },
  },
  {
    guard: "a mistake in the configuration is told before the sandbox starts anything",
    file: "infra/own-config.ts",
    find: "  checkConfig(config);\n",
    replace: "",
    test: {
      file: "test/e2e/sandbox.test.ts",
      name: "says what is wrong with the deployment before it starts anything",
    },
  },
  {
    guard: "a schedule has times that there are",
    file: "infra/schedule-check.ts",
    find: "if (wrong >= 0) {",
    replace: "if (wrong > 99) {",
    test: { file: config, name: "takes of cron expressions what the sandbox's scheduler takes, and no other" },
  },
  {
    guard: "backups are started at most every five minutes, whatever the fields of a cron expression say",
    file: "infra/schedule-check.ts",
    find: "if (Math.min(...gaps) < leastMinutes) return tooOften;",
    replace: "if (Math.min(...gaps) < 1) return tooOften;",
    test: { file: config, name: "%s stops with the value and the fix" },
  },
  {
    guard: "a deployment has no name that AWS keeps for itself",
    file: "infra/config-check.ts",
    find: "(?!aws|amazon|amzn|ssm|sthree-|xn--)",
    replace: "",
    test: { file: config, name: "%s stops with the value and the fix" },
  },
];

const resources: readonly Guard[] = [
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
    guard: "the API takes few calls a second",
    file: "infra/control/api.ts",
    find: "    throttle: { rateLimit: 5, burstLimit: 20 },\n",
    replace: "",
    test: { file: apiStack, name: "writes down each call and who made it, and takes no more than a few a second" },
  },
  {
    guard: "what a function could not handle is kept",
    file: "infra/control/mailark-function.ts",
    find: "        onFailure: { bind: () => ({ destination: alerts.deadLetters.queueArn }) },\n",
    replace: "",
    test: {
      file: control,
      name: "that fails for good leaves its event among the dead letters, where nobody waits for its answer",
    },
  },
  {
    guard: "what a schedule could not start is kept",
    file: "infra/control/schedules.ts",
    find: "        deadLetterConfig: { arn: alerts.deadLetters.queueArn },\n",
    replace: "",
    test: { file: control, name: "is tried again, and ends among the dead letters" },
  },
  {
    guard: "verify is woken by the data bucket alone",
    file: "infra/control/verify.ts",
    find: 'bucket: { name: [bucketName(deployment, "data")] }, ',
    replace: "",
    test: { file: control, name: "verify is woken by manifests and records of runs of the data bucket alone" },
  },
  {
    guard: "machines of other accounts do not become mail hosts",
    file: "infra/host/host-identity.ts",
    find: ', { conditions: { StringEquals: { "aws:SourceAccount": account } } }',
    replace: "",
    test: { file: vault, name: "is one role for EC2 and for machines elsewhere of this account" },
  },
  {
    guard: "a host uses the vault's key through S3 alone",
    file: "infra/host/host-identity.ts",
    find: '      conditions: { StringEquals: { "kms:ViaService": `s3.${region}.amazonaws.com` } },\n',
    replace: "",
    test: { file: policies, name: "the vault's key is used through S3 and SSM only" },
  },
  {
    guard: "a function uses the vault's key through S3 alone",
    file: "infra/control/vault-access.ts",
    find: "resources: [this.#key.keyArn], conditions })",
    replace: "resources: [this.#key.keyArn], ...(conditions && {}) })",
    test: { file: policies, name: "the vault's key is used through S3 and SSM only" },
  },
  {
    guard: "a machine that takes commands reads no parameters",
    file: "infra/host/ssm-policy.ts",
    find: 'actions: ["ssm:UpdateInstanceInformation"],',
    replace: 'actions: ["ssm:UpdateInstanceInformation", "ssm:GetParameter"],',
    test: { file: vault, name: "takes commands without reading any parameter of the account" },
  },
  {
    guard: "the buckets take no other encryption than KMS",
    file: "infra/vault/bucket-rules.ts",
    find: '    OnlyKms: { ...named(encryption), StringNotEquals: { [encryption]: "aws:kms" } },\n',
    replace: "",
    test: { file: vault, name: "refuses other storage classes, other keys, keys of the caller and access lists" },
  },
  {
    guard: "the vault keeps versions",
    file: "infra/vault/vault-bucket.ts",
    find: "    versioned: true,\n",
    replace: "",
    test: { file: vault, name: "keeps versions in %s, sealed with its own key, closed to the public" },
  },
  {
    guard: "a lock is of the mode that was chosen",
    file: "infra/vault/vault-bucket.ts",
    find: 'lock.mode === "compliance" ?',
    replace: 'lock.mode !== "compliance" ?',
    test: { file: vault, name: "Object Lock in %s mode locks data and its copy, never keys" },
  },
  {
    guard: "the stacks with the buckets are not taken down by a slip",
    file: "infra/vault/vault-stack.ts",
    find: "env: { account, region }, terminationProtection: true",
    replace: "env: { account, region }",
    test: { file: vault, name: "stacks of buckets are not taken down before somebody has lifted their protection" },
  },
];

const notices: readonly Guard[] = [
  {
    guard: "somebody is told of a snapshot that was refused",
    file: "infra/control/notices.ts",
    find: "detail: { alert: [true] }",
    replace: "detail: { alert: [false] }",
    test: { file: eventDeployment, name: "tell of a snapshot that was refused in one sentence, with its findings" },
  },
  {
    guard: "somebody is told of a command that never reached its machine",
    file: "infra/control/notices.ts",
    find: '          "Undeliverable",\n',
    replace: "",
    test: { file: eventDeployment, name: "tell of a command that ended as %s %i times" },
  },
  {
    guard: "verify is woken by manifests, and by no pack",
    file: "infra/control/verify.ts",
    find: '[{ suffix: "/manifest.json" }]',
    replace: '[{ prefix: "hosts/" }]',
    test: { file: eventDeployment, name: "have each manifest judged, and no other object" },
  },
  {
    guard: "somebody is told of another policy for the vault's key",
    file: "infra/control/notices.ts",
    find: '[...keyEndingCalls, "PutKeyPolicy"]',
    replace: "[...keyEndingCalls]",
    test: { file: "test/sandbox/cloud/alarm-path.test.ts", name: "tells of %s on the key of the vault" },
  },
];

/** The stacks: what can not be deployed, and what they let anybody do. */
export const stackGuards: readonly Guard[] = [...decisions, ...resources, ...notices];
