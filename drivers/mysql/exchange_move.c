#include "drivers/mysql/exchange.h"
#include "util/failpoint.h"

#define SWAP_TRIES 8
#define LOCK_SECONDS 5

/* Tables change databases by one RENAME TABLE. Triggers cannot move, and programs, views and events belong to their database: they are
 * dropped on one side and made again on the other. Their definitions are written into a table of `in` first, which is there until the
 * end: whoever dies on the way, a call after goes on from there and from the names that it finds. */

/* ---- the state ---- */

struct moved {
	struct my_object *object;
	size_t objects;
};
struct mover {
	struct my_swap *s;
	struct moved out, in;   /* as recorded */
	struct strlist tables_in; /* of `in`, as recorded */
};

static void moved_release(struct moved *m)
{
	for (size_t i = 0; i < m->objects; i++)
		my_object_release(&m->object[i]);
	free(m->object);
}

static void mover_release(struct mover *m)
{
	moved_release(&m->out);
	moved_release(&m->in);
	strlist_release(&m->tables_in);
}

static void put_state(struct buf *to, const struct my_swap *s)
{
	CLEANUP(cstr_release) char *table = xasprintf("drtool_exchange_%s", s->run);

	my_sql_name(to, s->in, table);
}

enum status my_swap_begun(struct run *run, struct my_conn *c, const char *in, const char *run_id, bool *begun, struct error *err)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;
	CLEANUP(cstr_release) char *n = NULL;

	buf_puts(&sql, "SELECT COUNT(*) FROM information_schema.TABLES WHERE");
	my_sql_is_name(&sql, "TABLE_SCHEMA", in);
	buf_printf(&sql, " AND TABLE_NAME = 'drtool_exchange_%s'", run_id);
	if (my_conn_value(run, c, buf_str(&sql), &n, err))
		return err->code;
	*begun = my_field_u64(n) > 0;
	return ST_OK;
}

static enum status use(struct run *run, struct my_swap *s, const char *database, struct error *err)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;

	buf_puts(&sql, "USE ");
	my_sql_ident(&sql, database);
	return my_conn_command(run, s->c, buf_str(&sql), err);
}

/* side 'o', 'i': an object of out, of in; 't': a table of in; 's': a step that is done. */
static enum status put_line(struct run *run, struct my_swap *s, char side, const char *text, struct error *err)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;

	buf_puts(&sql, "INSERT INTO ");
	put_state(&sql, s);
	buf_printf(&sql, " (side, doc) VALUES ('%c', ", side);
	my_sql_literal(&sql, text);
	buf_putc(&sql, ')');
	return my_conn_command(run, s->c, buf_str(&sql), err);
}

struct writer {
	struct run *run;
	struct my_swap *s;
	char side;
	const struct my_object **unused;
};

/* Lines are written after the objects were read: one session does not both at once. */
struct lines {
	struct strlist text;
};

static enum status take_object(void *ctx, const struct my_object *o, struct error *err)
{
	struct strlist *to = ctx;
	CLEANUP(js_decref) json_t *j = NULL;
	struct buf text = BUF_INIT;

	(void)err;
	if (o->kind == OBJECT_TABLE || o->kind == OBJECT_SEQUENCE)
		return ST_OK;
	j = my_object_json(o);
	js_write(j, false, &text);
	strlist_take(to, buf_detach(&text));
	return ST_OK;
}

static enum status list_tables(struct run *run, struct my_conn *c, const char *database, struct strlist *to, struct error *err)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;

	buf_puts(&sql, "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_TYPE NOT IN ('VIEW', 'SYSTEM VIEW') AND"
		       " TABLE_NAME NOT LIKE 'drtool\\_exchange\\_______' AND");
	my_sql_is_name(&sql, "TABLE_SCHEMA", database);
	if (my_list(run, c, buf_str(&sql), to, err))
		return error_add(err, "the tables of the database %s", database);
	strlist_sort(to);
	return ST_OK;
}

static enum status record_side(struct run *run, struct my_swap *s, char side, const char *database, struct error *err)
{
	CLEANUP(strlist_release) struct strlist lines = STRLIST_INIT;

	if (my_objects_each(run, s->c, database, s->e->notes, take_object, &lines, err))
		return error_add(err, "the definitions of the database %s", database);
	for (size_t i = 0; i < lines.len; i++)
		if (put_line(run, s, side, lines.item[i], err))
			return err->code;
	return ST_OK;
}

/* Whole, or not at all: the step "recorded" is its last line. */
static enum status record(struct run *run, struct my_swap *s, struct error *err)
{
	CLEANUP(strlist_release) struct strlist tables = STRLIST_INIT;
	CLEANUP(buf_release) struct buf sql = BUF_INIT, empty = BUF_INIT;

