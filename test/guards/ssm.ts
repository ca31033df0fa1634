import type { Guard } from "./guard.ts";

const ssm = (name: string) => `sandbox/cloud/services/ssm/${name}.ts`;
const documents = "infra/control/documents.ts";
const suite = (name: string) => `test/sandbox/cloud/services/${name}.test.ts`;

/** The sandbox's Run Command: what it would let pass, a test would take for something that AWS lets pass. */
export const ssmGuards: readonly Guard[] = [
  {
    guard: "SSM judges a command for each machine",
    file: ssm("ssm-service"),
    find: 'demand(call, "SendCommand", nodeArn(id, cloud), tagKeys(tags));',
    replace: "tagKeys(tags);",
    test: {
      file: suite("ssm-commands"),
      name: "the dispatching function starts the backup, on machines that bear the tag, and nothing else",
    },
  },
  {
    guard: "SSM judges a command for its document",
    file: ssm("ssm-service"),
    find: '"SendCommand",\n      documentArn({ name,',
    replace: '"ListCommandInvocations",\n      documentArn({ name,',
    test: {
      file: suite("ssm-commands"),
      name: "the dispatching function starts the backup, on machines that bear the tag, and nothing else",
    },
  },
  {
    guard: "SSM does not know a machine whose role does not let its agent report",
    file: ssm("managed-node"),
    find: 'if (!this.#may("ssm:UpdateInstanceInformation", this.arn)) return;',
    replace: "",
    test: {
      file: suite("ssm-commands"),
      name: "a machine gets commands as far as its role lets its agent ask for them",
    },
  },
  {
    guard: "SSM does not reach a machine whose role does not let its agent listen",
    file: ssm("managed-node"),
    find: 'channels.some((actions) => actions.every((action) => this.#may(action, "*")))',
    replace: "channels.length > 0",
    test: {
      file: suite("ssm-commands"),
      name: "a machine gets commands as far as its role lets its agent ask for them",
    },
  },
  {
    guard: "SSM has KMS open a secret parameter",
    file: ssm("parameter-store"),
    find: "if (keyArn !== undefined && WithDecryption) {",
    replace: 'if (keyArn === "") {',
    test: {
      file: suite("ssm-commands"),
      name: "a secret parameter is opened by KMS, in the name of who reads it",
    },
  },
  {
    guard: "SSM gives a command up that reaches nobody in time",
    file: ssm("command"),
    find: 'const late = clock.at(sentAt + this.order.timeoutSeconds * 1000, () => this.#end(each, "DeliveryTimedOut"));',
    replace: "const late = () => {};",
    test: { file: suite("ssm-commands"), name: "that reaches nobody in time is not run any more" },
  },
  {
    guard: "SSM begins a command nowhere else when too many have failed",
    file: ssm("command"),
    find: "if (this.#errors > this.#maxErrors) {",
    replace: "if (this.#errors < 0) {",
    test: { file: suite("ssm-commands"), name: "is not begun on further nodes when too many have failed" },
  },
  {
    guard: "SSM compares a value with its pattern",
    file: ssm("given-parameters"),
    find: "allowedPattern?.test(value) !== false &&",
    replace: "",
    test: { file: suite("ssm"), name: "is not run with %j for its components" },
  },
  {
    guard: "SSM ends a step when its time is over",
    file: ssm("agent"),
    find: "() => timedOut.abort());",
    replace: "() => {});",
    test: { file: suite("ssm"), name: "is ended with all that it started when its time is over" },
  },
  {
    guard: "a script that SSM runs sees nothing of the sandbox's own environment",
    file: ssm("local-machine"),
    find: "env: { ...own, ...environment },",
    replace: "env: { ...process.env, ...own, ...environment },",
    test: { file: suite("ssm"), name: "has the machine's environment, and nothing of whoever runs the sandbox" },
  },
  {
    guard: "the metadata of a machine wants a token",
    file: ssm("instance-metadata"),
    find: 'if (!tokens.has(String(request.headers["x-aws-ec2-metadata-token"]))) return answer(401, "");',
    replace: "",
    test: { file: suite("ssm"), name: "learns who it is from the metadata service, with a token only" },
  },
  {
    guard: "a document's program finds what it finds when it is run by hand",
    file: documents,
    find: 'export HOME="',
    replace: 'NO_HOME="',
    test: { file: suite("ssm"), name: "gives the program the home of its user, which an agent does not have" },
  },
  {
    guard: "a document leaves nothing of its report",
    file: documents,
    find: String.raw`  "trap 'rm -f \"$report\"' EXIT",`,
    replace: "",
    test: { file: suite("ssm"), name: "refuses on a machine whose agent does not know variables" },
  },
  {
    guard: "what is not the file that was asked for is not installed",
    file: documents,
    find: "; finish 4'",
    replace: "'",
    test: {
      file: suite("ssm-documents"),
      name: "of an archive %s replaces nothing and leaves nothing",
    },
  },
  {
    guard: "a release is tried before it is switched to",
    file: documents,
    find: '--version > "$report" 2>&1 || finish 1',
    replace: '--version > "$report" 2>&1',
    test: {
      file: suite("ssm-documents"),
      name: "of an archive %s replaces nothing and leaves nothing",
    },
  },
  {
    guard: "root runs nothing that others may write",
    file: documents,
    find: " --no-same-permissions",
    replace: "",
    test: {
      file: suite("ssm-documents"),
      name: "unpacks, tries and switches to a release, which everybody may run and only root may change",
    },
  },
  {
    guard: "what runs from the release before keeps its files",
    file: documents,
    find: ' ! -name "$before"',
    replace: "",
    test: {
      file: suite("ssm-documents"),
      name: "of another release keeps the one before, for what still runs from it, and none that is older",
    },
  },
  {
    guard: "one installation at a time",
    file: documents,
    find: "flock --nonblock 9 ||",
    replace: "true ||",
    test: { file: suite("ssm-documents"), name: "is refused while another one is under way" },
  },
];
