-- One of everything that a logical dump can lose. Runs on 15 to 18; what a version or a build lacks is left out by \if.
-- `\set portable 1` before it leaves out what another server may not have (contrib, libxml, ICU).
\if :{?portable}
\else
	\set portable 0
\endif
select not :'portable'::bool and exists (select from pg_available_extensions where name = 'hstore') as contrib \gset
select current_setting('server_version_num')::int >= 160000 as v16, current_setting('server_version_num')::int >= 180000 as v18 \gset

create schema odd authorization odd_owner;
create schema "Mixed Case";
create schema empty_schema;
comment on schema odd is E'a schema with a\ncomment of two lines; and -- dashes';
comment on schema public is 'changed comment of public';
grant usage on schema odd to odd_reader, odd_group;
grant create on schema odd to odd_group with grant option;
revoke all on schema public from public;
grant usage on schema public to public;

-- ---- extensions ----
\if :contrib
	create extension hstore schema odd;
	create extension citext;
	create extension btree_gist;
	create extension pg_trgm;
	create extension postgres_fdw;
	create extension "uuid-ossp";
	comment on extension hstore is 'a changed comment';
	create table odd.with_contrib (id int primary key, h odd.hstore, c citext, during tsrange, room int,
		exclude using gist (room with =, during with &&));
	insert into odd.with_contrib values (1, 'a=>1,b=>NULL', 'CaSe', '[2024-01-01,2024-01-02)', 1), (2, '"q u"=>"\"x\""', 'case2', null, 1);
	create index with_contrib_trgm on odd.with_contrib using gin ((c::text) gin_trgm_ops);
\endif

-- ---- types ----
create type odd.colour as enum ('red', 'green', 'blue');
alter type odd.colour add value 'ultra''violet' after 'blue';
alter type odd.colour add value 'before red' before 'red';
comment on type odd.colour is 'an enum whose labels are not in order of creation';
create type odd.pair as (a int, b text);
create type odd.nested as (p odd.pair, list odd.pair[]);
create type odd.shell;
create type odd.unused as (x int, y text collate "C");
create conversion odd.conversion for 'LATIN1' to 'UTF8' from iso8859_1_to_utf8;
create type odd.float_range as range (subtype = float8, subtype_diff = float8mi, multirange_type_name = odd.float_many);
create domain odd.positive as int check (value > 0);
create domain odd.email as text collate "C" default 'nobody@example.org' not null constraint has_at check (value ~ '@');
alter domain odd.positive add constraint small check (value < 1000000) not valid;
comment on domain odd.email is 'checked';
comment on constraint has_at on domain odd.email is 'an at';
alter type odd.pair owner to odd_owner;
grant usage on type odd.colour to odd_reader;
revoke usage on type odd.colour from public;
create collation odd.posix (locale = 'C');
create collation odd.lower_utf8 (locale = 'C.UTF-8');
comment on collation odd.posix is 'as bytes';

-- ---- functions, casts, operators, aggregates ----
create function odd.twice(i int) returns int language sql immutable strict parallel safe as 'select $1 * 2';
create function odd.twice(t text, sep text default ', ') returns text language sql immutable as 'select t || sep || t';
create function odd.is_even(i int) returns bool language plpgsql immutable cost 7 as $f$ begin return i % 2 = 0; end $f$;
create function odd.atomic(i int, out j int, out k text) language sql begin atomic select i, i::text; end;
create function odd.secure() returns setof text language sql security definer set search_path = 'pg_catalog' set work_mem = '8MB' rows 3
	as $f$ values ('a'), ('$$ quoted $q$') $f$;
create function odd.variadic_sum(variadic n int[]) returns bigint language sql immutable as 'select sum(x) from unnest(n) x';
create procedure odd.noop(inout i int) language plpgsql as $p$ begin i := i + 1; end $p$;
comment on function odd.twice(int) is 'doubles';
comment on procedure odd.noop(int) is 'does nothing, and adds one';
revoke execute on function odd.secure() from public;
grant execute on function odd.secure() to odd_reader;
alter function odd.secure() owner to odd_owner;
create function odd.pair_plus(odd.pair, odd.pair) returns odd.pair language sql immutable as 'select row($1.a + $2.a, $1.b || $2.b)::odd.pair';
create operator odd.+ (leftarg = odd.pair, rightarg = odd.pair, function = odd.pair_plus, commutator = operator(odd.+));
comment on operator odd.+ (odd.pair, odd.pair) is 'adds pairs';
create function odd.pair_less(odd.pair, odd.pair) returns bool language sql immutable as 'select $1.a < $2.a';
create operator odd.<<< (leftarg = odd.pair, rightarg = odd.pair, function = odd.pair_less);
create function odd.int_compare(int, int) returns int language sql immutable as 'select case when $1 < $2 then 1 when $1 > $2 then -1 else 0 end';
create operator family odd.backwards_family using btree;
create operator class odd.backwards for type int using btree family odd.backwards_family
	as operator 1 >, operator 2 >=, operator 3 =, operator 4 <=, operator 5 <, function 1 odd.int_compare(int, int);
