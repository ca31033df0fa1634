import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  addressOfManifest,
  breakGlassKey,
  checkedKey,
  checkedPrefix,
  closureKey,
  componentNames,
  enrolmentKey,
  isKey,
  keyringKey,
  manifestKey,
  packKey,
  packName,
  patterns,
  runKey,
  snapshotPrefix,
} from "../../core/keys.ts";
import { newSnapshotId } from "../../core/snapshot-id.ts";

const hostId = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9:._-]{1,127}$/);
const snapshotId = fc.integer({ min: 0, max: 4_102_444_800_000 }).map(newSnapshotId);
const address = fc.record({ hostId, component: fc.constantFrom(...componentNames), snapshotId });

describe("the key of a manifest", () => {
  test("says of which snapshot it is", () => {
    fc.assert(
      fc.property(address, (each) => {
        expect(addressOfManifest(manifestKey(each))).toEqual(each);
      }),
    );
  });

  test("is told from every other key of a snapshot", () => {
    fc.assert(
      fc.property(address, fc.nat(20_000), (each, number) => {
        const pack = `${each.snapshotId}/${packName(number + 1)}`;
        expect(addressOfManifest(packKey(each.hostId, each.component, pack))).toBeUndefined();
        expect(addressOfManifest(closureKey(each))).toBeUndefined();
        expect(addressOfManifest(`x${manifestKey(each)}`)).toBeUndefined();
        expect(addressOfManifest(`${manifestKey(each)}/x`)).toBeUndefined();
      }),
    );
  });

  test("is not taken for one when a part of it is not what it should be", () => {
    const id = "20261121T020000.000Z-k3m9x2qa7b";
    for (const key of [
      "",
      "hosts",
      `hosts/h1/notes/${id}/manifest.json`,
      `hosts/h/mysql/${id}/manifest.json`,
      `hosts/-h1/mysql/${id}/manifest.json`,
      "hosts/h1/mysql/latest/manifest.json",
      `hosts/h1/mysql/${id.toUpperCase()}/manifest.json`,
      `control/h1/mysql/${id}/manifest.json`,
    ]) {
      expect(addressOfManifest(key), key).toBeUndefined();
    }
  });
});

describe("keys", () => {
  test("lie below the prefix of their snapshot, and sort by its time", () => {
    fc.assert(
      fc.property(address, snapshotId, (each, other) => {
        expect(manifestKey(each).startsWith(snapshotPrefix(each))).toBe(true);
        const later = { ...each, snapshotId: other };
        expect(manifestKey(each) < manifestKey(later)).toBe(each.snapshotId < other);
      }),
    );
  });

  test("have the form that the format gives them", () => {
    const id = "20261121T020000.000Z-k3m9x2qa7b";
    const of = { hostId: "h1", component: "mail" as const, snapshotId: id };
    expect(manifestKey(of)).toBe(`hosts/h1/mail/${id}/manifest.json`);
    expect(closureKey(of)).toBe(`hosts/h1/mail/${id}/closure.zst`);
    expect(packKey("h1", "mail", `${id}/0001`)).toBe(`hosts/h1/mail/${id}/0001.pack`);
    expect(runKey("h1", id)).toBe(`hosts/h1/runs/${id}.json`);
    expect(enrolmentKey("h1", "k")).toBe("hosts/h1/enrol/k.json");
    expect(breakGlassKey("h1", "1-0", "restore.sh")).toBe("hosts/h1/break-glass/1-0/restore.sh");
    expect(keyringKey("h1", "host", "k")).toBe("keyring/h1/host/k.age");
  });

  test("can never name something outside the store", () => {
    for (const part of ["..", ".", "../..", "", "a/../b", "/etc", "a\0", "a\n", ".incoming"]) {
      expect(() => packKey("h1", "mail", part), part).toThrow(expect.objectContaining({ code: "ARGUMENT_INVALID" }));
      expect(() => runKey(part, "r")).toThrow(expect.objectContaining({ code: "ARGUMENT_INVALID" }));
      expect(() => keyringKey("h1", part, "k")).toThrow(expect.objectContaining({ code: "ARGUMENT_INVALID" }));
    }
  });

  test("are bytes that every store takes: no part is empty, starts with a dot or is anything but plain ASCII", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 30 }), (text) => {
        const wellFormed = text.split("/").every((part) => /^[A-Za-z0-9_:-][A-Za-z0-9._:-]*$/.test(part));
        expect(isKey(text)).toBe(wellFormed);
      }),
    );
    expect(checkedKey("a".repeat(1024))).toHaveLength(1024);
    expect(() => checkedKey("a".repeat(1025))).toThrow();
  });

  test("start with any of their beginnings", () => {
    fc.assert(
      fc.property(address, fc.nat(200), (each, length) => {
        const prefix = manifestKey(each).slice(0, length);
        expect(checkedPrefix(prefix)).toBe(prefix);
      }),
    );
  });

  test("number packs from 1, with four digits or more", () => {
    expect([1, 9999, 10_000].map(packName)).toEqual(["0001", "9999", "10000"]);
    for (const name of ["0000", "000", "1", "00x1"]) expect(patterns.packName.test(name)).toBe(false);
  });
});
