/* Restore: plan, preflight, load beside, read back, exchange. Nothing is destroyed before its replacement is complete. */
#include "ops/internal.h"
#include "ops/names.h"

#define KEPT_BYTES (4u << 20)

struct restoring {
	struct op_env *env;
	const struct restore_request *q;
	struct restore_result *r;
	struct reading reading;
	struct tmpdir dir;
	struct endpoint endpoint;
	struct recorded recorded;
	struct journal *journal;
	struct journal_head head;
	struct strlist scopes, tables, exclude, texts; /* texts: the two halves of each rename */
	struct load_name *rename;
	struct load_request request;
	struct load_plan plan;
	struct load_sum *sum; /* one for each scope of the plan */
	bool private;         /* evidence gets no names */
	bool loaded;          /* by the run that is resumed, all of it */
};

static void restoring_release(struct restoring *x)
{
	load_plan_release(&x->plan);
	journal_freep(&x->journal);
	journal_head_release(&x->head);
	strlist_release(&x->scopes);
	strlist_release(&x->tables);
	strlist_release(&x->exclude);
	strlist_release(&x->texts);
	free(x->rename);
	free(x->sum);
	reading_release(&x->reading);
	tmpdir_release(&x->dir);
}

/* ---- which databases and tables ---- */

struct table_flag {
	const char *flag;
	const struct strlist *names;
	struct strlist *to;
};

static bool has_scope(const struct manifest *m, const char *name)
{
	for (size_t i = 0; i < m->scopes; i++)
		if (!m->scope[i].log && !strcmp(m->scope[i].name, name))
			return true;
	return false;
}

/* Whether a name begins with its database. own: parts of a name inside a database; where such a name may have dots itself, the first part is a
 * database where the backup has it. */
static enum status begins_with_database(const struct restoring *x, const struct table_flag *f, const char *name, bool *begins, struct error *err)
{
	const struct driver *d = x->q->target->driver;
	const unsigned own = d->object_parts;
	size_t parts = name_parts(name);
	CLEANUP(cstr_release) char *first = name_first_part(name);

	*begins = parts > own && (!d->dotted_names || has_scope(&x->reading.backup->manifest, first));
	if (parts >= own && (parts <= own + 1 || d->dotted_names))
		return ST_OK;
	return error_set(err, ST_USAGE, "%s %s: [DATABASE.]%sTABLE is wanted", f->flag, name, own > 1 ? "SCHEMA." : "");
}

/* A table named with its database restricts the request to it. */
static enum status take_tables(const struct restoring *x, const struct table_flag *f, struct strlist *databases, struct error *err)
{
	for (size_t i = 0; i < f->names->len; i++) {
		const char *name = f->names->item[i];
		bool begins;

		if (begins_with_database(x, f, name, &begins, err))
			return err->code;
		if (begins) {
			CLEANUP(cstr_release) char *database = name_first_part(name);

			strlist_add_once(databases, database);
			name = name_after_first_part(name);
		}
		strlist_add(f->to, name);
	}
	return ST_OK;
}

/* By pattern, or by a name that has characters of patterns. */
static bool is_among(const struct strlist *databases, const char *name)
{
	return strlist_has(databases, name) || strlist_matches(databases, name);
}

static enum status take_scopes(struct restoring *x, const struct strlist *databases, struct error *err)
{
	const struct manifest *m = &x->reading.backup->manifest;
	CLEANUP(buf_release) struct buf known = BUF_INIT;

