/**
 * What SSM runs on machines. Values come to the program as environment (`interpolationType: ENV_VAR`) and never stand in the text of a script; each has
 * a pattern besides. Agents before 3.3.2746 would not set them: such a machine refuses.
 */
import { CfnDocument } from "aws-cdk-lib/aws-ssm";
import type { Construct } from "constructs";
import { componentNames, patterns } from "../../core/keys.ts";
import type { Deployment } from "../deployment.ts";
import { type DocumentKind, documentKinds, documentName, drillKeyParameter, storeUrl } from "../names.ts";

interface Parameter {
  readonly description: string;
  readonly allowedPattern: string;
  /** @default it must be given */
  readonly default?: string;
}

interface Document {
  readonly description: string;
  readonly parameters: Readonly<Record<string, Parameter>>;
  /** Seconds after which it is ended. */
  readonly timeoutSeconds: number;
  /** Lines of `sh`. `$report` is a file whose end becomes the output; the status of the last command is that of all. */
  readonly script: readonly string[];
}

/** The longest that SSM allows: a first full backup of a large host over a slow line. */
const twoDays = 172_800;

const component = `(${componentNames.join("|")})`;
const snapshot = "[0-9]{8}T[0-9]{6}[.][0-9]{3}Z-[0-9a-z]{10}";
const hostId = "[A-Za-z0-9][A-Za-z0-9:._-]{1,127}";
const dnsName = "[A-Za-z0-9][A-Za-z0-9.-]{0,252}";
const path = "/[A-Za-z0-9._/-]{1,250}";

const components: Parameter = {
  description: "Components, separated by spaces; empty: all that are configured",
  allowedPattern: `^$|^${component}( ${component})*$`,
  default: "",
};
const identityFile: Parameter = {
  description: "File on the machine with the key that opens the backup",
  allowedPattern: `^${path}$`,
};
const profile: Parameter = {
  description: "AWS profile on the machine that may read the vault; empty: its own role",
  allowedPattern: "^[A-Za-z0-9_-]{0,64}$",
  default: "",
};

function documentsOf(deployment: Deployment): Record<DocumentKind, Document> {
  const store = `'${storeUrl(deployment)}'`;
  return {
    backup: {
      description: "Capture components of this mail host and store them in the vault",
      parameters: {
        Components: components,
        Base: {
          description: "COMPONENT=SNAPSHOT of what is known to be intact, separated by spaces",
          allowedPattern: `^$|^${component}=${snapshot}( ${component}=${snapshot})*$`,
          default: "",
        },
        RequestId: {
          description: "Whose wish this is",
          allowedPattern: `^$|${patterns.requestId.source}`,
          default: "",
        },
      },
      timeoutSeconds: twoDays,
      script: [
        'export MAILARK_BASE="$SSM_Base" MAILARK_REQUEST="$SSM_RequestId"',
        "# Split at spaces, never read as shell. No host has everything that a schedule names.",
        'mailark backup --configured $SSM_Components > "$report" 2>&1',
      ],
    },
    drill: {
      description: "Bring a host's backup back into a scratch place on this machine, and prove it",
      parameters: {
        Host: { description: "Storage id of the host whose backup is proven", allowedPattern: `^${hostId}$` },
        Fingerprint: { description: "Of the host's signing key", allowedPattern: "^[0-9a-f]{64}$" },
        Components: components,
        Probe: {
          description: "Mailbox of the host that a message is sent to; empty: one that has an account",
          allowedPattern: `^$|^[A-Za-z0-9][A-Za-z0-9._+=-]{0,63}@${dnsName}$`,
          default: "",
        },
        ProbePasswordFile: {
          description: "File on the machine with that mailbox's password, without which no drill proves everything",
          allowedPattern: `^$|^${path}$`,
          default: "",
        },
        Scratch: {
          description: "Directory with room for everything, on which every account may pass",
          allowedPattern: `^${path}$`,
          default: "/var/tmp",
        },
      },
      timeoutSeconds: twoDays,
      script: [
        "set -- $SSM_Components",
        '[ -z "$SSM_Probe" ] || set -- "$@" --probe "$SSM_Probe"',
        '[ -z "$SSM_ProbePasswordFile" ] || set -- "$@" --probe-password-file "$SSM_ProbePasswordFile"',
        `key=$(aws ssm get-parameter --region ${deployment.region} --name ${drillKeyParameter(deployment)} --with-decryption --query Parameter.Value --output text) || exit 1`,
        "# By the program's input: a shell's own printf is no program that others could see the words of.",
        `printf '%s\\n' "$key" | mailark drill --identity - --store ${store} --host "$SSM_Host" --fingerprint "$SSM_Fingerprint" --scratch "$SSM_Scratch" "$@" > "$report" 2>&1`,
      ],
    },
    restore: {
      description: "Bring one component of a host back into an empty directory of this machine",
      parameters: {
        Host: { description: "Storage id of the host whose backup it is", allowedPattern: `^${hostId}$` },
        Fingerprint: { description: "Of that host's signing key", allowedPattern: "^[0-9a-f]{64}$" },
        Component: { description: "What is restored", allowedPattern: `^${component}$` },
        At: {
          description: "latest, the id of a snapshot, or a time in UTC",
          allowedPattern: `^(latest|${snapshot}|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2})?Z)$`,
          default: "latest",
        },
        To: { description: "Directory that is empty or not there yet", allowedPattern: `^${path}$` },
        IdentityFile: identityFile,
        Profile: profile,
      },
      timeoutSeconds: twoDays,
      script: [
        '[ -z "$SSM_Profile" ] || export AWS_PROFILE="$SSM_Profile"',
        `mailark restore "$SSM_Component" --store ${store} --host "$SSM_Host" --fingerprint "$SSM_Fingerprint" --at "$SSM_At" --to "$SSM_To" --identity "$SSM_IdentityFile" > "$report" 2>&1`,
      ],
    },
    install: {
      description:
        "Install this version of mailark, or change to it: unpacked beside the old one, tried, then switched in one step",
      parameters: {
        Url: {
          description: "Of a tar.gz of mailark with its packages (node_modules)",
          allowedPattern: `^https://${dnsName}(:[0-9]{1,5})?/[A-Za-z0-9._/-]+$`,
        },
        Sha256: { description: "Of that file", allowedPattern: "^[0-9a-f]{64}$" },
      },
      timeoutSeconds: 1800,
      script: installScript,
    },
    doctor: {
      description: "Say what a backup and a restore on this machine would lack",
      parameters: {},
      timeoutSeconds: 1800,
      script: ['mailark doctor > "$report" 2>&1'],
    },
  };
}

