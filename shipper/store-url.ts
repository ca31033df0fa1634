import { fileURLToPath } from "node:url";
import { MailarkError } from "../core/errors.ts";
import { parseS3Url, type S3Place } from "../core/stores/s3-url.ts";

/** What a store's URL names: a directory of this machine, or a place in S3. */
export type StorePlace =
  | { readonly directory: string; readonly s3?: undefined }
  | { readonly s3: S3Place; readonly directory?: undefined };

/** @throws MailarkError `ARGUMENT_INVALID` for anything but `file:///DIR` and `s3://BUCKET/PREFIX?…`. */
export function placeOf(url: string): StorePlace {
  return url.startsWith("s3://") ? { s3: parseS3Url(url) } : { directory: directoryOf(url) };
}

function directoryOf(url: string): string {
  if (!/^file:\/\/\/./.test(url)) {
    throw new MailarkError(
      "ARGUMENT_INVALID",
      `not the URL of a store: ${JSON.stringify(withoutPassword(url.replace(/\?.*/s, "")))}`,
      {
        hint: /^\.{0,2}\//.test(url)
          ? `write it as a URL with an absolute path, such as file://${url.startsWith("/") ? url : "/var/backups/mailark"}`
          : "give a directory as file:///DIR with an absolute path, such as file:///var/backups/mailark, or s3://BUCKET/PREFIX?region=REGION",
      },
    );
  }
  try {
    return fileURLToPath(url);
  } catch (cause) {
    throw new MailarkError("ARGUMENT_INVALID", `not the URL of a store: ${JSON.stringify(url)}`, {
      hint: "write special characters in the path as %XX, and % itself as %25",
      cause,
    });
  }
}

/** A URL as it tells stores apart: how a store is reached and what it is asked for makes it no other one. */
export function storeIdentity(url: string): string {
  const [place = "", settings = ""] = url.startsWith("s3://") ? url.split("?") : [url];
  const endpoint = new URLSearchParams(settings).get("endpoint");
  return `${place.replace(/\/+$/, "")}${endpoint === null ? "" : `?endpoint=${endpoint.replace(/\/+$/, "")}`}`;
}

/** A URL as it may be shown: a password may have any character in it, as people write them. */
export function withoutPassword(url: string): string {
  return url.startsWith("file:///") ? url : url.replace(/^([a-z][a-z0-9+.-]*:\/\/)?.*@/is, "$1…@");
}
