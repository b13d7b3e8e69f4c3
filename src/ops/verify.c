/* verify: a real restore into a scratch server, compared with what was recorded inside the dump's own snapshot. */
#include "ops/internal.h"

struct verifying {
	struct op_env *env;
	const struct proof_request *q;
	struct proof_result *r;
	struct reading reading;
	struct tmpdir dir;
	const struct driver *driver;
	struct op_source target;     /* the scratch server; target.params may be those of q->configured */
	void *scratch;
	bool own_names;              /* scratch: URL: databases with random names, dropped at the end */
	struct endpoint endpoint;
	struct strlist scopes, names;
	struct load_name *rename;
	struct load_plan plan;
	bool private;                /* evidence gets no names */
	char run_id[7];
};

/* On a server that is not ours the databases of this run are dropped again. */
static void drop_databases(struct verifying *v)
{
	const size_t scopes = plan_databases(&v->plan);
	struct exchange_pair *pair = xcalloc(scopes, sizeof *pair);
	struct exchange_request q = {.action = EXCHANGE_DROP, .pair = pair, .run = v->run_id};
	CLEANUP(error_release) struct error e = ERROR_INIT;
	char none[] = "";
	struct run run = run_after(v->env->run, DURATION_SECONDS(60));

	/* A plan that failed has a scope without a target. */
	for (size_t i = 0; i < scopes; i++)
		if (v->plan.scope[i].target)
			pair[q.pairs++] = (struct exchange_pair){
				.name = v->plan.scope[i].target, .loaded = v->plan.scope[i].target, .aside = none};
	if (q.pairs && v->driver->exchange(&run, &v->endpoint, &q, &e))
		notes_add(v->env->notes, "databases of this verify may be left on the scratch server: %s", error_text(&e));
	free(pair);
}

static void verifying_release(struct verifying *v)
{
	if (v->own_names)
		drop_databases(v);
	if (v->scratch)
		v->driver->scratch_stop(v->scratch);
	load_plan_release(&v->plan);
	strlist_release(&v->scopes);
	strlist_release(&v->names);
	free(v->rename);
	if (v->q->configured && v->target.params == v->q->configured->params)
		v->target.params = NULL;
	if (v->target.driver)
		op_source_release(&v->target);
	reading_release(&v->reading);
	tmpdir_release(&v->dir);
}

/* What the source says about programs and TLS holds for its scratch server, too; its user and password do not. */
static enum status take_settings(struct verifying *v, struct error *err)
{
	const struct op_source *s = v->q->configured;
	struct op_source *t = &v->target;

	t->driver = v->driver;
	if (settings_defaults(source_rows, &t->s, err))
		return err->code;
	if (s && s->driver == v->driver) {
		t->params = s->params;
		t->s.tls = s->s.tls;
		cstr_release(&t->s.tls_ca);
		t->s.tls_ca = s->s.tls_ca ? xstrdup(s->s.tls_ca) : NULL;
		return ST_OK;
	}
	t->params = xcalloc(1, v->driver->params_size);
	return settings_defaults(v->driver->settings, t->params, err);
}

static enum status start_scratch(struct verifying *v, struct error *err)
{
	const struct op_source *s = v->q->configured;
	const struct manifest *m = &v->reading.backup->manifest;
	struct scratch_spec spec = {
		.dir = s && s->s.scratch_dir ? s->s.scratch_dir : "/var/tmp",
		.user = s ? s->s.scratch_user : NULL,
		.version = m->server_version,
		.room_needed = m->raw * 2 + (256u << 20),
	};

	if (take_settings(v, err))
		return err->code;
	v->target.name = xstrdup("scratch");
	if (s && s->s.scratch) {
		v->target.url = xstrdup(s->s.scratch);
		v->target.password = secret_copy(&s->scratch_password);
		v->own_names = true;
		return ST_OK;
	}
	if (!(v->driver->caps & DRIVER_SCRATCH)) {
		error_set(err, ST_UNSUPPORTED, "%s has no scratch server", v->driver->name);
		return error_hint(err, "Write `scratch: URL` of a server for this purpose into the source.");
	}
	return v->driver->scratch_start(v->env->run, &spec, &v->target.url, &v->scratch, err);
}

