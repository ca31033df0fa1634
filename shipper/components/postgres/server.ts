/** What a server is, and which databases it holds. */
import { MailarkError } from "../../../core/errors.ts";
import type { World } from "../component.ts";
import type { PostgresConfig } from "./config.ts";
import { type Connection, majorOf } from "./connection.ts";
import { openSession, type Session, type SessionWorld, withSession } from "./session.ts";

export interface Server {
  /** `15.18` */
  readonly version: string;
  /** Name of the role that the cluster was made with: the owner of all that is the server's own. */
  readonly bootstrap: string;
}

export interface Database {
  readonly name: string;
  readonly owner: string;
  /** As the server names it: `UTF8`. */
  readonly encoding: string;
  readonly bytes: number;
  /** Whether it takes connections; what does not can not be dumped. */
  readonly open: boolean;
}

/** Databases that every server has from the start. `template0` never changes. */
export const ownDatabases: readonly string[] = ["postgres", "template1"];

/** How text of a database reaches us: see {@link Session.encoding}. */
export const textOf = ({ encoding }: Pick<Database, "encoding">): Session["encoding"] =>
  encoding === "SQL_ASCII" ? "latin1" : "utf8";

/** The first release whose catalogs have all that is asked for. */
const oldest = 13;

/**
 * Asks a server what it is.
 *
 * @throws MailarkError `CAPTURE_FAILED` for a release that is too old.
 */
export async function askServer(session: Session): Promise<Server> {
  const [row] = await session.query<{ version: string; bootstrap: string }>(
    `SELECT split_part(current_setting('server_version'), ' ', 1) AS version,
       (SELECT rolname FROM pg_catalog.pg_roles WHERE oid = 10)::text AS bootstrap`,
  );
  const version = row?.version ?? "";
  if (majorOf(version) < oldest) {
    throw new MailarkError("CAPTURE_FAILED", `the server is of release ${version}, older than ${oldest}`, {
      hint: "upgrade the server, or back it up with its own pg_dumpall",
    });
  }
  return { version, bootstrap: row?.bootstrap ?? "postgres" };
}

/** All databases but `template0`, in the order of their names. */
export async function listDatabases(session: Session): Promise<Database[]> {
  return session.query<{ name: string; owner: string; encoding: string; bytes: number; open: boolean }>(
    `SELECT datname::text AS name, pg_get_userbyid(datdba)::text AS owner, pg_encoding_to_char(encoding)::text AS encoding,
       CASE WHEN has_database_privilege(oid, 'CONNECT') THEN pg_database_size(oid) ELSE 0 END AS bytes,
       datallowconn AND datconnlimit <> -2 AS open
     FROM pg_catalog.pg_database WHERE datname <> 'template0' ORDER BY datname COLLATE "C"`,
  );
}

/**
 * The databases that the configuration asks for, in the order of their names.
 *
 * @throws MailarkError `CAPTURE_FAILED` when one is not there, or there is none: a server that lost all its databases must not pass for
 *   one that was saved.
 */
export async function wantedDatabases(
  connection: Connection,
  present: readonly Database[],
  wanted: PostgresConfig["databases"],
  world: World,
): Promise<Database[]> {
  if (wanted === "all") {
    const servers = present.filter(({ name, open }) => open && ownDatabases.includes(name));
    const changed = await Promise.all(servers.map(({ name }) => withSession(connection, world, isOurs, name)));
    const own = servers.filter((_, index) => changed[index]);
    const all = present.filter(
      (database) => database.open && (own.includes(database) || !ownDatabases.includes(database.name)),
    );
    if (all.length > 0) return all;
    throw new MailarkError("CAPTURE_FAILED", "the server shows no database to capture", {
      hint: "check that this is the right server",
    });
  }
  const missing = wanted.filter((name) => !present.some((database) => database.name === name && database.open));
  if (missing.length > 0) {
    throw new MailarkError("CAPTURE_FAILED", `${missing.length} of the databases to capture are not on the server`, {
      detail: missing.join(", "),
      hint: "correct the list of databases of the postgres component; template0 and what takes no connections can not be captured",
    });
  }
  return present.filter(({ name }) => wanted.includes(name));
}

/**
 * Databases that somebody made, and those of every server that somebody put something into.
 *
 * @param own of those that every server has the ones to look into. Default: all.
 */
