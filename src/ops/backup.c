/* One backup of one source: snapshot, archive, stores, manifest - published last, atomically, or not at all. */
#include "ops/backup_write.h"
#include "ops/names.h"
#include "ops/private.h"
#include "ops/recover.h"
#include "ops/stored_config.h"

#include <unistd.h>

struct backing_up {
	struct op_env *env;
	const struct backup_request *q;
	struct backup_result *r;
	struct run run;          /* with max_duration */
	struct tmpdir dir;
	struct endpoint endpoint;
	struct backup_write write;
	struct budget budget;
	struct dump_pipeline *pipeline;
	struct dump_info info;
	void *dump;
	json_t *rows;            /* rows of tables that are not empty, for the suspect rule */
};

static void backing_up_release(struct backing_up *b)
{
	dump_pipeline_freep(&b->pipeline);
	if (b->dump)
		b->q->source->driver->dump_close(b->dump);
	backup_write_release(&b->write);
	dump_info_release(&b->info);
	json_decref(b->rows);
	tmpdir_release(&b->dir);
}

/* ---- before the first byte ---- */

static enum status open_dump(struct backing_up *b, struct error *err)
{
	const struct op_source *s = b->q->source;
	struct dump_request q = {
		.databases = &s->s.databases,
		.exclude = &s->s.exclude,
		.jobs = b->budget.jobs,
		.max_lag = s->s.max_lag,
	};

	b->endpoint = endpoint_of(b->env, s, &b->dir);
	if (s->driver->dump_open(&b->run, &b->endpoint, &q, &b->info, &b->dump, err))
		return err->code;
	if (s->s.cluster) {
		free(b->info.identity);
		b->info.identity = xasprintf("cluster:%s", s->s.cluster);
	}
	return ST_OK;
}

/* The server that the source in the store belongs to; no identity: none yet. Where a run ended between its manifest and source.json,
 * the newest manifest says it. */
static enum status read_owner(struct backing_up *b, struct store *store, struct catalog_source *was, struct error *err)
{
	CLEANUP(catalog_release) struct catalog c = CATALOG_INIT;
	const char *name = b->q->source->name;

	if (catalog_source_read(&b->run, store, name, was, err) != ST_NOT_FOUND)
		return err->code;
	error_release(err);
	if (catalog_read(&b->run, store, name, &c, err))
		return err->code;
	if (c.backups)
		was->identity = xstrdup(c.backup[c.backups - 1].manifest.identity);
	return ST_OK;
}

/* A source in a store belongs to one server. */
static enum status check_identity(struct backing_up *b, struct store *store, struct error *err)
{
	CLEANUP(catalog_source_release) struct catalog_source was = CATALOG_SOURCE_INIT;
	const char *name = b->q->source->name;
	enum status st = read_owner(b, store, &was, err);

	if (st == ST_BAD && b->q->new_identity) {
		notes_add(b->env->notes, "store %s: %s; it is written anew", store->name, error_text(err));
		error_release(err);
		return ST_OK;
	}
	if (st == ST_BAD) {
		CLEANUP(error_release) struct error why = ERROR_INIT;

		error_move(&why, err);
		error_set(err, ST_REFUSED, "store %s does not tell which server source %s belongs to: %s", store->name, name, error_text(&why));
		return error_hint(err, "If it is this one: drtool backup %s --new-identity --because TEXT.", name);
	}
	if (st || !was.identity || !strcmp(was.identity, b->info.identity))
		return st;
	if (b->q->new_identity) {
		notes_tell(b->env->notes, "new identity %s accepted (before: %s): %s", b->info.identity, was.identity, b->q->because);
		return ST_OK;
	}
	error_set(err, ST_REFUSED, "source %s in store %s belongs to server %s, but this is server %s", name, store->name, was.identity, b->info.identity);
	return error_hint(err, "If the server was replaced on purpose: drtool backup %s --new-identity --because TEXT; else check the URL.", name);
}

static void copy_list(struct strlist *to, const struct strlist *from)
{
	for (size_t i = 0; i < from->len; i++)
		strlist_add(to, from->item[i]);
}

