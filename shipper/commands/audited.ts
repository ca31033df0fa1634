/** Which commands stand in the audit file of a host, and what of them. */
import { resolve } from "node:path";
import { addressOfManifest } from "../../core/keys.ts";
import type { Files } from "../../core/ports/files.ts";
import { type Audit, type AuditEnd, auditOf } from "../audit.ts";
import { auditPath } from "../composition.ts";
import { readConfig } from "../config.ts";
import { storeIdentity } from "../store-url.ts";
import type { CommandContext, Outcome } from "./command.ts";

/** Names of commands, with what makes one of them change or read something. */
const audited: Readonly<Record<string, (options: Readonly<Record<string, unknown>>) => boolean>> = {
  backup: ({ dryRun }) => !dryRun,
  restore: ({ dryRun }) => !dryRun,
  drill: () => true,
  prune: (options) => options.delete === true,
};

/** `undefined` for a command that is not audited. */
export function auditedCommand(
  { composition, env, cwd, reporter, configPath }: CommandContext,
  command: string,
  options: Readonly<Record<string, unknown>>,
  words: readonly string[],
): Audit | undefined {
  if (!audited[command]?.(options)) return undefined;
  const { files, clock } = composition;
  const path = () => (env.MAILARK_AUDIT ? resolve(cwd, env.MAILARK_AUDIT) : configuredPath(files, configPath));
  return auditOf({ files, clock, env, path, command, words, failed: reporter.warn });
}

/**
 * The host, the snapshots and, of a backup, the stores that have them, as a command's document names them: of a prune the snapshots that
 * are gone.
 */
export function endOf({ exitCode, document }: Outcome): AuditEnd {
  const { hostId, components, erasures, error, command, store, stores, ...only }: Named = document;
  const gone = erasures?.flatMap(({ key }) => addressOfManifest(key) ?? []);
  const snapshots = (gone ?? components ?? [only]).flatMap(({ component, snapshotId }) =>
    component === undefined || snapshotId === undefined ? [] : [{ component, snapshotId }],
  );
  const complete = stores?.flatMap((each) => (each.outcome === "complete" ? [each.store] : []));
  return {
    exitCode,
    ...(error && { error: error.code }),
    ...(hostId !== undefined && { hostId }),
    ...(command === "backup" && store !== undefined && { stores: complete ?? [storeIdentity(store)] }),
    snapshots,
  };
}

interface NamedSnapshot {
  readonly component?: string;
  readonly snapshotId?: string;
}

interface Named extends NamedSnapshot {
  readonly command?: string;
  readonly hostId?: string;
  readonly store?: string;
  readonly stores?: readonly { readonly store: string; readonly outcome: string }[];
  readonly components?: readonly NamedSnapshot[];
  readonly erasures?: readonly { readonly key: string }[];
  readonly error?: { readonly code: string };
}

/** A configuration that is not there or not right has no audit file; the command itself says what is wrong with it. */
function configuredPath(files: Files, configPath: string): string | undefined {
  try {
    return auditPath(readConfig(files, configPath));
  } catch {
    return undefined;
  }
}