	for (size_t i = 0; i < m->scopes; i++) {
		if (m->scope[i].log)
			continue;
		buf_printf(&known, "%s%s", known.len ? ", " : "", m->scope[i].name);
		if (!databases->len || is_among(databases, m->scope[i].name))
			strlist_add(&x->scopes, m->scope[i].name);
	}
	for (size_t i = 0; i < databases->len; i++) {
		const struct strlist one = {.item = &databases->item[i], .len = 1};
		bool found = false;

		for (size_t k = 0; k < m->scopes && !found; k++)
			found = !m->scope[k].log && is_among(&one, m->scope[k].name);
		if (!found)
			return error_set(err, ST_NOT_FOUND, "backup %s has no database %s; it has: %s", m->id, databases->item[i], buf_str(&known));
	}
	if (!x->scopes.len)
		return error_set(err, ST_NOT_FOUND, "backup %s has no database", m->id);
	if ((x->tables.len || x->exclude.len) && x->scopes.len > 1) {
		error_set(err, ST_USAGE, "the backup has several databases: %s", buf_str(&known));
		return error_hint(err, "Write the table as DATABASE.%sTABLE, or choose one with --database.",
				  x->q->target->driver->object_parts > 1 ? "SCHEMA." : "");
	}
	if (x->q->into_database && x->scopes.len > 1)
		return error_set(err, ST_USAGE, "--into names one database, but %zu are to be restored: choose one with --database", x->scopes.len);
	return ST_OK;
}

static enum status take_names(struct restoring *x, struct error *err)
{
	const struct restore_request *q = x->q;
	CLEANUP(strlist_release) struct strlist databases = STRLIST_INIT;

	for (size_t i = 0; i < q->databases->len; i++)
		strlist_add(&databases, q->databases->item[i]);
	const struct table_flag only = {"--table", q->tables, &x->tables}, without = {"--exclude-table", q->exclude_tables, &x->exclude};

	if (take_tables(x, &only, &databases, err) || take_tables(x, &without, &databases, err) || take_scopes(x, &databases, err))
		return err->code;
	x->rename = xcalloc(q->renames->len, sizeof *x->rename);
	for (size_t i = 0; i < q->renames->len; i++) {
		char *from = NULL, *to = NULL;

		if (name_pair(q->renames->item[i], &from, &to, err))
			return err->code;
		strlist_take(&x->texts, from);
		strlist_take(&x->texts, to);
		x->rename[i] = (struct load_name){from, to};
	}
	return ST_OK;
}

/* ---- the journal keeps the request, so that --resume and exchange need nothing else ---- */

static char *arguments_text(const struct restore_request *q)
{
	CLEANUP(js_decref) json_t *j = json_object();
	CLEANUP(buf_release) struct buf text = BUF_INIT;

	js_set_new(j, "databases", js_list(q->databases));
	js_set_new(j, "tables", js_list(q->tables));
	js_set_new(j, "exclude_tables", js_list(q->exclude_tables));
	js_set_new(j, "renames", js_list(q->renames));
	js_set_bool(j, "in_place", q->in_place);
	js_set_bool(j, "data_only", q->data_only);
	js_set_bool(j, "no_owner", q->no_owner);
	js_set_bool(j, "clean", q->clean);
	js_set_bool(j, "salvage", q->salvage);
	js_set_u64(j, "users", (uint64_t)q->users);
	if (q->into_database)
		js_set_str(j, "into_database", q->into_database);
	js_write(j, false, &text);
	return buf_detach(&text);
}

/* A resumed restore must ask for the same as the first one did. */
static enum status resume(struct restoring *x, struct error *err)
{
	CLEANUP(cstr_release) char *now = arguments_text(x->q);

	if (journal_open(x->env, x->q->source, x->q->resume_run, &x->journal, &x->head, err))
		return err->code;
	if (strcmp(x->head.source, x->q->source) || strcmp(x->head.arguments, now) || strcmp(x->head.url, x->q->target->url)) {
		error_set(err, ST_USAGE, "restore %s was asked for with other options or another target (%s)", x->head.run, x->head.url);
		return error_hint(err, "Repeat the options of the first command together with --resume=%s.", x->head.run);
	}
	return ST_OK;
}

static enum status write_plan(struct restoring *x, struct error *err)
{
	if (x->plan.unlogged && journal_write(x->journal, JOURNAL_UNLOGGED, "", NULL, err))
		return err->code;
	return journal_write_targets(x->journal, &x->plan, err);
}

