CREATE ROLE "Owner of ""all"" – ü" LOGIN PASSWORD 'o:w\ner''s';
CREATE ROLE readers NOLOGIN;
CREATE ROLE app LOGIN PASSWORD 'app-secret' CONNECTION LIMIT 7 VALID UNTIL '2099-01-01 00:00+00' IN ROLE readers;
CREATE ROLE hashed LOGIN PASSWORD 'md5d31b7f75c2b38d7ea9bd0ba7bd9c3a01';
GRANT readers TO "Owner of ""all"" – ü" WITH ADMIN OPTION;
COMMENT ON ROLE app IS E'two; lines\n-- CREATE ROLE nobody; it''s a "trap"';
ALTER ROLE app SET search_path = 'shop', 'public';

CREATE DATABASE "Trap – 'one' ""✓"" \ %x" OWNER "Owner of ""all"" – ü" TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C.UTF-8';
REVOKE CONNECT ON DATABASE "Trap – 'one' ""✓"" \ %x" FROM PUBLIC;
GRANT CONNECT ON DATABASE "Trap – 'one' ""✓"" \ %x" TO app;
COMMENT ON DATABASE "Trap – 'one' ""✓"" \ %x" IS 'a database with a comment';
CREATE DATABASE bytes TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C';
CREATE DATABASE rewritten;
CREATE DATABASE empty TABLESPACE "fast; 'disk'";
GRANT CREATE ON TABLESPACE "fast; 'disk'" TO app;

