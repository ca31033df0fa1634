/** What is remembered of the databases, to judge a restore against (docs/format.md §8.3). */
import { z } from "zod";
import type { SnapshotReader } from "../../../core/snapshot-reader.ts";
import { readFactsAs } from "../small-part.ts";

const count = z.int().nonnegative();

const tableFacts = z.object({
  schema: z.string(),
  name: z.string(),
  /** `refreshed`: a materialized view, which a restore computes anew; its rows may be other ones. */
  kind: z.enum(["table", "refreshed"]),
  /** Both absent where the table could not be kept from being changed while it was dumped. */
  rows: count.optional(),
  digest: z.string().optional(),
});

/** A sequence's last value; `null`: it was never used. Sequences are in no view: a dump may say more than this, never less. */
const sequenceFacts = z.object({
  schema: z.string(),
  name: z.string(),
  value: z.string().nullable(),
  descends: z.boolean(),
});

/** So many objects of one kind, a digest of what they are called (and of whose they are), and one of what they are. */
const inventoryFacts = z.object({ kind: z.string(), count, names: z.string(), digest: z.string() });

const databaseFacts = z.object({
  name: z.string(),
  part: z.string().regex(/^database-\d{4,}$/),
  owner: z.string(),
  encoding: z.string(),
  /** The moment and the place in the write-ahead log that its content is of. */
  cutAt: z.string(),
  lsn: z.string().optional(),
  tables: z.array(tableFacts),
  sequences: z.array(sequenceFacts),
  inventory: z.array(inventoryFacts),
  extensions: z.array(z.object({ name: z.string(), version: z.string() })),
  /** Absent where they could not be read. */
  largeObjects: z.object({ count, digest: z.string().optional() }).optional(),
});

const roleFacts = z.object({
  name: z.string(),
  /** Digest of its attributes, memberships and settings. */
  digest: z.string(),
  /** SHA-256 of the stored hash of its password; `null` where it has none. Absent where it could not be read. */
  password: z.string().nullable().optional(),
});

const facts = z.object({
  /** The role that the cluster was made with. */
  bootstrap: z.string(),
  databases: z.array(databaseFacts),
  roles: z.array(roleFacts),
});

export type TableFacts = z.infer<typeof tableFacts>;
export type SequenceFacts = z.infer<typeof sequenceFacts>;
export type InventoryFacts = z.infer<typeof inventoryFacts>;
export type DatabaseFacts = z.infer<typeof databaseFacts>;
export type RoleFacts = z.infer<typeof roleFacts>;
export type Facts = z.infer<typeof facts>;

/**
 * The facts of a snapshot.
 *
 * @throws MailarkError `OBJECT_CORRUPT` when they are none.
 */
export const readFacts = (snapshot: SnapshotReader): Promise<Facts> => readFactsAs(snapshot, facts);
