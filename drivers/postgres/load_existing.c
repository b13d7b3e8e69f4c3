#include "drivers/postgres/load.h"

/* Kinds, schemas and tags as pg_dump's table of contents writes them. */
static const char existing[] =
	"WITH ns AS (SELECT oid, nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'),"
	" rel AS (SELECT c.oid, c.relname, c.relkind, n.nspname FROM pg_class c JOIN ns n ON n.oid = c.relnamespace)"
	" SELECT CASE relkind WHEN 'f' THEN 'FOREIGN TABLE' WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'S' THEN"
	" 'SEQUENCE'"
	"  WHEN 'i' THEN 'INDEX' WHEN 'I' THEN 'INDEX' ELSE 'TABLE' END, nspname, relname FROM rel WHERE relkind NOT IN ('c', 't')"
	" UNION ALL SELECT CASE contype WHEN 'f' THEN 'FK CONSTRAINT' WHEN 'c' THEN 'CHECK CONSTRAINT' ELSE 'CONSTRAINT' END,"
	" nspname,"
	"  relname || ' ' || conname FROM pg_constraint k JOIN rel ON rel.oid = k.conrelid"
	" UNION ALL SELECT 'TRIGGER', nspname, relname || ' ' || tgname FROM pg_trigger t JOIN rel ON rel.oid = t.tgrelid WHERE"
	" NOT tgisinternal"
	" UNION ALL SELECT 'RULE', nspname, relname || ' ' || rulename FROM pg_rewrite w JOIN rel ON rel.oid = w.ev_class WHERE"
	" rulename <> '_RETURN'"
	" UNION ALL SELECT 'POLICY', nspname, relname || ' ' || polname FROM pg_policy p JOIN rel ON rel.oid = p.polrelid"
	" UNION ALL SELECT 'STATISTICS', nspname, stxname FROM pg_statistic_ext s JOIN ns n ON n.oid = s.stxnamespace"
	" UNION ALL SELECT CASE typtype WHEN 'd' THEN 'DOMAIN' ELSE 'TYPE' END, nspname, typname FROM pg_type t JOIN ns n ON"
	" n.oid = t.typnamespace"
	" UNION ALL SELECT CASE prokind WHEN 'p' THEN 'PROCEDURE' WHEN 'a' THEN 'AGGREGATE' ELSE 'FUNCTION' END, nspname,"
	"  proname || '(' || oidvectortypes(proargtypes) || ')' FROM pg_proc p JOIN ns n ON n.oid = p.pronamespace"
	" UNION ALL SELECT 'COLLATION', nspname, collname FROM pg_collation c JOIN ns n ON n.oid = c.collnamespace"
	" UNION ALL SELECT 'TEXT SEARCH CONFIGURATION', nspname, cfgname FROM pg_ts_config c JOIN ns n ON n.oid = c.cfgnamespace"
	" UNION ALL SELECT 'TEXT SEARCH DICTIONARY', nspname, dictname FROM pg_ts_dict d JOIN ns n ON n.oid = d.dictnamespace"
	" UNION ALL SELECT 'SCHEMA', '', nspname FROM ns"
	" UNION ALL SELECT 'EXTENSION', '', extname FROM pg_extension"
	" UNION ALL SELECT 'PROCEDURAL LANGUAGE', '', lanname FROM pg_language"
	" UNION ALL SELECT 'FOREIGN DATA WRAPPER', '', fdwname FROM pg_foreign_data_wrapper"
	" UNION ALL SELECT 'SERVER', '', srvname FROM pg_foreign_server"
	" UNION ALL SELECT 'EVENT TRIGGER', '', evtname FROM pg_event_trigger"
	" UNION ALL SELECT 'PUBLICATION', '', pubname FROM pg_publication"
	" UNION ALL SELECT 'PUBLICATION TABLE', nspname, pubname || ' ' || relname FROM pg_publication_rel r"
	"  JOIN pg_publication p ON p.oid = r.prpubid JOIN rel ON rel.oid = r.prrelid"
	" UNION ALL SELECT 'SUBSCRIPTION', '', subname FROM pg_subscription"
	"  WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())";
static const char existing_15[] =
	" UNION ALL SELECT 'PUBLICATION TABLES IN SCHEMA', n.nspname, pubname || ' ' || n.nspname FROM pg_publication_namespace r"
	"  JOIN pg_publication p ON p.oid = r.pnpubid JOIN ns n ON n.oid = r.pnnspid";

static enum status take_key(void *ctx, const PGresult *r, struct error *err)
{
	(void)err;
	strlist_take(ctx, xasprintf("%s\001%s\001%s", res_text(r, 0, 0), res_text(r, 0, 1), res_text(r, 0, 2)));
	return ST_OK;
}

enum status load_existing(struct run *run, struct conn *c, struct strlist *keys, struct error *err)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;

	buf_puts(&sql, existing);
	if (c->version >= 150000)
		buf_puts(&sql, existing_15);
	if (conn_each(run, c, SQL(buf_str(&sql)), take_key, keys, err))
		return error_add(err, "what the target holds");
	strlist_sort(keys);
	return ST_OK;
}

static int by_text(const void *key, const void *item) { return strcmp(key, *(char *const *)item); }

bool sorted_has(const struct strlist *l, const char *s) { return l->len && bsearch(s, l->item, l->len, sizeof *l->item, by_text); }

bool load_exists(const struct strlist *keys, const struct toc_entry *e)
{
	CLEANUP(cstr_release) char *key = xasprintf("%s\001%s\001%s", e->desc, e->schema, e->tag);

	return sorted_has(keys, key);
}