static void describe(struct backing_up *b)
{
	struct manifest *m = &b->r->manifest;
	const struct op_source *s = b->q->source;

	m->source = xstrdup(s->name);
	m->driver = xstrdup(s->driver->name);
	m->kind = xstrdup("dump");
	m->url = url_without_secrets(s->url);
	m->identity = xstrdup(b->info.identity);
	m->server_version = xstrdup(b->info.version);
	m->server_role = xstrdup(b->info.role);
	m->tool_version = xstrdup(DRTOOL_VERSION);
	m->oldest_client = b->info.oldest_client ? xstrdup(b->info.oldest_client) : NULL;
	m->data_time = b->info.data_time;
	m->replication = json_incref(b->info.replication);
	m->chunk_size = (uint32_t)b->env->global->chunk_size;
	m->has_password_hashes = b->info.has_password_hashes;
	m->many_moments = b->info.many_moments;
	copy_list(&m->client_tools, &b->info.tools);
	copy_list(&m->not_contained, &b->info.not_contained);
	copy_list(&m->tags, &s->s.tags);
	if (b->q->tags)
		copy_list(&m->tags, b->q->tags);
	if (m->has_password_hashes && !b->write.recipients)
		notes_add(b->env->notes, "the backup holds password hashes and is not encrypted: keep the store private");
	for (size_t i = 0; i < b->info.uncovered.len; i++)
		if (!b->q->covered || !strlist_matches(b->q->covered, b->info.uncovered.item[i])) {
			CLEANUP(cstr_release) char *text = uncovered_text(b->info.uncovered.item[i]);

			notes_add(b->env->notes, "%s", text);
		}
}

static bool is_log(const struct backing_up *b, size_t scope) { return b->info.has_log && scope + 1 == b->info.scopes.len; }

static void print_plan(struct backing_up *b)
{
	struct buf *p = &b->r->plan;

	buf_printf(p, "source %s: %s %s, %s, server %s\n", b->q->source->name, b->q->source->driver->name, b->info.version, b->info.role, b->info.identity);
	for (size_t i = 0; i < b->info.scopes.len; i++)
		buf_printf(p, "%s %s\n", is_log(b, i) ? "log" : "database", b->info.scopes.item[i]);
	for (size_t i = 0; i < b->info.tools.len; i++)
		buf_printf(p, "uses %s\n", b->info.tools.item[i]);
	for (size_t i = 0; i < b->write.stores.opened; i++)
		buf_printf(p, "to store %s (%s)\n", b->write.stores.open[i]->name, b->write.stores.open[i]->storage.url);
	for (size_t i = 0; i < b->r->manifest.recipients.len; i++)
		buf_printf(p, "encrypted for %s\n", b->r->manifest.recipients.item[i]);
	budget_print(&b->budget, p);
}

/* ---- the scopes ---- */

static enum status write_inventory(struct backing_up *b, const struct entry_sink *entries, struct error *err)
{
	CLEANUP(spool_freep) struct spool *s = spool_new(b->dir.path, 2u << 20);
	struct dump_entry e = {.path = INVENTORY_PATH};

	if (inventory_take(&b->run, b->q->source->driver, b->dump, s, err))
		return error_add(err, "inventory");
	e.size = spool_size(s);
	return entries->entry(entries->ctx, &e, spool_source(s), err);
}

/* Rows of tables that are not empty: what the next backup is measured against. */
static void sum_scope(struct backing_up *b, const char *name, const struct dump_plan *plan, struct manifest_scope *to)
{
	for (size_t i = 0; i < dump_plan_objects(plan); i++) {
		struct object_sum sum = dump_plan_sum(plan, (uint32_t)i);

		to->objects++;
		to->rows += sum.rows;
		to->raw += sum.raw;
		if (!sum.rows || to->log)
			continue;
		b->r->manifest.nonempty_tables++;
		CLEANUP(cstr_release) char *key = xasprintf("%s\t%s", name, dump_plan_object_name(plan, (uint32_t)i));
		js_set_u64(b->rows, key, sum.rows);
	}
}

