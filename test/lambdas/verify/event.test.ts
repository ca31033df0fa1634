import { describe, expect, test } from "vitest";
import { readEvent, verdictDetail } from "../../../lambdas/verify/event.ts";

const address = { hostId: "AROA:i-1", component: "mail", snapshotId: "20261121T020000.000Z-k3m9x2qa7b" } as const;
const arrival = (key: string, name = "data") => ({
  version: "0",
  "detail-type": "Object Created",
  source: "aws.s3",
  detail: { bucket: { name }, object: { key, size: 1, "version-id": "v1" } },
});
const manifest = `hosts/AROA:i-1/mail/${address.snapshotId}/manifest.json`;

describe("an event of verify", () => {
  test("is a manifest that arrived in the data bucket", () => {
    expect(readEvent(arrival(manifest), "data")).toEqual({ address, again: false, deep: false });
  });

  test("is the record of a run that arrived there", () => {
    const run = { hostId: address.hostId, runId: address.snapshotId };
    const key = `hosts/${run.hostId}/runs/${run.runId}.json`;
    expect(readEvent(arrival(key), "data")).toEqual({ run });
    expect(readEvent(arrival(key, "logs"), "data")).toBeUndefined();
  });

  test.each([
    ["another bucket", arrival(manifest, "logs")],
    ["a pack", arrival(manifest.replace("manifest.json", "0001.pack"))],
    ["a key that only ends like a manifest", arrival("hosts/x/manifest.json")],
    ["a component that there is not", arrival(manifest.replace("/mail/", "/mole/"))],
    ["nothing", {}],
    ["a sweep of no known kind", { sweep: "all" }],
    [
      "a request for a host that is none",
      { "detail-type": "Verification Requested", detail: { ...address, hostId: "../x", deep: true } },
    ],
  ])("is not %s", (_, event) => {
    expect(readEvent(event, "data")).toBeUndefined();
  });

  test("is a request for one snapshot, or a sweep", () => {
    const event = { "detail-type": "Verification Requested", detail: { ...address, deep: true } };
    expect(readEvent(event, "data")).toEqual({ address, again: true, deep: true });
    expect(readEvent({ sweep: "unjudged" }, "data")).toEqual({ sweep: "unjudged" });
  });
});

test("a verdict raises an alert when it is not intact, or odd, and only then", () => {
  const verdict = {
    format: "mailark-verdict/1" as const,
    ...address,
    outcome: "intact" as const,
    judgedAt: "2026-11-21T02:00:00.000Z",
    versions: {},
    findings: [],
    findingCount: 0,
    anomalies: [],
  };
  expect(verdictDetail(verdict, "mail-1")).toMatchObject({ host: "mail-1", alert: false });
  expect(verdictDetail({ ...verdict, outcome: "forged" }, undefined)).toMatchObject({ host: "AROA:i-1", alert: true });
  expect(verdictDetail({ ...verdict, anomalies: ["rows: 1, after 100"] }, "mail-1")).toMatchObject({ alert: true });
});