comment on operator class odd.backwards using btree is 'descending';
create function odd.to_pair(int) returns odd.pair language sql immutable as 'select row($1, $1::text)::odd.pair';
create cast (int as odd.pair) with function odd.to_pair(int) as assignment;
comment on cast (int as odd.pair) is 'a cast';
create aggregate odd.sum_pairs (odd.pair) (sfunc = odd.pair_plus, stype = odd.pair, initcond = '(0,"")');
create aggregate odd.last_of (anycompatible) (sfunc = array_append, stype = anycompatiblearray, initcond = '{}');
comment on aggregate odd.sum_pairs (odd.pair) is 'an aggregate';
create function odd.touched() returns trigger language plpgsql as $f$ begin new.touched := coalesce(new.touched, 0) + 1; return new; end $f$;
create function odd.never() returns trigger language plpgsql as $f$ begin raise exception 'this trigger must not fire in a restore'; end $f$;

-- ---- text search ----
create text search dictionary odd.simple_dict (template = simple, stopwords = english);
create text search configuration odd.search (copy = english);
alter text search configuration odd.search alter mapping for asciiword with odd.simple_dict, english_stem;
comment on text search configuration odd.search is 'words';
comment on text search dictionary odd.simple_dict is 'simple words';

-- ---- sequences ----
create sequence odd.never_called;
create sequence odd.called start 10 increment 5 cache 7;
select nextval('odd.called'), nextval('odd.called');
create sequence odd.down increment -3 minvalue -1000 maxvalue 100 start 100 cycle;
select nextval('odd.down'), nextval('odd.down'), nextval('odd.down');
create sequence odd.down_once increment -1 maxvalue -5;
select nextval('odd.down_once'), nextval('odd.down_once');
create sequence odd.tiny as smallint;
select setval('odd.tiny', 32767, true);
create sequence odd.not_called_but_set;
select setval('odd.not_called_but_set', 77, false);
create unlogged sequence odd.unlogged_seq;
select nextval('odd.unlogged_seq');
comment on sequence odd.called is 'a sequence';
grant usage on sequence odd.called to odd_reader;
alter sequence odd.down owner to odd_owner;

-- ---- tables ----
create table odd.identity (id int generated always as identity (start 100 increment 10) primary key,
	other bigint generated by default as identity, "value" text not null);
insert into odd.identity ("value") select 'v' || i from generate_series(1, 50) i;
insert into odd.identity (id, "value") overriding system value values (-5, 'set by hand');
create table odd.serial (id serial primary key, big bigserial, small smallserial, t text);
insert into odd.serial (t) select 's' || i from generate_series(1, 20) i;
create sequence odd.standalone_owned;
create table odd.owns (id int default nextval('odd.standalone_owned'), x int);
alter sequence odd.standalone_owned owned by odd.owns.id;
insert into odd.owns (x) values (1), (2), (3);

create table odd.generated (a int, b int generated always as (odd.twice(a)) stored, c text, d text generated always as (upper(c)) stored,
	e int default odd.twice(21));
insert into odd.generated (a, c) select i, 'c' || i from generate_series(1, 30) i;
create index generated_by_function on odd.generated (odd.is_even(a), odd.twice(b)) where odd.is_even(a);
\if :v18
	create table odd.virtual (a int, v int generated always as (a * 3) virtual, z text);
	insert into odd.virtual (a, z) select i, 'z' from generate_series(1, 10) i;
	create table odd.not_nulls (a int constraint a_is_there not null no inherit, b int);
	alter table odd.not_nulls add constraint b_is_there not null b not valid;
	create table odd.not_enforced (a int constraint loose check (a > 0) not enforced);
	insert into odd.not_enforced values (-1);
	create table odd.temporal (id int4range, valid tstzrange, constraint temporal_key primary key (id, valid without overlaps));
	insert into odd.temporal values ('[1,2)', '[2024-01-01,2025-01-01)'), ('[1,2)', '[2025-01-01,2026-01-01)');
	create table odd.temporal_child (id int, parent int4range, valid tstzrange,
		foreign key (parent, period valid) references odd.temporal (id, period valid));
	insert into odd.temporal_child values (1, '[1,2)', '[2024-06-01,2025-06-01)');