/* Names on a server that is not ours carry the run, so that they meet nothing. */
static void choose_names(struct verifying *v)
{
	const struct manifest *m = &v->reading.backup->manifest;

	v->rename = xcalloc(m->scopes, sizeof *v->rename);
	for (size_t i = 0; i < m->scopes; i++) {
		if (m->scope[i].log)
			continue;
		strlist_add(&v->scopes, m->scope[i].name);
		strlist_take(&v->names, xasprintf("drtool_verify_%s_%zu", v->run_id, i));
		v->rename[v->scopes.len - 1] = (struct load_name){v->scopes.item[v->scopes.len - 1], v->names.item[v->names.len - 1]};
	}
}

static enum status compare(struct verifying *v, struct error *err)
{
	const size_t scopes = plan_databases(&v->plan);
	struct recorded_scope *scope = xcalloc(scopes, sizeof *scope);

	for (size_t i = 0; i < scopes; i++)
		scope[i] = (struct recorded_scope){v->plan.scope[i].scope, v->plan.scope[i].target};
	const struct comparison what = {.target = &v->target, .reading = &v->reading, .scope = scope, .scopes = scopes};
	enum status st = compare_with_archive(v->env, &what, v->r, err);
	free(scope);
	return st;
}

/* What the log changes then is not in the digests. */
static enum status before_log(void *ctx, struct error *err)
{
	return compare(ctx, err);
}

static enum status load(struct verifying *v, struct error *err)
{
	struct recorded recorded = load_recorded(v->reading.reader);
	struct strlist none = STRLIST_INIT;
	const struct budget_use use = reading_use(&v->reading, true);
	struct budget b;

	if (budget_of(v->env, &use, &b, err))
		return err->code;
	struct load_request q = {
		.recorded = &recorded,
		.archive_version = v->reading.backup->manifest.server_version,
		.scopes = &v->scopes,
		.tables = &none,
		.exclude_tables = &none,
		.rename = v->rename,
		.renames = v->own_names ? v->scopes.len : 0,
		.run = v->run_id,
		.scratch = true,
		.users = LOAD_USERS_MISSING,
		.jobs = b.jobs,
	};
	if (v->driver->load_plan(v->env->run, &v->endpoint, &q, &v->plan, err))
		return err->code;
	if (v->plan.refusals.len)
		return error_set(err, ST_UNSUPPORTED, "%s", v->plan.refusals.item[0]);
	struct loading l = {
		.env = v->env,
		.target = &v->target,
		.endpoint = &v->endpoint,
		.reader = v->reading.reader,
		.use = use,
		.request = &q,
		.plan = &v->plan,
		.before_log = before_log,
		.before_log_ctx = v,
		.table = &(struct buf)BUF_INIT,
		.sum = xcalloc(v->plan.scopes, sizeof *l.sum),
	};
	enum status st = loading_run(&l, err);
	free(l.sum);
	buf_release(l.table);
	return st;
}

/* Queries of the configuration: asked in each database, or as "DATABASE: query" in one. */
static enum status assertions(struct verifying *v, struct error *err)
{
	const struct op_source *s = v->q->configured;

	for (size_t i = 0; s && i < s->s.assertion.len; i++)
		for (size_t k = 0; k < plan_databases(&v->plan); k++) {
			CLEANUP(cstr_release) char *answer = NULL;
			bool holds = false;

			if (v->driver->assert_query(v->env->run, &v->endpoint, v->plan.scope[k].target, s->s.assertion.item[i], &holds, &answer, err))
				return error_add(err, "assert %s", s->s.assertion.item[i]);
			if (!holds)
				proof_difference(v->r, "assert %s: the answer is %s", s->s.assertion.item[i], answer ? answer : "nothing");
		}
	return ST_OK;
}

