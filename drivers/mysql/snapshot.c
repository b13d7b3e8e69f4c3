#include "drivers/mysql/snapshot.h"

#include "drivers/mysql/session.h"
#include "drivers/mysql/snapshot_point.h"
#include "util/failpoint.h"

#define TRIES DURATION_SECONDS(5) /* of a way without locks */

void my_snapshot_release(struct my_snapshot *s)
{
	free(s->position);
	js_decref(&s->replication);
	*s = (struct my_snapshot){0};
}

/* ---- transactions ---- */

/* ROLLBACK TO SAVEPOINT lets go of metadata locks on MariaDB only where the session writes no binlog. */
static enum status without_binlog(struct run *run, const struct my_snapshot_request *q, struct error *err)
{
	CLEANUP(error_release) struct error refused = ERROR_INIT;

	if (!q->server->mariadb || !q->server->binlog)
		return ST_OK;
	for (size_t i = 0; i < q->n; i++) {
		if (!my_conn_command(run, q->c[i], "SET SESSION sql_log_bin = 0", &refused))
			continue;
		if (!my_conn_errno(&refused))
			return error_move(err, &refused);
		notes_add(q->e->notes, "this account has no right BINLOG ADMIN, so an ALTER TABLE waits until the backup has ended, once the table "
				       "was read, and readers wait behind it");
		return ST_OK;
	}
	return ST_OK;
}

static enum status begin_all(struct run *run, const struct my_snapshot_request *q, struct error *err)
{
	for (size_t i = 0; i < q->n; i++) {
		/* A snapshot that the isolation level does not allow is a warning only. */
		if (my_conn_command(run, q->c[i], "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY", err))
			return error_add(err, "the snapshot");
		if (my_conn_warning_count(q->c[i]))
			return error_set(err, ST_SERVER, "the server gave no consistent snapshot");
	}
	return ST_OK;
}

static enum status end_all(struct run *run, const struct my_snapshot_request *q, struct error *err)
{
	for (size_t i = 0; i < q->n; i++)
		if (my_conn_command(run, q->c[i], "ROLLBACK", err))
			return err->code;
	return ST_OK;
}

enum status my_snapshot_savepoint(struct run *run, struct my_conn *c, struct error *err)
{
	return my_conn_command(run, c, "SAVEPOINT drtool", err);
}

enum status my_snapshot_let_go(struct run *run, struct my_conn *c, struct error *err)
{
	return my_conn_command(run, c, "ROLLBACK TO SAVEPOINT drtool", err);
}

/* ---- without locks ---- */

/* Coordinates of equal snapshots of MariaDB order all commits that the binlog has. */
static enum status by_binlog_points(struct run *run, const struct my_snapshot_request *q, struct my_point *p, bool *done, struct error *err)
{
	CLEANUP(my_point_release) struct my_point other = {.applied_sql = p->applied_sql ? xstrdup(p->applied_sql) : NULL};

	if (my_point_before(run, q, p, err) || begin_all(run, q, err) || my_point_after(run, q, p, err) || my_point_of_snapshot(run, q->c[0], p, err))
		return err->code;
	*done = p->file != NULL;
	for (size_t i = 1; *done && i < q->n; i++) {
		if (my_point_of_snapshot(run, q->c[i], &other, err))
			return err->code;
		*done = my_point_same(p, &other);
	}
	return *done ? my_point_gtid(run, q->c[0], p, err) : ST_OK;
}

static enum status read_log_status(struct run *run, const struct my_snapshot_request *q, char **text, struct error *err)
{
	free(*text);
	return my_conn_value(run, q->c[0],
			     "SELECT CONCAT(CAST(`LOCAL` AS CHAR), '\n', CAST(`REPLICATION` AS CHAR)) FROM performance_schema.log_status", text, err);
}

static enum status log_status_point(const char *text, struct my_point *p, struct error *err)
{
	CLEANUP(js_decref) json_t *j = NULL;
	uint64_t position = 0;
	const char *file = NULL;

	if (js_parse(text, strcspn(text, "\n"), "performance_schema.log_status", &j, err) ||
	    js_str(j, "log_status", "binary_log_file", &file, err) || js_u64(j, "log_status", "binary_log_position", &position, err))
		return err->code;
	my_point_take(&p->file, file);
	free(p->position);
	p->position = xasprintf("%" PRIu64, position);
	my_point_take(&p->gtid, js_opt_str(j, "gtid_executed", NULL));
	return ST_OK;
}

/* MySQL: nothing was committed between the first snapshot and the last. */
static enum status by_log_status(struct run *run, const struct my_snapshot_request *q, struct my_point *p, bool *done, struct error *err)
{
	CLEANUP(cstr_release) char *before = NULL;
	CLEANUP(cstr_release) char *after = NULL;

	if (my_point_before(run, q, p, err) || read_log_status(run, q, &before, err) || begin_all(run, q, err) ||
	    read_log_status(run, q, &after, err) || my_point_after(run, q, p, err))
		return err->code;
	*done = before && after && !strcmp(before, after);
	return *done ? log_status_point(after, p, err) : ST_OK;
}