/* The log, which is the last scope, brings all others to its own moment. */
static void take_log_moment(struct manifest *m)
{
	const struct manifest_scope *log = &m->scope[m->scopes - 1];

	for (size_t i = 0; i + 1 < m->scopes; i++) {
		free(m->scope[i].position);
		m->scope[i].position = log->position ? xstrdup(log->position) : NULL;
		m->scope[i].snapshot = log->snapshot;
	}
	m->data_time = log->snapshot;
}

static enum status dump_scope(struct backing_up *b, size_t i, struct error *err)
{
	const struct driver *d = b->q->source->driver;
	const char *name = b->info.scopes.item[i];
	CLEANUP(dump_plan_freep) struct dump_plan *plan = dump_plan_new();
	CLEANUP(scope_info_release) struct scope_info info = {0};
	struct object_sink objects = dump_object_sink(b->pipeline, plan, name);
	struct entry_sink entries = dump_entry_sink(b->pipeline, name);
	struct opened_dump opened = {d, b->dump};
	struct dump_calls calls = dump_calls_of(&opened);
	struct manifest *m = &b->r->manifest;

	atomic_store(&b->env->progress->phase, "snapshot");
	if (d->scope_begin(&b->run, b->dump, i, &info, &objects, &entries, err))
		return err->code;
	atomic_fetch_add(&b->env->progress->total, dump_plan_estimate(plan));
	atomic_store(&b->env->progress->phase, "dump");
	if (failpoint("backup.scope.begun", err) || dump_pipeline_run(b->pipeline, plan, &calls, err))
		return err->code;
	atomic_store(&b->env->progress->phase, "schema");
	if ((!is_log(b, i) && write_inventory(b, &entries, err)) || d->scope_end(&b->run, b->dump, &entries, err))
		return err->code;
	m->scope = xrealloc(m->scope, (m->scopes + 1) * sizeof *m->scope);
	struct manifest_scope *s = &m->scope[m->scopes++];
	*s = (struct manifest_scope){.name = xstrdup(name), .snapshot = info.snapshot, .log = is_log(b, i)};
	s->position = info.position ? xstrdup(info.position) : NULL;
	sum_scope(b, name, plan, s);
	if (s->log)
		take_log_moment(m);
	else if (!m->data_time.us || (info.snapshot.us && !strcmp(m->server_role, "primary") && info.snapshot.us < m->data_time.us))
		m->data_time = info.snapshot;
	return ST_OK;
}

static enum status write_archive(struct backing_up *b, struct error *err)
{
	const struct driver *d = b->q->source->driver;
	CLEANUP(buf_release) struct buf text = BUF_INIT;
	struct dump_pipeline_spec spec = {
		.budget = &b->budget,
		.chunk_size = (uint32_t)b->env->global->chunk_size,
		.mode = (enum gzip_mode)b->env->global->compress,
		.mtime = b->r->manifest.started,
		.progress = b->env->progress,
	};

	if (backup_write_begin(b->env, &b->budget, b->dir.path, &b->write, err))
		return err->code;
	spec.writer = b->write.writer;
	if (dump_pipeline_new(&b->run, &spec, &b->pipeline, err))
		return err->code;
	backup_restore_text(b->pipeline, &b->write, b->info.restore_text, &text);
	struct entry_sink top = dump_entry_sink(b->pipeline, NULL);
	struct memory_bytes bytes = {buf_str(&text), text.len};
	const struct dump_entry e = {.path = "RESTORE.txt", .size = text.len};
	if (top.entry(top.ctx, &e, memory_source(&bytes), err) || (d->dump_entries && d->dump_entries(&b->run, b->dump, &top, err)))
		return err->code;
	for (size_t i = 0; i < b->info.scopes.len; i++)
		if (dump_scope(b, i, err))
			return error_add(err, "%s %s", is_log(b, i) ? "log" : "database", b->info.scopes.item[i]);
	return ST_OK;
}

