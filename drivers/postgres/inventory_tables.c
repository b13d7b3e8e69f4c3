#include "drivers/postgres/inventory.h"

#define REL "format('%I.%I', n.nspname, c.relname)"
#define FROM_REL " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
#define WHERE_REL " WHERE c.relpersistence <> 't' AND" USER_SCHEMA("n") " AND" MINE("pg_class", "c.oid")

#define COLUMN_SQL(compression)                                                                                                 \
	"SELECT format('%I.%I.%I', n.nspname, c.relname, a.attname), concat_ws(' ', format_type(a.atttypid, a.atttypmod)," \
	" CASE WHEN a.attnotnull THEN 'not null' END,"                                                                             \
	" CASE WHEN co.oid IS NOT NULL THEN format('collate %I.%I', cn.nspname, co.collname) END," \
	" CASE WHEN d.oid IS NOT NULL THEN CASE WHEN a.attgenerated <> '' THEN 'generated '" \
	" ELSE 'default ' END || pg_get_expr(d.adbin, d.adrelid) END," \
	" nullif('identity ' || a.attidentity::text, 'identity '), CASE WHEN a.attgenerated <> ''" \
	" THEN 'kind ' || a.attgenerated::text END," \
	" CASE WHEN a.attstorage <> t.typstorage THEN 'storage ' || a.attstorage::text END, " compression \
	" CASE WHEN coalesce(a.attstattarget, -1) >= 0 THEN 'statistics ' || a.attstattarget END," \
	" 'options ' || " OPTIONS("a.attoptions") ", 'foreign ' || " OPTIONS("a.attfdwoptions") ")" FROM_REL                       \
	" JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped JOIN pg_type t ON t.oid = a.atttypid" \
	" LEFT JOIN pg_collation co ON co.oid = a.attcollation AND a.attcollation <> t.typcollation" \
	" LEFT JOIN pg_namespace cn ON cn.oid = co.collnamespace" \
	" LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum" WHERE_REL " AND c.relkind IN ('r', 'p', 'f', 'v'," \
	" 'm', 'c')"

