/* Whether the definitions in the archive and the inventory are of one state: they are read at different moments, and no error of the server
 * says that a view, a routine or a comment was changed between. */
#include "drivers/mysql/dump.h"
#include "drivers/mysql/inventory.h"
#include "drivers/mysql/session.h"

void my_seen_release(struct my_seen *s)
{
	for (size_t i = 0; i < s->objects; i++)
		free(s->object[i].what);
	free(s->object);
	*s = (struct my_seen)MY_SEEN_INIT;
}

/* ---- what was seen ---- */

/* Counters move on by themselves. */
static void put_without_counter(struct buf *to, const char *sql)
{
	static const char counter[] = " AUTO_INCREMENT=";
	const char *options = strstr(sql, "\n) "), *at = NULL;

	for (const char *next = options; next; next = strstr(next + 1, "\n) "))
		options = next;
	at = options ? strstr(options, counter) : NULL;
	buf_put(to, sql, at ? (size_t)(at - sql) : strlen(sql));
	if (at)
		buf_puts(to, at + strlen(counter) + strspn(at + strlen(counter), "0123456789"));
}

void my_seen_add(struct my_seen *s, const struct my_object *o)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT;
	const char *const more[] = {o->sql_mode, o->charset, o->collation, o->db_collation, o->time_zone, o->status, o->definer, o->table};

	if (o->kind == OBJECT_TABLE)
		put_without_counter(&text, o->sql);
	else
		buf_puts(&text, o->sql);
	for (size_t i = 0; i < ARRAY_LEN(more); i++) {
		buf_putc(&text, '\0');
		buf_puts(&text, more[i] ? more[i] : "");
	}
	if ((s->objects & (s->objects - 1)) == 0)
		s->object = xrealloc(s->object, (s->objects ? s->objects * 2 : 1) * sizeof *s->object);
	s->object[s->objects++] = (struct my_seen_object){
		.what = xasprintf("%s %s", my_object_kind_name(o->kind), o->name),
		.state = xxh128(text.data, text.len),
	};
}

static enum status add_seen(void *ctx, const struct my_object *o, struct error *err UNUSED)
{
	my_seen_add(ctx, o);
	return ST_OK;
}

struct hash128 my_seen_item(const struct inventory_item *i)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT;

	if (i->grows)
		return (struct hash128){0, 0};
	buf_printf(&text, "%s\n%s\n%s", i->kind, i->name, i->facts);
	return xxh128(text.data, text.len);
}

static enum status add_item(void *ctx, const struct inventory_item *i, struct error *err UNUSED)
{
	struct hash128 *sum = ctx;

	*sum = hash128_add(*sum, my_seen_item(i));
	return ST_OK;
}

/* ---- how often anything was defined ---- */

static enum status add_count(void *ctx, char *const *field, const unsigned long *len UNUSED, unsigned fields UNUSED, struct error *err UNUSED)
{
	*(uint64_t *)ctx += my_field_u64(field[1]);
	return ST_OK;
}

/* Of all databases, temporary tables among them: that it stood still proves that nothing was, that it moved proves nothing. */
enum status my_seen_count(struct run *run, struct my_conn *c, uint64_t *count, struct error *err)
{
	*count = 0;
	return my_conn_each(run, c, "SHOW GLOBAL STATUS WHERE Variable_name REGEXP '^Com_(alter|create|drop|rename|truncate)_'", add_count, count, err);
}

/* ---- the same still ---- */

static int by_what(const void *a, const void *b)
{
	return strcmp(((const struct my_seen_object *)a)->what, ((const struct my_seen_object *)b)->what);
}

static void sort(struct my_seen *s)
{
	if (s->objects)
		qsort(s->object, s->objects, sizeof *s->object, by_what);
}

/* The first that is not in both, or not the same. */
static const char *first_change(struct my_seen *a, struct my_seen *b)
{
	sort(a);
	sort(b);
	for (size_t i = 0; i < a->objects || i < b->objects; i++) {
		if (i == a->objects || i == b->objects)
			return i == a->objects ? b->object[i].what : a->object[i].what;
		int order = strcmp(a->object[i].what, b->object[i].what);
		if (order || !hash128_equal(a->object[i].state, b->object[i].state))
			return order > 0 ? b->object[i].what : a->object[i].what;
	}
	return NULL;
}

/* In a session of its own, which no snapshot binds. */
static enum status look_again(struct run *run, struct my_dump *d, struct error *err)
{
	CLEANUP(my_conn_freep) struct my_conn *c = NULL;
	CLEANUP(notes_freep) struct notes *notes = notes_new();
	CLEANUP(my_seen_release) struct my_seen now = MY_SEEN_INIT;
	struct hash128 sum = {0, 0};
	const struct inventory_sink items = {add_item, &sum};

	if (my_session_open(run, d->e, NULL, &c, err) || my_objects_each(run, c, my_dump_database(d), notes, add_seen, &now, err) ||
	    my_inventory_take_all(run, c, my_dump_database(d), false, &items, err))
		return err->code;
	const char *changed = first_change(&d->seen, &now);
	if (changed)
		return my_dump_altered(d, changed, err);
	return hash128_equal(sum, d->seen.inventory) ? ST_OK : my_dump_altered(d, "something in the database", err);
}

enum status my_dump_still(struct run *run, struct my_dump *d, struct error *err)
{
	uint64_t now = 0;

	if (my_seen_count(run, d->c, &now, err) || now == d->count)
		return err->code;
	/* MySQL takes the inventory out of the snapshot: nothing counts that was changed after the definitions were read. */
	if (!d->server.mariadb && d->server.number >= 80000 && d->seen.count == d->count)
		return ST_OK;
	return look_again(run, d, err);
}
