import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MailarkError } from "../../core/errors.ts";
import { checkReferences, type Manifest, parseDocument, readManifest } from "../../core/manifest.ts";
import { generateSigningKey, signDocument, signerOf, verifierOf } from "../../core/signed-document.ts";

const hex = (length: number, digit = "a") => digit.repeat(length);
const snapshotId = "20261121T020000.000Z-k3m9x2qa7b";
const older = "20261120T020000.000Z-aaaaaaaaaa";
const time = "2026-11-21T02:00:00.000Z";
const hostKey = { ownerId: "host", keyId: hex(32), sha256: hex(64) };

const full: Manifest = {
  format: "mailark-manifest/1",
  hostId: "host-1",
  component: "mysql",
  snapshotId,
  runId: snapshotId,
  kind: "full",
  completeness: "complete",
  startedAt: time,
  cutAt: time,
  finishedAt: time,
  tools: { mailark: "1.0.0" },
  server: { flavour: "mariadb", version: "10.11.6" },
  position: { binlogFile: "bin.000001", binlogPosition: 4 },
  keys: [hostKey],
  packs: [{ name: "0001", bytes: 300, sha256: hex(64), crc64nvme: hex(16) }],
  parts: [
    {
      name: "database-0001",
      bytes: 500,
      sha256: hex(64),
      extents: [{ pack: `${snapshotId}/0001`, keyId: hostKey.keyId, offset: 0, segments: [100, 200] }],
    },
    { name: "accounts", bytes: 0, sha256: hex(64), extents: [] },
  ],
  breakGlass: `1-${hex(16)}`,
  facts: { databases: 1 },
  warnings: [{ code: "TABLE_NOT_CAPTURED", count: 2 }],
};
const incremental: Manifest = {
  ...full,
  kind: "incremental",
  base: older,
  closure: { snapshotId, bytes: 100, sha256: hex(64), packs: 2 },
  parts: [
    ...full.parts,
    {
      name: "mailboxes",
      bytes: 5,
      sha256: hex(64),
      extents: [{ pack: `${older}/0001`, keyId: hex(32, "b"), offset: 7, segments: [9] }],
    },
  ],
};

const refusal = (work: () => unknown): string | undefined => {
  try {
    work();
  } catch (error) {
    if (error instanceof MailarkError) return error.code;
    throw error;
  }
  return undefined;
};
const read = (json: unknown) => checkReferences(parseDocument("manifest", json));

