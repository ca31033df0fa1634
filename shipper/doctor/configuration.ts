/** The configuration, the files that it names, and what is remembered between runs. */
import { randomBytes } from "node:crypto";
import { dirname, join, resolve } from "node:path";
import { asMailarkError } from "../../core/errors.ts";
import type { Files } from "../../core/ports/files.ts";
import { journalPath, lockPath, stateDirectory } from "../composition.ts";
import { type Config, octal, parseConfig, passwordFilesOf, readSigner, signingKeyPath } from "../config.ts";
import { holderOf } from "../lock.ts";
import { refuseDamagedKeys } from "../sealing-keys.ts";
import { reasonOf } from "./looking.ts";
import { commandOf, fine, found, type Observation } from "./observation.ts";

/** A configuration as far as it can be read; without one nothing else can be looked at. */
export function lookAtConfiguration(
  files: Files,
  path: string,
): { readonly config?: Config; readonly observations: readonly Observation[] } {
  try {
    const config = parseConfig(files, path);
    return { config, observations: [guarded(files, path, "CONFIG_OPEN", "file", 0o022)] };
  } catch (thrown) {
    const error = asMailarkError(thrown);
    const observation =
      error.code === "CONFIG_MISSING"
        ? found("CONFIG_MISSING", "file", reasonOf(error), { advice: error.hint! })
        : found("CONFIG_INVALID", "file", [error.message, error.detail].filter(Boolean).join(": "), {
            advice: error.hint ?? `correct ${path}`,
          });
    return { observations: [observation] };
  }
}

/** The files beside it. */
export function lookAtSecrets(files: Files, config: Config): readonly Observation[] {
  const { mysql, postgres } = config.components;
  // An option file of another place is another place's.
  const option = mysql?.command.length === 0 ? mysql.defaultsFile : undefined;
  const passfile = postgres?.command.length === 0 ? postgres.passfile : undefined;
  const named = [...passwordFilesOf(config).map(({ path }) => path), option, passfile].filter(
    (path) => path !== undefined,
  );
  return [lookAtSigningKey(files, config), ...[...new Set(named)].map((path) => lookAtPassword(files, path))];
}

function lookAtPassword(files: Files, path: string): Observation {
  if (files.statSync(path, { throwIfNoEntry: false }) === undefined) {
    return found("SECRET_MISSING", "password file", `${path} does not exist`, {
      advice: `write the password into ${path}, mode 0600, or take the file out of the configuration`,
    });
  }
  return privacy(files, path, "password file");
}

function lookAtSigningKey(files: Files, config: Config): Observation {
  const path = signingKeyPath(config);
  const check = "signing key";
  if (files.statSync(path, { throwIfNoEntry: false }) === undefined) {
    return found("SIGNING_KEY_MISSING", check, `${path} does not exist`, {
      advice: `put ${path} back from a copy of this host's configuration; without one, move the configuration away and run mailark init`,
    });
  }
  const seen = privacy(files, path, check);
  if (seen.outcome !== "fine") return seen;
  try {
    return fine(check, readSigner(files, config).fingerprint);
  } catch (error) {
    return found("SIGNING_KEY_INVALID", check, `${path}: ${reasonOf(error)}`, {
      advice: `put ${path} back from a copy of this host's configuration: a key of PKCS #8, Ed25519, in PEM`,
    });
  }
}

const privacy = (files: Files, path: string, check: string) => guarded(files, path, "SECRET_OPEN", check, 0o077);

