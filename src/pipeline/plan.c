/* The plan of a scope and the sinks that fill it. */
#include "pipeline/dump_internal.h"

#define RANGES_MAX 10000u

struct dump_plan *dump_plan_new(void)
{
	struct dump_plan *p = xcalloc(1, sizeof *p);

	mutex_init(&p->mutex);
	return p;
}

void dump_plan_freep(struct dump_plan **pp)
{
	struct dump_plan *p = *pp;

	if (!p)
		return;
	for (size_t i = 0; i < p->objects; i++) {
		free(p->object[i]->name);
		free(p->object[i]->path);
		free(p->object[i]->ext);
		free(p->object[i]);
	}
	free(p->object);
	free(p->unit);
	mutex_destroy(&p->mutex);
	free(p);
	*pp = NULL;
}

uint64_t dump_plan_estimate(const struct dump_plan *p)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < p->units; i++)
		sum += p->unit[i].estimated_bytes;
	return sum;
}

size_t dump_plan_units(const struct dump_plan *p) { return p->units; }
size_t dump_plan_objects(const struct dump_plan *p) { return p->objects; }
struct object_sum dump_plan_sum(const struct dump_plan *p, uint32_t object) { return p->object[object]->sum; }
const char *dump_plan_object_name(const struct dump_plan *p, uint32_t object) { return p->object[object]->name; }

void plan_add_sum(struct dump_plan *p, uint32_t object, const struct object_sum *sum)
{
	mutex_lock(&p->mutex);
	struct object_sum *to = &p->object[object]->sum;
	to->rows += sum->rows;
	to->raw += sum->raw;
	to->digest = hash128_add(to->digest, sum->digest);
	mutex_unlock(&p->mutex);
}

static int by_size(const void *a, const void *b)
{
	const struct dump_unit *x = a, *y = b;

	if (x->estimated_bytes != y->estimated_bytes)
		return x->estimated_bytes > y->estimated_bytes ? -1 : 1;
	if (x->object != y->object)
		return x->object < y->object ? -1 : 1;
	return (x->range > y->range) - (x->range < y->range);
}

void plan_sort(struct dump_plan *p)
{
	if (p->units)
		qsort(p->unit, p->units, sizeof *p->unit, by_size);
}

/* ---- sinks ---- */

static enum status register_object(struct sink_ctx *c, const struct dump_object *o, struct plan_object *to, struct error *err)
{
	CLEANUP(cstr_release) char *prefix = xasprintf("%s/data", c->folder);
	struct dump_pipeline *p = c->pipeline;

	if (!o->components)
		return error_set(err, ST_FAILED, "%s has no name for a path", o->name);
	to->path = path_set_make(p->paths, prefix, o->component, o->components);
	to->ext = xstrdup(o->ext);
	const struct archive_object_spec spec = {
		.kind = "table", .scope = c->scope, .name = o->name, .path = to->path, .ext = to->ext, .facts = o->facts};
	return archive_add_object(p->spec.writer, &spec, &to->id, err);
}

static enum status take_object(void *ctx, const struct dump_object *o, uint32_t *id, struct error *err)
{
	struct sink_ctx *c = ctx;
	struct dump_plan *plan = c->plan;
	struct plan_object *to = xcalloc(1, sizeof *to);

	if (plan->objects == plan->object_cap) {
		plan->object_cap = plan->object_cap ? plan->object_cap * 2 : 64;
		plan->object = xrealloc(plan->object, plan->object_cap * sizeof(struct plan_object *));
	}
	plan->object[plan->objects++] = to;
	to->name = xstrdup(o->name);
	*id = (uint32_t)(plan->objects - 1);
	if (o->folder)
		*o->folder = NULL;
	if (c->pipeline->spec.writer && register_object(c, o, to, err))
		return err->code;
	if (o->folder && to->path)
		*o->folder = xstrdup(to->path);
	return ST_OK;
}

static enum status take_unit(void *ctx, const struct dump_unit *u, struct error *err)
{
	struct sink_ctx *c = ctx;
	struct dump_plan *plan = c->plan;

	if (u->object >= plan->objects || u->range != plan->object[u->object]->ranges || u->range >= RANGES_MAX)
		return error_set(err, ST_FAILED, "range %" PRIu32 " of object %" PRIu32 " is out of order", u->range, u->object);
	plan->object[u->object]->ranges++;
	if (plan->units == plan->unit_cap) {
		plan->unit_cap = plan->unit_cap ? plan->unit_cap * 2 : 64;
		plan->unit = xrealloc(plan->unit, plan->unit_cap * sizeof *plan->unit);
	}
	plan->unit[plan->units++] = *u;
	return ST_OK;
}

/* An entry is registered under the path that the driver gave it, by which load_recorded finds it again. */
static enum status take_entry(void *ctx, const struct dump_entry *e, struct byte_source src, struct error *err)
{
	struct sink_ctx *c = ctx;
	struct dump_pipeline *p = c->pipeline;
	CLEANUP(cstr_release) char *path = xasprintf("%s%s%s", c->folder, *c->folder ? "/" : "", e->path);
	const struct archive_object_spec spec = {
		.kind = "file", .scope = c->scope, .name = e->path, .path = path, .facts = e->facts};

	if (!path_is_safe(path))
		return error_set(err, ST_FAILED, "\"%s\" is no path for an entry", path);
	if (run_check(p->run, err))
		return err->code;
	mutex_lock(&p->append);
	enum status st = archive_add_file(p->spec.writer, &spec, e->size, src, err);
	mutex_unlock(&p->append);
	return st;
}

/* The folder of a scope is made once, so that its objects and entries lie together. */
static struct sink_ctx *sink_of(struct dump_pipeline *p, struct dump_plan *plan, const char *scope)
{
	struct sink_ctx *c = p->sinks;

	while (c && (c->plan != plan || strcmp(c->scope, scope)))
		c = c->next;
	if (c)
		return c;
	c = xcalloc(1, sizeof *c);
	for (struct sink_ctx *old = p->sinks; old && !c->folder; old = old->next)
		if (!strcmp(old->scope, scope))
			c->folder = xstrdup(old->folder);
	if (!c->folder)
		c->folder = *scope ? path_set_make(p->paths, "db", &scope, 1) : xstrdup("");
	*c = (struct sink_ctx){.next = p->sinks, .pipeline = p, .plan = plan, .scope = xstrdup(scope), .folder = c->folder};
	p->sinks = c;
	return c;
}

const char *dump_scope_folder(struct dump_pipeline *p, const char *scope) { return sink_of(p, NULL, scope)->folder; }

void sinks_free(struct dump_pipeline *p)
{
	while (p->sinks) {
		struct sink_ctx *c = p->sinks;

		p->sinks = c->next;
		free(c->scope);
		free(c->folder);
		free(c);
	}
}

struct object_sink dump_object_sink(struct dump_pipeline *p, struct dump_plan *plan, const char *scope)
{
	return (struct object_sink){.object = take_object, .unit = take_unit, .ctx = sink_of(p, plan, scope)};
}

struct entry_sink dump_entry_sink(struct dump_pipeline *p, const char *scope)
{
	return (struct entry_sink){.entry = take_entry, .ctx = sink_of(p, NULL, scope ? scope : "")};
}
