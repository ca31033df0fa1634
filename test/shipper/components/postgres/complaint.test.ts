import { expect, test } from "vitest";
import { withoutRows } from "../../../../shipper/components/postgres/complaint.ts";

test.each([
  [
    `pg_restore: while PROCESSING TOC:
pg_restore: from TOC entry 3456; 0 16400 TABLE DATA virtual_users mailapp
pg_restore: error: COPY failed for table "virtual_users": ERROR:  value too long for type "$6$hash": no
DETAIL:  $6$hash
CONTEXT:  COPY virtual_users, line 1: "1	$6$hash"`,
    'COPY failed for table "virtual_users": ERROR:  value too long for type …',
  ],
  [
    `pg_restore: Fehler: COPY fehlgeschlagen für Tabelle »users«: FEHLER:  ungültige Eingabesyntax für Typ integer: »$6$hash«
ZUSAMMENHANG:  COPY users, Zeile 1: »$6$hash«`,
    "FEHLER:  ungültige Eingabesyntax für Typ integer: …",
  ],
  [
    `pg_restore: error: could not execute query: ERROR:  type "public.citext" does not exist
LINE 1: CREATE SUBSCRIPTION '$6$hash'
Command was: CREATE SUBSCRIPTION '$6$hash'`,
    'ERROR:  type "public.citext" does not exist',
  ],
  [
    `pg_restore: error: could not execute query: ERROR:  invalid input syntax for type integer: "$6$hash"`,
    "type integer…",
  ],
  [`Error response from daemon: no such container`, "no such container"],
])("what pg_restore complains of has no row of the data (%#)", (said, kept) => {
  const left = withoutRows(said);
  expect(left).toContain(kept);
  expect(left).not.toContain("$6$hash");
});

test("the end of a statement that was longer than what is kept of the complaint is no complaint", () => {
  expect(withoutRows(`${"$6$hash ".repeat(500)}`)).toBe("");
  expect(withoutRows("$6$hash\nCommand was: SELECT")).toBe("");
});
