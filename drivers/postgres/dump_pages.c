/* Large objects: one object whose rows are their pages, and files with what is about them. */
#include "drivers/postgres/dump.h"

#include "drivers/postgres/facts.h"

#define PAGE 2048 /* bytes of a page; a constant of servers with blocks of 8 KiB, checked */

/* For who may not read pg_largeobject: by the functions that ask each large object's own rights. */
#define PAGES_BY_FUNCTION                                                                                                   \
	"(SELECT s.oid AS loid, g AS pageno, lo_get(s.oid, g * 2048, 2048) AS data"                                           \
	" FROM (SELECT oid, lo_lseek64(fd, 0, 2) AS size, lo_close(fd)"                                                      \
	"  FROM (SELECT oid, lo_open(oid, 262144) AS fd FROM pg_largeobject_metadata ORDER BY oid OFFSET 0) o OFFSET 0) s,"   \
	" generate_series(0, (s.size - 1) / 2048) g WHERE s.size > 0) p"

void dump_pages_table(const struct dump *d, struct pg_table *t)
{
	*t = (struct pg_table){.pages = true, .ranges = 1, .shown = xstrdup("large objects")};
	t->columns = xstrdup("loid, pageno, data");
	t->name = xstrdup(d->read_pages ? "pg_largeobject" : PAGES_BY_FUNCTION);
	t->where = d->read_pages ? xstrdup("ORDER BY loid, pageno") : NULL;
}

enum status dump_pages_object(struct run *run, struct dump *d, const struct object_sink *objects, struct error *err)
{
	CLEANUP(conn_result_free) PGresult *r = NULL;
	CLEANUP(js_decref) json_t *facts = json_object();
	struct object_spec o = {.facts = facts};

	if (conn_query(run, d->c,
		       SQL("SELECT EXISTS (SELECT FROM pg_largeobject_metadata), pg_relation_size('pg_largeobject'),"
			   " current_setting('block_size')::int / 4"),
		       &r, err))
		return error_add(err, "large objects");
	if (!res_bool(r, 0, 0))
		return ST_OK;
	if (!d->read_pages && res_u64(r, 0, 2) != PAGE)
		return error_set(err, ST_UNSUPPORTED,
				 "large objects of a server with unusual block size can be read by a superuser only");
	js_set_str(facts, "class", PG_CLASS_LARGE_OBJECTS);
	js_set_str(facts, "encoding", d->encoding);
	js_set_str(facts, "format", "text");
	js_set_u64(facts, "page_rows", res_u64(r, 0, 2));
	dump_pages_table(d, &o.table);
	o.table.page_size = (uint32_t)res_u64(r, 0, 2);
	o.name = "large objects";
	o.bytes = res_u64(r, 0, 1);
	return dump_give_object(d, &o, objects, err);
}

struct describing {
	struct spool *lines, *sql;
	struct buf text;
};

static enum status put_json(struct describing *t, const PGresult *r, struct error *err)
{
	CLEANUP(js_decref) json_t *j = json_object();
	json_t *acl = NULL;

	js_set_str(j, "oid", res_text(r, 0, 0));
	js_set_str(j, "owner", res_text(r, 0, 1));
	if (res_text(r, 0, 2) && js_parse(res_text(r, 0, 2), strlen(res_text(r, 0, 2)), "rights", &acl, err))
		return err->code;
	if (acl)
		js_set_new(j, "acl", acl);
	if (res_text(r, 0, 3))
		js_set_str(j, "comment", res_text(r, 0, 3));
	buf_clear(&t->text);
	js_write(j, false, &t->text);
	buf_putc(&t->text, '\n');
	return spool_write(t->lines, t->text.data, t->text.len, err);
}

/* rights: [["grantee or null for public", "SELECT", grantable], ...] without the owner's own. */
static enum status put_sql(struct describing *t, const PGresult *r, struct error *err)
{
	const char *oid = res_text(r, 0, 0), *rights = res_text(r, 0, 4);
	CLEANUP(js_decref) json_t *all = NULL;
	size_t i;
	json_t *one;

	if (rights && js_parse(rights, strlen(rights), "rights", &all, err))
		return err->code;
	buf_clear(&t->text);
	buf_printf(&t->text, "SELECT pg_catalog.lo_create('%s');\nALTER LARGE OBJECT %s OWNER TO ", oid, oid);
	sql_ident(&t->text, res_text(r, 0, 1));
	buf_puts(&t->text, ";\n");
	json_array_foreach(all, i, one) {
		const char *grantee = json_string_value(json_array_get(one, 0)), *right = json_string_value(json_array_get(one, 1));

		buf_printf(&t->text, "GRANT %s ON LARGE OBJECT %s TO ", right ? right : "", oid);
		if (grantee)
			sql_ident(&t->text, grantee);
		else
			buf_puts(&t->text, "PUBLIC");
		buf_puts(&t->text, json_is_true(json_array_get(one, 2)) ? " WITH GRANT OPTION;\n" : ";\n");
	}
	if (res_text(r, 0, 3)) {
		buf_printf(&t->text, "COMMENT ON LARGE OBJECT %s IS ", oid);
		sql_literal(&t->text, res_text(r, 0, 3));
		buf_puts(&t->text, ";\n");
	}
	return spool_write(t->sql, t->text.data, t->text.len, err);
}

static enum status describe_one(void *ctx, const PGresult *r, struct error *err)
{
	return put_json(ctx, r, err) || put_sql(ctx, r, err) ? err->code : ST_OK;
}

enum status dump_pages_entries(struct run *run, struct dump *d, const struct entry_sink *entries, struct error *err)
{
	CLEANUP(spool_freep) struct spool *lines = entry_spool(d), *sql = entry_spool(d);
	CLEANUP(buf_release) struct buf head = BUF_INIT;
	struct describing t = {.lines = lines, .sql = sql};

	script_head(d, &head);
	if (spool_write(sql, head.data, head.len, err))
		return err->code;
	enum status st = conn_each(run, d->c,
				   SQL("SELECT m.oid, pg_get_userbyid(m.lomowner), to_json(m.lomacl::text[]), s.description,"
				       " (SELECT json_agg(json_build_array(g.rolname, x.privilege_type, x.is_grantable))"
				       "  FROM aclexplode(m.lomacl) x LEFT JOIN pg_roles g ON g.oid = x.grantee"
				       " WHERE x.grantee <> m.lomowner)"
				       " FROM pg_largeobject_metadata m LEFT JOIN pg_description s"
				       " ON s.classoid = 'pg_largeobject'::regclass AND s.objoid = m.oid AND s.objsubid = 0"
				       " ORDER BY m.oid"),
				   describe_one, &t, err);

	buf_release(&t.text);
	if (st)
		return error_add(err, "large objects");
	if (!spool_size(lines))
		return ST_OK;
	if (entry_give(entries, PG_ENTRY_LARGE_OBJECTS, lines, NULL, err))
		return err->code;
	return entry_give(entries, PG_ENTRY_LARGE_OBJECTS_SQL, sql, NULL, err);
}
