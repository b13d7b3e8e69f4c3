#include "drivers/mysql/exchange.h"

#include "drivers/mysql/object_settings.h"
#include "util/failpoint.h"

#define LOCK_SECONDS ((int64_t)5) /* of one try: others queue behind it */

/* Tables change databases by one RENAME TABLE. Triggers cannot move, and programs, views and events belong to their database: they are
 * dropped on one side and made again on the other. Their definitions are written into a table of `in` first, which is there until the
 * end: whoever dies on the way, a call after goes on from there and from the names that it finds. */

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

/* Before 11.4 the word PACKAGE is known in the dialect of ORACLE only. */
static enum status drop_object(struct run *run, struct my_swap *s, const struct my_object *o, const char *database, struct error *err)
{
	bool package = o->kind == OBJECT_PACKAGE || o->kind == OBJECT_PACKAGE_BODY;
	CLEANUP(buf_release) struct buf sql = BUF_INIT;

	buf_printf(&sql, "DROP %s IF EXISTS ", drop_word(o->kind));
	my_sql_name(&sql, database, o->name);
	if ((package && my_conn_command(run, s->c, "SET @drtool_mode = @@sql_mode, sql_mode = 'ORACLE'", err)) ||
	    my_conn_command(run, s->c, buf_str(&sql), err) ||
	    (package && my_conn_command(run, s->c, "SET sql_mode = @drtool_mode", err)))
		return error_add(err, "%s %s of the database %s", my_object_kind_name(o->kind), o->name, database);
	return ST_OK;
}

/* in_the_way: what stands in the way of moving tables (triggers, views), or the rest. The body of a package goes before it. */
static enum status drop_objects(struct run *run, struct my_swap *s, const struct my_moved *m, const char *database, bool in_the_way,
				struct error *err)
{
	for (size_t i = m->objects; i-- > 0;) {
		const struct my_object *o = &m->object[i];

		if (!drop_word(o->kind) || (o->kind == OBJECT_VIEW || o->kind == OBJECT_TRIGGER) != in_the_way)
			continue;
		if (drop_object(run, s, o, database, err))
			return err->code;
	}
	return ST_OK;
}

static enum status make_views(struct run *run, struct my_swap *s, const struct my_moved *m, struct error *err)
{
	const struct my_object **view = xcalloc(m->objects + 1, sizeof *view);
	size_t n = 0;

	for (size_t i = 0; i < m->objects; i++)
		if (m->object[i].kind == OBJECT_VIEW)
			view[n++] = &m->object[i];
	enum status st = n ? my_views_make(run, s->c, view, n, s->e->notes, err) : ST_OK;
	free(view);
	return st;
}

struct kinds {
	enum object_kind first, last;
};

static enum status make_kinds(struct run *run, struct my_swap *s, const struct my_moved *m, const struct strlist *there, struct kinds k,
			      struct error *err)
{
	for (size_t i = 0; i < m->objects; i++) {
		const struct my_object *o = &m->object[i];

		if (o->kind < k.first || o->kind > k.last || o->kind == OBJECT_VIEW)
			continue;
		if ((!my_object_is_there(there, o) && my_object_make(run, s->c, o, NULL, err)) ||
		    (o->kind == OBJECT_EVENT && my_event_status(run, s->c, o, s->e->notes, err)))
			return err->code;
	}
	return ST_OK;
}

/* programs false: triggers and views only, which were in the way. */
static enum status make_objects(struct run *run, struct my_swap *s, const struct my_moved *m, const char *database, bool programs,
				struct error *err)
{
	static const struct kinds programs_only = {OBJECT_FUNCTION, OBJECT_PACKAGE_BODY}, triggers_only = {OBJECT_TRIGGER, OBJECT_TRIGGER},
				  acting = {OBJECT_TRIGGER, OBJECT_EVENT};
	CLEANUP(strlist_release) struct strlist there = STRLIST_INIT;

	if (my_swap_use(run, s, database, err) || my_objects_there(run, s->c, database, &there, err))
		return err->code;
	if ((programs && make_kinds(run, s, m, &there, programs_only, err)) || make_views(run, s, m, err) ||
	    make_kinds(run, s, m, &there, programs ? acting : triggers_only, err))
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
static enum status put_moves(struct run *run, struct my_mover *m, struct buf *sql, struct error *err)
{
	struct my_swap *s = m->s;
	CLEANUP(strlist_release) struct strlist out = STRLIST_INIT, in = STRLIST_INIT;

	if (my_swap_tables(run, s->c, s->in, &in, err) || (s->away && my_swap_tables(run, s->c, s->out, &out, err)))
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

static enum status try_move(struct run *run, struct my_mover *m, struct error *err)
{
	struct my_swap *s = m->s;
	CLEANUP(buf_release) struct buf sql = BUF_INIT;

