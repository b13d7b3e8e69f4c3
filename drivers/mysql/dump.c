#include "drivers/mysql/dump.h"

#include "drivers/mysql/definers.h"
#include "drivers/mysql/inventory.h"
#include "drivers/mysql/session.h"
#include "drivers/mysql/upstream.h"
#include "drivers/mysql/users.h"
#include "util/failpoint.h"

#define ATTEMPTS 5

/* ---- sessions ---- */

static enum status check_age(const struct my_dump *d, struct duration most, struct error *err)
{
	const struct my_server *s = &d->server;
	CLEANUP(buf_release) struct buf age = BUF_INIT;

	if (!strcmp(s->role, MY_ROLE_UNKNOWN) && most.us) {
		error_set(err, ST_DENIED, "this account may not see whether the server is a replica and how far behind (max_lag is set)");
		return error_hint(err, "GRANT %s ON *.* TO the backup user.", my_upstream_right(d->c));
	}
	if (!strcmp(s->role, MY_ROLE_UNKNOWN))
		notes_add(d->e->notes, "this account lacks %s, so it is not known whether the server is a replica, nor how old its data are then",
			  my_upstream_right(d->c));
	if (s->stale) {
		error_set(err, s->denied ? ST_DENIED : ST_SERVER, "the server is a replica, and %s: how old its data are is not known", s->stale);
		err->retry = !s->denied;
		return error_hint(err, "%s", s->denied ? "Give it the right, or take the backup from its source." : MY_REPLICA_HINT);
	}
	if (!most.us || s->lag.us <= most.us)
		return ST_OK;
	duration_print(s->lag, &age);
	error_set(err, ST_FAILED, "the data of this replica is %s old, more than max_lag allows", buf_str(&age));
	return error_hint(err, "Look at the replication of this server, or take the backup from its source.");
}

/* lock_ddl: the lock ends with its session, which has to live as long as the dump. */
static enum status open_guard(struct run *run, struct my_dump *d, struct error *err)
{
	if (!my_params(d->e)->lock_ddl)
		return ST_OK;
	if (d->server.mariadb || d->server.number < 80000) {
		error_set(err, ST_CONFIG, "lock_ddl asks for LOCK INSTANCE FOR BACKUP, which %s %s does not know", d->server.mariadb ? "MariaDB" : "MySQL",
			  d->server.version);
		return error_hint(err, "Leave lock_ddl out: a table that is altered during the backup ends it with the table's name.");
	}
	if (my_session_open(run, d->e, NULL, &d->guard, err))
		return err->code;
	if (!my_conn_command(run, d->guard, "LOCK INSTANCE FOR BACKUP", err)) {
		notes_tell(d->e->notes, "lock_ddl: changes of tables, routines and accounts, and PURGE BINARY LOGS, wait until the backup has ended");
		return ST_OK;
	}
	if (my_conn_errno(err) == 1227)
		error_hint(err, "GRANT BACKUP_ADMIN ON *.* to the account of the backup, or leave lock_ddl out.");
	if (my_conn_errno(err) == MY_LOCK_TIMEOUT)
		error_hint(err, "A change of a table runs for longer than lock_timeout. Run again when it is over.");
	return error_add(err, "LOCK INSTANCE FOR BACKUP");
}

static enum status open_pool(struct run *run, struct my_dump *d, unsigned jobs, struct error *err)
{
	d->pool = xcalloc(jobs + 1, sizeof *d->pool);
	while (d->pooled < (jobs ? jobs : 1)) {
		struct my_pooled *p = &d->pool[d->pooled];

		if (my_session_open(run, d->e, NULL, &p->c, err))
			return error_add(err, "connection %zu", d->pooled + 2);
		d->pooled++;
		if (my_session_raw(run, p->c, err))
			return err->code;
	}
	return ST_OK;
}

/* ---- one moment ---- */

