/* The objects of a dump and their units. */
#include "drivers/mysql/dump.h"

#define NAMES_SHOWN 10

/* ---- a table ---- */

static void table_free(struct my_table *t)
{
	free(t->name);
	free(t->shown);
	free(t->select);
	free(t->order);
	free(t->load);
	free(t->folder);
	my_ranges_release(&t->ranges);
	free(t);
}

void my_dump_tables_release(struct my_dump *d)
{
	my_seen_release(&d->seen);
	for (size_t i = 0; i < d->tables; i++)
		table_free(d->table[i]);
	free(d->table);
	d->table = NULL;
	d->tables = 0;
}

static char *order_by(const struct my_key *key)
{
	struct buf b = BUF_INIT;

	for (size_t i = 0; i < key->columns; i++) {
		buf_puts(&b, i ? ", " : " ORDER BY ");
		my_sql_ident(&b, key->column[i].name);
	}
	return buf_detach(&b);
}

/* By the key the server has the rows in this order anyway, and the same data give the same bytes. Partitions are read one after the other. */
static enum status plan_reading(struct run *run, const struct my_dump *d, const struct my_listed *l, const struct my_facts_table *f,
				struct my_table *t, struct error *err)
{
	CLEANUP(buf_release) struct buf hint = BUF_INIT, select = BUF_INIT, from = BUF_INIT;
	bool by_key = l->transactional && l->key.columns, large = l->bytes > my_params(d->e)->split_above;

	my_facts_select(f, my_dump_database(d), t->name, &select);
	if (by_key && (large || !l->partitioned)) {
		buf_puts(&hint, " INDEX (");
		my_sql_ident(&hint, l->key.index);
		buf_putc(&hint, ')');
		buf_printf(&select, " FORCE%s", buf_str(&hint));
	}
	t->select = buf_detach(&select);
	t->order = by_key && !l->partitioned ? order_by(&l->key) : xstrdup("");
	if (!by_key || !large)
		return ST_OK;
	my_sql_name(&from, my_dump_database(d), t->name);
	/* With FORCE INDEX MySQL estimates nothing. */
	buf_printf(&from, "%s USE%s", f->history ? " FOR SYSTEM_TIME ALL" : "", buf_str(&hint));
	const struct my_ranges_wish wish = {.from = buf_str(&from), .key = &l->key, .bytes = l->bytes, .rows = l->rows,
					    .piece = my_params(d->e)->split_above / 2};
	return my_ranges_find(run, d->c, &wish, &t->ranges, err);
}

static char *load_statement(const struct my_facts_table *f)
{
	struct buf b = BUF_INIT;

	my_facts_load(f, NULL, f->table, &b);
	return buf_detach(&b);
}

static enum status give_units(const struct my_table *t, const struct my_listed *l, struct dump_unit *u, const struct object_sink *objects,
			      struct error *err)
{
	for (u->range = 0; u->range <= t->ranges.borders; u->range++) {
		u->estimated_bytes = t->ranges.borders ? t->ranges.bytes[u->range] : l->bytes;
		if (objects->unit(objects->ctx, u, err))
			return err->code;
	}
	return ST_OK;
}

static enum status give_table(struct run *run, struct my_dump *d, const struct my_listed *l, const struct my_facts_table *f,
			      const json_t *facts, const char *shown, const struct object_sink *objects, struct error *err)
{
	struct my_table *t = xcalloc(1, sizeof *t);
	struct dump_unit u = {.cookie = d->tables};
	struct buf name = BUF_INIT;

	if ((d->tables & (d->tables - 1)) == 0)
		d->table = xrealloc(d->table, (d->tables ? d->tables * 2 : 1) * sizeof(struct my_table *));
	d->table[d->tables++] = t;
	t->name = xstrdup(l->name);
	my_sql_shown(&name, l->name);
	t->shown = shown ? xstrdup(shown) : xstrdup(buf_str(&name));
	buf_release(&name);
	if (plan_reading(run, d, l, f, t, err))
		return my_unit_altered(d, t->shown, err);
	if (!d->recorded)
		t->load = load_statement(f);
	const char *component[] = {l->name};
	const struct dump_object o = {.name = t->shown, .component = component, .components = 1, .ext = "tsv", .facts = facts, .folder = &t->folder};
	if (objects->object(objects->ctx, &o, &u.object, err) || give_units(t, l, &u, objects, err))
		return error_add(err, "%s", t->shown);
	return ST_OK;
}

/* ---- a digest: the objects of an archive, where they are on this server ---- */

struct giving {
	struct run *run;
	struct my_dump *d;
	const struct object_sink *objects;
};

static bool has_columns(const struct my_facts_table *all, const struct my_facts_table *wanted)
{
	for (size_t i = 0; i < wanted->columns; i++) {
		bool found = false;

		for (size_t k = 0; k < all->columns && !found; k++)
			found = !strcmp(wanted->column[i].name, all->column[k].name);
		if (!found)
			return false;
	}
	return true;
}

