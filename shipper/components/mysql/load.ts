/** Loads a snapshot into an empty server, part by part, without ever holding one in memory. */
import { MailarkError } from "../../../core/errors.ts";
import type { SnapshotReader } from "../../../core/snapshot-reader.ts";
import { feed, outputOf } from "../../processes.ts";
import type { World } from "../component.ts";
import { whileAnswering } from "../pulse.ts";
import { readSmall } from "../small-part.ts";
import { narrowAccounts } from "./accounts.ts";
import type { Connection } from "./connection.ts";
import type { DatabaseFacts } from "./facts.ts";
import { pulseOf } from "./pulse.ts";
import { partsOf } from "./select.ts";
import { type SessionWorld, withSession } from "./session.ts";
import { quoteName } from "./sql-text.ts";
import { streamOf } from "./write-parts.ts";

/**
 * Makes the databases and loads, of all of them: tables and rows; then programs; then views, which may refer to any of these; then
 * the accounts, whose grants refer to all; and events at the end, because from then on they run.
 *
 * @param without this account is left as it is: see {@link narrowAccounts}.
 * @param made is told of each database as it comes to be.
 * @throws MailarkError `RESTORE_FAILED` with the server's words in `detail`; and as `SnapshotReader.readPart`.
 */
export async function loadSnapshot(
  snapshot: SnapshotReader,
  databases: readonly DatabaseFacts[],
  connection: Connection,
  world: World,
  { without, made }: { readonly without?: string; readonly made?: (database: string) => void } = {},
): Promise<void> {
  const shape = await shapeFor(connection, world);
  for (const { name, create } of databases) {
    await withSession(connection, world, (session) => session.query(create));
    made?.(name);
  }
  const parts = databases.flatMap((database) => partsOf(snapshot, database).map((part) => ({ ...part, database })));
  const loadAll = async (kind: string, doing: string) => {
    for (const { name, database } of parts.filter((part) => part.kind === kind)) {
      world.progress(`${doing} of ${database.name}`);
      await load(name, shape(snapshot.readPart(snapshot.part(name))), connection, world, database.name);
    }
  };
  await loadAll("database", "loading tables");
  await loadAll("programs", "loading triggers and routines");
  await loadAll("views", "loading views");
  await loadAccounts(snapshot, databases, connection, world, without);
  await loadAll("events", "loading events");
}

type Shape = (part: AsyncIterable<Buffer>) => AsyncIterable<Buffer>;

/** Session settings before a part, and its first line only for a client that understands it: others end on it. */
async function shapeFor(connection: Connection, { processes, signal }: World): Promise<Shape> {
  const help = await outputOf(connection.through(processes), connection.command(connection.client.name, ["--help"]), {
    signal,
    env: connection.env,
  });
  const sandbox = help.includes("--sandbox");
  // A table that was made under older rules must come back under them.
  const settings = connection.client.flavour === "mariadb" ? "SET SESSION innodb_strict_mode=0;\n" : "";
  return async function* (part) {
    yield Buffer.from(settings);
    let first = true;
    for await (const chunk of part) {
      const skip = first && !sandbox && chunk.subarray(0, 12).toString("latin1") === "/*M!999999\\-";
      yield skip ? chunk.subarray(chunk.indexOf("\n") + 1) : chunk;
      first = false;
    }
  };
}

async function loadAccounts(
  snapshot: SnapshotReader,
  databases: readonly DatabaseFacts[],
  connection: Connection,
  world: World,
  without: string | undefined,
): Promise<void> {
  if (!snapshot.manifest.parts.some(({ name }) => name === "accounts")) return;
  world.progress("loading accounts");
  const accounts = await readSmall(snapshot, "accounts");
  const names = databases.map(({ name }) => name);
  const sql = narrowAccounts(accounts.toString("utf8"), names, without);
  await load("accounts", streamOf(Buffer.from(sql)), connection, world);
}

async function load(
  part: string,
  stream: AsyncIterable<Buffer>,
  connection: Connection,
  world: World,
  database?: string,
): Promise<void> {
  const { processes, signal } = world;
  const args = ["--batch", "--binary-mode", "--default-character-set=utf8mb4", "--max-allowed-packet=1G"];
  const command = connection.command(connection.client.name, [
    ...args,
    ...(database === undefined ? [] : [`--database=${database}`]),
  ]);
  const stalled = new AbortController();
  const options = { env: connection.env, signal: AbortSignal.any([signal, stalled.signal]) };
  try {
    const loading = feed(connection.through(processes), command, stream, options);
    await whileAnswering(pulseOf(connection, processes), world, loading, () => stalled.abort());
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof MailarkError) || error.code !== "PROGRAM_FAILED") throw error;
    // The server repeats the text near a mistake, and values, which may be a password's hash. The cause has them still, and is left out.
    const said = error.detail ?? "";
    const complaint =
      part === "accounts" ? (/ERROR \d+ \(\w+\) at line \d+/.exec(said)?.[0] ?? "") : withoutValues(said);
    throw new MailarkError("RESTORE_FAILED", `the database server did not accept the part ${part}`, {
      detail: connection.scrub(complaint),
      hint: "restore to a server of the same kind and release as the one that was captured, or a newer one",
    });
  }
}

/**
 * The server's own words. The client prints the whole statement before them. `near '…'` quotes up to 80 characters of it, others a value: it may have
 * any character, so that nothing after it is kept.
 */
function withoutValues(said: string): string {
  const [last] = [...said.matchAll(/^ERROR \d+ \(\w+\) at line \d+(?:(?!^ERROR \d+ \().)*/gms)].slice(-1);
  if (last === undefined) return said.length < 1000 && !said.includes("-----") ? said : "";
  return last[0].replace(/\b(near|entry|value:?) ['"`].*/s, "$1 …");
}

/** Takes databases and accounts away again, those only that this load has made. Throws nothing: it runs after a failure. */
export async function unload(
  databases: readonly string[],
  accounts: readonly { readonly user: string; readonly host: string; readonly role: boolean }[],
  connection: Connection,
  world: SessionWorld,
): Promise<void> {
  const statements = [
    ...databases.map((name) => `DROP DATABASE IF EXISTS ${quoteName(name)}`),
    ...accounts.map(({ user, host, role }) =>
      role ? `DROP ROLE IF EXISTS ${quoteName(user)}` : `DROP USER IF EXISTS ${quoteName(user)}@${quoteName(host)}`,
    ),
  ];
  for (const statement of statements) {
    await withSession(connection, world, (session) => session.query(statement)).catch(() => {});
  }
}
