#include "drivers/postgres/load.h"

#define MADE_AT_ONCE 1000   /* no lock for each */
#define CHANGED_AT_ONCE 200 /* a lock for each, until the end of the transaction */

struct lo_batch {
	struct run *run;
	struct load *l;
	struct buf sql;
	unsigned n;
};

/* Digits only: it becomes a part of statements. */
static enum status line_oid(const json_t *line, const char **oid, struct error *err)
{
	if (js_str(line, PG_ENTRY_LARGE_OBJECTS, "oid", oid, err))
		return err->code;
	if (!**oid || strlen(*oid) > 10 || strspn(*oid, "0123456789") != strlen(*oid))
		return error_set(err, ST_BAD, "%s: \"%s\" is no number of a large object", PG_ENTRY_LARGE_OBJECTS, *oid);
	return ST_OK;
}

static enum status flush_made(struct lo_batch *b, struct error *err)
{
	if (!b->n)
		return ST_OK;
	buf_puts(&b->sql, "}'::oid[]) x");
	b->n = 0;
	enum status st = conn_command(b->run, b->l->conn, buf_str(&b->sql), err);
	buf_clear(&b->sql);
	return st ? error_add(err, "making large objects") : ST_OK;
}

static enum status make_one(void *ctx, const json_t *line, struct error *err)
{
	struct lo_batch *b = ctx;
	const char *oid;

	if (line_oid(line, &oid, err))
		return err->code;
	buf_printf(&b->sql, "%s%s", b->n++ ? "," : "SELECT pg_catalog.count(pg_catalog.lo_create(x)) FROM pg_catalog.unnest('{",
		   oid);
	return b->n >= MADE_AT_ONCE ? flush_made(b, err) : ST_OK;
}

enum status load_large_objects(struct run *run, struct load *l, struct error *err)
{
	struct lo_batch b = {.run = run, .l = l};

	if (l->wish.mode != LOAD_DATABASE)
		return ST_OK;
	enum status st = load_lines(l->q, l->s->scope, PG_ENTRY_LARGE_OBJECTS, make_one, &b, err);
	if (!st)
		st = flush_made(&b, err);
	buf_release(&b.sql);
	return st;
}

static enum status flush_changed(struct lo_batch *b, struct error *err)
{
	enum status st = b->sql.len ? conn_command(b->run, b->l->conn, buf_str(&b->sql), err) : ST_OK;

	b->n = 0;
	buf_clear(&b->sql);
	return st ? error_add(err, "owners and rights of large objects") : ST_OK;
}

static enum status change_one(void *ctx, const json_t *line, struct error *err)
{
	struct lo_batch *b = ctx;
	const char *oid, *owner = js_opt_str(line, "owner", NULL), *comment = js_opt_str(line, "comment", NULL);
	size_t i;
	json_t *acl;

	if (line_oid(line, &oid, err))
		return err->code;
	CLEANUP(cstr_release) char *object = xasprintf("LARGE OBJECT %s", oid);
	if (owner && !b->l->q->no_owner) {
		buf_printf(&b->sql, "ALTER %s OWNER TO ", object);
		sql_ident(&b->sql, owner);
		buf_putc(&b->sql, ';');
	}
	json_array_foreach(json_object_get(line, "acl"), i, acl)
		if (json_is_string(acl) && !b->l->no_privileges)
			sql_grant(&b->sql, object, json_string_value(acl));
	if (comment) {
		buf_printf(&b->sql, "COMMENT ON %s IS ", object);
		sql_literal(&b->sql, comment);
		buf_putc(&b->sql, ';');
	}
	return ++b->n >= CHANGED_AT_ONCE ? flush_changed(b, err) : ST_OK;
}

enum status load_large_objects_end(struct run *run, struct load *l, struct error *err)
{
	struct lo_batch b = {.run = run, .l = l};

	if (l->wish.mode != LOAD_DATABASE)
		return ST_OK;
	enum status st = load_lines(l->q, l->s->scope, PG_ENTRY_LARGE_OBJECTS, change_one, &b, err);
	if (!st)
		st = flush_changed(&b, err);
	buf_release(&b.sql);
	return st;
}