\endif

create table odd.dropped (gone1 int, keep1 int, gone2 text, keep2 text, gone3 int);
insert into odd.dropped select i, i, 'x', 'kept ' || i, i from generate_series(1, 40) i;
alter table odd.dropped drop column gone1, drop column gone2, drop column gone3;
alter table odd.dropped add column added int default 7, add column gone4 int;
insert into odd.dropped (keep1, keep2, added) values (41, null, null);
alter table odd.dropped drop column gone4;

create table odd.no_columns ();
insert into odd.no_columns default values;
insert into odd.no_columns default values;
insert into odd.no_columns default values;
create table odd.all_dropped (a int, b text);
insert into odd.all_dropped values (1, 'x'), (2, 'y');
alter table odd.all_dropped drop column a, drop column b;
create table odd.one_null_column (t text);
insert into odd.one_null_column values (null), (''), ('\N'), (E'\\'), (E'\n'), (E'\t'), (E'\r\n'), ('\.'), (null), (' ');
create table odd.empty (id int primary key, t text);
create unlogged table odd.unlogged (id int primary key, t text);
insert into odd.unlogged values (1, 'unlogged'), (2, null);
create table odd.settings (a int, b text) with (fillfactor = 70, autovacuum_enabled = false, toast.autovacuum_enabled = false);
alter table odd.settings alter column b set storage external, alter column b set statistics 500, alter column a set (n_distinct = -0.5);
alter table odd.settings replica identity full;
insert into odd.settings values (1, 'x');
create table odd.typed of odd.pair (a with options primary key default 5);
insert into odd.typed values (1, 'typed');
create table odd.composite (id int primary key, p odd.pair, n odd.nested, ps odd.pair[], c odd.colour, cs odd.colour[], r odd.float_range,
	m odd.float_many, d odd.positive, e odd.email);
insert into odd.composite values
	(1, '(1,"a ""quoted"" b")', row('(2,x)', array['(3,"y,z")']::odd.pair[]), array[row(4, E'new\nline')::odd.pair, null], 'ultra''violet',
		'{red,"before red"}', '[1.5,2.5)', '{[1,2),[3,4)}', 5, 'a@b'),
	(2, null, null, '{}', null, null, 'empty', '{}', null, 'c@d'),
	(3, '(,)', row(null, null), array[null]::odd.pair[], 'red', '{}', '(,)', '{(,)}', 1, default);
create table odd.collated (a text collate odd.posix, b text collate "C", c text collate odd.lower_utf8);
insert into odd.collated values ('ä', 'B', 'ß'), ('Z', 'a', 'SS');
create index collated_index on odd.collated (a collate "C" desc nulls last, b text_pattern_ops) include (c);
create index backwards_index on odd.owns (x odd.backwards);
create unique index partial_unique on odd.owns (x) where x > 1;
create index brin_index on odd.owns using brin (x) with (pages_per_range = 4);
create index hash_index on odd.owns using hash (x);
comment on index odd.partial_unique is 'an index';
create index expression_index on odd.owns ((x * 2 + 1));
alter index odd.expression_index alter column 1 set statistics 100;
create statistics odd.stats (dependencies, ndistinct, mcv) on a, b from odd.generated;
create statistics odd.stats_expression on (a + 1), (odd.twice(a)) from odd.generated;
alter statistics odd.stats set statistics 42;
comment on statistics odd.stats is 'extended statistics';
alter statistics odd.stats owner to odd_owner;
cluster odd.serial using serial_pkey;

-- ---- constraints ----
create table odd.parent (id int primary key, code text unique nulls not distinct, constraint code_is_short check (length(code) < 100));
insert into odd.parent select i, 'code' || i from generate_series(1, 25) i;
insert into odd.parent values (26, null);
create table odd.child (id int primary key, parent_id int references odd.parent on delete cascade on update set null deferrable initially deferred,
	self int references odd.child, code text references odd.parent (code) match full, touched int default 0);