static enum status prove(struct verifying *v, struct error *err)
{
	v->driver = driver_named(v->reading.backup->manifest.driver);
	if (!v->driver)
		return error_set(err, ST_UNSUPPORTED, "this drtool was built without a driver for %s", v->reading.backup->manifest.driver);
	if (reading_archive(v->env, &v->reading, err) || tmpdir_make(&v->dir, "drtool", err) || start_scratch(v, err))
		return err->code;
	choose_names(v);
	v->endpoint = endpoint_of(v->env, &v->target, &v->dir);
	if (load(v, err) || failpoint("verify.loaded", err) || (!plan_has_log(&v->plan) && compare(v, err)) || assertions(v, err))
		return err->code;
	if (v->r->difference_count)
		return error_set(err, ST_BAD, "the restored copy differs from the source in %" PRIu64 " places, first: %s", v->r->difference_count, v->r->differences.item[0]);
	v->r->level = v->r->by_name ? PROOF_READ : PROOF_COMPARED;
	return ST_OK;
}

/* What the loading told: rows that have no parent, objects that could not be made. */
static json_t *notes_json(struct notes *notes)
{
	CLEANUP(strlist_release) struct strlist all = STRLIST_INIT;

	notes_copy(notes, &all);
	return js_list(&all);
}

static void record(struct verifying *v, struct instant began, const struct error *cause)
{
	CLEANUP(error_release) struct error e = ERROR_INIT;
	CLEANUP(js_decref) json_t *detail = json_object();
	struct evidence ev = {
		.kind = "verify",
		.source = v->q->source,
		.backup = v->r->backup,
		.outcome = !cause->code ? EVIDENCE_GOOD : cause->code == ST_BAD ? EVIDENCE_BAD : EVIDENCE_INCONCLUSIVE,
		.level = v->r->level,
		.started = began,
		.finished = run_now(v->env->run),
		.cause = cause->code ? evidence_cause(v->private, cause) : NULL,
		.detail = detail,
	};

	js_set_u64(detail, "tables", v->r->tables);
	js_set_u64(detail, "rows", v->r->rows);
	js_set_u64(detail, "raw_bytes", v->r->bytes);
	js_set_u64(detail, "took_ms", (uint64_t)v->r->took.us / 1000);
	js_set_u64(detail, "differences", v->r->difference_count);
	if (!v->private)
		js_set_new(detail, "notes", notes_json(v->env->notes));
	js_set_str(detail, "opened_with", reading_key(&v->reading));
	if (evidence_write(v->env->run, v->reading.stores.open[0], &ev, &e))
		notes_add(v->env->notes, "no evidence was written: %s", error_text(&e));
}

enum status op_verify(struct op_env *env, const struct proof_request *q, struct proof_result *r, struct error *err)
{
	CLEANUP(verifying_release) struct verifying v = {.env = env, .q = q, .r = r};
	struct reading_spec spec = {.from = &q->from, .stores = 1, .source = q->source, .which = q->which, .doubt = true};
	struct instant start = run_mono(env->run), began = run_now(env->run);

	run_random_hex(env->run, v.run_id, 6);
	if (reading_open(env, &spec, &v.reading, err))
		return err->code;
	memcpy(r->backup, v.reading.backup->manifest.id, sizeof r->backup);
	r->level = PROOF_STORED;
	v.private = v.reading.backup->manifest.hidden;
	enum status st = prove(&v, err);
	r->took = instant_diff(run_mono(env->run), start);
	if (st != ST_CANCELLED)
		record(&v, began, err);
	if (st && st != ST_BAD && st != ST_CANCELLED)
		return error_add(err, "backup %s of %s could not be verified", r->backup, q->source);
	return st ? error_add(err, "backup %s of %s", r->backup, q->source) : ST_OK;
}