/* ---- after the last byte ---- */

static void total(struct backing_up *b)
{
	struct manifest *m = &b->r->manifest;
	struct archive_totals t = archive_totals(b->write.writer);

	m->finished = run_now(b->env->run);
	m->tables = t.tables;
	m->rows = t.rows;
	m->raw = t.raw;
	m->members = t.members;
	m->shrink = json_incref(b->rows);
	strlist_release(&m->notes);
	notes_copy(b->env->notes, &m->notes);
}

/* Against the newest good backup of the first store that has one. */
static void judge(struct backing_up *b)
{
	struct manifest *m = &b->r->manifest;
	const struct newest_query q = {.source = m->source, .identity = m->identity, .kind = m->kind};

	for (size_t i = 0; i < b->write.stores.opened; i++) {
		CLEANUP(manifest_release) struct manifest last = MANIFEST_INIT;
		CLEANUP(error_release) struct error e = ERROR_INIT;
		struct store *store = b->write.stores.open[i];

		if (!catalog_newest_good(&b->run, store, &q, &last, &e)) {
			m->suspect_because = retention_suspect(m, &last, (unsigned)b->q->source->s.shrink_limit);
			m->suspect = m->suspect_because != NULL;
			return;
		}
		if (e.code != ST_NOT_FOUND)
			notes_add(b->env->notes, "store %s: not compared with its last backup: %s", store->name, error_text(&e));
	}
}

/* How each store's copy was compared with what was sent. */
static void take_proofs(const struct backing_up *b, struct manifest *m)
{
	size_t n;
	const struct store_outcome *o = store_set_outcomes(b->write.set, &n);

	for (size_t i = 0; i < n; i++)
		if (!o[i].err.code)
			strlist_take(&m->proofs, xasprintf("%s=%s", o[i].store->name, storage_proof_name(o[i].proof)));
}

static enum status publish(struct backing_up *b, struct error *err)
{
	struct manifest *m = &b->r->manifest;
	CLEANUP(buf_release) struct buf text = BUF_INIT;
	CLEANUP(cstr_release) char *name = xasprintf("%s.json", m->id);
	CLEANUP(cstr_release) char *key = catalog_key(m->source, "backup", name);
	struct put_spec put = {.key = key, .condition = PUT_ABSENT, .retain = true};

	for (size_t i = 0; i < m->objects; i++)
		m->stored += m->object[i].size;
	take_proofs(b, m);
	if (b->q->source->s.private_manifest ? private_manifest_write(&b->run, m, b->write.recipients, &text, err)
					     : manifest_write(m, &text, err))
		return err->code;
	if (failpoint("backup.manifest.before", err) || run_check(&b->run, err) || backup_write_locked(b->env, &b->write, err))
		return err->code;
	if (store_set_put(b->write.set, &put, text.data, text.len, err))
		return error_add(err, "manifest of %s", m->id);
	return failpoint("backup.manifest.after", err);
}

static enum status finish(struct backing_up *b, struct error *err)
{
	total(b);
	judge(b);
	strlist_release(&b->r->manifest.notes);
	notes_copy(b->env->notes, &b->r->manifest.notes);
	CLEANUP(js_decref) json_t *head = manifest_json(&b->r->manifest);
	atomic_store(&b->env->progress->phase, "finish");
	if (archive_finish(b->write.writer, head, err))
		return err->code;
	return publish(b, err);
}