/**
 * A release has a directory of its own, whatever its bytes: what runs from another one keeps its files, and a machine that stops anywhere in between
 * has the release that it had. The one before stays, for what still runs from it.
 */
const installScript = [
  "umask 022",
  "releases=/opt/mailark/releases",
  'mkdir -p "$releases" && exec 9> /opt/mailark/install.lock || finish 1',
  'flock --nonblock 9 || { echo "another installation is under way" > "$report"; finish 5; }',
  'new=$(mktemp -d "$releases/$SSM_Sha256.XXXXXXXXXX") || finish 1',
  `trap 'rm -rf "$report" "$new"' EXIT`,
  'curl --fail --silent --show-error --location --proto "=https" --output "$new/archive" "$SSM_Url" > "$report" 2>&1 || finish 1',
  'if ! printf "%s  %s\\n" "$SSM_Sha256" "$new/archive" | sha256sum --check --status; then',
  '  echo "the file is not the one that was asked for: its SHA-256 differs" > "$report"; finish 4',
  "fi",
  "# What others could write to would run as root.",
  'tar --extract --gzip --no-same-owner --no-same-permissions --file "$new/archive" --directory "$new" --strip-components=1 > "$report" 2>&1 || finish 1',
  'rm -f "$new/archive" && chmod 755 "$new" || finish 1',
  '"$new/node_modules/.bin/node" "$new/shipper/mailark.ts" --version > "$report" 2>&1 || finish 1',
  'before=$(basename "$(readlink /opt/mailark/current)")',
  'ln -sfn "$new" /opt/mailark/current.new && mv -T /opt/mailark/current.new /opt/mailark/current || finish 1',
  `trap 'rm -f "$report"' EXIT`,
  "printf '#!/bin/sh\\nexec /opt/mailark/current/node_modules/.bin/node /opt/mailark/current/shipper/mailark.ts \"$@\"\\n' > /usr/local/bin/mailark.new &&",
  "  chmod 755 /usr/local/bin/mailark.new && mv /usr/local/bin/mailark.new /usr/local/bin/mailark || finish 1",
  'find "$releases" -mindepth 1 -maxdepth 1 ! -path "$new" ! -name "$before" -exec rm -rf {} +',
];

/** Makes the documents. */
export function documents(scope: Construct, deployment: Deployment): void {
  const all = documentsOf(deployment);
  for (const kind of documentKinds) {
    const { description, parameters, timeoutSeconds, script } = all[kind];
    new CfnDocument(scope, `Document-${kind}`, {
      name: documentName(deployment, kind),
      documentType: "Command",
      documentFormat: "JSON",
      updateMethod: "NewVersion",
      targetType: "/",
      content: {
        schemaVersion: "2.2",
        description,
        parameters: Object.fromEntries(
          Object.entries(parameters).map(([name, parameter]) => [
            name,
            { type: "String", interpolationType: "ENV_VAR", ...parameter },
          ]),
        ),
        mainSteps: [
          {
            action: "aws:runShellScript",
            name: kind,
            precondition: { StringEquals: ["platformType", "Linux"] },
            inputs: {
              timeoutSeconds: String(timeoutSeconds),
              runCommand: [...preamble(Object.keys(parameters)), ...script, "finish $?"],
            },
          },
        ],
      },
    });
  }
}

/** SSM keeps the first 24,000 characters of what is printed: only the end of the report is. How each component went is in the record of the run. */
const preamble = (parameters: readonly string[]) => [
  "set -fu",
  "umask 077",
  "# An agent that systemd has started has none: a database that root reaches by ~/.my.cnf would be reached by hand only.",
  `export HOME="\${HOME:-$(getent passwd "$(id -u)" | cut -d : -f 6)}"`,
  'PATH="$PATH:/usr/local/bin"',
  "report=$(mktemp) || exit 1",
  "trap 'rm -f \"$report\"' EXIT",
  'finish() { tail -c 20000 "$report"; exit "$1"; }',
  ...parameters.map(
    (name) =>
      `[ -n "\${SSM_${name}+set}" ] || { echo "this machine's SSM agent is older than 3.3.2746: update it" >&2; exit 2; }`,
  ),
];
