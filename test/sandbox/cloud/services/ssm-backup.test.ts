import { ListObjectsV2Command, S3Client } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, expect, test } from "vitest";
import { outputOf } from "../../../../sandbox/fleet/outputs.ts";
import { writeMaildir } from "../../../../sandbox/host/maildir.ts";
import { clientOf } from "../../../fixtures/small-cloud.ts";
import { account, region, synthesizedStacks } from "../../../fixtures/synthesized-account.ts";
import { neighbours } from "./ssm-neighbours.ts";
import { type SsmPlace, ssmPlace } from "./ssm-place.ts";

let place: SsmPlace;

beforeAll(async () => {
  // The program goes by this machine's time.
  place = await ssmPlace([...synthesizedStacks(), neighbours()], Date.now());
}, 120_000);
afterAll(() => place?.close());

const entry = new URL("../../../../shipper/mailark.ts", import.meta.url).pathname;
const mailark = `exec '${process.execPath}' '${entry}' "$@"`;

test.each([
  ["on EC2, where the metadata service has its credentials", "i-0123456789abcdef0"],
  ["elsewhere, where the agent keeps them in a file", "mi-0123456789abcdef0"],
])(
  "a host %s is set up, and backs up by the synthesized document",
  async (_, instanceId) => {
    const host = place.machine({ instanceId, programs: { mailark } });
    writeMaildir(`${host.directory}/vmail/example.com/alice/Maildir`, {
      seed: instanceId,
      messages: 3,
      folders: [],
      medianBytes: 400,
    });
    const init = `mailark init --yes --name mx --store '${outputOf(place.cloud, "Store")}' --state "$PLACE/state" --component mail --mail-root "$PLACE/vmail"`;
    const made = await place.outcome(await place.send(place.operator(), "shell", [host], { Line: init }), host);
    expect(made).toMatchObject({ Status: "Success", StandardErrorContent: "" });

    const id = await place.send(place.dispatcher(), "mailark-backup", [host], { Components: "mail", RequestId: "r-1" });
    const outcome = await place.outcome(id, host);
    expect(outcome).toMatchObject({ Status: "Success", ResponseCode: 0, StandardErrorContent: "" });
    expect(outcome.StandardOutputContent).toContain("mail");

    const s3 = new S3Client({ ...clientOf(place.cloud), endpoint: place.cloud.endpoints.s3, forcePathStyle: true });
    const { roleId } = place.cloud.account.session("mailark-host", instanceId);
    const Prefix = `hosts/${roleId}:${instanceId}/mail/`;
    const { Contents } = await s3.send(
      new ListObjectsV2Command({ Bucket: `mailark-data-${account}-${region}`, Prefix }),
    );
    s3.destroy();
    expect(Contents?.filter(({ Key }) => Key!.endsWith("/manifest.json"))).toHaveLength(1);
  },
  120_000,
);
