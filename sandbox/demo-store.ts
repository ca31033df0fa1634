/** Where the demo's backups go: a directory, or a bucket of the sandbox's S3. */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { readWhole } from "../core/stores/read-whole.ts";
import { s3Store } from "../core/stores/s3.ts";
import { parseS3Url } from "../core/stores/s3-url.ts";
import { type Credential, createOnly, everything } from "./cloud/s3/credentials.ts";
import { startS3 } from "./cloud/s3/server.ts";

export interface DemoStore {
  readonly url: string;
  /** What is run from now on has the credentials of the mail host. */
  actAsHost(): void;
  /** What is run from now on has those of somebody who may read. */
  actAsOperator(): void;
  /** A directory with everything that is stored, for tools that know no S3. */
  directory(): Promise<string>;
  close(): Promise<void>;
}

export function demoDirectory(path: string): DemoStore {
  const nothing = () => {};
  return {
    url: `file://${path}`,
    actAsHost: nothing,
    actAsOperator: nothing,
    directory: async () => path,
    close: async () => {},
  };
}

/** @param path of a directory for the server, and for the copy. */
export async function demoBucket(path: string): Promise<DemoStore> {
  const bucket = "example-backups";
  const credential = (name: string, allow: Credential["allow"]): Credential => ({
    ...{ name, allow },
    ...{ accessKeyId: `AKIA${name.toUpperCase()}`, secretAccessKey: `the ${name}'s secret` },
  });
  const host = credential("host", createOnly(bucket, "mail/"));
  const operator = credential("operator", everything);
  const region = "eu-central-1";
  const buckets = [{ name: bucket, versioned: true }];
  const server = await startS3({ directory: join(path, "s3"), credentials: [host, operator], region, buckets });
  const url = `s3://${bucket}/mail?endpoint=${server.url}&region=${region}`;
  const act = ({ accessKeyId, secretAccessKey }: Credential) => {
    process.env.AWS_ACCESS_KEY_ID = accessKeyId;
    process.env.AWS_SECRET_ACCESS_KEY = secretAccessKey;
    for (const name of ["AWS_SESSION_TOKEN", "AWS_PROFILE"]) delete process.env[name];
  };

  return {
    url,
    actAsHost: () => act(host),
    actAsOperator: () => act(operator),

    async directory() {
      const copy = join(path, "copy");
      const store = s3Store(parseS3Url(url));
      for await (const row of store.list("")) {
        if (!("key" in row)) continue;
        mkdirSync(dirname(join(copy, row.key)), { recursive: true });
        writeFileSync(join(copy, row.key), await readWhole(store, row.key, row.bytes));
      }
      return copy;
    },

    close: () => server.close(),
  };
}
