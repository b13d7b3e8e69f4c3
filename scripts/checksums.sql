-- One line for each table, materialized view, sequence and large object: equal lines mean equal data.
select format($$select %L, count(*), coalesce(sum(hashtextextended(t::text, 0)::numeric), 0) from only %s t$$, oid::regclass, oid::regclass)
from pg_class
where relkind in ('r', 'm') and relpersistence = 'p' and relnamespace::regnamespace::text !~ '^pg_|^information_schema'
order by oid::regclass::text collate "C" \gexec
select format($$select %L, last_value, is_called from %s$$, oid::regclass, oid::regclass)
from pg_class
where relkind = 'S' and relnamespace::regnamespace::text !~ '^pg_|^information_schema'
order by oid::regclass::text collate "C" \gexec
select 'large object', oid, lomowner::regrole, lomacl, md5(lo_get(oid)) from pg_largeobject_metadata order by oid;
