import { expect, test } from "vitest";
import type { Manifest } from "../../../core/manifest.ts";
import { anomaliesOf } from "../../../lambdas/verify/anomalies.ts";
import { dayOf } from "../../fixtures/enrolled-host.ts";

type Kind = Manifest["kind"];
const noon = (day: number) => `2026-11-${String(day).padStart(2, "0")}T12:00:00.000Z`;
const known = (day: number, kind: Kind, bytesStored: number) => ({
  ...{ snapshotId: dayOf(day), receivedAt: noon(day), cutAt: noon(day), kind, bytesStored, facts: {} },
});
const arrived = (day: number, kind: Kind, ...sizes: number[]) => {
  const packs = sizes.map((bytes, index) => ({ name: `000${index + 1}`, bytes, sha256: "", crc64nvme: "" }));
  // What the parts say of mail is the list of its mailboxes, and no message.
  const parts = [{ name: "mailboxes", bytes: 1, sha256: "", extents: [] }];
  return { snapshotId: dayOf(day), kind, packs, parts, facts: {} } as unknown as Manifest;
};

test("a full snapshot of which the store has less than half of the one before is odd, whatever its parts say", () => {
  const before = [known(1, "full", 1000)];
  expect(anomaliesOf(arrived(2, "full", 300, 199), noon(2), before)).toEqual(["bytesStored: 499, after 1000"]);
  expect(anomaliesOf(arrived(2, "full", 300, 200), noon(2), before)).toEqual([]);
});

test("an incremental is not, for it stores what has changed; nor is what comes after one", () => {
  expect(anomaliesOf(arrived(2, "incremental", 10), noon(2), [known(1, "full", 1000)])).toEqual([]);
  expect(anomaliesOf(arrived(2, "full", 10), noon(2), [known(1, "incremental", 1000)])).toEqual([]);
});
