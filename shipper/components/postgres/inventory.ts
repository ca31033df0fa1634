/** Everything in a database that is not rows: counted by kind, with a digest of the definitions, and of owners and rights. */
import type { DatabaseFacts, InventoryFacts, RoleFacts } from "./facts.ts";
import type { Session } from "./session.ts";
import { ownRelations } from "./tables.ts";

/** What comes with an extension is the extension's. */
const own = (
  catalog: string,
  alias: string,
) => `${alias}.oid >= 16384 AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
  WHERE d.classid = 'pg_catalog.${catalog}'::pg_catalog.regclass AND d.objid = ${alias}.oid AND d.deptype = 'e')`;
const rights = (column: string, kind: string, owner: string) =>
  `(SELECT string_agg(a::text, ',' ORDER BY a::text COLLATE "C") FROM unnest(coalesce(${column}, acldefault('${kind}', ${owner}))) AS a)`;
/**
 * An expression as the server writes it, without what it writes otherwise once a dump was loaded: `s IN ('a', 'b')` of a varchar has its casts at
 * another place then. So are casts, brackets and blanks left out.
 */
const normal = (expression: string) =>
  `regexp_replace(regexp_replace(${expression}, '::${typeName}(\\.${typeName})?( ?\\([0-9, -]+\\))?( with(out)? time zone)?(\\[\\])*', '', 'g'), '[[:space:]()]', '', 'g')`;
const typeName = '("([^"]|"")+"|character varying|bit varying|double precision|[[:alpha:]_][[:alnum:]_$]*)';
const relation = "pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace";

