/** Looks at a staged snapshot as an application would, and compares it with what was true when it was captured. */
import { MailarkError } from "../../../core/errors.ts";
import type { Check, World } from "../component.ts";
import { checkIndexes } from "./check-indexes.ts";
import { type Connection, majorOf } from "./connection.ts";
import type { DatabaseFacts, InventoryFacts, SequenceFacts } from "./facts.ts";
import { listExtensions, listRoles, takeInventory } from "./inventory.ts";
import { brokenReferences } from "./references.ts";
import { askServer, openDatabase } from "./server.ts";
import { type Session, withSession } from "./session.ts";
import type { StagedPostgres } from "./stage.ts";
import { isWhole } from "./stage-directory.ts";
import { listSequences, measureLargeObjects, measureTable } from "./tables.ts";

/** The checks of a staged snapshot: one for each thing that holds of a database, and one for each table that is amiss. */
export async function checkPostgres(staged: StagedPostgres, world: World): Promise<Check[]> {
  const { connection } = staged;
  if (connection === undefined) return checkFiles(staged, world);
  const release = await withSession(connection, world, askServer);
  const sameRelease = majorOf(release.version) === majorOf(staged.capturedFrom);
  const checks: Check[] = [];
  for (const database of staged.databases) {
    world.progress(`checking ${database.name}`);
    const inScratch = staged.place.kind === "scratch";
    checks.push(...(await checkDatabase(connection, database, sameRelease, inScratch, world)));
    checks.push(await checkIndexes(connection, database.name, inScratch, world));
  }
  checks.push(await checkRoles(connection, staged, world));
  return checks;
}

function checkFiles({ written = [] }: StagedPostgres, { files }: World): Check[] {
  const broken = written.filter((file) => !isWhole(files, file));
  const complete: Check =
    broken.length === 0
      ? { name: "files", outcome: "passed", detail: `${written.length} files are whole, archives to their last block` }
      : {
          name: "files",
          outcome: "failed",
          detail: `not what was written: ${broken.map(({ path }) => path).join(", ")}`,
        };
  return [complete, { name: "loading", outcome: "unproven", detail: "files were written, no server has loaded them" }];
}

async function checkDatabase(
  connection: Connection,
  database: DatabaseFacts,
  sameRelease: boolean,
  inScratch: boolean,
  world: World,
): Promise<Check[]> {
  const session = await openDatabase(connection, world, database);
  try {
    return [
      ...(await checkTables(session, database, sameRelease)),
      ...(await checkReferences(session, database)),
      checkSequences(database, await listSequences(session)),
      ...checkInventory(database, await takeInventory(session)),
      checkExtensions(database, await listExtensions(session)),
      ...checkLargeObjects(database, await measureLargeObjects(session)),
      ...(await checkSubscriptions(session, database, inScratch)),
    ];
  } catch (error) {
    world.signal.throwIfAborted();
    if (!(error instanceof MailarkError)) throw error;
    return [{ name: `database ${database.name}`, outcome: "failed", detail: error.detail ?? error.message }];
  } finally {
    await session.close();
  }
}

async function checkTables(session: Session, database: DatabaseFacts, sameRelease: boolean): Promise<Check[]> {
  const amiss: Check[] = [];
  let rows = 0;
  let equal = 0;
  const present = await session.query<{ name: string }>(
    "SELECT json_build_array(n.nspname, c.relname)::text AS name FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace",
  );
  const there = new Set(present.map(({ name }) => JSON.stringify(JSON.parse(name))));
  for (const table of database.tables) {
    const name = `table ${database.name}.${table.schema}.${table.name}`;
    if (!there.has(JSON.stringify([table.schema, table.name]))) {
      amiss.push({ name, outcome: "failed", detail: "it is not there" });
      continue;
    }
    const found = await measureTable(session, table);
    rows += found.rows;
    if (table.rows === undefined) {
      amiss.push({
        name,
        outcome: "unproven",
        detail: `${found.rows} rows; it was held by another when it was captured`,
      });
      continue;
    }
    if (found.rows === table.rows && found.digest === table.digest) {
      equal += 1;
      continue;
    }
    const difference =
      found.rows === table.rows
        ? `digest ${found.digest}, ${table.digest} when captured`
        : `${found.rows} rows, ${table.rows} when captured`;
    if (table.kind === "refreshed") {
      amiss.push({
        name,
        outcome: "unproven",
        detail: `${difference}; it was computed anew, and was not up to date then`,
      });
    } else if (found.rows === table.rows && !sameRelease) {
      amiss.push({
        name,
        outcome: "unproven",
        detail: `${difference}; a server of another release may write values otherwise`,
      });
    } else amiss.push({ name, outcome: "failed", detail: difference });
  }
  const summary = `${equal} of ${database.tables.length} tables have the rows and digests of the capture; ${rows} rows in all`;
  return amiss.some(({ outcome }) => outcome === "failed")
    ? amiss
    : [{ name: `tables of ${database.name}`, outcome: "passed", detail: summary }, ...amiss];
}