insert into odd.child (id, parent_id, self, code) select i, 1 + i % 25, case when i > 1 then i - 1 end, 'code' || 1 + i % 25 from generate_series(1, 60) i;
alter table odd.child add constraint not_checked check (touched >= 0) not valid;
alter table odd.child add constraint not_checked_fk foreign key (touched) references odd.parent not valid;
alter table odd.child add constraint no_children check (id > 0) no inherit;
comment on constraint not_checked on odd.child is 'a constraint';
create table odd.circle_a (id int primary key, b int);
create table odd.circle_b (id int primary key, a int references odd.circle_a);
insert into odd.circle_a values (1, 10), (2, 20);
insert into odd.circle_b values (10, 2), (20, 1);
alter table odd.circle_a add foreign key (b) references odd.circle_b;
create table odd.excluded (during int4range, exclude using gist (during with &&) where (not isempty(during)) deferrable);
insert into odd.excluded values ('[1,5)'), ('[5,9)'), ('empty'), ('empty');
create table odd.set_columns (a int, b int, foreign key (a) references odd.circle_a on delete set default (a));
alter table odd.set_columns alter a set default 1;

-- ---- partitions and inheritance ----
create table odd.measure (at date not null, sensor int not null, v float8, note text default 'none') partition by range (at);
create table odd.measure_2023 partition of odd.measure for values from (minvalue) to ('2024-01-01');
create table odd.measure_2024 partition of odd.measure for values from ('2024-01-01') to ('2025-01-01') partition by list (sensor);
create table odd.measure_2024_low partition of odd.measure_2024 for values in (1, 2, 3);
create table odd.measure_2024_rest partition of odd.measure_2024 default partition by hash (sensor);
create table odd.measure_2024_h0 partition of odd.measure_2024_rest for values with (modulus 2, remainder 0);
create table odd.measure_2024_h1 partition of odd.measure_2024_rest for values with (modulus 2, remainder 1);
create table odd.measure_default partition of odd.measure default;
-- A partition whose columns stand in another order, and with a dropped one, and with a default of its own.
create table odd.measure_odd (note text default 'odd', v float8, gone int, sensor int not null, at date not null);
alter table odd.measure_odd drop column gone;
alter table odd.measure attach partition odd.measure_odd for values from ('2030-01-01') to ('2031-01-01');
alter table odd.measure add primary key (at, sensor, v);
create index measure_by_sensor on odd.measure (sensor);
insert into odd.measure select date '2023-06-01' + i * 7, i % 9, i, 'n' || i from generate_series(1, 120) i;
insert into odd.measure (at, sensor, v) values ('2030-05-05', 4, 1), ('2040-01-01', 4, 2);
create table odd.refers_partitioned (at date, sensor int, v float8, foreign key (at, sensor, v) references odd.measure);
insert into odd.refers_partitioned values ('2030-05-05', 4, 1);
create index only_parent on only odd.measure (v);
comment on table odd.measure is 'partitioned';
create table odd.base (id int primary key, t text);
create table odd.derived (extra int) inherits (odd.base);
create table odd.other_base (id int, u text);
create table odd.twice_derived (mine int) inherits (odd.derived, odd.other_base);
alter table odd.derived alter t set default 'derived default';
insert into odd.base values (1, 'base');
insert into odd.derived values (2, 'derived', 20);
insert into odd.twice_derived values (3, 'twice', 30, 'u', 40);

-- ---- rules, triggers, policies ----
create trigger touch before update on odd.child for each row when (old.touched is distinct from new.touched) execute function odd.touched();
create trigger never_in_restore before insert on odd.parent for each row execute function odd.never();
create trigger off after insert on odd.child for each statement execute function odd.never();
create trigger on_replica after insert on odd.child for each row execute function odd.never();
create trigger always_on after delete on odd.child referencing old table as gone for each statement execute function odd.never();
create constraint trigger late after update of code on odd.parent deferrable initially deferred for each row execute function odd.never();
alter table odd.child disable trigger off;
alter table odd.child enable replica trigger on_replica;
alter table odd.child enable always trigger always_on;
comment on trigger touch on odd.child is 'a trigger';
create trigger on_partitioned after insert on odd.measure for each row execute function odd.touched();
alter table odd.measure_2023 disable trigger on_partitioned;
create view odd.updatable as select id, t from odd.base where id > 0 with local check option;
create rule instead_of as on insert to odd.other_base where new.id < 0 do instead nothing;
create rule also as on delete to odd.empty do also notify odd_channel;
alter table odd.empty disable rule also;
comment on rule instead_of on odd.other_base is 'a rule';
create trigger instead instead of insert on odd.updatable for each row execute function odd.never();
create table odd.secured (id int, who text default current_user, t text);
insert into odd.secured values (1, 'odd_reader', 'visible'), (2, 'odd_owner', 'hidden'), (3, 'nobody', 'hidden from all');
alter table odd.secured owner to odd_owner;
alter table odd.secured enable row level security, force row level security;
create policy mine on odd.secured using (who = current_user) with check (who = current_user and id > 0);
create policy readers on odd.secured as restrictive for select to odd_reader, odd_group using (id < 100);
comment on policy mine on odd.secured is 'a policy';
create table odd.policies_off (id int);
create policy unused on odd.policies_off using (false);