/* Lists of the tables of all scopes; and, where wanted, their names. */
static enum status list_all(struct run *run, struct my_dump *d, struct hash128 *state, struct strlist *names, struct error *err)
{
	for (size_t i = 0; i < d->scopes; i++) {
		struct my_scope *s = &d->scope[i];

		if (my_list_tables(run, d->c, s->database, &s->listing, err))
			return err->code;
		*state = hash128_add(*state, s->listing.state);
		for (size_t k = 0; names && k < s->listing.tables; k++) {
			struct buf name = BUF_INIT;

			my_sql_name(&name, s->database, s->listing.table[k].name);
			strlist_take(names, buf_detach(&name));
		}
	}
	return ST_OK;
}

static bool any_young(const struct my_dump *d)
{
	for (size_t i = 0; i < d->scopes; i++)
		if (d->scope[i].listing.young)
			return true;
	return false;
}

/* A snapshot of MariaDB that is taken while a table is rebuilt lacks the rows that change during that, and the server lets it read the new table
 * without an error. (Seen on 10.11 and 11.8; MySQL refuses: 1412.) When the rebuild ends, CREATE_TIME tells it, unless the table was young before. */
static enum status try_snapshot(struct run *run, struct my_dump *d, struct my_snapshot_request *q, bool *stood_still, struct error *err)
{
	CLEANUP(strlist_release) struct strlist names = STRLIST_INIT;
	struct hash128 before = {0, 0}, after = {0, 0};

	q->tables = &names;
	if (my_seen_count(run, d->c, &d->count, err) || list_all(run, d, &before, &names, err))
		return err->code;
	if (d->server.mariadb && any_young(d))
		return ST_OK;
	if (my_snapshot_take(run, q, &d->snapshot, err) || failpoint("mysql.snapshot", err) ||
	    my_snapshot_savepoint(run, d->c, err) || list_all(run, d, &after, NULL, err) || my_snapshot_let_go(run, d->c, err))
		return err->code;
	*stood_still = hash128_equal(before, after);
	return ST_OK;
}

static enum status take_snapshot(struct run *run, struct my_dump *d, struct strlist *limits, struct error *err)
{
	struct my_conn **c = xcalloc(d->pooled + 1, sizeof(struct my_conn *));
	struct my_snapshot_request q = {.e = d->e, .server = &d->server, .c = c, .n = d->pooled + 1};
	bool stood_still = false;
	enum status st = ST_OK;

	c[0] = d->c;
	for (size_t i = 0; i < d->pooled; i++)
		c[i + 1] = d->pool[i].c;
	if (d->recorded)
		st = my_snapshot_each(run, &q, err);
	for (int i = 0; !st && !d->recorded && !stood_still && i < ATTEMPTS; i++) {
		if (i)
			st = run_sleep(run, DURATION_MS(200 << i), err);
		st = st ? st : try_snapshot(run, d, &q, &stood_still, err);
	}
	free(c);
	for (size_t i = 0; stood_still && i < d->scopes; i++)
		my_dump_limits(d->scope[i].database, &d->scope[i].listing, limits);
	if (st || d->recorded || stood_still)
		return st;
	error_set(err, ST_SERVER, "tables are made, altered or dropped faster than a moment between can be found");
	err->retry = true;
	return error_hint(err, "Run again when no migration is at work.");
}

/* ---- open and close ---- */

static enum status open_server(struct run *run, struct my_dump *d, const struct dump_request *q, struct dump_info *info, struct error *err)
{
	if (my_session_open(run, d->e, NULL, &d->c, err) || my_server_look(run, d->c, &d->server, err))
		return err->code;
	info->identity = xstrdup(d->server.identity);
	info->version = xstrdup(d->server.version);
	info->role = xstrdup(d->server.role);
	info->data_time = d->server.data_time;
	if (q->restored && (q->no_owner || my_definers_changed(d->e))) {
		info->not_compared = "definer of ";
		notes_add(d->e->notes, "owners were changed as asked and are not compared");
	}
	for (size_t i = 0; d->recorded && i < q->scopes; i++)
		my_dump_add_scope(d, q->scope[i].name, q->scope[i].database);
	if (d->recorded)
		return ST_OK;
	return check_age(d, q->max_lag, err) || my_dump_choose(run, d, q, info, err) ? err->code : ST_OK;
}