async function checkReferences(session: Session, { name }: DatabaseFacts): Promise<Check[]> {
  const { checked, broken } = await brokenReferences(session);
  if (broken.length === 0) {
    return [
      {
        name: `references of ${name}`,
        outcome: "passed",
        detail: `every row of ${checked} foreign keys has its other end`,
      },
    ];
  }
  return broken.map(({ constraint, rows }) => ({
    name: `reference ${name}.${constraint}`,
    outcome: "failed",
    detail: `${rows} rows refer to what is not there`,
  }));
}

function checkSequences({ name, sequences }: DatabaseFacts, found: readonly SequenceFacts[]): Check {
  const keyOf = ({ schema, name }: SequenceFacts) => JSON.stringify([schema, name]);
  const now = new Map(found.map((sequence) => [keyOf(sequence), sequence]));
  const behind = sequences.filter((sequence) => isBehind(now.get(keyOf(sequence)), sequence));
  if (behind.length === 0) {
    return {
      name: `sequences of ${name}`,
      outcome: "passed",
      detail: `${sequences.length} go on where they were, or later`,
    };
  }
  const detail = `missing, or behind what they had given out: ${behind.map(({ schema, name }) => `${schema}.${name}`).join(", ")}`;
  return { name: `sequences of ${name}`, outcome: "failed", detail };
}

function isBehind(now: SequenceFacts | undefined, { value, descends }: SequenceFacts): boolean {
  if (now === undefined) return true;
  if (value === null) return false;
  if (now.value === null) return true;
  return descends ? BigInt(now.value) > BigInt(value) : BigInt(now.value) < BigInt(value);
}

/** What is not there by its name is lost. What is there in other words may be the same: a server does not always write an expression alike. */
function checkInventory({ name, inventory }: DatabaseFacts, found: readonly InventoryFacts[]): Check[] {
  const now = new Map(found.map((each) => [each.kind, each]));
  const then = new Map(inventory.map((each) => [each.kind, each]));
  const amiss: Check[] = [];
  for (const kind of new Set([...then.keys(), ...now.keys()])) {
    const [before, after] = [then.get(kind), now.get(kind)];
    const check = `${kind} of ${name}`;
    if (before?.count !== after?.count) {
      const detail = `${after?.count ?? 0}, ${before?.count ?? 0} when captured`;
      amiss.push({ name: check, outcome: "failed", detail });
    } else if (before?.names !== after?.names) {
      amiss.push({
        name: check,
        outcome: "failed",
        detail: "as many, but with other names or owners than when captured",
      });
    } else if (before?.digest !== after?.digest) {
      const detail = "all are there by name and owner; the server writes some of them otherwise than when captured";
      amiss.push({ name: check, outcome: "unproven", detail });
    }
  }
  if (amiss.length > 0) return amiss;
  const detail = inventory.map(({ kind, count }) => `${count} ${kind}`).join(", ");
  return [{ name: `definitions of ${name}`, outcome: "passed", detail }];
}

