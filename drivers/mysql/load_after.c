#include "drivers/mysql/load.h"

#include "drivers/mysql/object_settings.h"

/* ---- sequences ---- */

static bool is_used(const struct my_load *l, const char *sequence)
{
	for (size_t i = 0; i < l->wish.tables; i++) {
		const struct my_object *o = my_load_wish_object(&l->wish, OBJECT_TABLE, l->wish.table[i].name);

		if (o && my_text_uses_sequence(o->sql, l->wish.scope, sequence))
			return true;
	}
	return false;
}

/* Those that this restore made, and those from which its tables draw; a value that is further stays, since SETVAL never goes back. */
enum status my_load_sequences(struct run *run, struct my_load *l, struct error *err)
{
	CLEANUP(strlist_release) struct strlist there = STRLIST_INIT;

	if (my_tables_there(run, l->conn, l->s->target, &there, err))
		return err->code;
	for (size_t i = 0; i < l->wish.objects; i++) {
		const struct my_object *o = &l->wish.object[i];
		CLEANUP(buf_release) struct buf sql = BUF_INIT;

		if (o->kind != OBJECT_SEQUENCE || !my_sorted_has(&there, o->name) ||
		    (l->wish.mode != MY_LOAD_DATABASE && !is_used(l, o->name)))
			continue;
		my_object_value_sql(o, &sql);
		if (sql.len && my_conn_command(run, l->conn, buf_str(&sql), err))
			return error_add(err, "setting the sequence %s", o->name);
	}
	return ST_OK;
}

/* ---- programs, views, triggers, events ---- */

/* What the target has, by kind, as an attempt before left it. */
struct maker {
	struct my_load *l;
	struct strlist there;
};

static void maker_release(struct maker *m) { strlist_release(&m->there); }

enum status my_objects_there(struct run *run, struct my_conn *c, const char *database, struct strlist *keys, struct error *err)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;

	buf_puts(&sql, "SELECT CONCAT(LOWER(ROUTINE_TYPE), '\001', ROUTINE_NAME) FROM information_schema.ROUTINES WHERE");
	my_sql_is_name(&sql, "ROUTINE_SCHEMA", database);
	buf_puts(&sql, " UNION ALL SELECT CONCAT('view\001', TABLE_NAME) FROM information_schema.VIEWS WHERE");
	my_sql_is_name(&sql, "TABLE_SCHEMA", database);
	buf_puts(&sql, " UNION ALL SELECT CONCAT('trigger\001', TRIGGER_NAME) FROM information_schema.TRIGGERS WHERE");
	my_sql_is_name(&sql, "TRIGGER_SCHEMA", database);
	buf_puts(&sql, " UNION ALL SELECT CONCAT('event\001', EVENT_NAME) FROM information_schema.EVENTS WHERE");
	my_sql_is_name(&sql, "EVENT_SCHEMA", database);
	if (my_list(run, c, buf_str(&sql), keys, err))
		return error_add(err, "what the database %s holds", database);
	strlist_sort(keys);
	return ST_OK;
}

bool my_object_is_there(const struct strlist *keys, const struct my_object *o)
{
	CLEANUP(cstr_release) char *key = xasprintf("%s\001%s", my_object_kind_name(o->kind), o->name);

	return my_sorted_has(keys, key);
}

static bool is_missing(const struct maker *m, const struct my_object *o, enum object_kind kind)
{
	return o->kind == kind && my_load_wish_makes(&m->l->wish, o) && !my_object_is_there(&m->there, o);
}

static enum status make_kind(struct run *run, struct maker *m, enum object_kind kind, struct error *err)
{
	for (size_t i = 0; i < m->l->wish.objects; i++) {
		const struct my_object *o = &m->l->wish.object[i];
		CLEANUP(cstr_release) char *sql = NULL;

		if (!is_missing(m, o, kind))
			continue;
		sql = my_object_sql(o);
		if (my_object_make(run, m->l->conn, o, sql, err))
			return err->code;
	}
	return ST_OK;
}

static enum status make_views(struct run *run, struct maker *m, struct error *err)
{
	const struct my_object **view = xcalloc(m->l->wish.objects + 1, sizeof *view);
	size_t n = 0;

	for (size_t i = 0; i < m->l->wish.objects; i++)
		if (m->l->wish.object[i].kind == OBJECT_VIEW && my_load_wish_makes(&m->l->wish, &m->l->wish.object[i]))
			view[n++] = &m->l->wish.object[i];
	enum status st = n ? my_views_make(run, m->l->conn, view, n, m->l->e->notes, err) : ST_OK;
	free(view);
	return st ? error_add(err, "the views of the database %s", m->l->s->scope) : ST_OK;
}

enum status my_load_after(struct run *run, struct my_load *l, struct error *err)
{
	static const enum object_kind programs[] = {OBJECT_FUNCTION, OBJECT_PROCEDURE, OBJECT_PACKAGE, OBJECT_PACKAGE_BODY};
	CLEANUP(maker_release) struct maker m = {.l = l};

	if (l->wish.mode == MY_LOAD_ROWS)
		return ST_OK;
	if (my_objects_there(run, l->conn, l->s->target, &m.there, err))
		return err->code;
	for (size_t i = 0; i < ARRAY_LEN(programs); i++)
		if (make_kind(run, &m, programs[i], err))
			return err->code;
	return make_views(run, &m, err) || make_kind(run, &m, OBJECT_TRIGGER, err) || make_kind(run, &m, OBJECT_EVENT, err) ? err->code
															    : ST_OK;
}

enum status my_load_events(struct run *run, struct my_load *l, struct error *err)
{
	const bool renamed = strcmp(l->s->scope, l->s->target) != 0;
	unsigned parked = 0;

	for (size_t i = 0; i < l->wish.objects; i++) {
		struct my_object *o = &l->wish.object[i];

		if (o->kind != OBJECT_EVENT || !my_load_wish_makes(&l->wish, o))
			continue;
		parked += renamed && my_event_is_enabled(o);
		if (renamed)
			my_event_park(o);
		if (my_event_status(run, l->conn, o, l->e->notes, err))
			return error_add(err, "the event %s", o->name);
	}
	if (!parked || l->q->in_place || l->q->scratch)
		return ST_OK;
	if (l->s->beside)
		notes_add(l->e->notes, "database %s: its events (%u) are off until an exchange puts it in place", l->s->target, parked);
	else
		notes_add(l->e->notes, "database %s: its events (%u) are off, since they may name %s: ALTER EVENT ... ENABLE turns each on", l->s->target,
			  parked, l->s->scope);
	return ST_OK;
}
