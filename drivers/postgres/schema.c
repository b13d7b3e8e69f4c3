#include "drivers/postgres/schema.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include "drivers/postgres/facts.h"
#include "drivers/postgres/session.h"
#include "util/failpoint.h"
#include "util/process.h"
#include "util/thread.h"

struct schema_dump {
	const struct endpoint *e;
	struct thread thread;
	struct cancel *cancel;
	struct run run; /* the caller's, ended by cancel too */
	char *database, *bin, *version, *snapshot, *passfile;
	char *visible;  /* what the snapshot sees, as text */
	int64_t lock_ms;
	int server; /* its version */
	struct strlist env, known; /* of the client; settings that the server knows */
	PGresult *before;          /* definitions as the snapshot sees them */
	struct spool *dump, *pre, *post;
	struct error err; /* by the thread, before failed or the join */
	atomic_bool failed;
};

/* ---- proof that definitions stood still ---- */

/* pg_dump has parts of definitions described by the server, which looks at the newest catalog and not at the snapshot. So what the
 * snapshot sees is summed before and after: rows newer than the snapshot do not count, those changed or gone are missed. Locks
 * protect tables; what follows is not protected by them. */
static const char definitions_sql[] =
	"WITH s AS (SELECT (pg_catalog.txid_snapshot_xmax($1::pg_catalog.txid_snapshot) & 4294967295)::text::xid AS top,"
	" ARRAY(SELECT (x & 4294967295)::text FROM pg_catalog.txid_snapshot_xip($1::pg_catalog.txid_snapshot) x) AS running),"
	" d(kind, id, made) AS ("
	" SELECT 'function', oid, xmin FROM pg_catalog.pg_proc WHERE oid >= 16384"
	" UNION ALL SELECT 'view or rule', oid, xmin FROM pg_catalog.pg_rewrite WHERE oid >= 16384"
	" UNION ALL SELECT 'constraint', oid, xmin FROM pg_catalog.pg_constraint WHERE oid >= 16384"
	" UNION ALL SELECT 'default', oid, xmin FROM pg_catalog.pg_attrdef WHERE oid >= 16384"
	" UNION ALL SELECT 'trigger', oid, xmin FROM pg_catalog.pg_trigger WHERE oid >= 16384"
	" UNION ALL SELECT 'type', t.oid, t.xmin FROM pg_catalog.pg_type t WHERE t.oid >= 16384"
	" AND t.typtype IN ('d', 'e', 'r', 'b') AND t.typelem = 0"
	" UNION ALL SELECT 'schema', oid, xmin FROM pg_catalog.pg_namespace WHERE nspname !~ '^pg_(toast_)?temp')"
	" SELECT d.kind, pg_catalog.sum(pg_catalog.hashint8(d.id::bigint * 4294967296 + d.made::text::bigint)::numeric) FROM d, s"
	" WHERE pg_catalog.age(d.made) > pg_catalog.age(s.top) AND NOT d.made::text = ANY (s.running) GROUP BY d.kind"
	" ORDER BY d.kind";

static enum status compare_definitions(struct schema_dump *s, struct error *err)
{
	CLEANUP(conn_freep) struct conn *c = NULL;
	CLEANUP(conn_result_free) PGresult *now = NULL;

	if (session_open(&s->run, s->e, s->database, pg_params(s->e)->lock_timeout, &c, err) ||
	    conn_query(&s->run, c, SQL(definitions_sql, s->visible), &now, err))
		return error_add(err, "proof that definitions stood still");
	/* Both are sorted by kind. A kind can only lose: what is new is not counted. */
	const char *kind = NULL;
	for (int i = 0; !kind && i < PQntuples(s->before); i++)
		if (i >= PQntuples(now) || strcmp(res_text(now, i, 0), res_text(s->before, i, 0)) ||
		    strcmp(res_text(now, i, 1), res_text(s->before, i, 1)))
			kind = res_text(s->before, i, 0);
	if (!kind && PQntuples(now) == PQntuples(s->before))
		return ST_OK;
	error_set(err, ST_SERVER, "a %s was changed while the schema was read, so that the dump of it may not fit its tables",
		  kind ? kind : "definition");
	err->retry = true;
	return error_hint(err, "Run the backup again when no migration is at work.");
}

/* ---- programs ---- */

struct pump {
	struct spool *to;
	struct script_filter *filter; /* NULL: bytes go to the spool as they come */
};

