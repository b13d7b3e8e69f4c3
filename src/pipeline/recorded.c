/* What a driver reads of an archive besides chunks. */
#include "pipeline/load_internal.h"

struct each {
	const char *scope;
	enum status (*fn)(void *arg, const struct recorded_object *o, struct error *err);
	void *arg;
};

static enum status see_table(void *ctx, const struct archive_object *o, struct error *err)
{
	struct each *e = ctx;
	const struct recorded_object r = recorded_of(o);

	if (strcmp(o->kind, "table") || strcmp(o->scope, e->scope))
		return ST_OK;
	return e->fn(e->arg, &r, err);
}

static enum status recorded_each(void *ctx, const char *scope,
				 enum status (*fn)(void *arg, const struct recorded_object *o, struct error *err), void *arg,
				 struct error *err)
{
	struct each e = {.scope = scope, .fn = fn, .arg = arg};

	return archive_each_object(ctx, see_table, &e, err);
}

struct search {
	const char *scope, *path;
	uint32_t id;
	bool found;
};

/* Fails where it is found, which ends the walk. */
static enum status see_file(void *ctx, const struct archive_object *o, struct error *err)
{
	struct search *s = ctx;

	if (strcmp(o->kind, "file") || strcmp(o->scope, s->scope) || strcmp(o->name, s->path))
		return ST_OK;
	s->id = o->id;
	s->found = true;
	return error_set(err, ST_CANCELLED, "found");
}

static enum status recorded_file(void *ctx, const char *scope, const char *path, struct byte_sink to, struct error *err)
{
	CLEANUP(archive_object_release) struct archive_object o = {0};
	struct search s = {.scope = scope ? scope : "", .path = path};
	enum status st = archive_each_object(ctx, see_file, &s, err);

	if (!s.found && !st)
		return error_set(err, ST_NOT_FOUND, "the archive has no %s of %s", path, scope ? scope : "the server");
	if (!s.found)
		return st;
	error_release(err);
	if (archive_get_object(ctx, s.id, &o, err))
		return err->code;
	return archive_read_file(ctx, &o, to, err);
}

struct recorded load_recorded(struct archive_reader *r)
{
	return (struct recorded){.each = recorded_each, .file = recorded_file, .ctx = r};
}
