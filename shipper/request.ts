import { MailarkError } from "../core/errors.ts";
import { type ComponentName, isComponentName, patterns } from "../core/keys.ts";

/** What a controller says when it starts a backup. */
export interface BackupRequest {
  /** Under which the controller wrote down who asked. `undefined`: nobody but this machine. */
  readonly requestId?: string;
  /** The snapshot of each component that was found intact: what a capture may build on, and nothing else. */
  readonly bases: ReadonlyMap<ComponentName, string>;
}

/**
 * Reads `MAILARK_REQUEST`, an id, and `MAILARK_BASE`, `COMPONENT=SNAPSHOT` with one space between each two. Empty is the same as absent: no request, nothing
 * known to be intact.
 *
 * @throws MailarkError `ARGUMENT_INVALID` for anything else: a base that was misread would be a backup that nobody can bring back.
 */
export function readRequest({
  MAILARK_REQUEST,
  MAILARK_BASE,
}: Readonly<Record<string, string | undefined>>): BackupRequest {
  const requestId = MAILARK_REQUEST || undefined;
  if (requestId !== undefined && !patterns.requestId.test(requestId)) {
    throw invalid(
      "MAILARK_REQUEST is no id of a request",
      requestId,
      "1 to 100 of A-Z a-z 0-9 . _ : -, and begins with a letter or digit",
    );
  }
  const bases = new Map<ComponentName, string>();
  for (const word of MAILARK_BASE ? MAILARK_BASE.split(" ") : []) {
    const [name, snapshotId = "", ...rest] = word.split("=");
    const isBase = isComponentName(name) && patterns.snapshotId.test(snapshotId) && rest.length === 0;
    if (!isBase || bases.has(name)) {
      throw invalid(
        "MAILARK_BASE is no list of bases",
        word,
        "COMPONENT=SNAPSHOT, each component once, with one space between them",
      );
    }
    bases.set(name, snapshotId);
  }
  return { ...(requestId !== undefined && { requestId }), bases };
}

const invalid = (message: string, given: string, form: string) =>
  new MailarkError("ARGUMENT_INVALID", message, {
    detail: JSON.stringify(given.slice(0, 200)),
    hint: `it must be ${form}; the document of SSM that runs mailark sets it, and by hand it is best left out`,
  });
