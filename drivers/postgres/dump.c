#include "drivers/postgres/dump.h"

#include "drivers/postgres/facts.h"
#include "drivers/postgres/inventory_job.h"
#include "drivers/postgres/pgdriver.h"
#include "drivers/postgres/schema.h"
#include "drivers/postgres/server.h"
#include "drivers/postgres/session.h"
#include "util/failpoint.h"
#include "util/thread.h"

#define SPOOL_MEMORY ((size_t)8 << 20)

/* ---- what to dump ---- */

static bool matches(const struct strlist *patterns, const char *name) { return patterns && strlist_matches(patterns, name); }

static void add_scope(struct dump *d, const char *name, const char *database)
{
	d->scope = xrealloc(d->scope, (d->scopes + 1) * sizeof *d->scope);
	d->scope[d->scopes++] = (struct pg_scope){xstrdup(name), xstrdup(database)};
}

/* A template is taken only where it is named as it is. */
static bool is_wanted(const struct dump_request *q, const char *of_url, const char *name, bool is_template)
{
	/* A pattern alone takes no template. */
	if (is_template && !(q->databases && q->databases->len ? strlist_has(q->databases, name) : of_url != NULL))
		return false;
	return dump_wants(q->databases, q->exclude, of_url, name);
}

static enum status check_named(const struct dump *d, const struct dump_request *q, struct error *err)
{
	for (size_t i = 0; q->databases && i < q->databases->len; i++) {
		const char *name = q->databases->item[i];
		bool found = !dump_must_have(q->exclude, name);

		for (size_t k = 0; !found && k < d->scopes; k++)
			found = !strcmp(d->scope[k].name, name);
		if (!found)
			return error_set(err, ST_NOT_FOUND, "there is no database %s on this server", name);
	}
	return ST_OK;
}

/* The database that every server is made with stands empty nearly everywhere: then nobody misses it in a backup. */
static bool is_maintenance(struct run *run, const struct dump *d, const char *name)
{
	CLEANUP(conn_freep) struct conn *c = NULL;
	CLEANUP(error_release) struct error e = ERROR_INIT;
	bool empty = false;

	return !strcmp(name, "postgres") && !conn_open(run, d->e, name, &c, &e) && !database_is_empty(run, c, &empty, &e) && empty;
}

static enum status choose_databases(struct run *run, struct dump *d, struct conn *c, const struct dump_request *q,
				    struct dump_info *info, struct error *err)
{
	CLEANUP(conn_result_free) PGresult *r = NULL;
	CLEANUP(cstr_release) char *of_url = NULL;

	if (conn_url_database(d->e, &of_url, err) ||
	    conn_query(run, c, SQL("SELECT datname, datistemplate, datallowconn, datconnlimit = -2 FROM pg_catalog.pg_database"
	        " ORDER BY datname COLLATE \"C\""), &r, err))
		return err->code;
	for (int i = 0; i < PQntuples(r); i++) {
		const char *name = res_text(r, i, 0);
		bool is_template = res_bool(r, i, 1), invalid = res_bool(r, i, 3), open = res_bool(r, i, 2) && !invalid;
		bool wanted = is_wanted(q, of_url, name, is_template);

		if (wanted && invalid)
			strlist_take(&info->not_contained, xasprintf("database %s: it is invalid, a DROP DATABASE of it was cut off", name));
		else if (wanted && !open)
			strlist_take(&info->not_contained, xasprintf("database %s: it allows no connections", name));
		else if (wanted)
			add_scope(d, name, name);
		else if (!is_template && open && !matches(q->exclude, name) && !is_maintenance(run, d, name))
			strlist_add(&info->uncovered, name);
	}
	return check_named(d, q, err);
}

static void recorded_scopes(struct dump *d, const struct dump_request *q)
{
	for (size_t i = 0; i < q->scopes; i++)
		add_scope(d, q->scope[i].name, q->scope[i].database);
}

/* ---- open ---- */

enum status dump_check_lag(struct run *run, const struct dump *d, struct instant data_time, struct error *err)
{
	CLEANUP(buf_release) struct buf age = BUF_INIT;

	if (!d->standby || !d->max_lag.us)
		return ST_OK;
	if (!data_time.us)
		return error_set(err, ST_FAILED,
				 "this standby has applied no change since it started, so the age of its data is not known "
				 "(max_lag is set)");
	struct duration lag = instant_diff(run_now(run), data_time);
	if (lag.us <= d->max_lag.us)
		return ST_OK;
	duration_print(lag, &age);
	error_set(err, ST_FAILED, "the data of this standby is %s old, more than max_lag allows", buf_str(&age));
	return error_hint(err, "Look at the replication of this standby, or take the backup from the primary.");
}