-- ---- views ----
create view odd.v1 as select p.id, p.code, count(c.id) as children from odd.parent p left join odd.child c on c.parent_id = p.id group by p.id;
create view odd.v2 with (security_barrier, security_invoker) as select v1.*, odd.twice(id) from odd.v1 where children > 0;
create view odd.a_before_v2 as select * from odd.v2 order by code collate "C";
create view odd.counting as with recursive r (n) as (values (1) union all select n + 1 from r where n < 10) select * from r;
alter view odd.v2 alter column id set default 9;
comment on view odd.v2 is 'a view on a view';
comment on column odd.v2.code is 'a column of a view';
-- A view that needs a primary key in its GROUP BY: pg_dump must break the loop.
create view odd.needs_key as select p.*, max(c.id) from odd.parent p join odd.child c on c.parent_id = p.id group by p.id;
create materialized view odd.z_first as select id, children from odd.v1;
create materialized view odd.a_second as select sum(children) as total, count(*) from odd.z_first;
create materialized view odd.m_third as select a.total, z.id from odd.a_second a, odd.z_first z with data;
create unique index z_first_id on odd.z_first (id);
create materialized view odd.not_filled as select * from odd.child with no data;
create materialized view odd.with_settings with (fillfactor = 50) as select generate_series(1, 5) as g;
comment on materialized view odd.a_second is 'depends on another whose name sorts behind it';
-- Stale on purpose: a restore fills it anew, so what it holds must be what its query gives now.
refresh materialized view odd.m_third;
grant select on odd.z_first to odd_reader;

-- ---- foreign data ----
create foreign data wrapper odd_wrapper options (debug 'true');
create server odd_server type 'odd' version '1.0' foreign data wrapper odd_wrapper options (host 'nowhere', note 'it''s');
create user mapping for odd_reader server odd_server options ("user" 'remote', password 'remote-secret');
create user mapping for public server odd_server;
create foreign table odd.foreign_table (id int options (column_name 'x') not null, t text collate "C", check (id > 0)) server odd_server options (schema_name 's', table_name 't');
comment on foreign table odd.foreign_table is 'elsewhere';
comment on server odd_server is 'a server';
grant usage on foreign server odd_server to odd_reader;
grant usage on foreign data wrapper odd_wrapper to odd_reader;

-- ---- publications, subscriptions, event triggers ----
create publication odd_all for all tables;
create publication odd_some for table odd.parent (id, code) where (id > 10), table odd.child with (publish = 'insert, update');
create publication odd_schema for tables in schema odd, table odd.measure with (publish_via_partition_root);
comment on publication odd_some is 'a publication';
alter publication odd_schema owner to postgres;
create subscription odd_subscription connection 'host=192.0.2.1 dbname=nowhere user=u password=subscription-secret' publication p1, p2
	with (connect = false, slot_name = 'production_slot', binary = true);
comment on subscription odd_subscription is 'must never run in a copy';
create table odd.ddl_log (tag text);
create function odd.log_ddl() returns event_trigger language plpgsql as $f$ begin insert into odd.ddl_log values (tg_tag); end $f$;
create event trigger odd_log on ddl_command_end when tag in ('REFRESH MATERIALIZED VIEW', 'CREATE INDEX') execute function odd.log_ddl();
create event trigger odd_off on sql_drop execute function odd.log_ddl();
alter event trigger odd_off disable;
create event trigger odd_always on ddl_command_start when tag in ('CREATE CAST') execute function odd.log_ddl();
alter event trigger odd_always enable always;
comment on event trigger odd_log is 'an event trigger';