/** Each: the kind, what names an object (and its owner), what it is, and where it stands. */
const kinds: readonly (readonly [kind: string, name: string, definition: string, from: string])[] = [
  [
    "views",
    "c.oid::regclass",
    normal("pg_get_viewdef(c.oid)"),
    `${relation} WHERE c.relkind IN ('v', 'm') AND ${ownRelations}`,
  ],
  [
    "functions",
    "p.oid::regprocedure",
    `concat_ws('|', pg_get_function_result(p.oid), p.prokind, p.provolatile, p.prosecdef, p.proisstrict, p.proleakproof,
       p.proparallel, p.proretset, p.procost, p.prorows, p.proconfig, (SELECT lanname FROM pg_catalog.pg_language WHERE oid = p.prolang),
       p.prosrc, p.probin, pg_get_function_arguments(p.oid))`,
    `pg_catalog.pg_proc p WHERE ${own("pg_proc", "p")}`,
  ],
  [
    "triggers",
    "concat_ws('|', t.tgrelid::regclass, t.tgname)",
    `concat_ws('|', ${normal("pg_get_triggerdef(t.oid)")}, t.tgenabled)`,
    `pg_catalog.pg_trigger t JOIN ${relation} ON c.oid = t.tgrelid WHERE NOT t.tgisinternal AND ${ownRelations}`,
  ],
  [
    "constraints",
    "concat_ws('|', k.conrelid::regclass, k.contypid::regtype, k.conname)",
    `concat_ws('|', ${normal("pg_get_constraintdef(k.oid)")}, k.convalidated)`,
    `pg_catalog.pg_constraint k WHERE ${own("pg_constraint", "k")} AND k.contype <> 'n'
       AND k.connamespace NOT IN (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname ~ '^pg_')`,
  ],
  [
    "indexes",
    "i.indexrelid::regclass",
    `concat_ws('|', ${normal("pg_get_indexdef(i.indexrelid)")}, i.indisvalid, i.indisreplident, i.indisclustered)`,
    // No dump has one that is not valid, but of partitioned tables.
    `pg_catalog.pg_index i JOIN ${relation} ON c.oid = i.indrelid WHERE ${ownRelations} AND (i.indisvalid OR c.relkind = 'p')`,
  ],
  [
    "columns",
    "concat_ws('|', a.attrelid::regclass, a.attname)",
    `concat_ws('|', format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, a.attgenerated, a.attstattarget, a.attstorage,
       a.attcollation::regcollation, ${normal("pg_get_expr(e.adbin, e.adrelid)")})`,
    `pg_catalog.pg_attribute a JOIN ${relation} ON c.oid = a.attrelid
       LEFT JOIN pg_catalog.pg_attrdef e ON e.adrelid = a.attrelid AND e.adnum = a.attnum
       WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'm', 'f', 'v', 'c') AND ${ownRelations}`,
  ],
  [
    "types",
    "y.oid::regtype",
    `concat_ws('|', y.typtype, y.typnotnull, format_type(y.typbasetype, y.typtypmod), ${normal("y.typdefault")},
       (SELECT string_agg(enumlabel, '|' ORDER BY enumsortorder) FROM pg_catalog.pg_enum WHERE enumtypid = y.oid))`,
    `pg_catalog.pg_type y WHERE y.typtype IN ('d', 'e', 'r') AND ${own("pg_type", "y")}`,
  ],
  [
    "policies",
    "concat_ws('|', o.polrelid::regclass, o.polname)",
    `concat_ws('|', o.polcmd, o.polpermissive, (SELECT string_agg(CASE r WHEN 0 THEN 'public' ELSE pg_get_userbyid(r)::text END, ',' ORDER BY
       pg_get_userbyid(r)::text COLLATE "C") FROM unnest(o.polroles) AS r), ${normal("pg_get_expr(o.polqual, o.polrelid)")},
       ${normal("pg_get_expr(o.polwithcheck, o.polrelid)")})`,
    `pg_catalog.pg_policy o JOIN ${relation} ON c.oid = o.polrelid WHERE ${ownRelations}`,
  ],
  [
    "partitions",
    "h.inhrelid::regclass",
    `concat_ws('|', h.inhparent::regclass, h.inhseqno, ${normal("pg_get_expr(c.relpartbound, c.oid)")})`,
    `pg_catalog.pg_inherits h JOIN ${relation} ON c.oid = h.inhrelid WHERE c.relkind IN ('r', 'p', 'f') AND ${ownRelations}`,
  ],
  [
    "relations",
    "concat_ws('|', c.oid::regclass, pg_get_userbyid(c.relowner))",
    `concat_ws('|', c.relkind, c.relpersistence, c.relrowsecurity, c.relforcerowsecurity, c.relreplident, c.reloptions,
       ${rights("c.relacl", "r", "c.relowner")})`,
    `${relation} WHERE c.relkind IN ('r', 'p', 'm', 'f', 'v') AND ${ownRelations}`,
  ],
  [
    "schemas",
    "concat_ws('|', n.nspname, pg_get_userbyid(n.nspowner))",
    rights("n.nspacl", "n", "n.nspowner"),
    "pg_catalog.pg_namespace n WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'",
  ],
  [
    "functionRights",
    "concat_ws('|', p.oid::regprocedure, pg_get_userbyid(p.proowner))",
    rights("p.proacl", "f", "p.proowner"),
    `pg_catalog.pg_proc p WHERE ${own("pg_proc", "p")}`,
  ],
  [
    "defaultRights",
    "concat_ws('|', pg_get_userbyid(v.defaclrole), v.defaclnamespace::regnamespace, v.defaclobjtype)",
    rights("v.defaclacl", "r", "v.defaclrole"),
    "pg_catalog.pg_default_acl v",
  ],
  [
    "rules",
    "concat_ws('|', w.ev_class::regclass, w.rulename)",
    `concat_ws('|', ${normal("pg_get_ruledef(w.oid)")}, w.ev_enabled)`,
    `pg_catalog.pg_rewrite w JOIN ${relation} ON c.oid = w.ev_class WHERE w.rulename <> '_RETURN' AND ${ownRelations}`,
  ],
  [
    "statistics",
    "concat_ws('|', x.stxnamespace::regnamespace, x.stxname, pg_get_userbyid(x.stxowner))",
    normal("pg_get_statisticsobjdef(x.oid)"),
    `pg_catalog.pg_statistic_ext x WHERE ${own("pg_statistic_ext", "x")}`,
  ],
  [
    "eventTriggers",
    "concat_ws('|', g.evtname, pg_get_userbyid(g.evtowner))",
    "concat_ws('|', g.evtevent, g.evtenabled, g.evttags, g.evtfoid::regproc)",
    `pg_catalog.pg_event_trigger g WHERE ${own("pg_event_trigger", "g")}`,
  ],
  [
    "publications",
    "concat_ws('|', u.pubname, pg_get_userbyid(u.pubowner))",
    `concat_ws('|', u.puballtables, u.pubinsert, u.pubupdate, u.pubdelete, u.pubtruncate, u.pubviaroot, (SELECT
       string_agg(t.prrelid::regclass::text, ',' ORDER BY t.prrelid::regclass::text COLLATE "C") FROM pg_catalog.pg_publication_rel t WHERE t.prpubid = u.oid))`,
    "pg_catalog.pg_publication u",
  ],
  [
    "subscriptions",
    "concat_ws('|', s.subname, pg_get_userbyid(s.subowner))",
    "s.subpublications",
    // Nobody else's dump has them.
    "pg_catalog.pg_subscription s JOIN pg_catalog.pg_database b ON b.oid = s.subdbid WHERE b.datname = current_database() AND current_setting('is_superuser') = 'on'",
  ],
  [
    "servers",
    "concat_ws('|', f.srvname, pg_get_userbyid(f.srvowner))",
    "concat_ws('|', f.srvtype, f.srvversion, f.srvoptions, (SELECT fdwname FROM pg_catalog.pg_foreign_data_wrapper WHERE oid = f.srvfdw))",
    `pg_catalog.pg_foreign_server f WHERE ${own("pg_foreign_server", "f")}`,
  ],
  ["userMappings", "concat_ws('|', m.srvname, m.usename)", "''", "pg_catalog.pg_user_mappings m"],
  [
    "comments",
    "concat_ws('|', b.classoid::regclass, b.objsubid)",
    "b.description",
    "pg_catalog.pg_description b WHERE b.objoid >= 16384 AND b.classoid <> 'pg_catalog.pg_extension'::regclass AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = b.classoid AND d.objid = b.objoid AND d.deptype = 'e')",
  ],
  [
    "database",
    "'settings'",
    `concat_ws('|', pg_get_userbyid(b.datdba), pg_encoding_to_char(b.encoding), b.datcollate, b.datctype,
       ${rights("b.datacl", "d", "b.datdba")},
       (SELECT string_agg(concat_ws('=', coalesce(pg_get_userbyid(nullif(s.setrole, 0)), ''), s.setconfig), '|' ORDER BY
         pg_get_userbyid(nullif(s.setrole, 0))::text COLLATE "C", s.setconfig::text COLLATE "C")
        FROM pg_catalog.pg_db_role_setting s WHERE s.setdatabase = b.oid))`,
    "pg_catalog.pg_database b WHERE b.datname = current_database()",
  ],
];

