#include "tests/conformance/mysql_steps.h"

#include "drivers/mysql/session.h"
#include "tests/lib/test.h"

extern const struct driver driver_mysql;

static struct run run = RUN_INIT;
static const struct driver *const d = &driver_mysql;

static enum status take_object(void *ctx, const struct dump_object *o, uint32_t *id, struct error *err)
{
	struct steps *t = ctx;

	(void)err;
	CHECK(t->objects < ARRAY_LEN(t->object));
	*id = (uint32_t)t->objects;
	t->object[t->objects++] = (struct kept_object){.name = xstrdup(o->name), .facts = json_deep_copy(o->facts)};
	if (o->folder)
		*o->folder = xasprintf("db/shop/data/%s", o->name);
	return ST_OK;
}

static enum status take_unit(void *ctx, const struct dump_unit *u, struct error *err)
{
	struct steps *t = ctx;

	(void)err;
	CHECK(t->units < ARRAY_LEN(t->unit));
	CHECK_INT(u->range, t->object[u->object].units);
	t->object[u->object].units++;
	t->unit[t->units++] = *u;
	return ST_OK;
}

static enum status take_entry(void *ctx, const struct dump_entry *e, struct byte_source src, struct error *err)
{
	struct steps *t = ctx;
	char piece[4096];
	size_t got = 1;

	CHECK(t->files < ARRAY_LEN(t->file));
	struct kept_entry *f = &t->file[t->files++];
	f->path = xstrdup(e->path);
	while (got) {
		if (src.read(src.ctx, piece, sizeof piece, &got, err))
			return err->code;
		buf_put(&f->bytes, piece, got);
	}
	CHECK_INT(f->bytes.len, e->size);
	return ST_OK;
}

static enum status take_row(struct row_sink *s, const void *p, size_t n, struct error *err)
{
	struct steps *t = (struct steps *)(void *)((char *)s - offsetof(struct steps, sink));

	(void)err;
	CHECK(((const char *)p)[n - 1] == '\n');
	buf_put(&t->at->rows, p, n);
	t->at->count++;
	return ST_OK;
}

enum status steps_open(struct steps *t, struct my_test_server *s, const char *database, struct error *err)
{
	struct strlist wanted = STRLIST_INIT, none = STRLIST_INIT;
	const struct recorded *recorded = t->recorded;
	struct recorded_scope scope = t->recorded_scope;

	memset(t, 0, sizeof *t);
	t->s = s;
	t->sink.row = take_row;
	t->recorded = recorded;
	t->recorded_scope = scope;
	strlist_add(&wanted, database);
	const struct dump_request q = {.databases = &wanted, .exclude = &none, .jobs = 2, .recorded = recorded, .scope = &t->recorded_scope,
				       .scopes = recorded ? 1 : 0};
	enum status st = d->dump_open(&run, &s->e, &q, &t->info, &t->dump, err);
	strlist_release(&wanted);
	return st;
}

enum status steps_begin(struct steps *t, struct error *err)
{
	const struct object_sink objects = {take_object, take_unit, t};
	const struct entry_sink entries = {take_entry, t};

	if (d->dump_entries(&run, t->dump, &entries, err) || d->scope_begin(&run, t->dump, 0, &t->scope, &objects, &entries, err))
		return err->code;
	return d->worker_open(&run, t->dump, &t->worker, err);
}

void steps_start(struct steps *t, struct my_test_server *s, const char *database)
{
	struct error err = ERROR_INIT;

	CHECK_OK(steps_open(t, s, database, &err), err);
	CHECK_OK(steps_begin(t, &err), err);
}

enum status steps_read(struct steps *t, const char *name, struct error *err)
{
	for (size_t i = 0; i < t->units; i++) {
		t->at = &t->object[t->unit[i].object];
		if ((!name || !strcmp(t->at->name, name)) && d->dump_unit(&run, t->worker, &t->unit[i], &t->sink, err))
			return err->code;
	}
	return ST_OK;
}

enum status steps_end(struct steps *t, struct error *err)
{
	const struct entry_sink entries = {take_entry, t};

	d->worker_close(t->worker);
	t->worker = NULL;
	return d->scope_end(&run, t->dump, &entries, err);
}

struct kept_object *steps_object(struct steps *t, const char *name)
{
	for (size_t i = 0; i < t->objects; i++)
		if (!strcmp(t->object[i].name, name))
			return &t->object[i];
	test_fail(__FILE__, __LINE__, "no object %s", name);
}

const char *steps_file(const struct steps *t, const char *path)
{
	for (size_t i = 0; i < t->files; i++)
		if (!strcmp(t->file[i].path, path))
			return buf_str(&t->file[i].bytes);
	test_fail(__FILE__, __LINE__, "no file %s", path);
}

void steps_release(struct steps *t)
{
	if (t->worker)
		d->worker_close(t->worker);
	if (t->dump)
		d->dump_close(t->dump);
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
	memset(t, 0, sizeof *t);
}

void steps_all(struct steps *t, struct my_test_server *s, const char *database)
{
	struct error err = ERROR_INIT;

	steps_start(t, s, database);
	CHECK_OK(steps_read(t, NULL, &err), err);
	CHECK_OK(steps_end(t, &err), err);
	d->dump_close(t->dump);
	t->dump = NULL;
}

bool has_note(const struct my_test_server *s, const char *part)
{
	CLEANUP(strlist_release) struct strlist l = STRLIST_INIT;
	bool found = false;

	notes_copy(s->notes, &l);
	for (size_t i = 0; i < l.len; i++)
		found = found || strstr(l.item[i], part);
	return found;
}

bool has_part(const struct strlist *l, const char *part)
{
	for (size_t i = 0; i < l->len; i++)
		if (strstr(l->item[i], part))
			return true;
	return false;
}

void sql_lines(struct my_test_server *s, const char *database, const char *text)
{
	struct error err = ERROR_INIT;
	CLEANUP(my_conn_freep) struct my_conn *c = NULL;

	CHECK_OK(my_session_open_load(&run, &s->e, database, &c, &err), err);
	for (const char *end; (end = strstr(text, ";;")); text = end + 2) {
		CLEANUP(cstr_release) char *one = xstrndup(text, (size_t)(end - text));

		CHECK_OK(my_conn_command(&run, c, one, &err), err);
	}
}

struct hash128 steps_digest(const struct kept_object *o)
{
	struct hash128 sum = {0, 0};

	for (const char *p = buf_str(&o->rows), *end; (end = strchr(p, '\n')); p = end + 1)
		sum = hash128_add(sum, xxh128(p, (size_t)(end + 1 - p)));
	return sum;
}