static bool all_by_gtid(const struct my_upstream *u)
{
	bool all = true;

	for (size_t i = 0; i < u->sources; i++)
		all = all && u->source[i].by_gtid;
	return all;
}

/* Whether all commits are ordered: those of some databases may not be in the binlog; those that a replica applies may not be in its own, but
 * MariaDB keeps their GTIDs. */
static enum status is_ordered(struct run *run, const struct my_snapshot_request *q, struct my_point *p, bool *whole, struct error *err)
{
	CLEANUP(cstr_release) char *updates = NULL;
	bool leaves_out = false;

	*whole = q->server->binlog;
	if (!*whole || my_binlog_leaves_out(run, q->c[0], &leaves_out, err))
		return err->code;
	*whole = !leaves_out;
	if (!*whole || !q->server->replica)
		return ST_OK;
	if (my_point_before(run, q, p, err))
		return err->code;
	if (p->applied_sql && p->gtid_before && *p->gtid_before && all_by_gtid(&p->before))
		return ST_OK;
	if (my_conn_shown(run, q->c[0], "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('log_slave_updates', 'log_replica_updates')", &updates,
			  err))
		return err->code;
	*whole = my_field_bool(updates);
	return ST_OK;
}

enum status my_snapshot_is_ordered(struct run *run, struct my_conn *c, const struct my_server *server, bool *ordered, struct error *err)
{
	CLEANUP(my_point_release) struct my_point p = MY_POINT_INIT;
	const struct my_snapshot_request q = {.e = c->e, .server = server, .c = &c, .n = 1};

	if (server->replica && server->mariadb && my_upstream_applied_sql(run, c, &p.applied_sql, err))
		return err->code;
	return is_ordered(run, &q, &p, ordered, err);
}

static enum status without_locks(struct run *run, const struct my_snapshot_request *q, struct my_point *p, bool *done, struct error *err)
{
	CLEANUP(error_release) struct error refused = ERROR_INIT;
	struct instant end = instant_add(run_mono(run), TRIES);
	bool whole = false;

	*done = false;
	if (is_ordered(run, q, p, &whole, err))
		return err->code;
	if (!whole || (!q->server->mariadb && q->server->number < 80000))
		return ST_OK;
	while (!*done && run_mono(run).us < end.us) {
		enum status st = q->server->mariadb ? by_binlog_points(run, q, p, done, &refused) : by_log_status(run, q, p, done, &refused);

		if (st && !my_conn_errno(&refused))
			return error_move(err, &refused);
		if (st)
			return ST_OK; /* a right is missing: there are other ways */
	}
	return ST_OK;
}

/* ---- under a lock ---- */

struct lock_way {
	const char *words;
	const char *lock[5], *unlock; /* statements; lock[0] NULL: LOCK TABLES of all */
	unsigned block;               /* from this one on writers wait */
};

static const struct lock_way stages = {
	"under BACKUP STAGE BLOCK_COMMIT",
	{"BACKUP STAGE START", "BACKUP STAGE FLUSH", "BACKUP STAGE BLOCK_DDL", "BACKUP STAGE BLOCK_COMMIT"}, "BACKUP STAGE END", 2,
};
static const struct lock_way global = {"under FLUSH TABLES WITH READ LOCK", {"FLUSH TABLES WITH READ LOCK"}, "UNLOCK TABLES", 0};
static const struct lock_way tables = {"under LOCK TABLES ... READ", {NULL}, "UNLOCK TABLES", 0};

static enum status lock_tables(struct run *run, struct my_conn *c, const struct strlist *names, struct error *err)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;

	for (size_t i = 0; i < names->len; i++)
		buf_printf(&sql, "%s%s READ", i ? ", " : "LOCK TABLES ", names->item[i]);
	return sql.len ? my_conn_command(run, c, buf_str(&sql), err) : ST_OK;
}

/* Coordinates while nobody commits. */
static enum status locked_point(struct run *run, const struct my_snapshot_request *q, struct my_conn *locker, struct my_point *p, struct error *err)
{
	CLEANUP(my_conn_result_free) MYSQL_RES *r = NULL;
	CLEANUP(error_release) struct error refused = ERROR_INIT;

	if (!q->server->binlog && !q->server->mariadb)
		return my_point_value(run, locker, "SELECT @@GLOBAL.gtid_executed", &p->gtid, err);
	if (q->server->mariadb)
		return my_point_of_snapshot(run, q->c[0], p, err) || (p->file && my_point_gtid(run, q->c[0], p, err)) ? err->code : ST_OK;
	if (my_conn_query(run, locker, my_binlog_status_sql(locker), &r, &refused)) {
		if (!my_conn_errno(&refused))
			return error_move(err, &refused);
		return my_point_value(run, locker, "SELECT @@GLOBAL.gtid_executed", &p->gtid, err);
	}
	MYSQL_ROW row = r ? mysql_fetch_row(r) : NULL;
	if (row && mysql_num_fields(r) >= 5) {
		my_point_take(&p->file, row[0]);
		my_point_take(&p->position, row[1]);
		my_point_take(&p->gtid, row[4]);
	}
	return ST_OK;
}