static enum status begin_journal(struct restoring *x, struct error *err)
{
	if (x->journal)
		return x->loaded ? ST_OK : write_plan(x, err);
	memcpy(x->head.run, x->r->run, sizeof x->head.run);
	x->head.source = xstrdup(x->q->source);
	x->head.backup = xstrdup(x->r->backup);
	x->head.driver = xstrdup(x->q->target->driver->name);
	x->head.url = xstrdup(x->q->target->url);
	x->head.store = xstrdup(x->reading.stores.open[0]->name);
	x->head.arguments = arguments_text(x->q);
	if (journal_begin(x->env, &x->head, &x->journal, err))
		return err->code;
	return write_plan(x, err);
}

/* ---- plan ---- */

static void print_plan(struct restoring *x)
{
	struct buf *t = &x->r->text;
	const struct load_plan *p = &x->plan;

	if (x->loaded)
		buf_printf(t, "run %s has loaded backup %s of %s; what is left is to compare and to put in place what was asked for\n",
			   x->r->run, x->r->backup, x->q->source);
	else
		buf_printf(t, "restore backup %s of %s into server %s (%s)\n", x->r->backup, x->q->source, p->identity, p->version);
	for (size_t i = 0; i < plan_databases(p); i++)
		buf_printf(t, "database %s -> %s%s\n", p->scope[i].scope, p->scope[i].target, p->scope[i].create ? " (new)" : "");
	for (size_t i = 0; i < p->steps.len; i++)
		buf_printf(t, "  %s\n", p->steps.item[i]);
	for (size_t i = 0; i < p->dropped.len; i++)
		buf_printf(t, "DROPS %s\n", p->dropped.item[i]);
	if (p->room_needed)
		buf_printf(t, "room: about %" PRIu64 " MiB needed, %" PRIu64 " MiB free\n", p->room_needed >> 20, p->room_free >> 20);
	for (size_t i = 0; i < p->warnings.len; i++)
		buf_printf(t, "warning: %s\n", p->warnings.item[i]);
	for (size_t i = 0; i < p->refusals.len; i++)
		buf_printf(t, "REFUSED: %s\n", p->refusals.item[i]);
	if (p->confirm)
		buf_printf(t, "to do this, add: --confirm '%s'\n", p->confirm);
}

static enum status check_plan(struct restoring *x, struct error *err)
{
	const struct load_plan *p = &x->plan;

	if (p->refusals.len) {
		error_set(err, ST_REFUSED, "%s", p->refusals.item[0]);
		if (p->refusals.len > 1)
			error_hint(err, "That is not the only reason (%zu more): --dry-run shows all.", p->refusals.len - 1);
		return err->code;
	}
	if (p->confirm && (!x->q->confirm || strcmp(p->confirm, x->q->confirm))) {
		error_set(err, ST_REFUSED, "%s", x->q->confirm ? "--confirm names something else" : "this needs --confirm");
		return error_hint(err, "Look at --dry-run first; then repeat with: --confirm '%s'", p->confirm);
	}
	for (size_t i = 0; i < p->warnings.len; i++)
		notes_add(x->env->notes, "%s", p->warnings.item[i]);
	return ST_OK;
}

static enum status open_archive(struct restoring *x, struct error *err)
{
	const struct restore_request *q = x->q;
	struct reading_spec spec = {
		.from = q->from,
		.stores = q->stores,
		.source = q->source,
		.which = x->journal ? x->head.backup : q->which,
		.tags = q->tags,
	};

	if (reading_open(x->env, &spec, &x->reading, err))
		return err->code;
	x->private = x->reading.backup->manifest.hidden;
	if (reading_archive(x->env, &x->reading, err))
		return err->code;
	x->reading.kept = kept_new(KEPT_BYTES);
	x->reading.keep = true;
	const struct manifest *m = &x->reading.backup->manifest;
	memcpy(x->r->backup, m->id, sizeof x->r->backup);
	if (strcmp(m->driver, q->target->driver->name))
		return error_set(err, ST_USAGE, "backup %s is of %s, the target is %s", m->id, m->driver, q->target->driver->name);
	if (x->reading.backup->bad && !q->salvage) {
		error_set(err, ST_BAD, "backup %s is known to be bad: %s", m->id, x->reading.backup->bad_because);
		return error_hint(err, "Choose another with --backup, or take what is intact into a new database with --salvage.");
	}
	return ST_OK;
}

