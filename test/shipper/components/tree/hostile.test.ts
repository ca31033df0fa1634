import { lstatSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { beforeEach, describe, expect, test } from "vitest";
import { systemClock } from "../../../../core/ports/clock.ts";
import { nodeFiles } from "../../../../core/ports/files.ts";
import type { World } from "../../../../shipper/components/component.ts";
import { configsComponent } from "../../../../shipper/components/configs/component.ts";
import { gate } from "../../../../shipper/components/tree/gate.ts";
import { Vetting } from "../../../../shipper/components/tree/vet.ts";
import { nodeProcesses } from "../../../../shipper/processes.ts";
import { restore } from "../../../../shipper/restore/restore.ts";
import { treeOf } from "../../../fixtures/mailboxes.ts";
import { collect } from "../../../fixtures/read-all.ts";
import { scratchDirectory } from "../../../fixtures/scratch.ts";
import { type RawMember, tarOf } from "../../../fixtures/tar-writer.ts";
import { forged, pieces } from "./tree-content.ts";

let around: string;
let target: string;
beforeEach(() => {
  around = scratchDirectory();
  target = `${around}/target`;
  mkdirSync(`${around}/beside`);
  writeFileSync(`${around}/beside/live`, "live");
});

const world: World = {
  files: nodeFiles,
  processes: nodeProcesses,
  clock: systemClock,
  signal: new AbortController().signal,
  progress: () => {},
};

/** A file before and one after what is hostile: both must come back. */
const honest = (name: string): RawMember => ({ name: `etc/${name}`, content: name });
const withHonest = (members: readonly RawMember[]) =>
  tarOf([{ name: "etc/", flag: "5", mode: 0o755 }, honest("first"), ...members, honest("last")]);

/** Restores an archive that a host with all of its keys signed; returns what was said of it. */
async function restored(archive: Buffer, roots = ["etc"]) {
  const snapshot = await forged(archive, archive, roots);
  const before = treeOf(around, (path) => path.startsWith("target"));
  try {
    const component = configsComponent();
    const place = { kind: "scratch", path: target } as const;
    const staged = await component.stage(snapshot, place, {}, world);
    const checks = await component.check(staged, world);
    return { checks, failed: checks.some(({ outcome }) => outcome === "failed") };
  } finally {
    expect(
      treeOf(around, (path) => path.startsWith("target")),
      "what is around the target",
    ).toEqual(before);
  }
}

/** The names below the target, and that nothing there has rights or is a device. */
function cameBack(): string[] {
  const tree = treeOf(target);
  for (const path of Object.keys(tree)) {
    const status = lstatSync(Buffer.from(`${target}/${path}`, "latin1"));
    expect(status.isFile() || status.isDirectory() || status.isSymbolicLink(), path).toBe(true);
    if (status.isFile()) expect(status.mode & 0o7000, path).toBe(0);
  }
  return Object.keys(tree).filter((path) => path !== ".");
}

const up = "../../../../../../../../../..";
const members: Record<string, { members: RawMember[]; says: RegExp; also?: string[] }> = {
  "an absolute path": { members: [{ name: "/tmp/mailark-evil", content: "x" }], says: /leave its tree/ },
  "an absolute path with many slashes": {
    members: [{ name: "///tmp/mailark-evil", content: "x" }],
    says: /leave its tree/,
  },
  "a path that climbs": { members: [{ name: "../evil", content: "x" }], says: /leave its tree/ },
  "a path that climbs in its middle": { members: [{ name: "etc/../../evil", content: "x" }], says: /leave its tree/ },
  "a directory that climbs": { members: [{ name: "../", flag: "5", mode: 0o777 }], says: /leave its tree/ },
  "the top itself": { members: [{ name: "./", flag: "5", mode: 0o777 }], says: /leave its tree/ },
  "an empty element": { members: [{ name: "etc//evil", content: "x" }], says: /leave its tree/ },
  "no name": { members: [{ name: "", content: "x" }], says: /leave its tree/ },
  "a name of a file longer than any": {
    members: [{ name: "x", content: "x", pax: { path: `etc/${"a".repeat(256)}` } }],
    says: /leave its tree/,
  },
  "a pax path over a harmless name": {
    members: [{ name: "etc/harmless", content: "x", pax: { path: "../evil" } }],
    says: /leave its tree/,
  },
  "a pax path for all that follow": {
    members: [
      { name: "etc/harmless", content: "x", globally: { path: `${up}/tmp/mailark-evil` } },
      { name: "etc/reset", content: "x", globally: { path: "" } },
    ],
    says: /leave its tree/,
    also: ["etc/reset"],
  },
  "a GNU long name over a harmless name": {
    members: [{ name: "etc/harmless", content: "x", longName: `${up}/tmp/mailark-evil` }],
    says: /leave its tree/,
  },
  "a GNU long name and a pax path": {
    members: [{ name: "etc/harmless", content: "x", longName: "etc/harmless", pax: { path: "/tmp/mailark-evil" } }],
    says: /leave its tree/,
  },
  "a sparse file's own name": {
    members: [
      {
        name: "etc/harmless",
        content: `${"1\n0\n1\n".padEnd(512, "\0")}x`,
        pax: {
          "GNU.sparse.major": "1",
          "GNU.sparse.minor": "0",
          "GNU.sparse.realsize": "1",
          "GNU.sparse.name": "../evil",
        },
      },
    ],
    says: /leave its tree/,
  },
  "a file below a link that leads out": {
    members: [
      { name: "etc/out", flag: "2", link: "../../beside" },
      { name: "etc/out/evil", content: "x" },
    ],
    says: /below what is no directory/,
    also: ["etc/out"],
  },
  "a directory below a link": {
    members: [
      { name: "etc/out", flag: "2", link: "../../beside" },
      { name: "etc/out/evil/", flag: "5", mode: 0o755 },
    ],
    says: /below what is no directory/,
    also: ["etc/out"],
  },
  "a file in the place of a link": {
    members: [
      { name: "etc/out", flag: "2", link: "../../beside/live" },
      { name: "etc/out", content: "EVIL" },
    ],
    says: /second thing/,
    also: ["etc/out"],
  },
  "a link in the place of a directory": {
    members: [
      { name: "etc/sub/", flag: "5", mode: 0o755 },
      { name: "etc/sub", flag: "2", link: "../../beside" },
      { name: "etc/sub/file", content: "x" },
    ],
    says: /second thing/,
    also: ["etc/sub", "etc/sub/file"],
  },
  "a link in the place of a directory that was only implied": {
    members: [
      { name: "etc/sub/file", content: "x" },
      { name: "etc/sub", flag: "2", link: "../../beside" },
    ],
    says: /second thing/,
    also: ["etc/sub", "etc/sub/file"],
  },
  "a file twice": {
    members: [
      { name: "etc/twice", content: "one" },
      { name: "etc/twice", content: "two" },
    ],
    says: /second thing/,
    also: ["etc/twice"],
  },
  "a hard link to a file outside": {
    members: [{ name: "etc/hard", flag: "1", link: "../beside/live" }],
    says: /hard link/,
  },
  "a hard link to an absolute path": {
    members: [{ name: "etc/hard", flag: "1", link: "/etc/shadow" }],
    says: /hard link/,
  },
  "a hard link by a long name": {
    members: [{ name: "etc/hard", flag: "1", link: "etc/first", longLink: "/etc/shadow" }],
    says: /hard link/,
  },
  "a hard link to a link": {
    members: [
      { name: "etc/out", flag: "2", link: "/etc/shadow" },
      { name: "etc/hard", flag: "1", link: "etc/out" },
    ],
    says: /hard link/,
    also: ["etc/out"],
  },
  "a hard link through a link": {
    members: [
      { name: "etc/out", flag: "2", link: "../../beside" },
      { name: "etc/hard", flag: "1", link: "etc/out/live" },
    ],
    says: /hard link/,
    also: ["etc/out"],
  },
  "a hard link to what comes later": {
    members: [{ name: "etc/hard", flag: "1", link: "etc/last" }],
    says: /hard link/,
  },
  "a character device": { members: [{ name: "etc/null", flag: "3" }], says: /device/ },
  "a block device": { members: [{ name: "etc/disk", flag: "4" }], says: /device/ },
  "a FIFO": { members: [{ name: "etc/pipe", flag: "6" }], says: /FIFO/ },
  "a kind of its own": { members: [{ name: "etc/odd", flag: "Z", content: "x" }], says: /unknown kind/ },
  "a directory of names, as old GNU tar dumped it": {
    members: [{ name: "etc/dump", flag: "D", content: "Yx\0\0" }],
    says: /unknown/,
  },
  "a set-user-ID program": {
    members: [{ name: "etc/root-shell", mode: 0o4755, content: "#!/bin/sh" }],
    says: /set-user-ID/,
    also: ["etc/root-shell"],
  },
  "a set-group-ID program": {
    members: [{ name: "etc/group-shell", mode: 0o2755, content: "#!/bin/sh" }],
    says: /set-group-ID/,
    also: ["etc/group-shell"],
  },
  "a capability": {
    members: [
      { name: "etc/able", mode: 0o755, content: "x", pax: { "SCHILY.xattr.security.capability": "\x01\0\0\x02\xff" } },
    ],
    says: /attribute/,
    also: ["etc/able"],
  },
  "an access list as a raw attribute": {
    members: [{ name: "etc/listed", content: "x", pax: { "SCHILY.xattr.system.posix_acl_access": "\x02\0\0\0" } }],
    says: /attribute/,
    also: ["etc/listed"],
  },
  "an access list that is none": {
    members: [{ name: "etc/listed", content: "x", pax: { "SCHILY.acl.access": "user::rwx\nevil\n" } }],
    says: /attribute/,
    also: ["etc/listed"],
  },
  "a hole larger than the disk": {
    members: [
      {
        name: "etc/huge",
        content: `${"1\n0\n1\n".padEnd(512, "\0")}x`,
        pax: {
          "GNU.sparse.major": "1",
          "GNU.sparse.minor": "0",
          "GNU.sparse.realsize": "9007199254740990",
          "GNU.sparse.name": "etc/huge",
        },
      },
    ],
    says: /room/,
  },
};

describe("an archive does not leave its target, and the rest of it comes back:", () => {
  test.each(Object.entries(members))("%s", async (_, { members, says, also = [] }) => {
    const { checks, failed } = await restored(withHonest(members));
    expect(failed).toBe(true);
    expect(checks.find(({ name }) => name === "archive")).toMatchObject({
      outcome: "failed",
      detail: expect.stringMatching(says),
    });
    expect(cameBack().sort()).toEqual(["etc", "etc/first", "etc/last", ...also].sort());
    expect(readFileSync(`${target}/etc/last`, "utf8")).toBe("last");
  });
});

const sized = (rawSize: Buffer | string): RawMember => ({
  name: "etc/sized",
  rawSize: typeof rawSize === "string" ? Buffer.from(rawSize.padEnd(12, "\0"), "latin1") : rawSize,
});
const sparse = (map: string, realsize = "10"): RawMember => ({
  name: "etc/sparse",
  content: `${map.padEnd(512, "\0")}x`,
  pax: {
    "GNU.sparse.major": "1",
    "GNU.sparse.minor": "0",
    "GNU.sparse.realsize": realsize,
    "GNU.sparse.name": "etc/sparse",
  },
});
const unreadable: Record<string, Buffer> = {
  "a size beyond the archive": withHonest([{ name: "etc/huge", size: 0o77777777777 }]),
  "a size beyond the archive in base 256": withHonest([sized(Buffer.from([0x80, 0, 0, 0, 0, 0xff, 0, 0, 0, 0, 0, 0]))]),
  "a size beyond any number": withHonest([sized(Buffer.alloc(12, 0x80).fill(0x7f, 1))]),
  "a negative size": withHonest([sized(Buffer.alloc(12, 0xff))]),
  "a size that is none": withHonest([sized("12x45")]),
  "a pax size that is negative": withHonest([{ name: "etc/sized", pax: { size: "-1" } }]),
  "a pax size beyond any number": withHonest([{ name: "etc/sized", pax: { size: "99999999999999999999" } }]),
  "a pax size beyond the archive": withHonest([{ name: "etc/sized", pax: { size: "999999999999" } }]),
  "a pax header of a gigabyte": withHonest([{ name: "etc/x", flag: "x", size: 1 << 30 }]),
  "a pax record that reaches beyond its header": withHonest([
    { name: "x", flag: "x", content: "99 path=etc/evil\n" },
    honest("x"),
  ]),
  "a pax record without a length": withHonest([{ name: "x", flag: "x", content: "path=etc/evil\n" }, honest("x")]),
  "a damaged header": withHonest([{ name: "etc/x", damage: (header) => header.write("evil", 0) }]),
  "bytes after a link": withHonest([{ name: "etc/link", flag: "2", link: "first", content: "x" }]),
  "bytes after a directory": withHonest([{ name: "etc/d/", flag: "5", content: "x" }]),
  "bytes after a hard link": withHonest([{ name: "etc/hard", flag: "1", link: "etc/first", content: "x" }]),
  "a second archive after its end": Buffer.concat([withHonest([]), withHonest([])]),
  "a single block of zeros": Buffer.concat([withHonest([]).subarray(0, -512), withHonest([])]),
  "no end": withHonest([]).subarray(0, -1024),
  "half an end": withHonest([]).subarray(0, -512),
  "an end within a member": withHonest([]).subarray(0, -1536),
  "a sparse map that goes back": withHonest([sparse("2\n5\n1\n0\n0\n")]),
  "a sparse map beyond its file": withHonest([sparse("1\n10\n1\n")]),
  "a sparse map of other bytes than follow": withHonest([sparse("1\n0\n5\n")]),
  "a sparse map without an end": withHonest([sparse("500\n0\n1\n")]),
  "a sparse map of letters": withHonest([sparse("one\n")]),
  "a sparse map of a billion extents": withHonest([sparse("1000000000\n")]),
  "an older form of sparse files": withHonest([
    { name: "etc/s", content: "x", pax: { "GNU.sparse.map": "0,1", "GNU.sparse.size": "1" } },
  ]),
};

describe("an archive that can not be read on is refused:", () => {
  test.each(Object.entries(unreadable))("%s", async (_, archive) => {
    const options = { limit: archive.length, vetting: new Vetting(), found: () => {} };
    await expect(collect(gate([pieces(archive)], options))).rejects.toMatchObject({
      code: "OBJECT_CORRUPT",
      exitCode: 4,
    });
  });

  test("the size is told before a byte of the member goes on", async () => {
    const archive = unreadable["a size beyond the archive"]!;
    const passed: Buffer[] = [];
    const options = { limit: archive.length, vetting: new Vetting(), found: () => {} };
    const passing = async () => {
      for await (const chunk of gate([pieces(archive)], options)) passed.push(chunk);
    };
    await expect(passing()).rejects.toMatchObject({ message: expect.stringContaining("larger than the archive") });
    expect(Buffer.concat(passed).includes("etc/first")).toBe(true);
    expect(Buffer.concat(passed).includes("etc/huge")).toBe(false);
  });

  test.each(["a size beyond the archive", "no end"])(
    "%s: nothing of it is left, and an examination finds it",
    async (name) => {
      await expect(restored(unreadable[name]!)).rejects.toMatchObject({ code: "OBJECT_CORRUPT", exitCode: 4 });
      expect(readdirSync(around)).toEqual(["beside"]);
      await expect(configsComponent().examine!(await forged(unreadable[name]!), world)).rejects.toMatchObject({
        code: "OBJECT_CORRUPT",
      });
    },
  );
});

test("names that look like options or like other encodings are names", async () => {
  const odd = [
    "-C",
    "--to-command=touch ..evil",
    "@file",
    "etc/\xff\xfe",
    "etc/a\nb",
    "etc/%2e%2e%2fx",
    "etc/C:\\x",
    "etc/*",
  ];
  const archive = tarOf([{ name: "etc/", flag: "5", mode: 0o755 }, ...odd.map((name) => ({ name, content: "x" }))]);
  const { checks } = await restored(archive, ["etc", "-C", "--to-command=touch ..evil", "@file"]);
  expect(checks.find(({ name }) => name === "archive")?.outcome).toBe("passed");
  expect(checks.find(({ name }) => name === "files")?.outcome).toBe("passed");
  expect(cameBack().sort()).toEqual(["etc", ...odd].sort());
});

test("a member that the list of the capture does not have, and one that is another, are told", async () => {
  const listed = tarOf([
    { name: "etc/", flag: "5", mode: 0o755 },
    honest("first"),
    { ...honest("last"), content: "LAST" },
    honest("gone"),
  ]);
  const place = { kind: "directory", path: target } as const;
  const { checks } = await restore(configsComponent(), await forged(withHonest([]), listed), place, {}, world);
  const files = checks.find(({ name }) => name === "files");
  expect(files?.outcome).toBe("failed");
  expect(files?.detail).toContain("etc/last: sha256 is");
  expect(files?.detail).toContain("etc/gone: is not there");
});
