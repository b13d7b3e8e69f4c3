/* What a restore would stumble over, said when there is time to repair it. */
#include "drivers/postgres/dump.h"

#define SHOWN 20

/* Functions that CHECK constraints, indexes and generated columns call, and that name tables or functions without a schema: rows
 * are loaded with an empty search_path, so they would not be found. The words behind FROM and before a parenthesis are a guess,
 * hence a note. */
static const char unqualified_sql[] =
	"WITH used AS (SELECT d.refobjid AS id, min(pg_describe_object(d.classid, d.objid, 0)) AS place FROM pg_depend d"
	" LEFT JOIN pg_constraint k ON d.classid = 'pg_constraint'::regclass AND k.oid = d.objid AND k.contype = 'c'"
	" LEFT JOIN pg_class i ON d.classid = 'pg_class'::regclass AND i.oid = d.objid AND i.relkind IN ('i', 'I')"
	" LEFT JOIN (pg_attrdef a JOIN pg_attribute t ON t.attrelid = a.adrelid AND t.attnum = a.adnum AND t.attgenerated <> '')"
	"  ON d.classid = 'pg_attrdef'::regclass AND a.oid = d.objid"
	" WHERE d.refclassid = 'pg_proc'::regclass AND d.refobjid >= 16384 AND num_nonnulls(k.oid, i.oid, a.oid) > 0 GROUP BY d.refobjid)"
	" SELECT p.oid::regprocedure, u.place, string_agg(DISTINCT w.word, ', ') FROM used u JOIN pg_proc p ON p.oid = u.id"
	" JOIN pg_language l ON l.oid = p.prolang AND l.lanname IN ('sql', 'plpgsql'), LATERAL ("
	"  SELECT r.m[1] AS word FROM regexp_matches(lower(p.prosrc),"
	"  '\\m(?:from|join|into|update)\\s+(?:only\\s+)?([a-z_]\\w*)(?![\\w.(])', 'g') r(m)"
	"  WHERE EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relname = r.m[1]"
	"   AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema')"
	"  UNION ALL SELECT r.m[1] FROM regexp_matches(lower(p.prosrc), '(?:^|[^.\\w])([a-z_]\\w*)\\s*\\(', 'g') r(m)"
	"  WHERE EXISTS (SELECT FROM pg_proc f JOIN pg_namespace n ON n.oid = f.pronamespace WHERE f.proname = r.m[1]"
	"   AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema')"
	"  AND NOT EXISTS (SELECT FROM pg_proc f WHERE f.proname = r.m[1] AND f.pronamespace = 'pg_catalog'::regnamespace)) w"
	" WHERE to_jsonb(p)->>'prosqlbody' IS NULL AND NOT EXISTS (SELECT FROM unnest(p.proconfig) s WHERE s ~ '^search_path=')"
	" AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_proc'::regclass AND e.objid = p.oid AND e.deptype = 'e')"
	" GROUP BY 1, 2 ORDER BY 1";

enum status lint_database(struct run *run, struct conn *c, const struct endpoint *e, struct error *err)
{
	CLEANUP(conn_result_free) PGresult *r = NULL;

	if (conn_query(run, c, SQL(unqualified_sql), &r, err))
		return error_add(err, "looking for what a restore could stumble over");
	for (int i = 0; i < PQntuples(r) && i < SHOWN; i++)
		notes_add(e->notes,
			  "database %s: function %s, used by %s, names %s without a schema: a restore may fail there; "
			  "repair it with ALTER FUNCTION ... SET search_path = ...",
			  c->database, res_text(r, i, 0), res_text(r, i, 1), res_text(r, i, 2));
	if (PQntuples(r) > SHOWN)
		notes_add(e->notes, "database %s: so do %d more functions", c->database, PQntuples(r) - SHOWN);
	return ST_OK;
}
