import type { FleetHost } from "./fleet/fleet-host.ts";

/** A command that is worth trying, as an operator would type it. */
export interface Stop {
  readonly says: string;
  readonly command: string;
  /** Needs the AWS CLI. */
  readonly aws?: true;
  /** Default: 0. */
  readonly statuses?: readonly number[];
}

/** @param pack - of the host: its key, and the files that its bytes lie in. */
export function tour(
  { hostId, fingerprint, recoveryKey }: FleetHost,
  pack: { readonly key: string; readonly files: readonly string[] },
): readonly Stop[] {
  return [
    {
      says: "ask the API for a backup of some components, on all hosts",
      command: `signed execute-api "$API/system/backup" --data '{"requestId": "mine", "components": ["mysql", "redis"]}'`,
    },
    {
      says: "what was started, for whom, and on which machines",
      command: `signed execute-api "$API/system/backup/status?requestId=mine"`,
    },
    {
      says: "what was found to be intact, of one host",
      command: `signed execute-api "$API/system/backups?host=${encodeURIComponent(hostId)}"`,
    },
    {
      says: "read everything that the host has stored, decrypt it, and compare it with what was signed",
      command: `mailark verify --deep --store "$STORE" --host ${hostId} --fingerprint ${fingerprint} --identity '${recoveryKey}'`,
    },
    { says: "what lies in the bucket", command: `aws s3 ls --recursive "s3://$DATA/"`, aws: true },
    {
      says: "delete a pack, as the account's owner: the bucket refuses it to everybody",
      command: `aws s3api delete-object --bucket "$DATA" --key '${pack.key}'`,
      aws: true,
      statuses: [254, 255],
    },
    {
      says: "damage it behind S3's back, as a disk does that rots",
      command: `printf rot | dd of='${pack.files[0]}' bs=1 seek=40 conv=notrunc status=none`,
    },
    {
      says: "read all of the newest snapshots again, as the schedule does once a week",
      command: `signed lambda "$AWS_ENDPOINT_URL/2015-03-31/functions/$VERIFY/invocations" --data '{"sweep": "deep"}'`,
    },
    {
      says: "wait for the mail that tells of it",
      command: `until grep -rh "is corrupt" "$INBOX"; do sleep 1; done`,
    },
    {
      says: "which alarms ring: CloudWatch looks once a minute",
      command: "aws cloudwatch describe-alarms --query 'MetricAlarms[].[AlarmName, StateValue]' --output text",
      aws: true,
    },
  ];
}