/* Everything between the lock and its end. */
static enum status begin_locked(struct run *run, const struct my_snapshot_request *q, const struct lock_way *way, struct my_conn *locker,
				struct instant *since, struct my_point *p, struct error *err)
{
	*since = run_mono(run);
	if (!way->lock[0] && lock_tables(run, locker, q->tables, err))
		return err->code;
	for (size_t i = 0; way->lock[i]; i++) {
		if (i == way->block)
			*since = run_mono(run);
		if (my_conn_command(run, locker, way->lock[i], err))
			return err->code;
	}
	if (failpoint("mysql.locked", err) || my_point_before(run, q, p, err) || begin_all(run, q, err) || my_point_after(run, q, p, err))
		return err->code;
	/* Other tables may be written meanwhile. */
	return way->lock[0] ? locked_point(run, q, locker, p, err) : ST_OK;
}

/* *done false: this account may not. The lock is of a session of its own: it ends with that in every case. */
static enum status under_lock(struct run *run, const struct my_snapshot_request *q, const struct lock_way *way, struct my_point *p,
			      struct my_snapshot *s, bool *done, struct error *err)
{
	CLEANUP(my_conn_freep) struct my_conn *locker = NULL;
	struct duration limit = my_params(q->e)->lock_timeout;
	struct run bounded = run_within(run, (struct duration){limit.us + DURATION_SECONDS(10).us});
	struct instant since = INSTANT_NONE;

	my_point_forget(p);
	if (my_session_open(run, q->e, NULL, &locker, err))
		return err->code;
	enum status st = begin_locked(&bounded, q, way, locker, &since, p, err);
	if (!st)
		st = my_conn_command(run, locker, way->unlock, err);
	*done = !st;
	unsigned number = my_conn_errno(err);
	if (st && (number == 1227 || number == 1044 || number == 1142 || number == 1045 || number == 4145)) {
		error_release(err);
		return ST_OK;
	}
	if (number == MY_LOCK_TIMEOUT) {
		CLEANUP(error_release) struct error ignored = ERROR_INIT;

		(void)!my_conn_command(run, locker, way->unlock, &ignored);
		my_snapshot_name_held(run, q, locker, !way->lock[0], err);
		error_add(err, "a consistent snapshot %s", way->words);
		err->retry = true;
		return error_hint(err, "Somebody held a lock, or a statement ran, for longer than lock_timeout. Run again later.");
	}
	s->way = way->words;
	s->blocked = instant_diff(run_mono(run), since);
	return st;
}

static enum status with_locks(struct run *run, const struct my_snapshot_request *q, struct my_point *p, struct my_snapshot *s, struct error *err)
{
	const struct lock_way *const ways[] = {&stages, &global, &tables};
	bool done = false;

	for (size_t i = 0; !done && i < ARRAY_LEN(ways); i++) {
		if (ways[i] == &stages && (!q->server->mariadb || q->server->number < 100400))
			continue;
		if (end_all(run, q, err) || under_lock(run, q, ways[i], p, s, &done, err))
			return err->code;
	}
	if (done)
		return ST_OK;
	error_set(err, ST_DENIED, "this account may not take a consistent snapshot over several connections");
	return error_hint(err, q->server->mariadb ? "Turn the binlog on, or GRANT RELOAD ON *.* to it."
						  : "GRANT BACKUP_ADMIN, RELOAD ON *.* to it, and SELECT ON performance_schema.log_status.");
}

/* ---- both ---- */

static void say(const struct my_snapshot_request *q, const struct my_snapshot *s)
{
	if (s->blocked.us)
		notes_tell(q->e->notes, "%zu connections see one moment, taken %s: writers waited at most %.1f ms", q->n, s->way,
			  (double)s->blocked.us / 1000);
	else
		notes_tell(q->e->notes, "%zu connections see one moment, proven by %s: no lock, writers did not wait", q->n, s->way);
}

enum status my_snapshot_take(struct run *run, const struct my_snapshot_request *q, struct my_snapshot *s, struct error *err)
{
	CLEANUP(my_point_release) struct my_point p = MY_POINT_INIT;
	bool done = false;

	my_snapshot_release(s);
	if (q->server->replica && q->server->mariadb && my_upstream_applied_sql(run, q->c[0], &p.applied_sql, err))
		return err->code;
	s->way = q->server->mariadb ? "equal coordinates in the binlog" : "performance_schema.log_status";
	if (end_all(run, q, err) || without_binlog(run, q, err) || without_locks(run, q, &p, &done, err) ||
	    (!done && with_locks(run, q, &p, s, err)))
		return err->code;
	my_point_give(q, &p, s);
	s->time = run_now(run);
	say(q, s);
	return ST_OK;
}

enum status my_snapshot_each(struct run *run, const struct my_snapshot_request *q, struct error *err)
{
	return end_all(run, q, err) || without_binlog(run, q, err) || begin_all(run, q, err) ? err->code : ST_OK;
}