static enum status open_server(struct run *run, struct dump *d, const struct dump_request *q, struct dump_info *info,
			       struct error *err)
{
	CLEANUP(conn_freep) struct conn *c = NULL;
	CLEANUP(server_facts_release) struct server_facts s = SERVER_FACTS_INIT;

	if (session_open(run, d->e, NULL, pg_params(d->e)->lock_timeout, &c, err) || server_facts_read(run, c, &s, err))
		return err->code;
	d->version = c->version;
	d->standby = s.standby;
	d->data_time = s.data_time;
	d->read_auth = s.read_auth;
	d->version_text = xstrdup(s.version);
	info->identity = xstrdup(s.identity);
	info->version = xstrdup(s.version);
	info->role = xstrdup(s.standby ? "standby" : "primary");
	info->data_time = s.data_time;
	if (d->recorded) {
		recorded_scopes(d, q);
		return ST_OK;
	}
	if (dump_check_lag(run, d, d->data_time, err) || choose_databases(run, d, c, q, info, err))
		return err->code;
	info->has_password_hashes = s.read_auth && s.has_passwords;
	if (!s.read_auth)
		strlist_add(&info->not_contained, "passwords of roles: this user may not read them");
	if (s.prepared)
		notes_add(d->e->notes, "%" PRIu64 " prepared transactions are open: what they did is not in the backup",
			  s.prepared);
	if (s.logical_slots)
		strlist_add(&info->not_contained, "logical replication slots");
	if (s.subscriptions && !s.superuser)
		strlist_add(&info->not_contained, "subscriptions: only a superuser may read them");
	return ST_OK;
}

static enum status open_client(struct run *run, struct dump *d, struct dump_info *info, struct error *err)
{
	if (client_for_server(run, d->e, d->version / 10000, &d->client, err))
		return err->code;
	strlist_take(&info->tools, xasprintf("pg_dump %s", d->client.version));
	info->oldest_client = xasprintf("pg_restore %d", client_oldest_reader(d->client.major));
	return ST_OK;
}

static enum status dump_prepare(struct run *run, struct dump *d, const struct dump_request *q, struct dump_info *info,
				struct error *err)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT;

	if (open_server(run, d, q, info, err))
		return err->code;
	for (size_t i = 0; i < d->scopes; i++)
		strlist_add(&info->scopes, d->scope[i].name);
	if (d->recorded)
		return ST_OK;
	if (d->scopes && open_client(run, d, info, err))
		return err->code;
	for (size_t i = 0; i < d->scopes; i++)
		if (preflight_database(run, d, d->scope[i].database, info, err))
			return err->code;
	restore_text(d, info, &text);
	info->restore_text = buf_detach(&text);
	return ST_OK;
}

enum status pg_dump_open(struct run *run, const struct endpoint *e, const struct dump_request *q, struct dump_info *info, void **to,
			 struct error *err)
{
	struct dump *d = xcalloc(1, sizeof *d);

	d->e = e;
	d->recorded = q->recorded;
	d->max_lag = q->max_lag;
	mutex_init(&d->mutex);
	mutex_init(&d->life);
	if (dump_prepare(run, d, q, info, err)) {
		pg_dump_close(d);
		return err->code;
	}
	*to = d;
	return ST_OK;
}

static void scope_release(struct dump *d)
{
	mutex_lock(&d->life);
	schema_dump_freep(&d->schema);
	inventory_job_freep(&d->inventory);
	conn_freep(&d->c);
	mutex_unlock(&d->life);
	dump_tables_release(d);
	spool_freep(&d->load);
	cstr_release(&d->snapshot);
	cstr_release(&d->encoding);
}

void pg_dump_close(void *dump)
{
	struct dump *d = dump;

	scope_release(d);
	for (size_t i = 0; i < d->scopes; i++) {
		free(d->scope[i].name);
		free(d->scope[i].database);
	}
	free(d->scope);
	free(d->version_text);
	client_release(&d->client);
	mutex_destroy(&d->mutex);
	mutex_destroy(&d->life);
	free(d);
}

enum status pg_dump_entries(struct run *run, void *dump, const struct entry_sink *entries, struct error *err)
{
	struct dump *d = dump;

	return d->recorded ? ST_OK : globals_entries(run, d, entries, err);
}

/* ---- a scope ---- */

struct spool *entry_spool(const struct dump *d) { return spool_new(d->e->spool_dir, SPOOL_MEMORY); }

struct spool_read {
	struct spool *s;
	uint64_t at;
};

static enum status read_spool(void *ctx, void *to, size_t cap, size_t *got, struct error *err)
{
	struct spool_read *r = ctx;
	size_t n = (size_t)min_u64(cap, spool_size(r->s) - r->at);

	if (n && spool_read_at(r->s, r->at, to, n, err))
		return err->code;
	r->at += n;
	*got = n;
	return ST_OK;
}

