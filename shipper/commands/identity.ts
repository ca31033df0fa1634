import { resolve } from "node:path";
import { type Identity, parseIdentities } from "../../core/age/age.ts";
import { asMailarkError, MailarkError } from "../../core/errors.ts";
import { Keyring } from "../../core/keyring.ts";
import type { Manifest } from "../../core/manifest.ts";
import type { ObjectReader } from "../../core/stores/store.ts";
import { readText } from "../state-files.ts";
import type { CommandContext } from "./command.ts";

/**
 * The private keys that the operator hands over: from a file, or from standard input for `-`. They are held in memory and nowhere else.
 *
 * @throws MailarkError `IDENTITY_INVALID` when there is none; never quoting what was read.
 */
export async function readIdentities(context: CommandContext, given: string | undefined): Promise<readonly Identity[]> {
  if (given === undefined) {
    throw new MailarkError("IDENTITY_INVALID", "this needs the recovery key", {
      hint: "write the line AGE-SECRET-KEY-1… of the recovery sheet to a file and give it with --identity FILE, or type it after --identity -",
    });
  }
  if (/AGE-SECRET-KEY-/i.test(given)) {
    throw new MailarkError(
      "IDENTITY_INVALID",
      "a private key was given on the command line, where every user can read it",
      {
        hint: "give the name of a file that holds it, or --identity - and the key on standard input",
      },
    );
  }
  if (given === "-") return parseIdentities(await unlessAborted(context.readStdin(), context.signal));
  const path = resolve(context.cwd, given);
  const { files } = context.composition;
  let text: string | undefined;
  try {
    text = readText(files, path);
  } catch (thrown) {
    const error = asMailarkError(thrown);
    throw new MailarkError("IDENTITY_INVALID", `the identity file can not be read: ${error.message}`, {
      detail: path,
      ...(error.hint !== undefined && { hint: error.hint }),
      cause: thrown,
    });
  }
  if (text === undefined) {
    throw new MailarkError("IDENTITY_INVALID", "there is no such identity file", {
      detail: path,
      hint: "check the path given with --identity, or type the key after --identity -",
    });
  }
  const identities = parseIdentities(text);
  const { mode } = files.statSync(path);
  if (mode & 0o077) {
    context.reporter.warn("other users can read the recovery key", `chmod 600 ${path}, or remove it after the restore`);
  }
  return identities;
}

/**
 * A keyring that is known to open what a snapshot was sealed to.
 *
 * @throws MailarkError `DECRYPTION_FAILED` when these identities do not open it.
 */
export async function openKeyring(
  reader: ObjectReader,
  manifest: Manifest,
  identities: readonly Identity[],
): Promise<Keyring> {
  const keyring = new Keyring(reader, manifest.hostId, identities);
  for (const { ownerId, keyId } of manifest.keys) {
    try {
      await keyring.key(ownerId, keyId);
      break;
    } catch (error) {
      // One that was erased or damaged says nothing of the identities; the next one does.
      const { code } = asMailarkError(error);
      if (code !== "OBJECT_MISSING" && code !== "OBJECT_CORRUPT") throw error;
    }
  }
  return keyring;
}

/** Standard input may never end. */
function unlessAborted(reading: Promise<string>, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    if (signal.aborted) onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    reading.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}
