/** What can be amiss with a store in S3, and with the credentials for it. */
import { type Credential, createOnly, everything } from "../../../sandbox/cloud/s3/credentials.ts";
import { type S3Place, useCredentials, writer } from "../../fixtures/s3-place.ts";
import type { Case, Illness, Sickroom } from "./sickroom.ts";

export interface CloudRoom extends Sickroom {
  readonly place: S3Place;
}

const creates = createOnly("backups", "mail/");
const more = (name: string, actions: readonly string[]): Credential => ({
  accessKeyId: `AKIA${name.toUpperCase()}`,
  secretAccessKey: `the ${name}'s secret`,
  name,
  allow: (need) => creates(need) || actions.includes(need.action),
});
const reader = more("reader", ["s3:GetObject", "s3:ListBucket"]);
const eraser = more("eraser", ["s3:DeleteObject"]);
const plain: Credential = {
  ...{ accessKeyId: "AKIAPLAIN", secretAccessKey: "the plain's secret", name: "plain" },
  allow: ({ action, resource }) =>
    ["s3:PutObject", "s3:AbortMultipartUpload"].includes(action) && resource.startsWith("arn:aws:s3:::backups/mail/"),
};
const stranger: Credential = { ...writer, secretAccessKey: "cut off", allow: everything };

/** All whom the server knows. */
export const credentials: readonly Credential[] = [writer, reader, eraser, plain];

const look = () => ["store"];

/** The host has these credentials, until it has those that it should have. */
function having(credential: Credential): Illness {
  useCredentials(credential);
  return { heal: () => useCredentials(writer) };
}

export const cloudIllnesses: readonly Case<CloudRoom>[] = [
  {
    code: "SNAPSHOT_OLD",
    where: "the audit file of a host that may not list knows of no backup",
    look,
    provoke: () => {},
  },
  {
    code: "STORE_READABLE",
    where: "the host has credentials that read",
    look,
    provoke: () => having(reader),
  },
  {
    code: "STORE_ERASABLE",
    where: "the host has credentials that erase",
    look,
    provoke: () => having(eraser),
  },
  {
    code: "STORE_FAILED",
    where: "the secret was cut off",
    look,
    provoke: () => having(stranger),
  },
  {
    code: "STORE_REPLACES",
    where: "the store does not know If-None-Match",
    look,
    provoke({ place: { server } }) {
      server.rules.conditions = false;
      return {
        heal() {
          server.rules.conditions = true;
        },
      };
    },
  },
  {
    code: "STORE_REPLACES",
    where: "the policy does not demand If-None-Match",
    look,
    provoke: () => having(plain),
  },
  {
    code: "STORE_CHECKSUM_MISSING",
    where: "the store does not know CRC64NVME, and its URL asks for less",
    look,
    provoke({ line, place: { server } }) {
      server.rules.checksums = false;
      line.edit((text) => text.replace(/^(store: .*region=[a-z0-9-]+)/m, "$1&checksum=md5"));
      return {
        heal(advice) {
          server.rules.checksums = true;
          line.edit((text) => text.replace(`&${/take (\S+) out/.exec(advice)![1]}`, ""));
        },
      };
    },
  },
];