enum status entry_give(const struct entry_sink *entries, const char *path, struct spool *s, const json_t *facts, struct error *err)
{
	struct spool_read r = {.s = s};
	struct dump_entry e = {.path = path, .size = spool_size(s), .facts = facts};

	return entries->entry(entries->ctx, &e, (struct byte_source){read_spool, &r}, err);
}

static enum status read_text(void *ctx, void *to, size_t cap, size_t *got, struct error *err)
{
	struct buf *rest = ctx; /* borrowed bytes: data moves on, nothing is owned */
	size_t n = min_size(cap, rest->len);

	(void)err;
	if (n)
		memcpy(to, rest->data, n);
	rest->data += n;
	rest->len -= n;
	*got = n;
	return ST_OK;
}

enum status entry_give_text(const struct entry_sink *entries, const char *path, const struct buf *text, struct error *err)
{
	struct buf rest = *text;
	struct dump_entry e = {.path = path, .size = text->len};

	return entries->entry(entries->ctx, &e, (struct byte_source){read_text, &rest}, err);
}

/* The session becomes visible to an interrupt only when it is there. */
static enum status scope_connect(struct run *run, struct dump *d, struct error *err)
{
	struct conn *c = NULL;

	if (session_open(run, d->e, dump_database(d), pg_params(d->e)->lock_timeout, &c, err))
		return err->code;
	c->keep_notices = true;
	mutex_lock(&d->life);
	d->c = c;
	mutex_unlock(&d->life);
	CLEANUP(conn_result_free) PGresult *r = NULL;
	if (conn_query(run, c, SQL("SELECT current_setting('server_encoding'), has_table_privilege('pg_largeobject',"
	    " 'SELECT')"), &r, err))
		return err->code;
	d->encoding = xstrdup(res_text(r, 0, 0));
	d->read_pages = res_bool(r, 0, 1);
	return ST_OK;
}

static enum status begin_dump(struct run *run, struct dump *d, const struct object_sink *objects, const struct entry_sink *entries,
			      struct error *err)
{
	CLEANUP(buf_release) struct buf head = BUF_INIT;
	struct schema_dump *schema = NULL;
	struct inventory_job *inventory = NULL;

	if (schema_dump_start(run, d, &schema, err))
		return err->code;
	mutex_lock(&d->life);
	d->schema = schema;
	mutex_unlock(&d->life);
	if (inventory_job_start(run, d, &inventory, err))
		return err->code;
	mutex_lock(&d->life);
	d->inventory = inventory;
	mutex_unlock(&d->life);
	d->load = entry_spool(d);
	load_script_begin(d, &head);
	if (spool_write(d->load, head.data, head.len, err) || dump_list_objects(run, d, objects, err) ||
	    dump_pages_object(run, d, objects, err) || entry_give(entries, PG_ENTRY_LOAD, d->load, NULL, err) ||
	    dump_database_entries(run, d, entries, err) || dump_pages_entries(run, d, entries, err) ||
	    dump_refresh(run, d, entries, err))
		return err->code;
	spool_freep(&d->load);
	return ST_OK;
}

enum status pg_scope_begin(struct run *run, void *dump, size_t i, struct scope_info *info, const struct object_sink *objects,
			   const struct entry_sink *entries, struct error *err)
{
	struct dump *d = dump;

	scope_release(d);
	d->at = i;
	if (scope_connect(run, d, err) || dump_lock_and_export(run, d, info, err) || failpoint("postgres.snapshot.exported", err))
		return err->code;
	if (d->recorded)
		return dump_list_objects(run, d, objects, err);
	return begin_dump(run, d, objects, entries, err);
}

enum status pg_scope_end(struct run *run, void *dump, const struct entry_sink *entries, struct error *err)
{
	struct dump *d = dump;

	/* The snapshot lives exactly as long as the transaction that exported it. */
	if (PQtransactionStatus(d->c->pg) != PQTRANS_INTRANS || conn_command(run, d->c, "SELECT 1", err)) {
		if (!err->code)
			error_set(err, ST_UNREACHABLE, "the session that held the snapshot was lost");
		return error_add(err, "end of the snapshot");
	}
	if (!d->recorded && (dump_sequences(run, d, entries, err) || schema_dump_finish(run, d, entries, err)))
		return err->code;
	if (conn_command(run, d->c, "COMMIT", err))
		return err->code;
	scope_release(d);
	return ST_OK;
}

enum status pg_inventory(struct run *run, void *dump, const struct inventory_sink *items, struct error *err)
{
	struct dump *d = dump;

	return d->inventory ? inventory_job_give(run, d->inventory, items, err) : inventory_take_all(run, d->c, items, err);
}

/* ---- workers ---- */

struct worker {
	struct dump *d;
	struct conn *c;
};