static enum status make_plan(struct restoring *x, struct error *err)
{
	const struct restore_request *q = x->q;

	x->endpoint = endpoint_of(x->env, q->target, &x->dir);
	x->recorded = load_recorded(x->reading.reader);
	x->request = (struct load_request){
		.recorded = &x->recorded,
		.archive_version = x->reading.backup->manifest.server_version,
		.scopes = &x->scopes,
		.tables = &x->tables,
		.exclude_tables = &x->exclude,
		.rename = x->rename,
		.renames = q->renames->len,
		.run = x->r->run,
		.into_database = q->into_database,
		.in_place = q->in_place,
		.clean = q->clean,
		.data_only = q->data_only,
		.no_owner = q->no_owner,
		.salvage = q->salvage,
		.users = (enum load_users)q->users,
		.resumed = x->journal != NULL,
	};
	const struct budget_use use = reading_use(&x->reading, true);
	struct budget b;
	if (budget_of(x->env, &use, &b, err))
		return err->code;
	x->request.jobs = b.jobs;
	/* The driver has taken its marks away when all is loaded, so that only the journal knows these databases as this run's. */
	x->loaded = journal_take_targets(x->journal, &x->scopes, &x->plan);
	x->plan.unlogged = x->loaded && journal_has(x->journal, JOURNAL_UNLOGGED, "");
	if (x->loaded)
		return ST_OK;
	return q->target->driver->load_plan(x->env->run, &x->endpoint, &x->request, &x->plan, err);
}

/* ---- after the load ---- */

static enum status compare(struct restoring *x, struct error *err)
{
	const size_t scopes = plan_databases(&x->plan);
	struct recorded_scope *scope = xcalloc(scopes, sizeof *scope);
	CLEANUP(proof_result_release) struct proof_result p = {0};
	struct instant t = run_mono(x->env->run);

	for (size_t i = 0; i < scopes; i++)
		scope[i] = (struct recorded_scope){x->plan.scope[i].scope, x->plan.scope[i].target};
	const struct comparison what = {x->q->target, &x->reading, scope, scopes, true, x->q->no_owner};
	enum status st = compare_with_archive(x->env, &what, &p, err);
	free(scope);
	x->r->compare_time = instant_diff(run_mono(x->env->run), t);
	if (st)
		return error_add(err, "all is loaded, but it could not be read back");
	for (size_t i = 0; i < p.differences.len; i++)
		buf_printf(&x->r->text, "  %s\n", p.differences.item[i]);
	if (p.difference_count)
		return error_set(err, ST_BAD, "what was loaded differs from the backup in %" PRIu64 " places", p.difference_count);
	x->r->compared = true;
	return ST_OK;
}

static enum status put_in_place(struct restoring *x, struct error *err)
{
	struct exchange_pair *pair = xcalloc(x->plan.scopes, sizeof *pair);
	struct exchange_request q = {
		.action = EXCHANGE_PUT,
		.pair = pair,
		.run = x->r->run,
		.logged = x->plan.unlogged ? LOAD_UNLOGGED : LOAD_LOGGED,
	};

	for (size_t i = 0; i < x->plan.scopes; i++) {
		const struct load_scope_plan *s = &x->plan.scope[i];

		if (s->replaces && s->aside)
			pair[q.pairs++] = (struct exchange_pair){.name = s->replaces, .loaded = s->target, .aside = s->aside};
	}
	enum status st = failpoint("restore.exchange.before", err);
	if (!st && q.pairs)
		st = x->q->target->driver->exchange(x->env->run, &x->endpoint, &q, err);
	free(pair);
	if (st) {
		error_hint(err, "The copy is complete: drtool exchange %s puts it in place.", x->r->run);
		return err->code;
	}
	if (q.logged == LOAD_UNLOGGED && !x->plan.unlogged && journal_write(x->journal, JOURNAL_UNLOGGED, "", NULL, err))
		return err->code;
	return journal_write(x->journal, "exchanged", "", NULL, err);
}