const struct inventory_question inventory_tables[] = {
	{"table", 0, 0,
	 "SELECT " REL ", concat_ws(' ', 'kind ' || c.relkind::text, 'persistence ' || c.relpersistence::text, 'replica identity '"
	 " || c.relreplident::text,"
	 " CASE WHEN c.relrowsecurity THEN 'row security' END, CASE WHEN c.relforcerowsecurity THEN 'forced' END,"
	 " 'method ' || m.amname, 'options ' || " OPTIONS("c.reloptions") ", 'toast ' || " OPTIONS("t.reloptions") ","
	 " CASE WHEN c.reloftype <> 0 THEN 'of ' || format_type(c.reloftype, NULL) END,"
	 " CASE WHEN c.relkind = 'p' THEN 'partition by ' || pg_get_partkeydef(c.oid) END,"
	 " CASE WHEN c.relispartition THEN pg_get_expr(c.relpartbound, c.oid) END,"
	 " 'inherits ' || (SELECT string_agg(i.inhparent::regclass::text, ',' ORDER BY i.inhseqno) FROM pg_inherits i"
	 " WHERE i.inhrelid = c.oid),"
	 " 'server ' || (SELECT s.srvname || ' ' || coalesce(" OPTIONS("f.ftoptions") ", '') FROM pg_foreign_table f"
	 "  JOIN pg_foreign_server s ON s.oid = f.ftserver WHERE f.ftrelid = c.oid))" FROM_REL
	 " LEFT JOIN pg_class t ON t.oid = c.reltoastrelid LEFT JOIN pg_am m ON m.oid = c.relam AND c.relkind = 'r'" WHERE_REL
	 " AND c.relkind IN ('r', 'p', 'f')"},
	{"column", 0, 140000, COLUMN_SQL("")},
	{"column", 140000, 0, COLUMN_SQL("CASE WHEN a.attcompression <> '' THEN 'compression ' || a.attcompression::text END,")},
	{"view", 0, 0,
	 "SELECT " REL ", concat_ws(' ', 'options ' || " OPTIONS("c.reloptions") ","
	 " pg_get_viewdef(c.oid))" FROM_REL WHERE_REL " AND c.relkind = 'v'"},
	{"materialized view", 0, 0,
	 "SELECT " REL ", concat_ws(' ', CASE WHEN c.relispopulated THEN 'populated'"
	 " ELSE 'empty' END, 'options ' || " OPTIONS("c.reloptions")
	 ", pg_get_viewdef(c.oid))" FROM_REL WHERE_REL " AND c.relkind = 'm'"},
	/* Those of partitions that hang on one of the whole are made with it, under names of the server's choice. */
	{"constraint", 0, 0,
	 "SELECT format('%I on %s', k.conname, k.conrelid::regclass), concat_ws(' ', k.contype, pg_get_constraintdef(k.oid),"
	 " CASE WHEN NOT k.convalidated THEN 'not validated' END)"
	 " FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace" WHERE_REL
	 " AND NOT (k.contype = 'f' AND k.conparentid <> 0) AND NOT (k.contype = 'n' AND NOT k.conislocal)"},
	/* pg_dump leaves out what a failed CREATE INDEX CONCURRENTLY left behind. */
	{"index", 0, 0,
	 "SELECT format('%I.%I', n.nspname, x.relname), concat_ws(' ', pg_get_indexdef(i.indexrelid), CASE WHEN i.indisclustered"
	 " THEN 'clustered' END,"
	 " CASE WHEN i.indisreplident THEN 'replica identity' END,"
	 " 'part of ' || (SELECT h.inhparent::regclass::text FROM pg_inherits h WHERE h.inhrelid = i.indexrelid))"
	 " FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_class c ON c.oid = i.indrelid"
	 " JOIN pg_namespace n ON n.oid = c.relnamespace" WHERE_REL " AND (i.indisvalid OR x.relkind = 'I')"},
	{"index column", 0, 0,
	 "SELECT format('%I.%I.%s', n.nspname, x.relname, a.attnum), 'statistics ' || a.attstattarget"
	 " FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_class c ON c.oid = i.indrelid"
	 " JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = x.oid" WHERE_REL
	 " AND (i.indisvalid OR x.relkind = 'I') AND a.attstattarget >= 0 AND a.attnum > 0"},
	{"trigger", 0, 0,
	 "SELECT format('%I on %s', t.tgname, t.tgrelid::regclass), concat_ws(' ', 'enabled ' || t.tgenabled::text,"
	 " pg_get_triggerdef(t.oid))"
	 " FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace" WHERE_REL " AND"
	 " NOT t.tgisinternal"},
	{"rule", 0, 0,
	 "SELECT format('%I on %s', w.rulename, w.ev_class::regclass), concat_ws(' ', 'enabled ' || w.ev_enabled::text,"
	 " pg_get_ruledef(w.oid))"
	 " FROM pg_rewrite w JOIN pg_class c ON c.oid = w.ev_class JOIN pg_namespace n ON n.oid = c.relnamespace" WHERE_REL
	 " AND w.rulename <> '_RETURN'"},
	{"policy", 0, 0,
	 "SELECT format('%I on %s', p.polname, p.polrelid::regclass), concat_ws(' ', p.polcmd, CASE WHEN NOT p.polpermissive"
	 " THEN 'restrictive' END,"
	 " 'to ' || (SELECT string_agg(r::regrole::text, ',' ORDER BY r::regrole::text) FROM unnest(p.polroles) r),"
	 " 'using ' || pg_get_expr(p.polqual, p.polrelid), 'check ' || pg_get_expr(p.polwithcheck, p.polrelid))"
	 " FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace" WHERE_REL},
	{"statistics object", 0, 0,
	 "SELECT format('%I.%I', n.nspname, s.stxname), concat_ws(' ', pg_get_statisticsobjdef(s.oid),"
	 " 'target ' || nullif(to_jsonb(s)->>'stxstattarget', '-1')) FROM pg_statistic_ext s"
	 " JOIN pg_namespace n ON n.oid = s.stxnamespace WHERE" USER_SCHEMA("n") " AND" MINE("pg_statistic_ext", "s.oid")},
	{"sequence", 0, 0,
	 "SELECT " REL ", concat_ws(' ', format_type(s.seqtypid, NULL), 'start ' || s.seqstart, 'by ' || s.seqincrement, 'from '"
	 " || s.seqmin,"
	 " 'to ' || s.seqmax, 'cache ' || s.seqcache, CASE WHEN s.seqcycle"
	 " THEN 'cycle' END, 'persistence ' || c.relpersistence::text,"
	 " (SELECT format('%s %s.%I', CASE d.deptype WHEN 'i' THEN 'identity of'"
	 " ELSE 'owned by' END, d.refobjid::regclass, a.attname)"
	 "  FROM pg_depend d JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid"
	 "  WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.refclassid = 'pg_class'::regclass"
	 " AND d.deptype IN ('a', 'i') LIMIT 1))"
	 FROM_REL " JOIN pg_sequence s ON s.seqrelid = c.oid" WHERE_REL},
	{NULL, 0, 0, NULL},
};