static enum status pump_bytes(struct pump *p, const char *piece, size_t n, struct error *err)
{
	return p->filter ? script_filter_put(p->filter, piece, n, err) : spool_write(p->to, piece, n, err);
}

static enum status pump_pipe(struct run *run, int fd, struct pump *p, struct error *err)
{
	char piece[16384];

	for (;;) {
		bool ready = false;

		while (!ready)
			if (run_poll(run, fd, POLLIN, DURATION_SECONDS(60), &ready, err))
				return err->code;
		ssize_t n = read(fd, piece, sizeof piece);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(err, errno, "cannot read from a client program");
		if (n == 0)
			return ST_OK;
		if (pump_bytes(p, piece, (size_t)n, err))
			return err->code;
	}
}

static enum status run_program(struct schema_dump *s, struct process_spec *spec, struct pump *pump, struct error *err)
{
	CLEANUP(process_freep) struct process *p = NULL;
	CLEANUP(fd_release) int from = FD_INIT;
	CLEANUP(error_release) struct error read_err = ERROR_INIT;
	int fds[2];

	if (pipe2(fds, O_CLOEXEC))
		return error_errno(err, errno, "cannot make a pipe for %s", spec->argv[0]);
	from = fds[0];
	spec->in = -1;
	spec->out = fds[1];
	enum status started = process_start(&p, spec, err);
	close(fds[1]);
	if (started)
		return started;
	if (pump_pipe(&s->run, from, pump, &read_err)) {
		process_signal(p, SIGTERM);
		return error_move(err, &read_err);
	}
	return process_wait(&s->run, p, NULL, err);
}

/* As a connection string, since a bare name with "=" in it would be read as one. */
static char *conninfo_database(const char *database)
{
	struct buf b = BUF_INIT;

	buf_puts(&b, "--dbname=dbname='");
	for (; *database; database++) {
		if (*database == '\'' || *database == '\\')
			buf_putc(&b, '\\');
		buf_putc(&b, *database);
	}
	buf_putc(&b, '\'');
	return buf_detach(&b);
}

static enum status run_pg_dump(struct schema_dump *s, struct error *err)
{
	CLEANUP(cstr_release) char *program = path_join(s->bin, "pg_dump"), *database = conninfo_database(s->database);
	CLEANUP(cstr_release) char *snapshot = xasprintf("--snapshot=%s", s->snapshot);
	CLEANUP(cstr_release) char *wait = xasprintf("--lock-wait-timeout=%" PRId64, s->lock_ms);
	const char *const argv[] = {program, "--schema-only", "--format=custom", "--no-password", snapshot, wait, database, NULL};
	CLEANUP(strlist_release) struct strlist env = STRLIST_INIT;
	struct pump pump = {.to = s->dump};

	for (size_t i = 0; i < s->env.len; i++)
		strlist_add(&env, s->env.item[i]);
	strlist_take(&env, NULL);
	struct process_spec spec = {.argv = argv, .env = (const char *const *)env.item};
	if (run_program(s, &spec, &pump, err) || spool_seal(s->dump, err)) {
		if (strstr(error_text(err), "lock timeout") || strstr(error_text(err), "LOCK TABLE")) {
			err->retry = true;
			error_hint(err, "Something like ALTER TABLE waits for the end of this backup, and pg_dump waits behind it: "
					"run again when it is done.");
		}
		return error_add(err, "the schema of database %s", s->database);
	}
	if (!spool_size(s->dump))
		return error_set(err, ST_FAILED, "pg_dump wrote no schema of database %s", s->database);
	return ST_OK;
}

static enum status make_sql(struct schema_dump *s, const char *section, struct spool *to, struct error *err)
{
	CLEANUP(cstr_release) char *program = path_join(s->bin, "pg_restore");
	CLEANUP(cstr_release) char *from = xasprintf("/proc/self/fd/%d", spool_fd(s->dump));
	const char *const argv[] = {program, "--file=-", section, from, NULL};
	struct process_spec spec = {.argv = argv, .keep = (const int[]){spool_fd(s->dump), -1}};
	CLEANUP(script_filter_release) struct script_filter filter = {.known = &s->known, .server = s->server, .to = to};
	struct pump pump = {.to = to, .filter = &filter};

