import { CreateMultipartUploadCommand, PutObjectCommand, S3Client, UploadPartCommand } from "@aws-sdk/client-s3";
import type { Credential } from "../../../sandbox/cloud/s3/credentials.ts";
import type { SynthesizedStack } from "../../../sandbox/cloud/template/assembly.ts";
import { owner } from "../../fixtures/sandbox-s3.ts";
import { account, region, type SynthesizedAccount, synthesizedAccount } from "../../fixtures/synthesized-account.ts";
import type { Field } from "./attacks.ts";

export const stolen = "i-0stolen";
export const otherHost = "i-0other";

/** An account with the vault, two hosts' objects in it, and a session of the role in hostile hands. */
export async function fieldOf(
  vault: readonly SynthesizedStack[],
  role: string,
): Promise<{ readonly field: Field; readonly place: SynthesizedAccount; close(): Promise<void> }> {
  const place = await synthesizedAccount(vault);
  const clients: S3Client[] = [];
  const clientOf = (credentials: Credential) => {
    const client = new S3Client({
      endpoint: place.server.url,
      region,
      maxAttempts: 1,
      credentials,
      forcePathStyle: true,
    });
    clients.push(client);
    return client;
  };
  const bucket = (kind: string) => `mailark-${kind}-${account}-${region}`;
  const [own, other] = [place.userId(role, stolen), place.userId("mailark-host", otherHost)];
  const [data, keyring, control, logs] = [bucket("data"), bucket("keyring"), bucket("control"), bucket("logs")];
  const setup = clientOf(owner);
  const store = async (Bucket: string, Key: string) =>
    setup.send(new PutObjectCommand({ Bucket, Key, Body: Key, IfNoneMatch: "*" }));
  const begin = async (id: string) => {
    const at = { Bucket: data, Key: `hosts/${id}/mail/s1/manifest.json` };
    const { UploadId } = await setup.send(new CreateMultipartUploadCommand({ ...at, ChecksumAlgorithm: "CRC32" }));
    const part = { ...at, UploadId, PartNumber: 1, Body: "part", ChecksumAlgorithm: "CRC32" } as const;
    const { ETag, ChecksumCRC32 } = await setup.send(new UploadPartCommand(part));
    return { id: UploadId!, etag: ETag!, crc32: ChecksumCRC32! };
  };
  await store("elsewhere", "public");
  await store(control, "control/latest/x.json");
  for (const id of [own, other]) await store(keyring, `keyring/${id}/o1/k1.age`);
  await store(data, `hosts/${other}/mail/s1/manifest.json`);
  const { VersionId: version, ETag: etag } = await store(data, `hosts/${own}/mail/s1/manifest.json`);
  const field: Field = {
    ...{
      data,
      keyring,
      control,
      logs,
      own,
      other,
      version: version!,
      etag: etag!,
      vaultKey: place.vaultKey,
      otherKey: place.otherKey,
    },
    client: clientOf(place.who(role, stolen)),
    overHttp: clientOf(place.who(role, stolen, "http")),
    overOldTls: clientOf(place.who(role, stolen, "TLS 1.1")),
    othersUpload: (await begin(other)).id,
    ownUpload: await begin(own),
  };
  place.decisions.length = 0;
  return {
    field,
    place,
    async close() {
      for (const client of clients) client.destroy();
      await place.close();
    },
  };
}
