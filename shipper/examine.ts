import { asMailarkError, exitCodes } from "../core/errors.ts";
import { manifestKey } from "../core/keys.ts";
import type { SnapshotReader } from "../core/snapshot-reader.ts";
import type { Finding } from "../core/verification.ts";
import type { Component, World } from "./components/component.ts";

/**
 * Decrypts everything that a restore of the snapshot would read, and compares it with the hashes from the capture. Writes nothing.
 *
 * @throws what is wrong with the way to the store; what is wrong with the snapshot is a finding.
 */
export async function examine(
  component: Component,
  snapshot: SnapshotReader,
  world: World,
): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  const attempt = async (work: () => Promise<void>) => {
    try {
      await work();
    } catch (thrown) {
      const error = asMailarkError(thrown);
      if (error.exitCode !== exitCodes.verification && error.code !== "PATH_UNSAFE") throw error;
      const { code, message } = error;
      findings.push({ key: manifestKey(snapshot.manifest), code, message });
    }
  };
  for (const part of snapshot.manifest.parts) {
    await attempt(async () => {
      for await (const _ of snapshot.readPart(part)) world.signal.throwIfAborted();
    });
  }
  if (component.examine) await attempt(() => component.examine!(snapshot, world));
  return findings;
}
