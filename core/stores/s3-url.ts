/**
 * The URL of an S3 store, `s3://BUCKET/PREFIX?region=…`. It says everything that must be known to use the store on an empty machine but
 * the credentials, which never stand in it.
 */
import { MailarkError } from "../errors.ts";
import { isKey } from "../keys.ts";

/** A store in S3, or in what speaks its protocol. */
export interface S3Place {
  readonly bucket: string;
  /** Bucket that the keyring lies in. `undefined`: the same. */
  readonly keyringBucket: string | undefined;
  /** What all keys begin with in the bucket: empty, or ending in a slash. */
  readonly prefix: string;
  /** How hosts are called there. `sts`: as their credentials are, ROLE-ID:SESSION. `undefined`: as they like. */
  readonly hostId: "sts" | undefined;
  /** `undefined`: AWS. */
  readonly endpoint: string | undefined;
  readonly region: string;
  /** The bucket stands in the path of a request, not in its host name. */
  readonly pathStyle: boolean;
  /** `undefined`: as the bucket has it. */
  readonly storageClass: string | undefined;
  /** `undefined`: as the bucket has it. */
  readonly kmsKey: string | undefined;
  /** What the store checks bodies by. MD5 is for stores that do not know CRC64NVME: their receipts say no checksum. */
  readonly checksum: "crc64nvme" | "md5";
  /** The store refuses to create what exists (`If-None-Match`). Where it can not, a HEAD before each put lowers the risk. */
  readonly conditional: boolean;
}

const bucketName = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;
const example = "s3://BUCKET/PREFIX?region=eu-central-1";
/** What may stand in a URL, after the `?`. */
export const s3Parameters = [
  "keyring",
  "host-id",
  "region",
  "endpoint",
  "path-style",
  "storage-class",
  "kms-key",
  "checksum",
  "conditional",
] as const;
type Parameter = (typeof s3Parameters)[number];

/** Objects in these must be ordered hours before they can be read. */
const archiveClasses = ["GLACIER", "DEEP_ARCHIVE"];

/** @throws MailarkError `ARGUMENT_INVALID`, one for each mistake; it quotes no value that may be a secret. */
export function parseS3Url(url: string): S3Place {
  const [, authority = "", path = "", query = ""] = /^s3:\/\/([^/?#]*)(?:\/([^?#]*))?(?:\?([^#]*))?$/.exec(url) ?? [];
  if (authority.includes("@") || authority.includes(":")) {
    throw invalid(
      "credentials or a port stand in the URL of the store",
      "leave them out: credentials come from the environment, a profile or the machine's role",
    );
  }
  if (!bucketName.test(authority)) {
    throw invalid(
      "the URL of the store names no bucket",
      `write ${example}; a bucket's name is 3 to 63 of a-z 0-9 . -`,
    );
  }
  const prefix = path.replace(/\/+$/, "");
  if (prefix !== "" && !isKey(prefix)) {
    throw invalid(
      "the prefix in the URL of the store can not be one",
      "use letters, digits and . _ : - in parts that do not begin with a dot",
    );
  }
  const given = parametersOf(query);
  const endpoint = endpointOf(given.get("endpoint"));
  const storageClass = given.get("storage-class");
  if (storageClass !== undefined && !/^[A-Z][A-Z_]*$/.test(storageClass)) {
    throw invalid(
      "storage-class in the URL of the store is none",
      "write it as S3 does, such as storage-class=STANDARD_IA",
    );
  }
  if (storageClass !== undefined && archiveClasses.includes(storageClass)) {
    throw invalid(
      `what is stored as ${storageClass} can not be read when it is needed`,
      "choose a class with instant access: STANDARD, STANDARD_IA, INTELLIGENT_TIERING, GLACIER_IR",
    );
  }
  const keyringBucket = given.get("keyring");
  if (keyringBucket !== undefined && (!bucketName.test(keyringBucket) || keyringBucket === authority)) {
    throw invalid(
      "keyring in the URL of the store names no other bucket",
      "name the bucket that keys lie in, or leave it out when it is the same",
    );
  }
  const kmsKey = given.get("kms-key");
  if (kmsKey !== undefined && !/^[A-Za-z0-9:/_-]+$/.test(kmsKey)) {
    throw invalid("kms-key in the URL of the store is none", "give the ARN or the id of a key");
  }
  const region = given.get("region") ?? (endpoint === undefined ? undefined : "us-east-1");
  if (region === undefined || !/^[a-z0-9][a-z0-9-]*$/.test(region)) {
    throw invalid("the URL of the store says no region", `write it as ${example}`);
  }
  return {
    bucket: authority,
    keyringBucket,
    hostId: choice(given, "host-id", ["sts"]),
    prefix: prefix === "" ? "" : `${prefix}/`,
    endpoint,
    region,
    pathStyle: (choice(given, "path-style", ["true", "false"]) ?? String(endpoint !== undefined)) === "true",
    storageClass,
    kmsKey,
    checksum: choice(given, "checksum", ["crc64nvme", "md5"]) ?? "crc64nvme",
    conditional: (choice(given, "conditional", ["true", "false"]) ?? "true") === "true",
  };
}

function parametersOf(query: string): Map<Parameter, string> {
  const given = new Map<Parameter, string>();
  for (const [name, value] of new URLSearchParams(query)) {
    if (!isParameter(name)) {
      throw invalid(
        `the URL of the store has a setting that there is not: ${JSON.stringify(name)}`,
        `there are ${s3Parameters.join(", ")}`,
      );
    }
    if (given.has(name)) throw invalid(`the URL of the store says ${name} twice`, "keep one");
    if (value === "") throw invalid(`${name} in the URL of the store is empty`, "give it a value, or leave it out");
    given.set(name, value);
  }
  return given;
}

function endpointOf(given: string | undefined): string | undefined {
  if (given === undefined) return undefined;
  const url = URL.canParse(given) ? new URL(given) : undefined;
  const plain = url && url.username === "" && url.password === "" && url.search === "" && url.hash === "";
  if (!plain || !["http:", "https:"].includes(url.protocol) || url.pathname !== "/") {
    throw invalid(
      "endpoint in the URL of the store is no address",
      "write it as endpoint=https://s3.example.com or endpoint=https://s3.example.com:9000",
    );
  }
  return url.origin;
}

function choice<T extends string>(
  given: Map<Parameter, string>,
  name: Parameter,
  choices: readonly T[],
): T | undefined {
  const value = given.get(name);
  if (value === undefined || choices.includes(value as T)) return value as T | undefined;
  throw invalid(
    `${name} in the URL of the store must be ${choices.join(" or ")}`,
    `write ${name}=${choices[0]}, or leave it out`,
  );
}

const isParameter = (name: string): name is Parameter => s3Parameters.includes(name as Parameter);
const invalid = (message: string, hint: string) => new MailarkError("ARGUMENT_INVALID", message, { hint });
