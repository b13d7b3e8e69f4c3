/* Reading back: inventory, rows and digests of what is on a server, against what the archive recorded. */
#include "ops/internal.h"

#define DIFFERENCES_SHOWN 100

void proof_difference(struct proof_result *r, const char *fmt, ...)
{
	va_list ap;

	r->difference_count++;
	if (r->differences.len >= DIFFERENCES_SHOWN)
		return;
	va_start(ap, fmt);
	strlist_take(&r->differences, xvasprintf(fmt, ap));
	va_end(ap);
}

struct digesting {
	struct op_env *env;
	const struct driver *driver;
	struct archive_reader *reader;
	struct proof_result *result;
	struct dump_pipeline *pipeline;
	struct dump_info info;
	void *dump;
};

static void digesting_release(struct digesting *d)
{
	dump_pipeline_freep(&d->pipeline);
	if (d->dump)
		d->driver->dump_close(d->dump);
	dump_info_release(&d->info);
}

/* Objects of the plan, by name. */
struct named {
	const char *name;
	uint32_t object;
};

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct named *)a)->name, ((const struct named *)b)->name);
}

struct matching {
	struct digesting *d;
	const char *scope;
	const struct dump_plan *plan;
	struct named *named;
	size_t n;
};

static enum status match_object(void *ctx, const struct archive_object *o, struct error *err)
{
	struct matching *m = ctx;
	struct named wanted = {.name = o->name};

	(void)err;
	if (strcmp(o->kind, "table") || strcmp(o->scope, m->scope))
		return ST_OK;
	const struct named *found = m->n ? bsearch(&wanted, m->named, m->n, sizeof *m->named, by_name) : NULL;
	if (!found) {
		proof_difference(m->d->result, "%s: could not be read back", o->name);
		return ST_OK;
	}
	struct object_sum now = dump_plan_sum(m->plan, found->object);
	m->d->result->tables++;
	m->d->result->rows += now.rows;
	m->d->result->bytes += now.raw;
	if (now.rows != o->rows)
		proof_difference(m->d->result, "%s: %" PRIu64 " rows, the backup has %" PRIu64, o->name, now.rows, o->rows);
	else if (!hash128_equal(now.digest, o->digest))
		proof_difference(m->d->result, "%s: the digest of its %" PRIu64 " rows differs", o->name, now.rows);
	return ST_OK;
}

static enum status match_all(struct digesting *d, const char *scope, const struct dump_plan *plan, struct error *err)
{
	struct matching m = {.d = d, .scope = scope, .plan = plan, .n = dump_plan_objects(plan)};

	m.named = xcalloc(m.n, sizeof *m.named);
	for (size_t i = 0; i < m.n; i++)
		m.named[i] = (struct named){dump_plan_object_name(plan, (uint32_t)i), (uint32_t)i};
	if (m.n)
		qsort(m.named, m.n, sizeof *m.named, by_name);
	enum status st = archive_each_object(d->reader, match_object, &m, err);
	free(m.named);
	return st;
}

static enum status compare_inventory(struct digesting *d, const struct recorded *rec, const char *scope, const char *spool_dir, struct error *err)
{
	CLEANUP(spool_freep) struct spool *s = spool_new(spool_dir, 2u << 20);
	const struct inventory_side now = {d->driver, d->dump, d->info.not_compared};

	if (rec->file(rec->ctx, scope, INVENTORY_PATH, spool_sink(s), err))
		return error_add(err, "recorded inventory");
	return inventory_compare(d->env->run, &now, s, d->result, err);
}

static enum status no_entry(void *ctx, const struct dump_entry *e, struct byte_source src, struct error *err)
{
	(void)ctx;
	(void)src;
	return error_set(err, ST_FAILED, "entry %s in a digest", e->path);
}

static enum status compare_scope(struct digesting *d, const struct recorded *rec, const struct recorded_scope *scope, size_t i, struct error *err)
{
	CLEANUP(dump_plan_freep) struct dump_plan *plan = dump_plan_new();
	CLEANUP(scope_info_release) struct scope_info info = {0};
	CLEANUP(tmpdir_release) struct tmpdir dir = TMPDIR_INIT;
	struct object_sink objects = dump_object_sink(d->pipeline, plan, scope->name);
	struct entry_sink entries = {.entry = no_entry};
	struct opened_dump opened = {d->driver, d->dump};
	struct dump_calls calls = dump_calls_of(&opened);

	if (tmpdir_make(&dir, "drtool", err) || d->driver->scope_begin(d->env->run, d->dump, i, &info, &objects, &entries, err) ||
	    dump_pipeline_run(d->pipeline, plan, &calls, err) || match_all(d, scope->name, plan, err) ||
	    compare_inventory(d, rec, scope->name, dir.path, err))
		return err->code;
	return d->driver->scope_end(d->env->run, d->dump, &entries, err);
}

static bool same_major(const char *a, const char *b)
{
	size_t n = strcspn(a, ".");

	return n == strcspn(b, ".") && !strncmp(a, b, n);
}

static enum status add_raw(void *ctx, const struct archive_object *o, struct error *err)
{
	uint64_t *sum = ctx;

	(void)err;
	if (!strcmp(o->kind, "table"))
		*sum += o->raw;
	return ST_OK;
}

enum status compare_with_archive(struct op_env *env, const struct comparison *what, struct proof_result *r, struct error *err)
{
	const struct op_source *target = what->target;
	const struct reading *reading = what->reading;
	struct archive_reader *reader = reading->reader;
	CLEANUP(digesting_release) struct digesting d = {.env = env, .driver = target->driver, .reader = reader, .result = r};
	CLEANUP(tmpdir_release) struct tmpdir dir = TMPDIR_INIT;
	const struct budget_use use = reading_use(reading, false);
	struct budget budget;

	if (tmpdir_make(&dir, "drtool", err) || budget_of(env, &use, &budget, err))
		return err->code;
	struct endpoint e = endpoint_of(env, target, &dir);
	struct recorded rec = load_recorded(reader);
	struct dump_request q = {.jobs = budget.jobs, .recorded = &rec, .scope = what->scope, .scopes = what->scopes,
				 .restored = what->restored, .no_owner = what->no_owner};
	struct dump_pipeline_spec spec = {.budget = &budget, .chunk_size = archive_chunk_size(reader), .progress = env->progress};

	uint64_t raw = 0;
	if (archive_each_object(reader, add_raw, &raw, err))
		return err->code;
	atomic_store(&env->progress->done, 0);
	atomic_store(&env->progress->total, raw);
	atomic_store(&env->progress->phase, "compare");
	if (target->driver->dump_open(env->run, &e, &q, &d.info, &d.dump, err) || dump_pipeline_new(env->run, &spec, &d.pipeline, err))
		return err->code;
	r->by_name = !same_major(d.info.version, reading->backup->manifest.server_version);
	if (r->by_name)
		notes_add(env->notes, "the backup is of version %s and this server has %s: rows are compared in full, definitions by name only",
			  reading->backup->manifest.server_version, d.info.version);
	for (size_t i = 0; i < what->scopes; i++)
		if (compare_scope(&d, &rec, &what->scope[i], i, err))
			return error_add(err, "reading back %s", what->scope[i].database);
	return ST_OK;
}