-- ---- grants ----
alter table odd.child owner to odd_owner;
grant select, insert on odd.parent to odd_reader;
grant update (code), references (id) on odd.parent to odd_group with grant option;
set role odd_owner;
grant select on odd.child to odd_reader with grant option;
reset role;
grant select on odd.child to public;
revoke all on odd.parent from postgres;
grant select on all tables in schema odd to "Odd ""Röle""";
alter default privileges for role odd_owner in schema odd grant select on tables to odd_reader;
alter default privileges for role odd_owner grant execute on functions to odd_group;
alter default privileges for role odd_owner revoke execute on functions from public;
alter default privileges grant usage on sequences to odd_reader;
grant select (attname) on pg_catalog.pg_attribute to odd_reader;
comment on column odd.parent.code is 'it''s a "column"; with \ and ü';
comment on column odd.generated.b is 'generated';

-- ---- odd names ----
create schema "a.b";
create schema a;
create table "a.b".c (i int);
create table a."b.c" (i int);
create table a."B.C" (i int);
insert into "a.b".c values (1);
insert into a."b.c" values (2), (2);
insert into a."B.C" values (3), (3), (3);
create table "Mixed Case"."Table" (i int);
create table "Mixed Case"."table" (i int);
create table "Mixed Case"."TABLE" (i int);
insert into "Mixed Case"."Table" values (1);
insert into "Mixed Case"."table" values (2), (2);
insert into "Mixed Case"."TABLE" values (3), (3), (3);
create table "Mixed Case"."quote""inside" ("co""l" int primary key, "a b" text default 'x', "select" int, "é" text);
insert into "Mixed Case"."quote""inside" values (1, 'ab', 2, 'ü');
create table "Mixed Case"."single'quote" (i serial);
insert into "Mixed Case"."single'quote" default values;
create table "Mixed Case"."new
line" ("new
column" int, "tab	column" text);
insert into "Mixed Case"."new
line" values (1, 't');
create table "Mixed Case"."tab	here" (i int);
insert into "Mixed Case"."tab	here" values (4);
create table "Mixed Case"."Ünï✓𝄞" ("ключ" text);
insert into "Mixed Case"."Ünï✓𝄞" values ('значение');
create table "Mixed Case".".leading" (i int);
insert into "Mixed Case".".leading" values (5);
create table "Mixed Case".".." (i int);
insert into "Mixed Case".".." values (6);
create table "Mixed Case"."100%" (i int);
insert into "Mixed Case"."100%" values (7);
create table "Mixed Case"."%31" (i int);
insert into "Mixed Case"."%31" values (8);
create table "Mixed Case"."sla/sh\back" (i int);
insert into "Mixed Case"."sla/sh\back" values (9);
create table "Mixed Case"."-rf *" (i int);
insert into "Mixed Case"."-rf *" values (10);
create table "Mixed Case"."$HOME `id` $(id)" (i int);
insert into "Mixed Case"."$HOME `id` $(id)" values (11);
create table "Mixed Case"."123456789012345678901234567890123456789012345678901234567890abc" (i int);
insert into "Mixed Case"."123456789012345678901234567890123456789012345678901234567890abc" values (12);
create table "Mixed Case"."äääääääääääääääääääääääääääääää" (i int);
insert into "Mixed Case"."äääääääääääääääääääääääääääääää" values (13);
create table "Mixed Case"."{brace}?[x]" (i int);
insert into "Mixed Case"."{brace}?[x]" values (14);
create table "Mixed Case"." " (i int);
insert into "Mixed Case"." " values (15);
create table "Mixed Case"."select" (i int);
insert into "Mixed Case"."select" values (16);
create sequence "Mixed Case"."Se'q""uence	1";
select nextval('"Mixed Case"."Se''q""uence	1"');
create view "Mixed Case"."vi
ew" as select * from "Mixed Case"."Table";

-- ---- values ----
create table odd.numbers (id int primary key, s smallint, i int, b bigint, n numeric, n2 numeric(30, 10), f4 real, f8 float8, m money, bo bool, o oid);
insert into odd.numbers values
	(1, -32768, -2147483648, -9223372036854775808, 'NaN', 12345678901234567890.0123456789, 'NaN', 'NaN', -92233720368547758.08, true, 4294967295),
	(2, 32767, 2147483647, 9223372036854775807, 'Infinity', -0.0000000001, 'Infinity', '-Infinity', 92233720368547758.07, false, 0),
	(3, 0, 0, 0, '-Infinity', 0, '-0', '-0', 0, null, null),
	(4, 1, 1, 1, 1e-1000, 1, '1.17549435e-38', '5e-324', 1234.56, true, 1),
	(5, 1, 1, 1, 10::numeric ^ 1000, 1, '3.4028235e38', '1.7976931348623157e308', -0.01, true, 1),
	(6, 1, 1, 1, 1.000, 1, '0.1', '0.1', 0.1::text::money, true, 1),
	(7, 1, 1, 1, 123.4500, 1, '16777217', '0.30000000000000004', null, true, 1);