function checkExtensions({ name, extensions }: DatabaseFacts, found: DatabaseFacts["extensions"]): Check {
  const now = new Map(found.map((extension) => [extension.name, extension.version]));
  const missing = extensions.filter((extension) => !now.has(extension.name));
  if (missing.length > 0) {
    const detail = `missing: ${missing.map((extension) => extension.name).join(", ")}`;
    return { name: `extensions of ${name}`, outcome: "failed", detail };
  }
  const other = extensions.filter(({ name, version }) => now.get(name) !== version);
  const versions = other.map(({ name, version }) => `${name} ${now.get(name)}, ${version} when captured`).join(", ");
  return {
    name: `extensions of ${name}`,
    outcome: "passed",
    detail: [`all ${extensions.length} are there`, versions].filter(Boolean).join("; "),
  };
}

function checkLargeObjects({ name, largeObjects }: DatabaseFacts, found: { count: number; digest?: string }): Check[] {
  if (largeObjects === undefined || (largeObjects.count === 0 && found.count === 0)) return [];
  const check = `large objects of ${name}`;
  if (found.count !== largeObjects.count) {
    return [{ name: check, outcome: "failed", detail: `${found.count}, ${largeObjects.count} when captured` }];
  }
  if (largeObjects.digest === undefined || found.digest === undefined) {
    return [{ name: check, outcome: "unproven", detail: `${found.count} are there; their content could not be read` }];
  }
  const same = largeObjects.digest === found.digest;
  return [
    {
      name: check,
      outcome: same ? "passed" : "failed",
      detail: same
        ? `${found.count} have the content of the capture`
        : `${found.count}, with other content than when captured`,
    },
  ];
}

/** They come back switched off: two servers must not take one slot. In a service nothing flows until somebody decides. */
async function checkSubscriptions(session: Session, { name }: DatabaseFacts, inScratch: boolean): Promise<Check[]> {
  const off = await session.query<{ name: string }>(
    `SELECT s.subname::text AS name FROM pg_catalog.pg_subscription s JOIN pg_catalog.pg_database d ON d.oid = s.subdbid
     WHERE d.datname = current_database() AND NOT s.subenabled ORDER BY 1`,
  );
  if (off.length === 0) return [];
  const names = off.map((subscription) => subscription.name).join(", ");
  const advice =
    "ALTER SUBSCRIPTION … ENABLE to go on with one, ALTER SUBSCRIPTION … SET (slot_name = NONE) before you drop one";
  return [
    {
      name: `subscriptions of ${name}`,
      outcome: inScratch ? "passed" : "unproven",
      detail: `${off.length} are off, as a restore leaves them: ${names}; ${advice}`,
    },
  ];
}

async function checkRoles(connection: Connection, staged: StagedPostgres, world: World): Promise<Check> {
  const { facts, keptRoles, place } = staged;
  const found = await withSession(connection, world, listRoles);
  const now = new Map(found.map((role) => [role.name, role]));
  const missing = facts.roles.filter(({ name }) => !now.has(name));
  if (missing.length > 0) {
    return { name: "roles", outcome: "failed", detail: `missing: ${missing.map(({ name }) => name).join(", ")}` };
  }
  const kept = new Set(keptRoles);
  const own = (name: string) => place.kind === "scratch" && name === facts.bootstrap;
  const differences = facts.roles.flatMap(({ name, digest, password }) => {
    const role = now.get(name);
    return [
      ...(own(name) || role?.digest === digest ? [] : [{ name, is: "has other attributes, settings or memberships" }]),
      ...(password === undefined || role?.password === password ? [] : [{ name, is: "has another password" }]),
    ];
  });
  const inWords = (these: typeof differences) => these.map(({ name, is }) => `${name} ${is}`).join("; ");
  const wrong = differences.filter(({ name }) => !kept.has(name));
  if (wrong.length > 0) return { name: "roles", outcome: "failed", detail: inWords(wrong) };
  if (differences.length > 0) {
    const detail = `were there before, stayed as they were, and are not as captured: ${inWords(differences)}`;
    return { name: "roles", outcome: "unproven", detail };
  }
  const stayed = kept.size > 0 ? `; ${kept.size} were there before and stayed as they were` : "";
  if (facts.roles.some(({ password }) => password === undefined)) {
    return {
      name: "roles",
      outcome: "unproven",
      detail: `all ${facts.roles.length} are there; passwords were not captured${stayed}`,
    };
  }
  return {
    name: "roles",
    outcome: "passed",
    detail: `all ${facts.roles.length} are there, with their passwords${stayed}`,
  };
}
