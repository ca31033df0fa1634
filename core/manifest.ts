/**
 * The three documents that a host signs, as schemas (docs/format.md §5 to §7). Reading is strict on `format` and on every
 * member that it knows, and passes over members that it does not know.
 */
import { z } from "zod";
import { MailarkError } from "./errors.ts";
import { componentNames, hostOwner, manifestKey, patterns, type SnapshotAddress } from "./keys.ts";
import { checkSignature, splitDocument, type Verifier } from "./signed-document.ts";

const count = z.int().nonnegative();
const time = z.iso.datetime({ precision: 3 });
const hostId = z.string().regex(patterns.hostId);
const snapshotId = z.string().regex(patterns.snapshotId);
const keyId = z.string().regex(patterns.keyId);
const sha256 = z.string().regex(patterns.sha256);
const component = z.enum(componentNames);
const code = z.string().regex(/^[A-Z][A-Z0-9_]{2,63}$/);
const warning = z.object({ code, count: z.int().positive() });
const recipient = z.string().regex(/^age1[02-9ac-hj-np-z]{58}$/);

const extent = z.object({
  pack: z.string().regex(patterns.pack),
  keyId,
  offset: count,
  segments: z.array(z.int().positive()).min(1),
});

const part = z.object({
  name: z.string().regex(/^[a-z]+(-\d{4,})?$/),
  bytes: count,
  sha256,
  extents: z.array(extent),
});

const pack = z.object({
  name: z.string().regex(patterns.packName),
  bytes: z.int().positive(),
  sha256,
  crc64nvme: z.string().regex(patterns.crc64nvme),
});

const manifest = z.object({
  format: z.literal("mailark-manifest/1"),
  hostId,
  component,
  snapshotId,
  runId: snapshotId,
  kind: z.enum(["full", "incremental"]),
  base: snapshotId.optional(),
  completeness: z.enum(["complete", "partial"]),
  startedAt: time,
  cutAt: time,
  finishedAt: time,
  tools: z.record(z.string(), z.string()),
  server: z.object({ flavour: z.string(), version: z.string() }).optional(),
  position: z.record(z.string(), z.union([z.string(), z.number()])).optional(),
  keys: z.array(z.object({ ownerId: z.string().regex(patterns.ownerId), keyId, sha256 })),
  packs: z.array(pack),
  parts: z.array(part),
  closure: z.object({ snapshotId, bytes: count, sha256, packs: count }).optional(),
  breakGlass: z.string().regex(patterns.breakGlass),
  facts: z.record(z.string().regex(/^[a-z][A-Za-z0-9]*$/), count),
  warnings: z.array(warning),
});

const runRecord = z.object({
  format: z.literal("mailark-run/1"),
  hostId,
  runId: snapshotId,
  requestId: z.string().regex(patterns.requestId).optional(),
  startedAt: time,
  finishedAt: time,
  tools: z.record(z.string(), z.string()),
  components: z.array(
    z.object({
      component,
      startedAt: time,
      finishedAt: time,
      cutAt: time.optional(),
      outcome: z.enum(["complete", "partial", "failed"]),
      offered: snapshotId.optional(),
      snapshotId: snapshotId.optional(),
      kind: z.enum(["full", "incremental"]).optional(),
      base: snapshotId.optional(),
      bytesRead: count.optional(),
      bytesStored: count.optional(),
      warnings: z.array(warning).optional(),
      error: z.object({ code, message: z.string(), hint: z.string().optional() }).optional(),
    }),
  ),
  warnings: z.array(warning).optional(),
  stores: z
    .array(
      z.object({
        store: z.int().positive(),
        outcome: z.enum(["complete", "failed"]),
        error: z.object({ code, message: z.string(), hint: z.string().optional() }).optional(),
      }),
    )
    .optional(),
});

const enrolment = z.object({
  format: z.literal("mailark-enrolment/1"),
  hostId,
  createdAt: time,
  name: z.string(),
  signingKey: z.base64(),
  recoveryRecipient: recipient,
  drillRecipient: recipient.optional(),
});