static enum status prepare(struct run *run, struct my_dump *d, const struct dump_request *q, struct dump_info *info, struct error *err)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT;

	if (open_server(run, d, q, info, err))
		return err->code;
	for (size_t i = 0; i < d->scopes; i++)
		strlist_add(&info->scopes, d->scope[i].name);
	if ((!d->recorded && (my_dump_read_users(run, d, info, err) || open_guard(run, d, err))) || open_pool(run, d, q->jobs, err) ||
	    take_snapshot(run, d, &info->not_contained, err))
		return err->code;
	if (d->recorded)
		return ST_OK;
	info->replication = json_incref(d->snapshot.replication);
	info->oldest_client = xstrdup(d->server.mariadb ? "mariadb 10.5" : "mysql 8.0");
	my_restore_text(d, info, &text);
	info->restore_text = buf_detach(&text);
	return ST_OK;
}

enum status my_dump_open(struct run *run, const struct endpoint *e, const struct dump_request *q, struct dump_info *info, void **to,
			 struct error *err)
{
	struct my_dump *d = xcalloc(1, sizeof *d);

	d->e = e;
	d->recorded = q->recorded;
	mutex_init(&d->life);
	if (prepare(run, d, q, info, err)) {
		my_dump_close(d);
		return err->code;
	}
	*to = d;
	return ST_OK;
}

void my_dump_close(void *dump)
{
	struct my_dump *d = dump;

	mutex_lock(&d->life);
	for (size_t i = 0; i < d->pooled; i++)
		my_conn_freep(&d->pool[i].c);
	my_conn_freep(&d->c);
	my_conn_freep(&d->guard);
	mutex_unlock(&d->life);
	my_dump_tables_release(d);
	for (size_t i = 0; i < d->scopes; i++) {
		free(d->scope[i].name);
		free(d->scope[i].database);
		my_listing_release(&d->scope[i].listing);
	}
	free(d->scope);
	free(d->pool);
	spool_freep(&d->users);
	spool_freep(&d->users_sql);
	my_snapshot_release(&d->snapshot);
	my_server_release(&d->server);
	mutex_destroy(&d->life);
	free(d);
}

enum status my_dump_entries(struct run *run UNUSED, void *dump, const struct entry_sink *entries, struct error *err)
{
	struct my_dump *d = dump;

	if (!d->users)
		return ST_OK;
	return my_entry_give(entries, USERS_PATH, d->users, err) || my_entry_give(entries, USERS_SQL_PATH, d->users_sql, err) ? err->code : ST_OK;
}

/* ---- a scope ---- */

enum status my_scope_begin(struct run *run, void *dump, size_t i, struct scope_info *info, const struct object_sink *objects,
			   const struct entry_sink *entries, struct error *err)
{
	struct my_dump *d = dump;

	my_dump_tables_release(d);
	d->at = i;
	info->snapshot = d->server.replica ? d->server.data_time : d->snapshot.time;
	info->position = d->snapshot.position ? xstrdup(d->snapshot.position) : NULL;
	if (my_snapshot_savepoint(run, d->c, err) || my_dump_objects(run, d, objects, err) ||
	    (!d->recorded && my_dump_definitions(run, d, entries, err)) || my_snapshot_let_go(run, d->c, err))
		return err->code;
	return ST_OK;
}

struct passing {
	const struct inventory_sink *to;
	struct hash128 sum;
};

static enum status pass_item(void *ctx, const struct inventory_item *i, struct error *err)
{
	struct passing *p = ctx;

	p->sum = hash128_add(p->sum, my_seen_item(i));
	return p->to->item(p->to->ctx, i, err);
}

enum status my_inventory(struct run *run, void *dump, const struct inventory_sink *items, struct error *err)
{
	struct my_dump *d = dump;
	struct passing p = {.to = items};
	const struct inventory_sink passing = {pass_item, &p};
	const bool beside = strcmp(d->scope[d->at].name, my_dump_database(d)) != 0;

