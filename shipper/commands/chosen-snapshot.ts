import type { Identity } from "../../core/age/age.ts";
import { findSnapshot, type Moment } from "../../core/catalog.ts";
import type { ComponentName } from "../../core/keys.ts";
import type { Manifest } from "../../core/manifest.ts";
import { SnapshotReader } from "../../core/snapshot-reader.ts";
import type { ObjectReader } from "../../core/stores/store.ts";
import type { CommandContext } from "./command.ts";
import { warningsText } from "./contents.ts";
import { warnOfFuture } from "./future.ts";
import { openKeyring } from "./identity.ts";
import type { Source } from "./source.ts";

/** The snapshot of a component that is to be brought back, with what opens it. */
export interface ChosenSnapshot {
  readonly manifest: Manifest;
  /** Reads it without being seen: for a plan. */
  readonly quiet: SnapshotReader;
  /** Reads it and moves the progress bar. */
  readonly snapshot: SnapshotReader;
}

/**
 * Finds a snapshot, says what the operator must know of the choice, and makes sure that the identities open it.
 *
 * @throws MailarkError `SNAPSHOT_UNKNOWN`, `DECRYPTION_FAILED`, or what is wrong with the one that was named.
 */
export async function chooseSnapshot(
  context: CommandContext,
  source: Source,
  name: ComponentName,
  moment: Moment,
  identities: readonly Identity[],
): Promise<ChosenSnapshot> {
  const { reporter, signal } = context;
  const { manifest, passedOver } = await findSnapshot(source.reader, source.hostId, name, moment, source.trusted);
  await warnOfFuture(context, source.reader, source.hostId, [name]);
  for (const { address, error } of passedOver) {
    reporter.warn(
      `snapshot ${address.snapshotId} was passed over: ${error?.message}`,
      `an older one is taken: ${manifest.snapshotId}`,
    );
  }
  if (manifest.completeness === "partial") {
    reporter.warn(
      `this snapshot of ${name} is partial: not all of the component could be captured`,
      warningsText(manifest),
    );
  }
  const keyring = await openKeyring(source.reader, manifest, identities);
  return {
    manifest,
    quiet: new SnapshotReader(manifest, source.reader, keyring, signal),
    snapshot: new SnapshotReader(manifest, counted(source.reader, reporter.advance), keyring, signal),
  };
}

function counted(reader: ObjectReader, read: (bytes: number) => void): ObjectReader {
  return {
    async *get(key, options) {
      for await (const chunk of reader.get(key, options)) {
        read(chunk.length);
        yield chunk;
      }
    },
    head: (key, options) => reader.head(key, options),
    list: (prefix, options) => reader.list(prefix, options),
  };
}
