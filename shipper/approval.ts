import { hostRecordKey } from "../core/keys.ts";
import { placeOf } from "./store-url.ts";

/** What an operator approves of a host, as the controller reads it. */
export interface Approval {
  /** Of the object in the control bucket. */
  readonly key: string;
  readonly record: {
    readonly format: "mailark-host/1";
    readonly hostId: string;
    readonly name: string;
    readonly fingerprints: readonly [string];
  };
}

/** `undefined` where no store has a controller. */
export function approvalOf(
  stores: readonly string[],
  { hostId, name, fingerprint }: { readonly hostId: string; readonly name: string; readonly fingerprint: string },
): Approval | undefined {
  if (stores.every((url) => placeOf(url).s3?.hostId !== "sts")) return undefined;
  return {
    key: hostRecordKey(hostId),
    record: { format: "mailark-host/1", hostId, name, fingerprints: [fingerprint] },
  };
}

/** What to paste, and where: a host may write nothing there. An approval that is there already is not replaced by it. */
export function approvalText({ key, record }: Approval): string {
  return `To approve this host, compare the fingerprint with its recovery sheet. Then, where you administer AWS and not here:

cat > host.json <<'END'
${JSON.stringify(record)}
END
aws s3api put-object --bucket CONTROL-BUCKET --key ${key} --body host.json --if-none-match '*'

CONTROL-BUCKET is among the outputs of the vault's stack. Nothing that this host stores is believed before. Where it was
approved with an older key, add the fingerprint to the list in that object instead.
`;
}