/* source.json, evidence: after the fact, so a failure is a note. */
static void record(struct backing_up *b, struct store *store, const struct error *cause)
{
	CLEANUP(error_release) struct error e = ERROR_INIT;
	const struct op_source *s = b->q->source;
	struct manifest *m = &b->r->manifest;
	bool good = cause->code == ST_OK;
	struct catalog_source info = {
		.driver = xstrdup(s->driver->name),
		.identity = m->identity ? xstrdup(m->identity) : NULL,
		.url = s->s.private_manifest ? NULL : url_without_secrets(s->url),
		.expect_every = s->s.expect_every,
		.rpo = s->s.rpo,
		.verify_every = s->s.verify_every,
	};
	struct evidence ev = {
		.kind = "backup",
		.source = s->name,
		.backup = m->id[0] ? m->id : NULL,
		.outcome = good ? EVIDENCE_GOOD : EVIDENCE_BAD,
		.level = PROOF_STORED,
		.started = b->write.began,
		.finished = run_now(b->env->run),
		.cause = good ? NULL : evidence_cause(s->s.private_manifest, cause),
	};

	if (!s->s.private_manifest)
		copy_list(&info.uncovered, &b->info.uncovered);
	if (good && catalog_source_write(b->env->run, store, s->name, &info, &e))
		notes_add(b->env->notes, "store %s: source.json was not written: %s", store->name, error_text(&e));
	error_release(&e);
	if (evidence_write(b->env->run, store, &ev, &e))
		notes_add(b->env->notes, "store %s: no evidence was written: %s", store->name, error_text(&e));
	catalog_source_release(&info);
}

static void record_all(struct backing_up *b, const struct error *cause)
{
	size_t n = 0;
	const struct store_outcome *o = b->write.set ? store_set_outcomes(b->write.set, &n) : NULL;

	for (size_t i = 0; i < b->write.stores.opened; i++)
		record(b, b->write.stores.open[i], cause->code == ST_OK && i < n ? &o[i].err : cause);
}

/* The outcome of every store that was asked for. */
static void outcomes(struct backing_up *b)
{
	size_t n = 0, open = 0;
	const struct store_outcome *o = store_set_outcomes(b->write.set, &n);

	for (size_t i = 0; i < b->write.stores.n; i++) {
		CLEANUP(error_release) struct error e = ERROR_INIT;

		if (b->write.stores.err[i].code) {
			error_move(&e, &b->write.stores.err[i]);
		} else {
			const struct store_outcome *k = &o[open++];

			b->r->sync_time.us = (int64_t)max_u64((uint64_t)b->r->sync_time.us, (uint64_t)k->sync_time.us);
			if (k->err.code)
				error_set(&e, k->err.code, "%s", error_text(&k->err));
		}
		op_outcomes_add(&b->r->stores, b->q->to[i]->name, &e);
	}
}

/* What a person needs who has nothing but the store, in each store that has the backup. */
static void write_recovery(struct backing_up *b)
{
	size_t n;
	const struct store_outcome *o = store_set_outcomes(b->write.set, &n);

	for (size_t i = 0; i < n; i++) {
		if (o[i].err.code)
			continue;
		stored_config_write(b->env, b->write.stores.open[i], &b->r->manifest.recipients);
		recover_write(b->env, b->write.stores.open[i]);
	}
}

/* Whom the source belongs to, and the newest id of all stores. */
static enum status look_into_stores(struct backing_up *b, struct instant *newest, struct error *err)
{
	for (size_t i = 0; i < b->write.stores.opened;) {
		CLEANUP(error_release) struct error why = ERROR_INIT;
		struct store *store = b->write.stores.open[i];

		if (!check_identity(b, store, &why) &&
		    (b->q->dry_run || !catalog_newest_id(&b->run, store, b->q->source->name, newest, &why)))
			i++;
		else if (backup_write_drop(b->q, &b->write, i, &why, err))
			return err->code;
	}
	return ST_OK;
}

/* Whom the backup is sealed for, and the memory that is needed. */
static enum status take_recipients(struct backing_up *b, struct error *err)
{
	const struct op_source *s = b->q->source;
	struct budget_use use = {.chunk_size = (uint32_t)b->env->global->chunk_size, .sealed = s->s.encrypt_to.len};