enum status dump_join(struct run *run, const struct dump *d, struct conn **to, struct error *err)
{
	CLEANUP(conn_freep) struct conn *c = NULL;
	CLEANUP(buf_release) struct buf sql = BUF_INIT;

	buf_puts(&sql, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT ");
	sql_literal(&sql, d->snapshot);
	if (session_open(run, d->e, dump_database(d), pg_params(d->e)->lock_timeout, &c, err) ||
	    conn_command(run, c, buf_str(&sql), err))
		return error_add(err, "a further connection");
	*to = c;
	c = NULL;
	return ST_OK;
}

enum status pg_worker_open(struct run *run, void *dump, void **to, struct error *err)
{
	struct dump *d = dump;
	CLEANUP(conn_freep) struct conn *c = NULL;

	if (dump_join(run, d, &c, err))
		return err->code;
	struct worker *w = xcalloc(1, sizeof *w);
	w->d = d;
	w->c = c;
	c = NULL;
	*to = w;
	return ST_OK;
}

/* Counts on behalf of the caller's sink whether anything was handed over. */
static enum status copy_unit(struct run *run, struct dump *d, struct conn *c, const struct dump_unit *u, struct row_sink *rows,
			     struct error *err)
{
	const struct pg_table *t = &d->table[u->cookie];
	CLEANUP(buf_release) struct buf sql = BUF_INIT;
	uint64_t count;

	dump_copy_text(d, t, u->range, &sql);
	return conn_copy_out(run, c, buf_str(&sql), rows, &count, err);
}

/* A worker's lock would queue behind that of an ALTER TABLE which itself waits for the coordinator: a deadlock that the server
 * cannot see. So the worker does not wait, and what it cannot lock the coordinator reads, who has the lock already. */
static enum status lock_table(struct run *run, struct worker *w, const struct pg_table *t, bool *locked, struct error *err)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;

	buf_printf(&sql, "SAVEPOINT d; LOCK TABLE %s IN ACCESS SHARE MODE NOWAIT; RELEASE SAVEPOINT d", t->name);
	*locked = !conn_command(run, w->c, buf_str(&sql), err);
	if (*locked || strcmp(err->native, "55P03"))
		return err->code;
	error_release(err);
	return conn_command(run, w->c, "ROLLBACK TO SAVEPOINT d; RELEASE SAVEPOINT d", err);
}

static enum status copy_by_coordinator(struct run *run, struct dump *d, const struct dump_unit *u, struct row_sink *rows,
				       struct error *err)
{
	mutex_lock(&d->mutex);
	enum status st = copy_unit(run, d, d->c, u, rows, err);
	mutex_unlock(&d->mutex);
	return st;
}

/* With the coordinator's session the locks go, and what is read from then on may be of another shape. */
static enum status check_coordinator(struct dump *d, struct error *err)
{
	if (pthread_mutex_trylock(&d->mutex))
		return ST_OK; /* it is at work, so somebody will hear of its end */
	enum status st = conn_alive(d->c, err);
	mutex_unlock(&d->mutex);
	return st ? error_add(err, "the session that holds the snapshot was lost") : ST_OK;
}

/* What runs beside has failed already: no need to go on for hours. */
static enum status check_beside(struct dump *d, struct error *err)
{
	if (d->recorded)
		return ST_OK;
	return schema_dump_failed(d->schema, err) || inventory_job_failed(d->inventory, err) ? err->code : ST_OK;
}

enum status pg_dump_unit(struct run *run, void *worker, const struct dump_unit *u, struct row_sink *rows, struct error *err)
{
	struct worker *w = worker;
	const struct pg_table *t = &w->d->table[u->cookie];
	bool locked = true;

	if (failpoint("postgres.unit", err) || check_coordinator(w->d, err) || check_beside(w->d, err))
		return err->code;
	if (!w->d->recorded && !t->pages && lock_table(run, w, t, &locked, err))
		return error_add(err, "table %s", t->shown);
	enum status st = locked ? copy_unit(run, w->d, w->c, u, rows, err) : copy_by_coordinator(run, w->d, u, rows, err);
	if (st)
		return error_add(err, "table %s", t->shown);
	return ST_OK;
}

void pg_worker_close(void *worker)
{
	struct worker *w = worker;

	conn_freep(&w->c);
	free(w);
}

void pg_interrupt_dump(struct dump *d)
{
	mutex_lock(&d->life);
	if (d->c)
		conn_interrupt(d->c);
	if (d->schema)
		schema_dump_interrupt(d->schema);
	if (d->inventory)
		inventory_job_interrupt(d->inventory);
	mutex_unlock(&d->life);
}

void pg_interrupt_worker(void *worker)
{
	struct worker *w = worker;

	conn_interrupt(w->c);
}