	if (my_snapshot_savepoint(run, d->c, err) || my_inventory_take_all(run, d->c, my_dump_database(d), beside, &passing, err))
		return err->code;
	d->seen.inventory = p.sum;
	return my_snapshot_let_go(run, d->c, err);
}

/* Instant changes of a table leave no other trace on MariaDB. (MySQL 8 answers out of the snapshot, and refuses by itself to read a table that was
 * altered since: 1412.) */
static enum status check_definitions(struct run *run, struct my_dump *d, struct error *err)
{
	CLEANUP(my_listing_release) struct my_listing now = MY_LISTING_INIT;
	const struct my_listing *then = my_dump_listing(d);
	const char *altered = NULL;

	if (my_list_tables(run, d->c, my_dump_database(d), &now, err) || my_list_columns(run, d->c, my_dump_database(d), false, &now, err))
		return err->code;
	for (size_t i = 0; !altered && i < then->tables; i++) {
		const struct my_listed *was = &then->table[i], *is = my_listed_named(&now, was->name);

		altered = is && hash128_equal(is->state, was->state) ? NULL : was->name;
	}
	for (size_t i = 0; !altered && i < now.tables; i++)
		altered = my_listed_named(then, now.table[i].name) ? NULL : now.table[i].name;
	if (!altered)
		return my_dump_still(run, d, err);
	CLEANUP(cstr_release) char *what = xasprintf("table %s", altered);
	return my_dump_altered(d, what, err);
}

enum status my_scope_end(struct run *run, void *dump, const struct entry_sink *entries, struct error *err)
{
	struct my_dump *d = dump;
	CLEANUP(buf_release) struct buf load = BUF_INIT;

	/* A savepoint that can be returned to proves that the transaction lived. */
	if (my_snapshot_let_go(run, d->c, err) || (d->guard && my_conn_alive(run, d->guard, err)))
		return error_add(err, "end of the snapshot");
	if (!d->recorded) {
		my_load_script(d, &load);
		if (check_definitions(run, d, err) || my_snapshot_let_go(run, d->c, err) || my_entry_give_text(entries, "load.sql", &load, err))
			return err->code;
	}
	my_dump_tables_release(d);
	my_listing_release(my_dump_listing(d));
	return ST_OK;
}

/* ---- workers ---- */

struct worker {
	struct my_dump *d;
	struct my_pooled *p;
};

enum status my_worker_open(struct run *run UNUSED, void *dump, void **to, struct error *err)
{
	struct my_dump *d = dump;
	struct my_pooled *p = NULL;

	mutex_lock(&d->life);
	for (size_t i = 0; !p && i < d->pooled; i++)
		if (!d->pool[i].taken && !d->pool[i].lost)
			p = &d->pool[i];
	if (p)
		p->taken = true;
	mutex_unlock(&d->life);
	if (!p)
		return error_set(err, ST_UNREACHABLE, "a session that had joined the snapshot was lost");
	struct worker *w = xcalloc(1, sizeof *w);
	w->d = d;
	w->p = p;
	*to = w;
	return ST_OK;
}

enum status my_dump_unit(struct run *run, void *worker, const struct dump_unit *u, struct row_sink *rows, struct error *err)
{
	struct worker *w = worker;

	if (failpoint("mysql.unit", err))
		return err->code;
	if (my_unit_read(run, w->p->c, w->d->table[u->cookie], u, rows, err)) {
		w->p->lost = true;
		return my_unit_altered(w->d, w->d->table[u->cookie]->shown, err);
	}
	return ST_OK;
}

void my_worker_close(void *worker)
{
	struct worker *w = worker;

	mutex_lock(&w->d->life);
	w->p->taken = false;
	mutex_unlock(&w->d->life);
	free(w);
}

void my_interrupt_dump(struct my_dump *d)
{
	mutex_lock(&d->life);
	if (d->c)
		my_conn_interrupt(d->c);
	if (d->guard)
		my_conn_interrupt(d->guard);
	mutex_unlock(&d->life);
}

void my_interrupt_worker(void *worker)
{
	struct worker *w = worker;

	my_conn_interrupt(w->p->c);
}