export type Extent = z.infer<typeof extent>;
export type Part = z.infer<typeof part>;
export type Pack = z.infer<typeof pack>;
export type Manifest = z.infer<typeof manifest>;
export type RunRecord = z.infer<typeof runRecord>;
export type Enrolment = z.infer<typeof enrolment>;

/**
 * Reads a manifest's bytes, as stored under its address.
 *
 * @throws MailarkError as {@link checkSignature}, {@link parseDocument}; `MANIFEST_INVALID` when it describes another
 *   snapshot, or names what it does not have.
 */
export function readManifest(bytes: Buffer, address: SnapshotAddress, trusted: readonly Verifier[]): Manifest {
  const read = parseDocument("manifest", checkSignature(splitDocument(bytes), trusted));
  for (const member of ["hostId", "component", "snapshotId"] as const) {
    if (read[member] !== address[member]) {
      throw new MailarkError(
        "MANIFEST_INVALID",
        `the manifest says ${member} ${read[member]} but is stored as ${manifestKey(address)}`,
        { hint: "objects of two snapshots were swapped or copied over each other" },
      );
    }
  }
  return checkReferences(read);
}

/**
 * Whether what a manifest names fits together: extents lie within its own packs, under keys that it lists, or belong to the
 * closure; names are unique.
 *
 * @throws MailarkError `MANIFEST_INVALID` naming the first contradiction.
 */
export function checkReferences(read: Manifest): Manifest {
  const contradiction = (what: string) =>
    new MailarkError("MANIFEST_INVALID", `the manifest contradicts itself: ${what}`);
  const own = new Map(read.packs.map((pack) => [`${read.snapshotId}/${pack.name}`, pack]));
  if (own.size !== read.packs.length) throw contradiction("two packs have one name");
  if (new Set(read.parts.map(({ name }) => name)).size !== read.parts.length)
    throw contradiction("two parts have one name");
  if ((read.kind === "incremental") !== (read.closure !== undefined && read.base !== undefined)) {
    throw contradiction("an incremental snapshot, and no other, has a base and a closure");
  }
  const keyIds = new Set(read.keys.filter(({ ownerId }) => ownerId === hostOwner).map(({ keyId }) => keyId));
  for (const { name, extents } of read.parts) {
    for (const { pack, keyId, offset, segments } of extents) {
      const end = segments.reduce((sum, bytes) => sum + bytes, offset);
      const bytes = own.get(pack)?.bytes;
      if (bytes === undefined && (read.kind === "full" || pack.startsWith(read.snapshotId)))
        throw contradiction(`part ${name} lies in pack ${pack}, which is not listed`);
      if (bytes !== undefined && end > bytes) throw contradiction(`part ${name} reaches past the end of pack ${pack}`);
      if (bytes !== undefined && !keyIds.has(keyId))
        throw contradiction(`part ${name} is sealed to key ${keyId}, which is not listed`);
    }
  }
  return read;
}

/** Bytes of a snapshot's own packs, as stored. */
export const storedBytes = ({ packs }: Pick<Manifest, "packs">): number =>
  packs.reduce((sum, { bytes }) => sum + bytes, 0);

interface Documents {
  manifest: Manifest;
  run: RunRecord;
  enrolment: Enrolment;
}

const schemas: { [K in keyof Documents]: z.ZodType<Documents[K]> } = { manifest, run: runRecord, enrolment };

/**
 * @throws MailarkError `FORMAT_UNSUPPORTED` when a newer mailark wrote it; `MANIFEST_INVALID` naming the first member
 *   that is wrong.
 */
export function parseDocument<K extends keyof Documents>(kind: K, json: unknown): Documents[K] {
  const expected = `mailark-${kind}/1`;
  const format = (json as { format?: unknown } | null)?.format;
  if (format !== expected) {
    throw new MailarkError("FORMAT_UNSUPPORTED", `the format is ${JSON.stringify(format)}, not "${expected}"`, {
      hint: "if a newer mailark wrote it, read it with that version or a later one",
    });
  }
  const parsed = schemas[kind].safeParse(json);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new MailarkError("MANIFEST_INVALID", `${issue?.path.join(".") ?? kind}: ${issue?.message ?? "invalid"}`);
}
