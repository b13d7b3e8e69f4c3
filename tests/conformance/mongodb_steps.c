#include "tests/conformance/mongodb_steps.h"

#include "tests/lib/test.h"

static struct run run = RUN_INIT;

static enum status take_object(void *ctx, const struct dump_object *o, uint32_t *id, struct error *err UNUSED)
{
	struct mo_steps *t = ctx;

	CHECK(t->objects < ARRAY_LEN(t->object));
	CHECK_STR(o->ext, "bson");
	CHECK_INT(o->components, 1);
	*id = (uint32_t)t->objects;
	t->object[t->objects++] = (struct mo_kept_object){.name = xstrdup(o->name), .facts = json_deep_copy(o->facts)};
	if (o->folder)
		*o->folder = xasprintf("db/shop/data/%s", o->component[0]);
	return ST_OK;
}

static enum status take_unit(void *ctx, const struct dump_unit *u, struct error *err UNUSED)
{
	struct mo_steps *t = ctx;

	CHECK(t->units < ARRAY_LEN(t->unit));
	CHECK_INT(u->range, t->object[u->object].units);
	t->object[u->object].units++;
	t->unit[t->units++] = *u;
	return ST_OK;
}

static enum status take_entry(void *ctx, const struct dump_entry *e, struct byte_source src, struct error *err)
{
	struct mo_steps *t = ctx;
	char piece[4096];
	size_t got = 1;

	CHECK(t->files < ARRAY_LEN(t->file));
	struct mo_kept_entry *f = &t->file[t->files++];
	f->path = xstrdup(e->path);
	while (got) {
		if (src.read(src.ctx, piece, sizeof piece, &got, err))
			return err->code;
		buf_put(&f->bytes, piece, got);
	}
	CHECK_INT(f->bytes.len, e->size);
	return ST_OK;
}

static enum status take_row(struct row_sink *s, const void *p, size_t n, struct error *err UNUSED)
{
	struct mo_steps *t = (struct mo_steps *)(void *)((char *)s - offsetof(struct mo_steps, sink));
	uint32_t length;

	CHECK(n >= 5);
	memcpy(&length, p, sizeof length);
	CHECK_INT(length, n);
	buf_put(&t->at->rows, p, n);
	t->at->digest = hash128_add(t->at->digest, xxh128(p, n));
	t->at->count++;
	return ST_OK;
}

static enum status take_item(void *ctx, const struct inventory_item *i, struct error *err UNUSED)
{
	struct mo_steps *t = ctx;

	CHECK(!strchr(i->facts, '\n'));
	buf_printf(&t->items, "%s %s = %s\n", i->kind, i->name, i->facts);
	return ST_OK;
}

enum status mo_steps_open(struct mo_steps *t, struct mo_test_server *s, const char *database, struct error *err)
{
	CLEANUP(strlist_release) struct strlist wanted = STRLIST_INIT, none = STRLIST_INIT;
	const struct mo_steps set = {.s = s, .sink.row = take_row, .recorded = t->recorded, .recorded_scope = t->recorded_scope, .max_lag = t->max_lag};

	*t = set;
	if (*database)
		strlist_add(&wanted, database);
	const struct dump_request q = {.databases = &wanted, .exclude = &none, .jobs = 2, .recorded = t->recorded, .scope = &t->recorded_scope,
				       .scopes = t->recorded ? 1 : 0, .max_lag = t->max_lag};
	return mo_dump_open(&run, &s->e, &q, &t->info, &t->dump, err);
}

enum status mo_steps_begin(struct mo_steps *t, struct error *err)
{
	const struct object_sink objects = {take_object, take_unit, t};
	const struct entry_sink entries = {take_entry, t};

	if (mo_dump_entries(&run, t->dump, &entries, err) || mo_scope_begin(&run, t->dump, 0, &t->scope, &objects, &entries, err))
		return err->code;
	return mo_worker_open(&run, t->dump, &t->worker, err);
}

