import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { nodeFiles } from "../../../core/ports/files.ts";
import { newSnapshotId } from "../../../core/snapshot-id.ts";
import { lastBackups } from "../../../shipper/doctor/last-backups.ts";
import { scratchDirectory } from "../../fixtures/scratch.ts";

const ended = (hostId: string, snapshots: Readonly<Record<string, string>>, more = {}) =>
  `${JSON.stringify({
    ...{ event: "ended", command: "backup", hostId, exitCode: 0, stores: ["file:///own"], ...more },
    snapshots: Object.entries(snapshots).map(([component, snapshotId]) => ({ component, snapshotId })),
  })}\n`;

test("are those of this host in this store, the newest of each component", () => {
  const path = join(scratchDirectory(), "audit.jsonl");
  const last = () => lastBackups(nodeFiles, path, "h-own", "file:///own");
  expect([...last()]).toEqual([]);
  const [first, second, third] = [1, 2, 3].map((day) => newSnapshotId(Date.UTC(2026, 10, day)));
  writeFileSync(`${path}.1`, ended("h-own", { mail: first!, mysql: first! }));
  writeFileSync(
    path,
    [
      ended("h-own", { mail: second! }),
      ended("h-other", { mail: third! }),
      ended("h-own", { mail: third! }, { command: "restore" }),
      ended("h-own", { mail: third! }, { stores: ["file:///other"] }),
      ended("h-own", { mail: third! }, { stores: undefined }),
      `${ended("h-own", { mail: third! }).slice(0, 40)}`,
    ].join(""),
  );
  expect(Object.fromEntries(last())).toEqual({ mail: second, mysql: first });
});