/** What the database holds, kind by kind, in one form whether or not it came out of a dump; those it has none of are absent. */
export async function takeInventory(session: Session): Promise<InventoryFacts[]> {
  const each = kinds.map(
    ([kind, name, definition, from]) =>
      `SELECT '${kind}' AS kind, count(*) AS count, sum(hashtextextended((${name})::text, 0))::text AS names,
         sum(hashtextextended(concat((${name})::text, '=', (${definition})::text), 0))::text AS digest FROM ${from}`,
  );
  return session.query<{ kind: string; count: number; names: string; digest: string }>(
    `SELECT * FROM (${each.join(" UNION ALL ")}) AS kinds WHERE count > 0`,
  );
}

export async function listExtensions(session: Session): Promise<DatabaseFacts["extensions"]> {
  return session.query<{ name: string; version: string }>(
    `SELECT extname::text AS name, extversion AS version FROM pg_catalog.pg_extension WHERE extname <> 'plpgsql' ORDER BY 1`,
  );
}

/** Every role but those that the server brings along. */
export async function listRoles(session: Session): Promise<RoleFacts[]> {
  const [may] = await session.query<{ readable: boolean }>(
    "SELECT has_table_privilege('pg_catalog.pg_authid', 'SELECT') AS readable",
  );
  const password = may?.readable ? "encode(sha256(convert_to(r.rolpassword, 'UTF8')), 'hex')" : "NULL";
  const rows = await session.query<{ name: string; digest: string; password: string | null }>(
    `SELECT r.rolname::text AS name, ${password} AS password,
       md5(concat_ws('|', r.rolsuper, r.rolinherit, r.rolcreaterole, r.rolcreatedb, r.rolcanlogin, r.rolreplication, r.rolbypassrls,
         r.rolconnlimit, extract(epoch FROM r.rolvaliduntil),
         (SELECT string_agg(setconfig::text, '|') FROM pg_catalog.pg_db_role_setting WHERE setrole = r.oid AND setdatabase = 0),
         (SELECT string_agg(concat(pg_get_userbyid(m.roleid), ' ', m.admin_option), ',' ORDER BY pg_get_userbyid(m.roleid)::text COLLATE "C")
          FROM pg_catalog.pg_auth_members m WHERE m.member = r.oid))) AS digest
     FROM pg_catalog.${may?.readable ? "pg_authid" : "pg_roles"} r WHERE r.rolname !~ '^pg_' ORDER BY r.rolname COLLATE "C"`,
  );
  return rows.map(({ name, digest, password: hash }) => ({ name, digest, ...(may?.readable && { password: hash }) }));
}