	if (s->s.private_manifest && !s->s.encrypt_to.len) {
		error_set(err, ST_CONFIG, "source %s: private_manifest goes with encrypt_to", s->name);
		return error_hint(err, "What is not encrypted cannot be kept private.");
	}
	if (op_recipients(b->env, &s->s, &b->write.recipients, err))
		return error_add(err, "source %s", s->name);
	for (size_t i = 0; i < s->s.encrypt_to.len; i++)
		strlist_add_once(&b->r->manifest.recipients, s->s.encrypt_to.item[i]);
	use.passphrase = strlist_has(&s->s.encrypt_to, "passphrase");
	for (size_t i = 0; i < b->q->stores; i++) {
		size_t part = b->q->to[i]->ops->part_size;

		use.network = use.network || part;
		use.part_stores += part != 0;
		use.part_size = part > use.part_size ? part : use.part_size;
	}
	return budget_of(b->env, &use, &b->budget, err);
}

static enum status prepare(struct backing_up *b, struct error *err)
{
	const struct backup_request *q = b->q;
	struct manifest *m = &b->r->manifest;
	struct instant newest = INSTANT_NONE;

	if (q->new_identity && (!q->because || !*q->because))
		return error_set(err, ST_USAGE, "--new-identity needs --because TEXT");
	if (tmpdir_make(&b->dir, "drtool", err) || take_recipients(b, err) ||
	    backup_write_stores(b->env, q, &b->write, err) || open_dump(b, err))
		return err->code;
	if (look_into_stores(b, &newest, err))
		return err->code;
	if (!b->info.scopes.len) {
		error_set(err, ST_NOT_FOUND, "no database of this server matches");
		return error_hint(err, "Look at `databases` and `exclude` of the source, or at the database in its URL.");
	}
	describe(b);
	if (q->dry_run)
		return ST_OK;
	return catalog_new_id(&b->run, q->source->name, newest, m->id, &m->started, err);
}

static enum status run_backup(struct backing_up *b, struct error *err)
{
	if (prepare(b, err))
		return err->code;
	if (b->q->dry_run) {
		print_plan(b);
		return ST_OK;
	}
	b->env->run->backup = b->run.backup = b->r->manifest.id;
	CLEANUP(gzip_freep) struct gzip *z = gzip_new((enum gzip_mode)b->env->global->compress);
	b->r->manifest.compression = xstrdup(gzip_engine_name(z));
	if (write_archive(b, err) || finish(b, err))
		return err->code;
	return ST_OK;
}

enum status op_backup(struct op_env *env, const struct backup_request *q, struct backup_result *r, struct error *err)
{
	CLEANUP(backing_up_release) struct backing_up b = {.env = env, .q = q, .r = r, .run = *env->run, .rows = json_object()};
	struct instant start = run_mono(env->run);

	if (q->source->s.max_duration.us)
		b.run = run_within(env->run, q->source->s.max_duration);
	b.write.began = run_now(env->run);
	b.write.manifest = &r->manifest;
	enum status st = run_backup(&b, err);
	r->took = instant_diff(run_mono(env->run), start);
	if (q->dry_run)
		return st;
	if (st) {
		if (b.write.set)
			store_set_undo(b.write.set);
		if (st != ST_LOCKED)
			record_all(&b, err);
		env->run->backup = NULL;
		return st;
	}
	r->listed = true;
	outcomes(&b);
	record_all(&b, err);
	st = q->prune && !r->manifest.suspect ? backup_write_prune(env, q, &b.write, r, err) : ST_OK;
	write_recovery(&b);
	env->run->backup = NULL;
	if (st)
		return st;
	if (r->manifest.suspect) {
		error_set(err, ST_INCOMPLETE, "backup %s is kept, but suspect: %s", r->manifest.id, r->manifest.suspect_because);
		return error_hint(err, "If that is right: drtool accept %s --backup %s --because TEXT. Until then nothing of this source is pruned.", q->source->name,
				  r->manifest.id);
	}
	if (op_outcomes_status(&r->stores))
		return error_set(err, ST_INCOMPLETE, "backup %s did not reach every store", r->manifest.id);
	return ST_OK;
}

void backup_result_release(struct backup_result *r)
{
	manifest_release(&r->manifest);
	op_outcomes_release(&r->stores);
	buf_release(&r->plan);
	*r = (struct backup_result){0};
}