	buf_puts(&sql, "CREATE TABLE IF NOT EXISTS ");
	put_state(&sql, s);
	buf_puts(&sql, " (n int unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY, side char(1) NOT NULL, doc longtext NOT NULL)"
		       " ENGINE=InnoDB DEFAULT CHARSET=utf8mb4");
	buf_puts(&empty, "DELETE FROM ");
	put_state(&empty, s);
	if (list_tables(run, s->c, s->in, &tables, err) || my_conn_command(run, s->c, buf_str(&sql), err) ||
	    my_conn_command(run, s->c, "START TRANSACTION", err) || my_conn_command(run, s->c, buf_str(&empty), err) ||
	    record_side(run, s, 'i', s->in, err) || (s->away && record_side(run, s, 'o', s->out, err)))
		return err->code;
	for (size_t i = 0; i < tables.len; i++)
		if (put_line(run, s, 't', tables.item[i], err))
			return err->code;
	return put_line(run, s, 's', "recorded", err) ? err->code : my_conn_command(run, s->c, "COMMIT", err);
}

static enum status step_done(struct run *run, struct my_swap *s, const char *step, bool *done, struct error *err)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;
	CLEANUP(cstr_release) char *n = NULL;

	buf_puts(&sql, "SELECT COUNT(*) FROM ");
	put_state(&sql, s);
	buf_printf(&sql, " WHERE side = 's' AND doc = '%s'", step);
	if (my_conn_value(run, s->c, buf_str(&sql), &n, err))
		return err->code;
	*done = my_field_u64(n) > 0;
	return ST_OK;
}

static enum status take_line(struct mover *m, const char *side, const char *text, struct error *err)
{
	CLEANUP(js_decref) json_t *j = NULL;
	struct moved *to = *side == 'o' ? &m->out : &m->in;

	if (*side == 't')
		strlist_add(&m->tables_in, text);
	if (*side != 'o' && *side != 'i')
		return ST_OK;
	if (js_parse(text, strlen(text), "the state of the exchange", &j, err))
		return err->code;
	to->object = xrealloc(to->object, (to->objects + 1) * sizeof *to->object);
	to->object[to->objects] = (struct my_object)MY_OBJECT_INIT;
	return my_object_from_json(j, &to->object[to->objects++], err);
}

static enum status read_state(struct run *run, struct mover *m, struct error *err)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;
	CLEANUP(my_conn_result_free) MYSQL_RES *r = NULL;
	MYSQL_ROW row;

	buf_puts(&sql, "SELECT side, doc FROM ");
	put_state(&sql, m->s);
	buf_puts(&sql, " ORDER BY n");
	if (my_conn_query(run, m->s->c, buf_str(&sql), &r, err))
		return err->code;
	while ((row = mysql_fetch_row(r)))
		if (take_line(m, row[0], row[1], err))
			return err->code;
	strlist_sort(&m->tables_in);
	return ST_OK;
}

/* ---- dropping and making ---- */

static const char *drop_word(enum object_kind kind)
{
	switch (kind) {
	case OBJECT_FUNCTION: return "FUNCTION";
	case OBJECT_PROCEDURE: return "PROCEDURE";
	case OBJECT_PACKAGE: return "PACKAGE";
	case OBJECT_PACKAGE_BODY: return "PACKAGE BODY";
	case OBJECT_VIEW: return "VIEW";
	case OBJECT_TRIGGER: return "TRIGGER";
	case OBJECT_EVENT: return "EVENT";
	default: return NULL;
	}
}

/* movable: what stands in the way of moving tables (triggers, views), or the rest. The body of a package goes before it. */
static enum status drop_objects(struct run *run, struct my_swap *s, const struct moved *m, const char *database, bool in_the_way,
				struct error *err)
{
	for (size_t i = m->objects; i-- > 0;) {
		const struct my_object *o = &m->object[i];
		CLEANUP(buf_release) struct buf sql = BUF_INIT;

		if (!drop_word(o->kind) || (o->kind == OBJECT_VIEW || o->kind == OBJECT_TRIGGER) != in_the_way)
			continue;
		buf_printf(&sql, "DROP %s IF EXISTS ", drop_word(o->kind));
		my_sql_name(&sql, database, o->name);
		if (my_conn_command(run, s->c, buf_str(&sql), err))
			return error_add(err, "%s %s of the database %s", my_object_kind_name(o->kind), o->name, database);
	}
	return ST_OK;
}

static enum status make_views(struct run *run, struct my_swap *s, const struct moved *m, const struct strlist *there, struct error *err)
{
	const struct my_object **view = xcalloc(m->objects + 1, sizeof *view);
	size_t n = 0;

	for (size_t i = 0; i < m->objects; i++)
		if (m->object[i].kind == OBJECT_VIEW && !my_sorted_has(there, m->object[i].name))
			view[n++] = &m->object[i];
	enum status st = n ? my_views_make(run, s->c, view, n, MY_DEFINER_KEEP, s->e->notes, err) : ST_OK;
	free(view);
	return st;
}