	end_sessions(run, s);
	if (drop_objects(run, s, &m->in, s->in, true, err) || (s->away && drop_objects(run, s, &m->out, s->out, true, err)) ||
	    put_moves(run, m, &sql, err) || failpoint("mysql.exchange.before", err))
		return err->code;
	return sql.len ? my_conn_command(run, s->c, buf_str(&sql), err) : ST_OK;
}

/* Each try waits a little only: meanwhile all others queue behind it. */
static enum status move_tables(struct run *run, struct my_mover *m, struct error *err)
{
	struct duration most = my_params(m->s->e)->lock_timeout;
	struct instant give_up = instant_add(run_mono(run), most);
	int64_t seconds = (most.us + 999999) / 1000000;

	seconds = seconds < 1 ? 1 : seconds > LOCK_SECONDS ? LOCK_SECONDS : seconds;
	if (my_conn_commandf(run, m->s->c, err, "SET SESSION lock_wait_timeout = %" PRId64, seconds))
		return err->code;
	while (try_move(run, m, err) && my_conn_errno(err) == MY_LOCK_TIMEOUT && run_mono(run).us < give_up.us)
		error_release(err);
	return err->code;
}

/* ---- defaults that draw from a sequence: they name its database, which moved ---- */

static enum status redirect(struct run *run, struct my_swap *s, const char *old, const char *now, struct error *err)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;
	CLEANUP(my_conn_result_free) MYSQL_RES *r = NULL;
	MYSQL_ROW row;

	buf_puts(&sql, "SELECT TABLE_NAME, COLUMN_NAME, COLUMN_DEFAULT FROM information_schema.COLUMNS WHERE (COLUMN_DEFAULT LIKE"
		       " '%nextval(%' OR COLUMN_DEFAULT LIKE '%lastval(%') AND");
	my_sql_is_name(&sql, "TABLE_SCHEMA", now);
	if (!s->c->mariadb || my_swap_use(run, s, now, err) || my_conn_query(run, s->c, buf_str(&sql), &r, err))
		return err->code;
	while ((row = mysql_fetch_row(r))) {
		CLEANUP(cstr_release) char *expression = my_ddl_unqualified(row[2], old);

		if (!strcmp(expression, row[2]))
			continue;
		buf_clear(&sql);
		buf_puts(&sql, "ALTER TABLE ");
		my_sql_ident(&sql, row[0]);
		buf_puts(&sql, " ALTER COLUMN ");
		my_sql_ident(&sql, row[1]);
		buf_printf(&sql, " SET DEFAULT (%s)", expression);
		if (my_conn_command(run, s->c, buf_str(&sql), err))
			return error_add(err, "table %s of the database %s", row[0], now);
	}
	return ST_OK;
}

/* ---- all ---- */

static const char *definition_of_database(const struct my_moved *m)
{
	for (size_t i = 0; i < m->objects; i++)
		if (m->object[i].kind == OBJECT_DATABASE)
			return m->object[i].sql;
	return NULL;
}

/* away as out is; out, where it is not there, as in is. */
static enum status make_databases(struct run *run, struct my_mover *m, struct error *err)
{
	struct my_swap *s = m->s;
	const char *from = definition_of_database(s->away ? &m->out : &m->in), *name = s->away ? s->away : s->out;
	CLEANUP(cstr_release) char *sql = from ? my_ddl_renamed(from, name) : NULL;
	bool exists = false;

	if (my_database_exists(run, s->c, name, &exists, err) || exists)
		return err->code;
	if (!sql)
		return error_set(err, ST_SERVER, "the server does not show how the database %s is made", s->out);
	return my_conn_command(run, s->c, sql, err) ? error_add(err, "making the database %s", name) : ST_OK;
}

/* Nothing was moved, or the server took it all back: then what was dropped is made again. */
static enum status undo(struct run *run, struct my_mover *m, struct error *err)
{
	struct my_swap *s = m->s;
	CLEANUP(strlist_release) struct strlist in = STRLIST_INIT, away = STRLIST_INIT;
	CLEANUP(my_database_state_release) struct my_database_state made = MY_DATABASE_STATE_INIT;
	const char *name = s->away ? s->away : s->out;

	if (my_swap_tables(run, s->c, s->in, &in, err) || (s->away && my_swap_tables(run, s->c, s->away, &away, err)))
		return err->code;
	if (away.len || in.len != m->tables_in.len)
		return error_set(err, ST_FAILED, "some tables were moved already");
	if (make_objects(run, s, &m->in, s->in, false, err) || (s->away && make_objects(run, s, &m->out, s->out, false, err)))
		return err->code;
	/* Others may use a name that was free. */
	if (my_database_look(run, s->c, name, s->run, &made, err) || (made.empty && my_database_drop(run, s->c, name, err)))
		return err->code;
	return my_swap_forget(run, s, err);
}

static enum status move(struct run *run, struct my_mover *m, struct error *err)
{
	struct my_swap *s = m->s;
	CLEANUP(error_release) struct error why = ERROR_INIT;

