import { fileURLToPath } from "node:url";
import { MailarkError } from "../core/errors.ts";

/**
 * The directory that a store's URL names.
 *
 * @throws MailarkError `ARGUMENT_INVALID` for anything but `file:///DIR`.
 */
export function directoryOf(url: string): string {
  if (!/^file:\/\/\/./.test(url)) {
    throw new MailarkError("ARGUMENT_INVALID", `not the URL of a store: ${JSON.stringify(withoutPassword(url))}`, {
      hint: /^\.{0,2}\//.test(url)
        ? `write it as a URL with an absolute path, such as file://${url.startsWith("/") ? url : "/var/backups/mailark"}`
        : "give a directory as file:///DIR with an absolute path, such as file:///var/backups/mailark",
    });
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

/** A URL as it may be shown. */
export function withoutPassword(url: string): string {
  return url.replace(/\/\/[^/@]*@/, "//…@");
}