/** That nobody else has these rights to a file, may give them to himself, or may put another file in its place. */
function guarded(
  files: Files,
  path: string,
  code: "CONFIG_OPEN" | "SECRET_OPEN",
  check: string,
  rights: number,
): Observation {
  const { mode, uid } = files.statSync(path);
  if (mode & rights) {
    const can = rights & 0o044 ? "read or change" : "change";
    const detail = `${path} has mode ${octal(mode)}: others can ${can} it`;
    return found(code, check, detail, commandOf("chmod", "600", path));
  }
  const self = process.getuid?.() ?? 0;
  if (uid !== 0 && uid !== self) {
    const detail = `${path} belongs to user ${uid}, who can read and change it`;
    return found(code, check, detail, commandOf("chown", String(self), path));
  }
  const open = above(resolve(path)).filter((directory) => {
    const { mode, uid } = files.statSync(directory);
    return (uid !== 0 && uid !== self) || (mode & 0o022 && !(mode & sticky));
  });
  if (open.length === 0) return fine(check, path);
  return found(code, check, `others can put another file in the place of ${path}`, {
    advice: `keep it in no directory that others can change: ${open.join(", ")}`,
  });
}

/** inode(7): in such a directory, each can remove and rename only what is his own. */
const sticky = 0o1000;

const above = (path: string): string[] => (path === "/" ? [] : [dirname(path), ...above(dirname(path))]);

/** What is remembered between runs, and what earlier ones left. */
export function lookAtState(files: Files, config: Config): readonly Observation[] {
  return [
    lookAtDirectory(files, config),
    ...config.stores.map(({ url }) => lookAtKeys(files, stateDirectory(config, url))),
    lookAtLock(files, config),
    lookAtJournal(files, config),
  ];
}

function lookAtDirectory(files: Files, { state, path }: Config): Observation {
  const check = "state";
  let place = state;
  while (files.statSync(place, { throwIfNoEntry: false }) === undefined && place !== "/") place = dirname(place);
  try {
    tryToWrite(files, place);
  } catch (thrown) {
    const error = asMailarkError(thrown);
    return found("STATE_UNWRITABLE", check, `nothing can be written in ${place}: ${reasonOf(error)}`, {
      advice: error.hint ?? `move ${place} away, or name another directory as state in ${path}`,
    });
  }
  const mode = modeOf(files, state);
  if (place !== state || (mode & 0o022) === 0)
    return fine(check, place === state ? state : `${state}: the first backup makes it`);
  return found(
    "STATE_OPEN",
    check,
    `${state} has mode ${octal(mode)}: others can change what mailark remembers`,
    commandOf("chmod", "700", state),
  );
}

/** A file that is gone again. */
export function tryToWrite(files: Files, directory: string): void {
  const path = join(directory, `.mailark-doctor-${randomBytes(8).toString("hex")}`);
  files.closeSync(files.openSync(path, "wx", 0o600));
  files.unlinkSync(path);
}

function lookAtKeys(files: Files, directory: string): Observation {
  const check = "public keys";
  try {
    refuseDamagedKeys(files, directory);
    return fine(check, directory);
  } catch (thrown) {
    const error = asMailarkError(thrown);
    if (error.code !== "STATE_INVALID") throw error;
    const path = error.detail!;
    const detail = `${path} can not be understood; the next backup makes new keys, and what was stored stays readable`;
    return found("STATE_DAMAGED", check, detail, commandOf("mv", "--", path, `${path}.damaged`));
  }
}

function lookAtLock(files: Files, config: Config): Observation {
  const path = lockPath(config);
  const holder = holderOf(files, path);
  if (holder === undefined) return fine("lock", "no backup is running");
  if (holder.runs) return fine("lock", `a backup is running: process ${holder.pid}`);
  return found("LOCK_LEFT", "lock", `a backup did not end by itself: process ${holder.pid} is gone`, {
    advice: "leave it: the next backup takes the lock over by itself, and removing it by hand may free another's",
  });
}

function lookAtJournal(files: Files, config: Config): Observation {
  const path = journalPath(config);
  if (files.statSync(path, { throwIfNoEntry: false }) === undefined) return fine("restore", "none is unfinished");
  return found(
    "RESTORE_UNFINISHED",
    "restore",
    `a restore of this host did not end (${path}): there are no backups until it has`,
    {
      advice: `finish it with the same mailark restore --all; if you finished it by hand, remove ${path}`,
    },
  );
}

const modeOf = (files: Files, path: string): number => files.statSync(path, { throwIfNoEntry: false })?.mode ?? 0;