void mo_steps_start(struct mo_steps *t, struct mo_test_server *s, const char *database)
{
	struct error err = ERROR_INIT;

	CHECK_OK(mo_steps_open(t, s, database, &err), err);
	CHECK_OK(mo_steps_begin(t, &err), err);
}

enum status mo_steps_read(struct mo_steps *t, const char *name, struct error *err)
{
	for (size_t i = 0; i < t->units; i++) {
		t->at = &t->object[t->unit[i].object];
		if ((!name || !strcmp(t->at->name, name)) && mo_dump_unit(&run, t->worker, &t->unit[i], &t->sink, err))
			return err->code;
	}
	return ST_OK;
}

enum status mo_steps_inventory(struct mo_steps *t, struct error *err)
{
	const struct inventory_sink items = {take_item, t};

	return mo_inventory(&run, t->dump, &items, err);
}

enum status mo_steps_end(struct mo_steps *t, struct error *err)
{
	const struct entry_sink entries = {take_entry, t};

	mo_worker_close(t->worker);
	t->worker = NULL;
	return mo_scope_end(&run, t->dump, &entries, err);
}

void mo_steps_ended(struct mo_steps *t, const char *said)
{
	struct error err = ERROR_INIT;

	/* Found at once where the collection is not there to be read, else at the end. */
	if (!mo_steps_read(t, NULL, &err))
		(void)!mo_steps_end(t, &err);
	CHECK_INT(err.code, ST_SERVER);
	CHECK_HAS(error_text(&err), said);
	CHECK(err.retry);
	error_release(&err);
}

void mo_steps_all(struct mo_steps *t, struct mo_test_server *s, const char *database)
{
	struct error err = ERROR_INIT;

	mo_steps_start(t, s, database);
	CHECK_OK(mo_steps_read(t, NULL, &err), err);
	CHECK_OK(mo_steps_inventory(t, &err), err);
	CHECK_OK(mo_steps_end(t, &err), err);
	mo_dump_close(t->dump);
	t->dump = NULL;
}

void mo_steps_release(struct mo_steps *t)
{
	if (t->worker)
		mo_worker_close(t->worker);
	if (t->dump)
		mo_dump_close(t->dump);
	dump_info_release(&t->info);
	scope_info_release(&t->scope);
	for (size_t i = 0; i < t->objects; i++) {
		free(t->object[i].name);
		json_decref(t->object[i].facts);
		buf_release(&t->object[i].rows);
	}
	for (size_t i = 0; i < t->files; i++) {
		free(t->file[i].path);
		buf_release(&t->file[i].bytes);
	}
	buf_release(&t->items);
	*t = (struct mo_steps){.s = NULL};
}

struct mo_kept_object *mo_steps_object(struct mo_steps *t, const char *name)
{
	for (size_t i = 0; i < t->objects; i++)
		if (!strcmp(t->object[i].name, name))
			return &t->object[i];
	test_fail(__FILE__, __LINE__, "no object %s", name);
}

const char *mo_steps_file(const struct mo_steps *t, const char *path)
{
	for (size_t i = 0; i < t->files; i++)
		if (!strcmp(t->file[i].path, path))
			return buf_str(&t->file[i].bytes);
	test_fail(__FILE__, __LINE__, "no file %s", path);
}

bool mo_steps_has(const struct strlist *l, const char *part)
{
	for (size_t i = 0; i < l->len; i++)
		if (strstr(l->item[i], part))
			return true;
	return false;
}

static enum status each_kept(void *ctx, const char *scope, enum status (*fn)(void *arg, const struct recorded_object *o, struct error *err), void *arg,
			     struct error *err)
{
	struct mo_steps *t = ctx;

	for (uint32_t i = 0; i < t->objects; i++) {
		const struct recorded_object o = {.id = i, .scope = scope, .name = t->object[i].name, .facts = t->object[i].facts, .rows = t->object[i].count};

		if (fn(arg, &o, err))
			return err->code;
	}
	return ST_OK;
}

struct recorded mo_steps_recorded(struct mo_steps *t) { return (struct recorded){.each = each_kept, .ctx = t}; }