-- section Trap – 'one' "✓" \ %x
SET DateStyle = ISO;
CREATE EXTENSION pg_trgm;
CREATE EXTENSION hstore SCHEMA public;
CREATE SCHEMA shop AUTHORIZATION "Owner of ""all"" – ü";
GRANT USAGE ON SCHEMA shop TO readers;
CREATE TYPE shop.state AS ENUM ('new', 'paid', 'it''s "gone"');
CREATE DOMAIN shop.email AS text CHECK (VALUE LIKE '%_@_%');
CREATE TYPE shop.pair AS (a integer, b text);
CREATE TYPE shop.span AS RANGE (subtype = numeric);
CREATE COLLATION shop.plain (provider = libc, locale = 'C');
CREATE TABLE shop.customers (
  id bigint GENERATED ALWAYS AS IDENTITY (START WITH 1000 INCREMENT BY 5) PRIMARY KEY,
  mailark_row text,
  email shop.email NOT NULL UNIQUE,
  full_name text COLLATE shop.plain,
  upper_name text GENERATED ALWAYS AS (upper(full_name)) STORED,
  seen timestamptz NOT NULL DEFAULT '2025-03-30 02:30:00.123456+01',
  age interval, attributes hstore, tags text[][], pair shop.pair, span shop.span, half real, whole double precision,
  money money, net inet, doc jsonb, raw json, dropped integer, bits bit varying
);
ALTER TABLE shop.customers DROP COLUMN dropped;
CREATE INDEX customers_trgm ON shop.customers USING gin (full_name public.gin_trgm_ops);
INSERT INTO shop.customers (mailark_row, email, full_name, age, attributes, tags, pair, span, half, whole, money, net, doc, raw, bits)
  SELECT NULLIF('x' || n, 'x3'), 'person' || n || '@example.org', E'Zoë 🙂 \t tab \n line \\ back ''quote'' № ' || n, n * interval '1 mon 2 days 00:00:00.000001',
    hstore('k' || n, NULL), ARRAY[ARRAY['a', NULL], ARRAY['{},"\', n::text]], ROW(n, 'b,"')::shop.pair, shop.span(n, n + 0.1), 1.0::real / n, 1.0::double precision / n,
    n * 1.11, '2001:db8::1/64', jsonb_build_object('n', n, 'text', E'\u0001ü'), '{"b" :1,  "a":2}', n::bit(9)
  FROM generate_series(1, 40) n;
INSERT INTO shop.customers (email, half, whole) VALUES ('special@x', 'NaN', '-Infinity'), ('zero@x', '-0', 5e-324);
CREATE TABLE shop.bytes (id integer PRIMARY KEY, b bytea NOT NULL);
INSERT INTO shop.bytes SELECT 1, decode(string_agg(lpad(to_hex(n), 2, '0'), ''), 'hex') FROM generate_series(0, 255) n;
INSERT INTO shop.bytes VALUES (2, ''), (3, decode(repeat('00ff', 300000), 'hex'));
CREATE TABLE shop.orders (
  id bigserial, customer bigint NOT NULL REFERENCES shop.customers ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED, placed date NOT NULL, state shop.state NOT NULL DEFAULT 'new',
  total numeric(12, 2) CHECK (total >= 0), PRIMARY KEY (id, placed)
) PARTITION BY RANGE (placed);
CREATE TABLE shop.orders_2024 PARTITION OF shop.orders FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE shop.orders_rest PARTITION OF shop.orders DEFAULT;
INSERT INTO shop.orders (customer, placed, total) SELECT 1000 + 5 * (n % 40), date '2024-06-01' + n * 9, n FROM generate_series(1, 60) n;
-- A child that points to its parent in a circle.
CREATE TABLE shop.nodes (id integer PRIMARY KEY, parent integer REFERENCES shop.nodes, note text);
INSERT INTO shop.nodes VALUES (1, NULL, NULL), (2, 1, ''), (3, 2, 'NULL'), (4, 4, '\N');
ALTER TABLE shop.nodes ADD CONSTRAINT short CHECK (length(note) < 2) NOT VALID;
CREATE TABLE shop.base (a integer); CREATE TABLE shop.derived (b integer) INHERITS (shop.base);
INSERT INTO shop.base VALUES (1); INSERT INTO shop.derived VALUES (2, 3);
CREATE UNLOGGED TABLE shop.cache (k text PRIMARY KEY, v text); INSERT INTO shop.cache VALUES ('a', 'b');
CREATE TABLE shop."Odd ""name"" – ✓" ("Select" integer, "x y" text); INSERT INTO shop."Odd ""name"" – ✓" VALUES (1, 'y');
CREATE TABLE shop.faraway (a integer) TABLESPACE "fast; 'disk'"; INSERT INTO shop.faraway VALUES (1);
CREATE TABLE shop.no_columns (); INSERT INTO shop.no_columns DEFAULT VALUES;
CREATE TABLE shop.secrets (owner name NOT NULL, v text);
INSERT INTO shop.secrets VALUES ('app', 'mine'), ('other', 'theirs');
ALTER TABLE shop.secrets ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON shop.secrets FOR SELECT TO app USING (owner = current_user);
ALTER TABLE shop.secrets OWNER TO "Owner of ""all"" – ü";
GRANT SELECT ON shop.secrets TO app; GRANT SELECT (email), UPDATE (full_name) ON shop.customers TO readers;
CREATE VIEW shop.paid WITH (security_barrier) AS SELECT c.full_name, count(*) AS orders FROM shop.customers c JOIN shop.orders o ON o.customer = c.id GROUP BY 1;
CREATE MATERIALIZED VIEW shop.totals AS SELECT customer, sum(total) AS total FROM shop.orders GROUP BY customer;
CREATE MATERIALIZED VIEW shop.unfilled AS SELECT 1 AS one WITH NO DATA;
CREATE UNIQUE INDEX ON shop.totals (customer);
CREATE FUNCTION shop.answer(n integer DEFAULT 41) RETURNS integer LANGUAGE sql SECURITY DEFINER SET search_path = shop AS 'SELECT n + 1';
REVOKE EXECUTE ON FUNCTION shop.answer(integer) FROM PUBLIC; GRANT EXECUTE ON FUNCTION shop.answer(integer) TO app;
CREATE PROCEDURE shop.nothing() LANGUAGE plpgsql AS $$ BEGIN NULL; END $$;
CREATE AGGREGATE shop.product (integer) (SFUNC = int4mul, STYPE = integer, INITCOND = '1');
CREATE FUNCTION shop.stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.note := coalesce(NEW.note, '') || '!'; RETURN NEW; END $$;
CREATE TRIGGER stamped BEFORE INSERT ON shop.nodes FOR EACH ROW EXECUTE FUNCTION shop.stamp();
CREATE TRIGGER asleep BEFORE UPDATE ON shop.nodes FOR EACH ROW EXECUTE FUNCTION shop.stamp();
ALTER TABLE shop.nodes DISABLE TRIGGER asleep;
CREATE RULE no_delete AS ON DELETE TO shop.cache DO INSTEAD NOTHING;
CREATE SEQUENCE shop.down INCREMENT BY -3 START WITH -7; SELECT nextval('shop.down'), nextval('shop.down');
CREATE SEQUENCE shop.unused;
COMMENT ON TABLE shop.orders IS E'comment; with ''quotes'' and\nlines'; COMMENT ON COLUMN shop.orders.total IS 'ü';
ALTER DEFAULT PRIVILEGES IN SCHEMA shop GRANT SELECT ON TABLES TO readers;
CREATE STATISTICS shop.correlated ON customer, state FROM shop.orders;
CREATE FOREIGN DATA WRAPPER nowhere; CREATE SERVER elsewhere FOREIGN DATA WRAPPER nowhere; CREATE USER MAPPING FOR app SERVER elsewhere OPTIONS (password 'far');
CREATE FOREIGN TABLE shop.far (a integer) SERVER elsewhere;
CREATE PUBLICATION news FOR TABLE shop.customers;
CREATE FUNCTION shop.on_ddl() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN NULL; END $$;
CREATE EVENT TRIGGER watch ON ddl_command_start WHEN TAG IN ('DROP SCHEMA') EXECUTE FUNCTION shop.on_ddl();
SELECT lo_from_bytea(4711, decode(repeat('00ff7f80', 5000), 'hex')), lo_from_bytea(4712, '');
SELECT lo_create(4713); SELECT lo_put(4713, 100000, 'after a hole'::bytea);
COMMENT ON LARGE OBJECT 4711 IS 'large'; ALTER LARGE OBJECT 4711 OWNER TO app; GRANT SELECT ON LARGE OBJECT 4712 TO readers;

-- section rewritten
-- What a server writes otherwise, or leaves out, once a dump of it was loaded.
CREATE TABLE expressions (s varchar(9) DEFAULT 'a'::varchar CHECK (s IN ('a', 'b')), seen timestamp(3) without time zone, n numeric(5, 2),
  CHECK (n::numeric(4, 1) IN (1, 2) OR seen > '2020-01-01'));
CREATE INDEX partly ON expressions (s) WHERE s IN ('a', 'b');
CREATE UNIQUE INDEX failed ON expressions (n); UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'failed'::regclass;
CREATE TABLE parent (a integer); CREATE TABLE child (b text) INHERITS (parent); ALTER TABLE parent ADD c date;
INSERT INTO child VALUES (1, 'b', '2026-01-01');
CREATE SUBSCRIPTION faraway CONNECTION 'host=/nowhere' PUBLICATION news WITH (connect = false);
CREATE VIEW chosen AS SELECT s::char(3) FROM expressions WHERE s NOT IN ('a', 'b') AND seen < now();

-- section bytes
SET client_encoding = 'SQL_ASCII';
CREATE TABLE latin (t text);
INSERT INTO latin VALUES (E'gr\xfc\xdfe \xff'), ('plain');
DO $$ BEGIN EXECUTE format('CREATE TABLE %1$I (a integer); INSERT INTO %1$I VALUES (1)', 'na' || chr(239) || 've\"'); END $$;

-- section template1
CREATE TABLE common (a integer); INSERT INTO common VALUES (3);

-- section postgres
REVOKE TEMPORARY ON DATABASE postgres FROM PUBLIC;
ALTER ROLE app SET default_transaction_read_only = on;
ALTER DATABASE "Trap – 'one' ""✓"" \ %x" SET default_transaction_read_only = on;
ALTER DATABASE "Trap – 'one' ""✓"" \ %x" SET statement_timeout = '1ms';
ALTER DATABASE "Trap – 'one' ""✓"" \ %x" SET "DateStyle" = 'German, DMY';
ALTER ROLE app IN DATABASE "Trap – 'one' ""✓"" \ %x" SET work_mem = '8MB';
ALTER DATABASE "Trap – 'one' ""✓"" \ %x" CONNECTION LIMIT 50;
