import { MailarkError } from "../../../core/errors.ts";

/** An archive that can not be read on: what follows would be a guess. */
export const corruptArchive = (what: string, detail?: string) =>
  new MailarkError("OBJECT_CORRUPT", `an archive of files has ${what}`, { ...(detail !== undefined && { detail }) });