/* What a scope has that an earlier run loaded. */
static struct load_sum sum_of_manifest(const struct restoring *x, const char *scope)
{
	const struct manifest *m = &x->reading.backup->manifest;

	for (size_t i = 0; i < m->scopes; i++)
		if (!strcmp(m->scope[i].name, scope))
			return (struct load_sum){m->scope[i].objects, m->scope[i].rows, m->scope[i].raw};
	return (struct load_sum){0};
}

static void fill_result(struct restoring *x, const struct loading *l, bool whole)
{
	struct restore_result *r = x->r;
	bool exchanged = x->q->in_place;

	r->scopes = plan_databases(&x->plan);
	r->scope = xcalloc(r->scopes, sizeof *r->scope);
	for (size_t i = 0; i < r->scopes; i++) {
		const struct load_scope_plan *s = &x->plan.scope[i];
		const struct load_sum sum = whole && !l->sum[i].tables ? sum_of_manifest(x, s->scope) : l->sum[i];

		r->scope[i] = (struct restore_scope_result){
			.scope = xstrdup(s->scope),
			.target = xstrdup(exchanged && s->replaces ? s->replaces : s->target),
			.aside = exchanged && s->aside ? xstrdup(s->aside) : NULL,
			.beside = !exchanged && s->beside,
			.tables = sum.tables,
			.rows = sum.rows,
			.raw = sum.raw,
		};
	}
	r->load_time = l->load_time;
	r->index_time = l->index_time;
}

static bool is_whole(const struct restoring *x)
{
	return !x->q->data_only && !x->tables.len && !x->exclude.len && !x->q->salvage;
}

/* What a load leaves to do. A copy that was compared may have been put in place before the run ended. */
static enum status finish(struct restoring *x, bool whole, struct error *err)
{
	bool wanted = whole && !plan_has_log(&x->plan) && (x->q->compare || x->q->in_place);

	if (wanted && !(x->q->in_place && journal_has(x->journal, "compared", "")) &&
	    (compare(x, err) || journal_write(x->journal, "compared", "", NULL, err)))
		return err->code;
	return x->q->in_place ? put_in_place(x, err) : ST_OK;
}

/* What the log changes is not in the backup's digests: what is loaded is compared before, and once. */
static enum status before_log(void *ctx, struct error *err)
{
	struct restoring *x = ctx;
	const char *log = x->plan.scope[x->plan.scopes - 1].scope;

	if (!is_whole(x) || !(x->q->compare || x->q->in_place) || journal_has(x->journal, "compared", ""))
		return ST_OK;
	if (journal_has(x->journal, "begun", log))
		return error_set(err, ST_USAGE, "--compare comes too late: run %s replays the log of the backup already", x->r->run);
	return compare(x, err) ? err->code : journal_write(x->journal, "compared", "", NULL, err);
}

static enum status load(struct restoring *x, struct error *err)
{
	struct loading l = {
		.env = x->env,
		.target = x->q->target,
		.endpoint = &x->endpoint,
		.reader = x->reading.reader,
		.use = reading_use(&x->reading, true),
		.keep = &x->reading.keep,
		.request = &x->request,
		.plan = &x->plan,
		.before_log = before_log,
		.before_log_ctx = x,
		.journal = x->journal,
		.missing = &x->r->missing,
		.table = &x->r->text,
		.sum = x->sum,
	};
	bool whole = is_whole(x);
	bool compared = x->loaded && x->q->in_place && journal_has(x->journal, "compared", "");

	journal_missing(x->journal, &x->r->missing);
	/* Also where all is loaded: the last run may have ended before the driver cleaned up. */
	if ((!compared && loading_run(&l, err)) || finish(x, whole, err))
		return err->code;
	fill_result(x, &l, whole);
	if (failpoint("restore.finish.before", err) || journal_write(x->journal, "finished", "", NULL, err))
		return err->code;
	if (x->r->missing.len)
		return error_set(err, ST_BAD, "%zu parts of the backup are damaged; what is intact was restored", x->r->missing.len);
	return ST_OK;
}

