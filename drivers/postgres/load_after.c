#include "drivers/postgres/load.h"

#define HEAVY ((uint64_t)4 * 1024 * 1024) /* bytes of a table from which on its indexes are worth a pg_restore of their own */
#define HEAVY_MOST 256

/* ---- indexes of large tables ---- */

/* pg_restore would take them in the dump's order, and does not know the sizes. Here the largest tables come first, and an index
 * and a constraint of the same table, which would wait for each other's lock, never run at once. */
struct heavy {
	size_t entry;    /* index into toc.entry */
	int table;       /* id */
	uint64_t bytes;
	bool constraint; /* takes the table for itself */
	bool begun, running;
};
struct builder {
	struct run *run;
	struct load *l;
	struct heavy *item;
	size_t items;
	pthread_mutex_t mutex; /* guards begun, running, first */
	pthread_cond_t cond;
	struct error first;
};

static bool in_the_way(const struct heavy *a, const struct heavy *b)
{
	return a->table == b->table && (a->constraint || b->constraint);
}

/* With the mutex held. *more: something is left, though it cannot begin now. */
static struct heavy *choose(struct builder *b, bool *more)
{
	*more = false;
	for (size_t i = 0; i < b->items && !b->first.code; i++) {
		bool free_now = !b->item[i].begun;

		*more = *more || free_now;
		for (size_t k = 0; free_now && k < b->items; k++)
			free_now = !b->item[k].running || !in_the_way(&b->item[i], &b->item[k]);
		if (free_now)
			return &b->item[i];
	}
	return NULL;
}

static void build_loop(void *arg)
{
	struct builder *b = arg;
	bool more = true;

	mutex_lock(&b->mutex);
	while (more) {
		struct heavy *h = choose(b, &more);

		if (!h) {
			if (more)
				cond_wait(&b->cond, &b->mutex);
			continue;
		}
		h->begun = h->running = true;
		mutex_unlock(&b->mutex);
		CLEANUP(error_release) struct error err = ERROR_INIT;
		const struct restore_job job = {.entry = &h->entry, .entries = 1, .jobs = 1, .go_on = b->l->q->salvage};
		enum status st = restore_program_run(b->run, b->l, &job, &err);
		mutex_lock(&b->mutex);
		h->running = false;
		if (st)
			error_keep_first(&b->first, &err);
		cond_broadcast(&b->cond);
	}
	mutex_unlock(&b->mutex);
}

static enum status build(struct run *run, struct load *l, struct heavy *item, size_t items, struct error *err)
{
	struct builder b = {.run = run, .l = l, .item = item, .items = items};
	size_t n = min_size(items, l->q->jobs ? l->q->jobs : 1);
	struct thread *thread = xcalloc(n + 1, sizeof *thread);

	mutex_init(&b.mutex);
	cond_init(&b.cond);
	for (size_t i = 0; i < n; i++) {
		CLEANUP(error_release) struct error why = ERROR_INIT;

		if (!thread_start(&thread[i], "pg-index", build_loop, &b, &why))
			continue;
		mutex_lock(&b.mutex);
		error_keep_first(&b.first, &why);
		mutex_unlock(&b.mutex);
	}
	for (size_t i = 0; i < n; i++)
		thread_join(&thread[i]);
	free(thread);
	cond_destroy(&b.cond);
	mutex_destroy(&b.mutex);
	return b.first.code ? error_move(err, &b.first) : ST_OK;
}

/* ---- which entries when ---- */

struct lists {
	struct load *l;
	struct strlist there;  /* resumed: what is made already */
	uint64_t *bytes;       /* by index: of a TABLE */
	struct heavy *heavy;
	size_t heavies;
	size_t *rest, rests;
	bool *late;            /* by index: after everything else */
};

static void lists_release(struct lists *s)
{
	strlist_release(&s->there);
	free(s->bytes);
	free(s->heavy);
	free(s->rest);
	free(s->late);
}

static int by_key(const void *a, const void *b)
{
	const struct toc_entry *const *x = a, *const *y = b;
	int schema = strcmp((*x)->schema, (*y)->schema);

	return schema ? schema : strcmp((*x)->tag, (*y)->tag);
}

/* The recorded sizes of tables, by their entries. */
static void fill_bytes(struct lists *s)
{
	const struct toc *t = &s->l->toc;
	const struct toc_entry **table = xcalloc(t->entries + 1, sizeof *table);
	size_t n = 0;

	for (size_t i = 0; i < t->entries; i++)
		if (toc_is(&t->entry[i], "TABLE"))
			table[n++] = &t->entry[i];
	qsort(table, n, sizeof *table, by_key);
	for (size_t i = 0; i < s->l->wish.tables; i++) {
		const struct load_table *w = &s->l->wish.table[i];
		const struct toc_entry key = {.schema = w->schema, .tag = w->name}, *at = &key;
		const struct toc_entry **found = w->schema ? bsearch(&at, table, n, sizeof *table, by_key) : NULL;

		if (found)
			s->bytes[*found - t->entry] = w->raw;
	}
	free(table);
}

