import { createHash } from "node:crypto";
import { breakGlassVersion } from "../../core/break-glass.ts";
import { parseClosure } from "../../core/closure.ts";
import { asMailarkError, MailarkError } from "../../core/errors.ts";
import {
  addressOfManifest,
  breakGlassKey,
  closureKey,
  keyringKey,
  manifestKey,
  packKey,
  snapshotPrefix,
} from "../../core/keys.ts";
import { type Manifest, parseDocument, type RunRecord, readManifest } from "../../core/manifest.ts";
import { checkSignature, maximumSignedBytes, splitDocument, type Verifier } from "../../core/signed-document.ts";
import { readWhole } from "../../core/stores/read-whole.ts";
import type { ObjectReader, ObjectWriter } from "../../core/stores/store.ts";
import { type CopyOptions, objectCopier } from "./copy-object.ts";

const smallObject = 4 * 1024 * 1024;

/**
 * Copies the record of a run, or a whole snapshot: its keyring objects, break-glass objects and packs first, and the manifest when the
 * target has them. Every object is compared with what was signed on its way; what the target has already is compared where it can be read.
 *
 * @param key of the record or the manifest.
 * @param trusted whose signatures count.
 * @throws MailarkError `SNAPSHOT_UNKNOWN` when the source has no such object; a verification error when something of it is not there, or
 *   not what was signed; else what source or target throw.
 */
export async function copyOwed(
  key: string,
  source: ObjectReader,
  target: ObjectWriter & ObjectReader,
  trusted: readonly Verifier[],
  options: CopyOptions,
): Promise<void> {
  const { signal } = options;
  const { bring, inTarget } = objectCopier(source, target, options);
  const document = await readDocument();
  const address = addressOfManifest(key);
  if (address === undefined)
    await refuseUnlessHeld(parseDocument("run", checkSignature(splitDocument(document), trusted)));
  else await copyNeeds(readManifest(document, address, trusted));
  await bring(key, { sha256: sha256Of(document) }, [document]);

  async function readDocument(): Promise<Buffer> {
    try {
      return await readWhole(source, key, maximumSignedBytes, signal);
    } catch (thrown) {
      const error = asMailarkError(thrown);
      if (error.code !== "OBJECT_MISSING") throw error;
      throw new MailarkError("SNAPSHOT_UNKNOWN", "the other store does not have it any more", { cause: error });
    }
  }

  /** A record that names a snapshot which the target does not have would tell of a loss there. */
  async function refuseUnlessHeld({ hostId, components }: RunRecord): Promise<void> {
    for (const { component, snapshotId } of components) {
      if (snapshotId === undefined) continue;
      if ((await inTarget(manifestKey({ hostId, component, snapshotId }))) !== "absent") continue;
      throw new MailarkError("OBJECT_MISSING", "a snapshot of that run could not be copied");
    }
  }

  async function copyNeeds(manifest: Manifest): Promise<void> {
    const { hostId, component, snapshotId } = manifest;
    for (const { ownerId, keyId, sha256 } of manifest.keys) await bring(keyringKey(hostId, ownerId, keyId), { sha256 });
    await copyBreakGlass(hostId, manifest.breakGlass);
    if (manifest.closure) {
      const at = closureKey({ hostId, component, snapshotId: manifest.closure.snapshotId });
      const own = `${snapshotId}/`;
      for (const { pack, ...expected } of parseClosure(await readWhole(source, at, manifest.closure.bytes, signal))) {
        // The packs of older snapshots are many, and were compared when those were copied.
        if (!pack.startsWith(own) && (await inTarget(packKey(hostId, component, pack))) === "there") continue;
        await bring(packKey(hostId, component, pack), expected);
      }
      await bring(at, manifest.closure);
    }
    for (const { name, ...expected } of manifest.packs) {
      await bring(`${snapshotPrefix(manifest)}${name}.pack`, expected);
    }
  }

  async function copyBreakGlass(hostId: string, version: string): Promise<void> {
    const names = ["restore.sh", "format.md"] as const;
    const keys = names.map((name) => breakGlassKey(hostId, version, name));
    const [script, description] = await Promise.all(keys.map((each) => readWhole(source, each, smallObject, signal)));
    if (breakGlassVersion({ "restore.sh": script!, "format.md": description! }) !== version) {
      throw new MailarkError("OBJECT_CORRUPT", "restore.sh or format.md of the other store was changed");
    }
    for (const [index, bytes] of [script!, description!].entries()) {
      await bring(keys[index]!, { sha256: sha256Of(bytes) }, [bytes]);
    }
  }
}

const sha256Of = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