export async function filledDatabases(
  connection: Connection,
  world: SessionWorld,
  own: readonly string[] = ownDatabases,
): Promise<string[]> {
  const filled: string[] = [];
  for (const { name } of await withSession(connection, world, listDatabases)) {
    if (!ownDatabases.includes(name)) filled.push(name);
    else if (own.includes(name) && (await withSession(connection, world, isChanged, name))) filled.push(name);
  }
  return filled;
}

/** Whether somebody put something of his own into a database that every server has. */
export async function isChanged(session: Session): Promise<boolean> {
  // What initdb makes has numbers below 16384 (FirstNormalObjectId of the server's sources).
  const [row] = await session.query<{ changed: boolean }>(
    `SELECT EXISTS (SELECT FROM pg_catalog.pg_class WHERE oid >= 16384 AND relpersistence <> 't'
         AND relnamespace NOT IN (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname ~ '^pg_(toast|temp)'))
       OR EXISTS (SELECT FROM pg_catalog.pg_proc WHERE oid >= 16384)
       OR EXISTS (SELECT FROM pg_catalog.pg_type WHERE oid >= 16384 AND typtype IN ('d', 'e', 'r'))
       OR EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE oid >= 16384 AND nspname !~ '^pg_(toast|temp)')
       OR EXISTS (SELECT FROM pg_catalog.pg_extension WHERE oid >= 16384)
       OR EXISTS (SELECT FROM pg_catalog.pg_largeobject_metadata)
       OR EXISTS (SELECT FROM pg_catalog.pg_foreign_data_wrapper WHERE oid >= 16384)
       OR EXISTS (SELECT FROM pg_catalog.pg_default_acl)
       OR EXISTS (SELECT FROM pg_catalog.pg_db_role_setting s JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase
            WHERE d.datname = current_database()) AS changed`,
  );
  return row?.changed ?? false;
}

/** Whether a database that every server has is worth capturing: somebody put something into it, or gave it other rights or words. */
const isOurs = async (session: Session) => (await isChanged(session)) || (await hasOtherRights(session));

/** Compares owners, rights and comments with what initdb gives; 10 is the role that it makes, and a database that was made anew has no comment. */
async function hasOtherRights(session: Session): Promise<boolean> {
  const own = "'0 CONNECT,0 TEMPORARY,10 CONNECT,10 CREATE,10 TEMPORARY'";
  const templates = "'0 CONNECT,10 CONNECT,10 CREATE,10 TEMPORARY'";
  const [row] = await session.query<{ other: boolean }>(
    `SELECT EXISTS (SELECT FROM pg_catalog.pg_database d WHERE d.datname = current_database() AND (d.datdba <> 10
         OR (SELECT string_agg(concat(grantee, ' ', privilege_type), ',' ORDER BY concat(grantee, ' ', privilege_type) COLLATE "C")
             FROM aclexplode(coalesce(d.datacl, acldefault('d', d.datdba)))) NOT IN (${own}, CASE d.datname WHEN 'template1' THEN ${templates} ELSE ${own} END)))
       OR EXISTS (SELECT FROM pg_catalog.pg_shdescription s JOIN pg_catalog.pg_database d ON d.oid = s.objoid
            WHERE s.classoid = 'pg_catalog.pg_database'::regclass AND d.datname = current_database()
            AND s.description NOT IN ('default administrative connection database', 'default template for new databases'))
       OR EXISTS (SELECT FROM pg_catalog.pg_namespace n LEFT JOIN pg_catalog.pg_init_privs i
            ON i.objoid = n.oid AND i.classoid = 'pg_catalog.pg_namespace'::regclass AND i.objsubid = 0
            WHERE n.nspname = 'public' AND (n.nspowner >= 16384
            OR (SELECT string_agg(a::text, ',' ORDER BY a::text COLLATE "C") FROM unnest(n.nspacl) AS a) IS DISTINCT FROM
               (SELECT string_agg(a::text, ',' ORDER BY a::text COLLATE "C") FROM unnest(i.initprivs) AS a)
            OR obj_description(n.oid, 'pg_namespace') <> 'standard public schema')) AS other`,
  );
  return row?.other ?? false;
}

/** A session of a database in its own encoding. */
export function openDatabase(
  connection: Connection,
  world: SessionWorld,
  database: Pick<Database, "name" | "encoding">,
): Promise<Session> {
  return openSession(connection, world, database.name, textOf(database));
}