	if (run_program(s, &spec, &pump, err) || script_filter_end(&filter, err))
		return error_add(err, "readable SQL of the schema");
	return ST_OK;
}

static void schema_thread(void *arg)
{
	struct schema_dump *s = arg;

	if (run_pg_dump(s, &s->err) || failpoint("postgres.schema.dumped", &s->err) || compare_definitions(s, &s->err) ||
	    make_sql(s, "--section=pre-data", s->pre, &s->err) || make_sql(s, "--section=post-data", s->post, &s->err))
		atomic_store(&s->failed, true);
}

/* ---- the caller's side ---- */

static enum status known_settings(struct run *run, struct dump *d, struct strlist *known, struct error *err)
{
	CLEANUP(conn_result_free) PGresult *r = NULL;

	if (conn_query(run, d->c, SQL("SELECT pg_catalog.lower(name) FROM pg_catalog.pg_settings"), &r, err))
		return err->code;
	for (int i = 0; i < PQntuples(r); i++)
		strlist_add(known, res_text(r, i, 0));
	return ST_OK;
}

static enum status prepare(struct run *run, struct dump *d, struct schema_dump *s, struct error *err)
{
	s->e = d->e;
	s->database = xstrdup(dump_database(d));
	s->bin = xstrdup(d->client.bin);
	s->version = xstrdup(d->client.version);
	s->snapshot = xstrdup(d->snapshot);
	s->passfile = path_join(d->e->spool_dir, "pgpass");
	s->lock_ms = pg_params(d->e)->lock_timeout.us / 1000;
	s->server = d->version;
	s->dump = entry_spool(d);
	s->pre = entry_spool(d);
	s->post = entry_spool(d);
	s->cancel = cancel_new(run->cancel);
	s->run = *run;
	s->run.cancel = s->cancel;
	if (conn_value(run, d->c, SQL("SELECT pg_catalog.txid_current_snapshot()"), &s->visible, err) ||
	    conn_query(run, d->c, SQL(definitions_sql, s->visible), &s->before, err) || known_settings(run, d, &s->known, err))
		return err->code;
	return conn_client_env(run, d->e, s->passfile, &s->env, err);
}

enum status schema_dump_start(struct run *run, struct dump *d, struct schema_dump **to, struct error *err)
{
	CLEANUP(schema_dump_freep) struct schema_dump *s = xcalloc(1, sizeof *s);

	if (prepare(run, d, s, err) || thread_start(&s->thread, "pg-schema", schema_thread, s, err))
		return err->code;
	*to = s;
	s = NULL;
	return ST_OK;
}

enum status schema_dump_failed(struct schema_dump *s, struct error *err)
{
	/* The thread is done with its error once it says so. */
	if (!atomic_load(&s->failed))
		return ST_OK;
	return error_copy(err, &s->err);
}

enum status schema_dump_finish(struct run *run, struct dump *d, const struct entry_sink *entries, struct error *err)
{
	struct schema_dump *s = d->schema;
	CLEANUP(js_decref) json_t *facts = json_object();

	(void)run;
	thread_join(&s->thread);
	if (schema_dump_failed(s, err))
		return err->code;
	js_set_str(facts, "client", s->version);
	if (entry_give(entries, PG_ENTRY_SCHEMA, s->dump, facts, err) ||
	    entry_give(entries, PG_ENTRY_SCHEMA_PRE_SQL, s->pre, NULL, err))
		return err->code;
	return entry_give(entries, PG_ENTRY_SCHEMA_POST_SQL, s->post, NULL, err);
}

void schema_dump_interrupt(struct schema_dump *s) { cancel_fire(s->cancel, 0); }

void schema_dump_freep(struct schema_dump **p)
{
	struct schema_dump *s = *p;

	if (!s)
		return;
	if (s->cancel)
		cancel_fire(s->cancel, 0);
	thread_join(&s->thread);
	cancel_freep(&s->cancel);
	if (s->passfile)
		unlink(s->passfile);
	char *const text[] = {s->database, s->bin, s->version, s->snapshot, s->passfile, s->visible};
	for (size_t i = 0; i < ARRAY_LEN(text); i++)
		free(text[i]);
	strlist_release(&s->env);
	strlist_release(&s->known);
	PQclear(s->before);
	spool_freep(&s->dump);
	spool_freep(&s->pre);
	spool_freep(&s->post);
	error_release(&s->err);
	free(s);
	*p = NULL;
}