/* 1304, 1359, 1537: it is there, made by a call before. */
static enum status make_one(struct run *run, struct my_swap *s, const struct my_object *o, struct error *err)
{
	CLEANUP(error_release) struct error why = ERROR_INIT;

	if (!my_object_make(run, s->c, o, NULL, &why))
		return ST_OK;
	unsigned n = my_conn_errno(&why);
	if (n == 1304 || n == 1359 || n == 1537)
		return ST_OK;
	error_move(err, &why);
	return error_add(err, "%s %s", my_object_kind_name(o->kind), o->name);
}

static enum status make_kinds(struct run *run, struct my_swap *s, const struct moved *m, enum object_kind first, enum object_kind last,
			      struct error *err)
{
	for (size_t i = 0; i < m->objects; i++) {
		const struct my_object *o = &m->object[i];

		if (o->kind < first || o->kind > last || o->kind == OBJECT_VIEW)
			continue;
		if (make_one(run, s, o, err) ||
		    (o->kind == OBJECT_EVENT && my_event_status(run, s->c, o, MY_DEFINER_KEEP, s->e->notes, err)))
			return err->code;
	}
	return ST_OK;
}

/* programs false: triggers and views only, which were in the way. */
static enum status make_objects(struct run *run, struct my_swap *s, const struct moved *m, const char *database, bool programs,
				struct error *err)
{
	CLEANUP(strlist_release) struct strlist there = STRLIST_INIT;

	if (use(run, s, database, err) || my_tables_there(run, s->c, database, &there, err))
		return err->code;
	if ((programs && make_kinds(run, s, m, OBJECT_FUNCTION, OBJECT_PACKAGE_BODY, err)) || make_views(run, s, m, &there, err) ||
	    make_kinds(run, s, m, OBJECT_TRIGGER, programs ? OBJECT_EVENT : OBJECT_TRIGGER, err))
		return error_add(err, "what belongs to the database %s", database);
	return ST_OK;
}

/* ---- the move itself ---- */

static void put_move(struct buf *sql, const char *table, const char *from, const char *to)
{
	buf_puts(sql, sql->len ? ", " : "RENAME TABLE ");
	my_sql_name(sql, from, table);
	buf_puts(sql, " TO ");
	my_sql_name(sql, to, table);
}

/* A server that died in the middle may have moved some: one in `out` is new where it was in `in` and is not there any more. */
static enum status put_moves(struct run *run, struct mover *m, struct buf *sql, struct error *err)
{
	struct my_swap *s = m->s;
	CLEANUP(strlist_release) struct strlist out = STRLIST_INIT, in = STRLIST_INIT;

	if (list_tables(run, s->c, s->in, &in, err) || (s->away && list_tables(run, s->c, s->out, &out, err)))
		return err->code;
	for (size_t i = 0; i < out.len; i++)
		if (my_sorted_has(&in, out.item[i]) || !my_sorted_has(&m->tables_in, out.item[i]))
			put_move(sql, out.item[i], s->out, s->away);
	for (size_t i = 0; i < in.len; i++)
		put_move(sql, in.item[i], s->in, s->out);
	return ST_OK;
}

/* Who may not end the sessions of others waits for them. */
static void end_sessions(struct run *run, struct my_swap *s)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;
	CLEANUP(strlist_release) struct strlist ids = STRLIST_INIT;
	CLEANUP(error_release) struct error ignored = ERROR_INIT;

	buf_puts(&sql, "SELECT ID FROM information_schema.PROCESSLIST WHERE ID <> CONNECTION_ID() AND DB IN (");
	my_sql_literal(&sql, s->out);
	buf_putc(&sql, ',');
	my_sql_literal(&sql, s->in);
	buf_putc(&sql, ')');
	if (my_list(run, s->c, buf_str(&sql), &ids, &ignored))
		return;
	for (size_t i = 0; i < ids.len; i++) {
		error_release(&ignored);
		(void)!my_conn_commandf(run, s->c, &ignored, "KILL %s", ids.item[i]);
	}
}

static enum status move_tables(struct run *run, struct mover *m, struct error *err)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;

	if (put_moves(run, m, &sql, err) || my_conn_commandf(run, m->s->c, err, "SET SESSION lock_wait_timeout = %d", LOCK_SECONDS))
		return err->code;
	for (int tries = 1; sql.len; tries++) {
		end_sessions(run, m->s);
		if (failpoint("mysql.exchange.before", err) || !my_conn_command(run, m->s->c, buf_str(&sql), err))
			return err->code;
		if (my_conn_errno(err) != 1205 || tries == SWAP_TRIES)
			return err->code;
		error_release(err);
	}
	return ST_OK;
}