	if (make_databases(run, m, err))
		return err->code;
	if (!move_tables(run, m, err))
		return ST_OK;
	/* Without an answer nobody knows what was done: the next call looks. */
	if (!my_conn_errno(err) || err->code == ST_CANCELLED || err->code == ST_UNREACHABLE || err->code == ST_DEADLINE)
		return err->code;
	if (my_conn_errno(err) == MY_LOCK_TIMEOUT) {
		error_set(err, ST_LOCKED, "other sessions keep tables of %s or %s in use", s->out, s->in);
		error_hint(err, "All is as it was. SHOW FULL PROCESSLIST names the sessions.");
	}
	if (undo(run, m, &why))
		error_hint(err, "Views and triggers of %s are not made again (%s): repeat the command.", s->out, error_text(&why));
	return err->code;
}

static enum status clear(struct run *run, struct my_mover *m, struct error *err)
{
	struct my_swap *s = m->s;
	bool done = false;

	if (my_swap_step(run, s, "cleared", &done, err) || done)
		return err->code;
	if (drop_objects(run, s, &m->in, s->in, false, err) || (s->away && drop_objects(run, s, &m->out, s->out, false, err)))
		return err->code;
	return my_swap_line(run, s, 's', "cleared", err);
}

/* Only where nothing but the state is left in it. */
static enum status drop_empty(struct run *run, struct my_swap *s, struct error *err)
{
	CLEANUP(strlist_release) struct strlist left = STRLIST_INIT;
	CLEANUP(buf_release) struct buf sql = BUF_INIT;

	if (my_tables_there(run, s->c, s->in, &left, err))
		return err->code;
	if (left.len > 1)
		return error_set(err, ST_REFUSED, "the database %s got new tables meanwhile: move or drop them, and repeat the command", s->in);
	buf_puts(&sql, "DROP DATABASE ");
	my_sql_ident(&sql, s->in);
	return my_conn_command(run, s->c, buf_str(&sql), err);
}

/* Those of what is set aside rest, those of what comes in its place act. */
static void turn_events(struct my_mover *m)
{
	unsigned parked = 0;

	for (size_t i = 0; i < m->out.objects; i++) {
		parked += my_event_is_enabled(&m->out.object[i]);
		my_event_park(&m->out.object[i]);
	}
	for (size_t i = 0; i < m->in.objects; i++)
		my_event_unpark(&m->in.object[i]);
	if (parked)
		notes_tell(m->s->e->notes, "database %s: its events (%u) are off", m->s->away, parked);
}

static enum status settle(struct run *run, struct my_mover *m, struct error *err)
{
	struct my_swap *s = m->s;
	CLEANUP(cstr_release) char *alter = NULL;
	const char *of_in = definition_of_database(&m->in);

	if (failpoint("mysql.exchange.moved", err) || redirect(run, s, s->in, s->out, err) ||
	    (s->away && redirect(run, s, s->out, s->away, err)) || clear(run, m, err))
		return err->code;
	turn_events(m);
	alter = of_in ? my_ddl_alter_database(of_in, s->out) : NULL;
	if (alter && my_conn_command(run, s->c, alter, err))
		return err->code;
	if (make_objects(run, s, &m->in, s->out, true, err) || (s->away && make_objects(run, s, &m->out, s->away, true, err)) ||
	    failpoint("mysql.exchange.made", err))
		return err->code;
	return drop_empty(run, s, err);
}

enum status my_swap_do(struct run *run, struct my_swap *s, struct error *err)
{
	CLEANUP(my_mover_release) struct my_mover m = {.s = s};
	bool begun = false, recorded = false, cleared = false, alone = false;

	if (my_swap_begun(run, s->c, s->in, s->run, &begun, err) || (begun && my_swap_step(run, s, "recorded", &recorded, err)) ||
	    (recorded && my_swap_step(run, s, "alone", &alone, err)))
		return err->code;
	if (!recorded && my_swap_record(run, s, err))
		return error_add(err, "before anything was changed");
	/* The first call made `out`, which is there now. */
	if (alone)
		s->away = NULL;
	if (my_swap_read(run, &m, err) || my_swap_step(run, s, "cleared", &cleared, err))
		return err->code;
	if (!cleared && move(run, &m, err))
		return err->code;
	return settle(run, &m, err) ? error_add(err, "the tables are in their new places, but") : ST_OK;
}