describe("a manifest", () => {
  test("comes back as it was", () => {
    expect(read(structuredClone(full))).toEqual(full);
    expect(read(structuredClone(incremental))).toEqual(incremental);
  });

  test("may have members that this version does not know, anywhere", () => {
    const newer = withUnknownMembers(incremental);
    expect(read(newer)).toEqual(incremental);
  });

  test.each([undefined, null, 1, "", "mailark-manifest/2", "mailark-run/1", {}])(
    "of format %j is not read",
    (format) => {
      for (const json of [{ ...full, format }, { format }]) {
        expect(() => parseDocument("manifest", json)).toThrow(
          expect.objectContaining({
            code: "FORMAT_UNSUPPORTED",
            message: expect.stringContaining('not "mailark-manifest/1"'),
            hint: expect.stringContaining("newer"),
          }),
        );
      }
    },
  );

  test.each([null, 1, "text", [], true])("that is %j is not read", (json) => {
    expect(() => parseDocument("manifest", json)).toThrow(expect.objectContaining({ code: "FORMAT_UNSUPPORTED" }));
  });

  test("names the member that is wrong", () => {
    const wrong = structuredClone(full) as { packs: { bytes: unknown }[] };
    wrong.packs[0]!.bytes = "many";
    expect(() => parseDocument("manifest", wrong)).toThrow(/^packs\.0\.bytes: /);
  });

  /** Leaving these out, or saying something else of the same form, gives another manifest that is as true to itself. */
  const optional =
    /^(server|position|tools\.\w+|facts\.\w+|position\.\w+|(base|closure)\b.*|warnings\.\d+|parts\.\d+|parts\.\d+\.extents\.\d+)$/;

  test.each([
    ["full", full],
    ["incremental", incremental],
  ])("that is %s is refused without any member that it must have", (_, manifest) => {
    for (const path of pathsOf(manifest)) {
      if (optional.test(path)) continue;
      // The last segment of an extent may be missing: what it held then fails the part's hash.
      if (/segments\.\d+$/.test(path)) continue;
      expect(
        refusal(() => read(without(manifest, path))),
        path,
      ).toMatch(/^(MANIFEST_INVALID|FORMAT_UNSUPPORTED)$/);
    }
  });

  test("is refused without what its parts need", () => {
    expect(refusal(() => read({ ...full, packs: [] }))).toBe("MANIFEST_INVALID");
    expect(refusal(() => read({ ...full, keys: [] }))).toBe("MANIFEST_INVALID");
    expect(refusal(() => read(without(incremental, "base")))).toBe("MANIFEST_INVALID");
    expect(refusal(() => read(without(incremental, "closure")))).toBe("MANIFEST_INVALID");
    expect(refusal(() => read({ ...incremental, kind: "full" }))).toBe("MANIFEST_INVALID");
    expect(refusal(() => read({ ...full, kind: "incremental" }))).toBe("MANIFEST_INVALID");
  });

  test("is refused with any member of another type", () => {
    for (const path of pathsOf(incremental)) {
      for (const value of [null, true, [], {}, { x: 1 }, "", "\0", -1, 1.5, 2 ** 60, Number.NaN, [[]]]) {
        const changed = replaced(incremental, path, value);
        const outcome = refusal(() => read(changed));
        if (outcome === undefined) expect(harmless(path, value), `${path} = ${JSON.stringify(value)}`).toBe(true);
        else expect(outcome).toMatch(/^(MANIFEST_INVALID|FORMAT_UNSUPPORTED)$/);
      }
    }
  });

  test.each([
    ["hostId", ["", "x", "../x", "a/b", ".x", "a b", "x".repeat(129)]],
    ["component", ["notes", "MYSQL", "mysql "]],
    ["snapshotId", ["latest", `${snapshotId}x`, snapshotId.toUpperCase(), `${snapshotId}\n`]],
    ["startedAt", ["2026-11-21", "2026-11-21T02:00:00Z", "2026-11-21T02:00:00.000+01:00", "2026-13-21T02:00:00.000Z"]],
    ["packs.0.name", ["1", "0000", "../1", "00x1", "0001 "]],
    ["packs.0.bytes", [0, -1, 0.5, 299]],
    ["packs.0.sha256", [hex(63), hex(64).toUpperCase(), "g".repeat(64), hex(65)]],
    ["packs.0.crc64nvme", [hex(15), hex(17), "g".repeat(16)]],
    ["parts.0.name", ["", "Database", "a/b", "../x", "database-1", "-", "a b"]],
    ["parts.0.extents.0.pack", ["0001", `${snapshotId}/0002`, `../${snapshotId}/0001`, `${snapshotId}/0001/`]],
    ["parts.0.extents.0.offset", [-1, 1, 300, 2 ** 53, 0.5]],
    ["parts.0.extents.0.segments", [[], [0], [301], [100, 201], [-100, 200], [2 ** 53], [0.5]]],
    ["parts.0.extents.0.keyId", [hex(31), hex(32, "c"), "host"]],
    ["keys.0.ownerId", ["", "HOST", "alice@example.com", "a".repeat(25), "a".repeat(27), "a".repeat(26)]],
    ["breakGlass", ["", "2-aaaaaaaaaaaaaaaa", "1-", "1-../../x"]],
    ["facts", [{ "": 1 }, { "example.com/alice": 1 }, { A: 1 }, { a: -1 }, { a: 0.5 }]],
    [
      "warnings",
      [[{ code: "a b", count: 1 }], [{ code: "alice@example.com", count: 1 }], [{ code: "LOST", count: 0 }]],
    ],
  ])("is refused with %s %j", (path, values) => {
    for (const value of values as unknown[]) {
      expect(
        refusal(() => read(replaced(full, path, value))),
        JSON.stringify(value),
      ).toBe("MANIFEST_INVALID");
    }
  });

  test("is refused with two packs or two parts of one name", () => {
    expect(refusal(() => read({ ...full, packs: [...full.packs, ...full.packs] }))).toBe("MANIFEST_INVALID");
    expect(refusal(() => read({ ...full, parts: [...full.parts, full.parts[1]] }))).toBe("MANIFEST_INVALID");
  });

  test("is refused, and never believed in part, for any JSON", () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.constantFrom(...pathsOf(incremental)), (value, path) => {
        const outcome = refusal(() => read(replaced(incremental, path, value)));
        if (outcome !== undefined) expect(outcome).toMatch(/^(MANIFEST_INVALID|FORMAT_UNSUPPORTED)$/);
      }),
    );
  });
});

describe("a stored manifest", () => {
  const signer = signerOf(generateSigningKey());
  const trusted = [verifierOf(signer.publicKey)];
  const address = { hostId: "host-1", component: "mysql", snapshotId } as const;
  const bytes = signDocument(full, signer);

  test("is read under its own address", () => {
    expect(readManifest(bytes, address, trusted)).toEqual(full);
  });

  test.each([
    ["hostId", "host-2"],
    ["component", "mail"],
    ["snapshotId", older],
  ])("is refused under another %s: objects were swapped", (member, value) => {
    expect(() => readManifest(bytes, { ...address, [member]: value }, trusted)).toThrow(
      expect.objectContaining({ code: "MANIFEST_INVALID", message: expect.stringContaining(member) }),
    );
  });

  test("is refused when it is not signed by a trusted key, whatever it says", () => {
    const stranger = signerOf(generateSigningKey());
    expect(refusal(() => readManifest(signDocument(full, stranger), address, trusted))).toBe("SIGNER_UNTRUSTED");
    expect(refusal(() => readManifest(bytes, address, []))).toBe("SIGNER_UNTRUSTED");
  });

  test("is refused when what was signed contradicts itself", () => {
    const lie = signDocument({ ...full, packs: [] }, signer);
    expect(refusal(() => readManifest(lie, address, trusted))).toBe("MANIFEST_INVALID");
  });
});