create table odd.times (id int primary key, d date, t time, tz timetz, ts timestamp, tstz timestamptz, iv interval, iv2 interval day to second (3), ts3 timestamptz(3));
insert into odd.times values
	(1, 'infinity', '00:00', '00:00+14', 'infinity', 'infinity', '0', '1 day', 'epoch'),
	(2, '-infinity', '24:00', '23:59:59.999999-15:59', '-infinity', '-infinity', '1 year 2 mons -3 days 04:05:06.789', '-1 day 02:03:04.567', '2024-02-29 23:59:59.9996+05:30'),
	(3, '4713-01-01 BC', '12:34:56.123456', '12:00:00+05:30', '4713-01-01 BC', '4713-01-02 BC', '-178000000 years', '10:20', null),
	(4, '5874897-12-31', '00:00:00.000001', '00:00-12', '294276-12-31 23:59:59.999999', '294276-12-31 23:59:59.999999+00', '178000000 years', '0', null),
	(5, '2024-02-29', '01:02:03', null, '2024-03-31 02:30', '2024-03-31 02:30+02', '1 mon -1 day 1 sec', null, null),
	(6, '0001-12-31 BC', null, null, '0001-01-01', '1883-11-18 12:00 America/New_York', '-00:00:00.000001', null, null);
create table odd.bytes (id int primary key, b bytea, t text, c char(5), vc varchar(10), ch "char", n name, bits bit(5), vb bit varying);
insert into odd.bytes values
	(1, '\x00010203ff5c6e0a0d', E'tab\tnl\ncr\rbs\\bell\007vt\013', 'ab', 'x', 'c', 'name', '10101', '1'),
	(2, '', '', '', '', '', '', '00000', ''),
	(3, decode(repeat('00ff', 5000), 'hex'), repeat('ü', 5000), 'ünïçö', 'üüüüüüüüüü', E'\\377', repeat('n', 63), '11111', repeat('01', 100)::varbit),
	(4, null, null, null, null, null, null, null, null),
	(5, '\x5c5c', E'\\N', E'\\N', E'\\.', E'\\', E'\\.', '00001', '0');
create table odd.geometry (id int primary key, p point, l line, s lseg, b box, pa path, po polygon, c circle);
insert into odd.geometry values
	(1, '(1e300,-1e-300)', '{1,2,3}', '[(0,0),(1,1)]', '(1,1),(0,0)', '[(0,0),(1,1),(2,0)]', '((0,0),(1,1),(2,0))', '<(0.1,0.2),0.3>'),
	(2, '(NaN,Infinity)', '{0.1,0.2,0.3}', null, null, '((0,0))', null, '<(0,0),Infinity>');