/* Evidence of the attempt; a store that cannot be written makes a note. */
static void record(struct restoring *x, struct instant began, const struct error *cause)
{
	CLEANUP(error_release) struct error e = ERROR_INIT;
	CLEANUP(js_decref) json_t *detail = json_object();
	struct evidence ev = {
		.kind = "restore",
		.source = x->q->source,
		.backup = x->r->backup,
		.outcome = cause->code ? EVIDENCE_INCONCLUSIVE : EVIDENCE_GOOD,
		.started = began,
		.finished = run_now(x->env->run),
		.cause = cause->code ? evidence_cause(x->private, cause) : NULL,
		.detail = detail,
	};

	js_set_str(detail, "opened_with", reading_key(&x->reading));

	if (evidence_write(x->env->run, x->reading.stores.open[0], &ev, &e))
		notes_add(x->env->notes, "no evidence was written: %s", error_text(&e));
}

static enum status check_request(const struct restore_request *q, struct error *err)
{
	if (q->salvage && (q->in_place || q->clean || q->data_only))
		return error_set(err, ST_USAGE, "--salvage restores into a new database only");
	if (q->in_place && q->clean)
		return error_set(err, ST_USAGE, "--in-place keeps the old database, --clean drops it: choose one");
	if (q->in_place && (q->tables->len || q->exclude_tables->len || q->data_only))
		return error_set(err, ST_USAGE, "--in-place exchanges whole databases");
	if (q->clean && q->data_only)
		return error_set(err, ST_USAGE, "--clean and --data-only exclude each other");
	if (q->compare && (q->tables->len || q->exclude_tables->len || q->data_only || q->salvage))
		return error_set(err, ST_USAGE, "--compare needs whole databases");
	return ST_OK;
}

static enum status prepare(struct restoring *x, struct error *err)
{
	const struct restore_request *q = x->q;

	if (check_request(q, err) || tmpdir_make(&x->dir, "drtool", err))
		return err->code;
	run_random_hex(x->env->run, x->r->run, 6);
	if (q->resume) {
		if (resume(x, err))
			return err->code;
		memcpy(x->r->run, x->head.run, sizeof x->r->run);
	}
	if (open_archive(x, err) || take_names(x, err))
		return err->code;
	return make_plan(x, err);
}

/* After what else there is to do; a hint that names the run says already how to go on. */
static void tell_resume(const char *run, struct error *err)
{
	CLEANUP(cstr_release) char *first = err->hint && !strstr(err->hint, run) ? xstrdup(err->hint) : NULL;

	if (first || !err->hint)
		error_hint(err, "%s%sRepeat the command with --resume=%s to go on where it stopped.", first ? first : "", first ? " " : "", run);
}

enum status op_restore(struct op_env *env, const struct restore_request *q, struct restore_result *r, struct error *err)
{
	CLEANUP(restoring_release) struct restoring x = {.env = env, .q = q, .r = r};
	struct instant start = run_mono(env->run), began = run_now(env->run);

	if (prepare(&x, err))
		return err->code;
	if (q->dry_run) {
		print_plan(&x);
		if (x.plan.refusals.len)
			return check_plan(&x, err);
		return ST_OK;
	}
	if (check_plan(&x, err))
		return err->code;
	if (q->in_place && op_confirm(env, "The restored copy will take the place of the live database; sessions in its way are ended. Go on?", err))
		return err->code;
	if (begin_journal(&x, err))
		return err->code;
	x.sum = xcalloc(x.plan.scopes, sizeof *x.sum);
	enum status st = load(&x, err);
	r->took = instant_diff(run_mono(env->run), start);
	record(&x, began, err);
	if (st && x.journal && !r->missing.len)
		tell_resume(r->run, err);
	return st;
}

void restore_result_release(struct restore_result *r)
{
	for (size_t i = 0; i < r->scopes; i++) {
		free(r->scope[i].scope);
		free(r->scope[i].target);
		free(r->scope[i].aside);
	}
	free(r->scope);
	buf_release(&r->text);
	strlist_release(&r->missing);
	*r = (struct restore_result){0};
}