describe("a run record and an enrolment", () => {
  const run = {
    format: "mailark-run/1",
    hostId: "host-1",
    runId: snapshotId,
    requestId: "d32c5kddcf5bb8c3",
    startedAt: time,
    finishedAt: time,
    tools: {},
    components: [
      {
        component: "mysql",
        startedAt: time,
        cutAt: time,
        finishedAt: time,
        outcome: "complete",
        offered: snapshotId,
        snapshotId,
        kind: "incremental",
        base: snapshotId,
        bytesRead: 2,
        bytesStored: 1,
        warnings: [{ code: "BINLOG_OFF", count: 1 }],
      },
      {
        component: "mail",
        startedAt: time,
        finishedAt: time,
        outcome: "failed",
        error: { code: "DUMP_FAILED", message: "m", hint: "h" },
      },
    ],
    warnings: [{ code: "ALIAS_TO_NOWHERE", count: 2 }],
  };
  const recipient = `age1${"q".repeat(58)}`;
  const enrolment = {
    format: "mailark-enrolment/1",
    hostId: "host-1",
    createdAt: time,
    name: "mx1",
    signingKey: "AAAA",
    recoveryRecipient: recipient,
    drillRecipient: recipient,
  };

  test.each([
    ["run", run],
    ["enrolment", enrolment],
  ] as const)("come back as they were, with unknown members passed over: %s", (kind, document) => {
    expect(parseDocument(kind, withUnknownMembers(document))).toEqual(document);
  });

  test.each([
    [
      "run",
      run,
      /^(requestId|components\.\d+(\.(offered|snapshotId|kind|base|bytes\w+|cutAt|error|error\.hint))?|(components\.\d+\.)?warnings(\.\d+)?)$/,
    ],
    ["enrolment", enrolment, /^drillRecipient$/],
  ] as const)("are refused without any member that they must have: %s", (kind, document, mayBeAbsent) => {
    for (const path of pathsOf(document)) {
      if (mayBeAbsent.test(path)) continue;
      expect(
        refusal(() => parseDocument(kind, without(document, path))),
        path,
      ).toBeDefined();
    }
  });
});

/** What may be anything of its kind, because nothing is read from it without being checked against the stored bytes. */
function harmless(path: string, value: unknown): boolean {
  const number = typeof value === "number";
  const empty = Array.isArray(value) ? value.length === 0 : value !== null && typeof value === "object";
  return (
    (/^(tools|position)\.\w+$|^server\.\w+$/.test(path) && (typeof value === "string" || number)) ||
    // An empty list of parts or warnings is a manifest of less; a signer says what there is.
    (/^(parts|warnings|tools|position|facts)$/.test(path) && empty) ||
    (/^parts\.\d+\.extents$/.test(path) && empty)
  );
}

function pathsOf(value: unknown, above = ""): string[] {
  if (value === null || typeof value !== "object") return [];
  return Object.entries(value).flatMap(([name, below]) => [`${above}${name}`, ...pathsOf(below, `${above}${name}.`)]);
}

function changed(
  value: object,
  path: string,
  change: (parent: Record<string, unknown>, name: string) => void,
): unknown {
  const copy = structuredClone(value) as Record<string, unknown>;
  const names = path.split(".");
  const last = names.pop()!;
  const parent = names.reduce((inner, name) => inner[name] as Record<string, unknown>, copy);
  change(parent, last);
  return copy;
}

function without(value: object, path: string): unknown {
  return changed(value, path, (parent, name) => {
    if (Array.isArray(parent)) parent.splice(Number(name), 1);
    else delete parent[name];
  });
}

function replaced(value: object, path: string, by: unknown): unknown {
  return changed(value, path, (parent, name) => {
    parent[name] = by;
  });
}

function withUnknownMembers(value: unknown, path = ""): unknown {
  if (Array.isArray(value)) return value.map((each) => withUnknownMembers(each, `${path}[]`));
  if (value === null || typeof value !== "object") return value;
  const known = Object.entries(value).map(([name, each]) => [name, withUnknownMembers(each, `${path}.${name}`)]);
  const open = /^\.(tools|position|facts)$/.test(path);
  return { ...Object.fromEntries(known), ...(!open && { "from-the-future": { a: [1] } }) };
}