create table odd.net (id int primary key, i inet, c cidr, m macaddr, m8 macaddr8);
insert into odd.net values (1, '192.168.0.1/24', '10.0.0.0/8', '08:00:2b:01:02:03', '08:00:2b:01:02:03:04:05'), (2, '::ffff:1.2.3.4/128', '2001:db8::/32', null, null);
create table odd.documents (id int primary key, j json, jb jsonb, jp jsonpath, v tsvector, q tsquery, u uuid);
insert into odd.documents values
	(1, E'{"a" :  1,\n "a": 2, "u": "\\u00fc \\n"}', '{"b": [1.0, 1.00, 1e2, null, {"x": "\" \\ \u00fc"}], "n": 1e400}', '$.a[*] ? (@ > 1)', '''it''''s'':1A,2B a:3', '''a'' & !b <-> c:*', '00000000-0000-0000-0000-000000000000'),
	(2, '"text"', 'null', 'strict $', '', '', 'ffffffff-ffff-ffff-ffff-ffffffffffff'),
	(3, 'null', '{}', null, to_tsvector('odd.search', 'The quick foxes'), to_tsquery('odd.search', 'fox'), null);
create index documents_gin on odd.documents using gin (jb jsonb_path_ops) with (fastupdate = off);
create index documents_search on odd.documents using gin (to_tsvector('odd.search', j::text));
create table odd.arrays (id int primary key, a int[], b text[][], c int[], d timestamptz[], e float8[], f bytea[]);
insert into odd.arrays values
	(1, '{1,NULL,3}', '{{"a","b,c"},{"d\"e","NULL"}}', '[-2:0]={7,8,9}', '{infinity,2024-01-01 00:00+00}', '{NaN,-0,Infinity}', array['\x00'::bytea]),
	(2, '{}', '{{{x}}}', '[0:1][5:6]={{1,2},{3,4}}', null, '{}', '{}');
create table odd.ranges (id int primary key, i int4range, n numrange, t tstzrange, d daterange, m int4multirange, tm tstzmultirange);
insert into odd.ranges values
	(1, '[1,10)', '(1.10,2.20]', '[2024-01-01 00:00+00,infinity)', '[2024-01-01,)', '{[1,2),[5,6)}', '{}'), (2, 'empty', '(,)', '(-infinity,infinity]', '(,)', null, null);
create table odd.system (id int primary key, c regclass, t regtype, p regprocedure, o regoper, r regrole, n regnamespace, x xid8, s pg_snapshot, lsn pg_lsn, ti tid);
insert into odd.system values (1, 'odd.parent', 'odd.pair', 'odd.twice(int)', 'pg_catalog.||/', 'odd_owner', 'odd', '18446744073709551615', '10:20:10,14,15', 'FFFFFFFF/FFFFFFFF', '(4294967295,65535)');
create table odd.large_row (id int primary key, t text, b bytea);
alter table odd.large_row alter t set storage external, alter b set storage external;
insert into odd.large_row values (1, 'small', ''), (2, (select string_agg(md5(i::text), '') from generate_series(1, 312500) i),
	(select decode(string_agg(md5((-i)::text), ''), 'hex') from generate_series(1, 312500) i)), (3, 'small too', '\x01');
create table odd.many_columns (id int primary key);
select 'alter table odd.many_columns ' || string_agg(format('add column c%s text default %L', i, 'd' || i), ', ') from generate_series(1, 300) i \gexec
insert into odd.many_columns select i from generate_series(1, 3) i;
\if :portable
\else
	select exists (select from pg_collation where collprovider = 'i' and collname = 'de-x-icu') as icu \gset
	\if :icu
		create table odd.xml (id int primary key, x xml);
		insert into odd.xml values (1, '<?xml version="1.0"?><a b="c">ü<!-- x --></a>'), (2, 'content <b/> only'), (3, null);
		create collation odd.german (provider = icu, locale = 'de-u-co-phonebk');
		create collation odd.ignore_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
		create table odd.icu (t text collate odd.german, u text collate odd.ignore_case unique);
		insert into odd.icu values ('Ä', 'X'), ('a', 'y');
	\endif
\endif

-- ---- a table above the threshold (split_above), with holes, updated and deleted rows ----
create table odd.big (id int primary key, a text, b timestamptz, c numeric, d jsonb) with (autovacuum_enabled = false);
insert into odd.big select i, repeat(md5(i::text), 1 + i % 4), timestamptz '2024-01-01 00:00+00' + i * interval '1 minute', i / 7.0,
	jsonb_build_object('i', i, 't', md5((i * 3)::text)) from generate_series(1, 30000) i;
delete from odd.big where id between 5000 and 15000 or id % 7 = 0;
update odd.big set c = c + 1 where id % 5 = 0;
create index big_by_a on odd.big (a);
create index big_by_d on odd.big using gin (d);

-- ---- large objects ----
select lo_from_bytea(700001, ''), lo_from_bytea(700002, 'small'), lo_from_bytea(700003, decode(repeat('0001fe5c', 2500), 'hex')),
	lo_from_bytea(700004, (select decode(string_agg(md5(i::text), ''), 'hex') from generate_series(1, 20000) i)), lo_create(700005);
select lo_put(700005, 0, 'head'), lo_put(700005, 1000000, 'tail behind a hole');
select lo_from_bytea(710000 + i::oid::int, ('object ' || i)::bytea) from generate_series(1, 40) i;
alter large object 700003 owner to odd_owner;
grant select on large object 700003 to odd_reader;
grant select, update on large object 700004 to odd_group with grant option;
comment on large object 700002 is 'a large object';
create table odd.refers_large (id int, lo oid);
insert into odd.refers_large values (1, 700003);
truncate odd.ddl_log;