static bool as_heavy(struct lists *s, size_t i)
{
	const struct toc *t = &s->l->toc;
	const struct toc_entry *e = &t->entry[i];
	struct heavy h = {.entry = i, .constraint = toc_is(e, "CONSTRAINT")};

	if (s->heavies == HEAVY_MOST || !(h.constraint || toc_is(e, "INDEX")))
		return false;
	for (size_t k = 0; k < e->deps; k++) {
		const struct toc_entry *d = toc_by_id(t, e->dep[k]);

		if (d && d->part == TOC_POST)
			return false;
		if (d && s->bytes[d - t->entry] > h.bytes) {
			h.bytes = s->bytes[d - t->entry];
			h.table = d->id;
		}
	}
	if (h.bytes < HEAVY)
		return false;
	s->heavy[s->heavies++] = h;
	return true;
}

/* Event triggers would act on the rest; subscriptions are made last, and without a connection. Remarks on them follow them. */
static bool is_late(const struct lists *s, const struct toc_entry *e)
{
	if (toc_is(e, "EVENT TRIGGER") || toc_is(e, "SUBSCRIPTION"))
		return true;
	/* These want more than to own the database, and are no reason to stop. */
	if (!s->l->superuser && (toc_is(e, "PUBLICATION") || toc_is(e, "DEFAULT ACL")))
		return true;
	/* It may name roles that are not there, and those were not to be made: then it is left out and said. */
	if (toc_is(e, "POLICY") && s->l->no_privileges)
		return true;
	for (size_t k = 0; e->part == TOC_POST && k < e->deps; k++) {
		const struct toc_entry *d = toc_by_id(&s->l->toc, e->dep[k]);

		if (d && s->late[d - s->l->toc.entry])
			return true;
	}
	return false;
}

static int by_size(const void *a, const void *b)
{
	const struct heavy *x = a, *y = b;

	if (x->bytes != y->bytes)
		return x->bytes < y->bytes ? 1 : -1;
	if (x->constraint != y->constraint)
		return x->constraint - y->constraint;
	return (x->entry > y->entry) - (x->entry < y->entry);
}

static void make_lists(struct lists *s)
{
	const struct toc *t = &s->l->toc;

	s->bytes = xcalloc(t->entries + 1, sizeof *s->bytes);
	s->late = xcalloc(t->entries + 1, sizeof *s->late);
	s->rest = xcalloc(t->entries + 1, sizeof *s->rest);
	s->heavy = xcalloc(HEAVY_MOST, sizeof *s->heavy);
	fill_bytes(s);
	for (size_t i = 0; i < t->entries; i++) {
		const struct toc_entry *e = &t->entry[i];

		if (!s->l->sel.pick[i] || (e->part != TOC_POST && !toc_is(e, "ACL")))
			continue;
		/* Only what can be made once has a key there; the rest can be said twice. */
		if (s->there.len && load_exists(&s->there, e))
			continue;
		s->late[i] = is_late(s, e);
		if (!s->late[i] && !as_heavy(s, i))
			s->rest[s->rests++] = i;
	}
	qsort(s->heavy, s->heavies, sizeof *s->heavy, by_size);
}

static enum status run_lists(struct run *run, struct lists *s, struct error *err)
{
	struct load *l = s->l;
	const struct restore_job rest = {.entry = s->rest, .entries = s->rests, .jobs = l->q->jobs, .go_on = l->q->salvage};

	if (build(run, l, s->heavy, s->heavies, err) || restore_program_run(run, l, &rest, err))
		return error_add(err, "the indexes and constraints of the database %s", l->s->scope);
	return ST_OK;
}

static enum status prepare(struct run *run, struct lists *s, struct error *err)
{
	if (s->l->resumed && load_existing(run, s->l->conn, &s->there, err))
		return err->code;
	make_lists(s);
	return ST_OK;
}

enum status load_after(struct run *run, struct load *l, struct error *err)
{
	CLEANUP(lists_release) struct lists s = {.l = l};

	if (l->wish.mode == LOAD_ROWS)
		return ST_OK;
	return prepare(run, &s, err) ? err->code : run_lists(run, &s, err);
}

static void note_subscription(struct load *l, const struct toc_entry *e)
{
	notes_add(l->e->notes,
		  "database %s: subscription %s was made without a connection and is not enabled; enable it only when the server "
			       "that had it before is gone for good, since both would use one slot of the publisher",
		  l->s->target, e->tag);
}

enum status load_last(struct run *run, struct load *l, struct error *err)
{
	CLEANUP(lists_release) struct lists s = {.l = l};

	if (l->wish.mode == LOAD_ROWS)
		return ST_OK;
	if (prepare(run, &s, err))
		return err->code;
	for (size_t i = 0; i < l->toc.entries; i++) {
		const struct toc_entry *e = &l->toc.entry[i];
		const struct restore_job job = {.entry = &i, .entries = 1, .jobs = 1, .go_on = l->q->salvage};
		CLEANUP(error_release) struct error why = ERROR_INIT;

		if (!s.late[i])
			continue;
		if (!restore_program_run(run, l, &job, &why)) {
			if (toc_is(e, "SUBSCRIPTION"))
				note_subscription(l, e);
			continue;
		}
		if (why.code == ST_CANCELLED || why.code == ST_DEADLINE)
			return error_move(err, &why);
		/* Most need a superuser; the data are complete without them. */
		notes_add(l->e->notes, "database %s: %s %s was not made: %s", l->s->target, e->desc, e->tag, error_text(&why));
	}
	return ST_OK;
}