/* What is not there, or lacks a column, is not given: the caller misses it. */
static enum status give_recorded(void *ctx, const struct recorded_object *ro, struct error *err)
{
	struct giving *g = ctx;
	CLEANUP(my_facts_release) struct my_facts_table f = {0};

	if (my_facts_read(ro->facts, &f, err))
		return error_add(err, "%s", ro->name);
	const struct my_listed *l = my_listed_named(my_dump_listing(g->d), f.table);
	if (!l || !has_columns(&l->facts, &f))
		return ST_OK;
	return give_table(g->run, g->d, l, &f, ro->facts, ro->name, g->objects, err);
}

/* ---- all ---- */

static enum status give_listed(struct run *run, struct my_dump *d, const struct object_sink *objects, struct error *err)
{
	const struct my_listing *all = my_dump_listing(d);

	for (size_t i = 0; i < all->tables; i++) {
		const struct my_listed *l = &all->table[i];

		if (l->definition_only)
			continue;
		CLEANUP(js_decref) json_t *facts = my_facts_json(&l->facts);
		if (give_table(run, d, l, &l->facts, facts, NULL, objects, err))
			return err->code;
	}
	return ST_OK;
}

/* For the comparison at the end names and states are enough. */
static void forget_columns(struct my_listing *l)
{
	for (size_t i = 0; i < l->tables; i++) {
		my_facts_release(&l->table[i].facts);
		my_key_release(&l->table[i].key);
	}
}

/* ---- what is left out ---- */

struct names {
	struct buf text;
	size_t n;
};

static void add_name(struct names *to, const char *name)
{
	if (to->n++ >= NAMES_SHOWN)
		return;
	buf_puts(&to->text, to->n > 1 ? ", " : "");
	my_sql_shown(&to->text, name);
}

static void add_sentence(struct names *of, const char *database, const char *what, struct strlist *to)
{
	CLEANUP(buf_release) struct buf more = BUF_INIT;

	if (of->n > NAMES_SHOWN)
		buf_printf(&more, " and %zu more", of->n - NAMES_SHOWN);
	if (of->n)
		strlist_take(to, xasprintf("database %s, tables %s%s: %s", database, buf_str(&of->text), buf_str(&more), what));
	buf_release(&of->text);
}

void my_dump_limits(const char *database, const struct my_listing *l, struct strlist *to)
{
	struct names without = {0}, plain = {0};

	for (size_t i = 0; i < l->tables; i++) {
		const struct my_listed *t = &l->table[i];

		if (t->definition_only)
			add_name(&without, t->name);
		else if (!t->transactional)
			add_name(&plain, t->name);
	}
	add_sentence(&without, database, "the definition only, since their engines keep the rows elsewhere", to);
	add_sentence(&plain, database, "their engines know no transactions, so their rows are not of the moment of the backup", to);
}

static void note_history(const char *database, const struct my_listing *l, struct notes *notes)
{
	static const char *const history[] = {
		[MY_HISTORY_NOT_ASKED] = "the rows of now only, without their history (--history takes it)",
		[MY_HISTORY_NUMBERS] = "the rows of now only: history by numbers of transactions cannot be restored",
		[MY_HISTORY_OLD] = "the rows of now only: before MariaDB 10.11 history cannot be restored",
	};
	CLEANUP(strlist_release) struct strlist said = STRLIST_INIT;

	for (enum my_history h = MY_HISTORY_NOT_ASKED; h <= MY_HISTORY_OLD; h++) {
		struct names names = {0};

		for (size_t i = 0; i < l->tables; i++)
			if (l->table[i].versioned && !l->table[i].definition_only && l->table[i].history == h)
				add_name(&names, l->table[i].name);
		add_sentence(&names, database, history[h], &said);
	}
	for (size_t i = 0; i < said.len; i++)
		notes_add(notes, "%s", said.item[i]);
}

/* ---- all ---- */

enum status my_dump_objects(struct run *run, struct my_dump *d, const struct object_sink *objects, struct error *err)
{
	struct giving g = {run, d, objects};
	const struct my_scope *s = &d->scope[d->at];
	struct my_listing *l = my_dump_listing(d);

	if ((d->recorded && my_list_tables(run, d->c, s->database, l, err)) || my_list_keys(run, d->c, s->database, l, err) ||
	    my_list_columns(run, d->c, s->database, d->recorded || my_params(d->e)->history, l, err) ||
	    (d->recorded ? d->recorded->each(d->recorded->ctx, s->name, give_recorded, &g, err) : give_listed(run, d, objects, err)))
		return err->code;
	if (!d->recorded)
		note_history(s->database, l, d->e->notes);
	forget_columns(l);
	return ST_OK;
}
