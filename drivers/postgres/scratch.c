#include "drivers/scratch.h"

#include <signal.h>
#include <sys/wait.h>

#include "drivers/postgres/conn.h"
#include "drivers/postgres/pgdriver.h"

#define SOCKET_PATH_MOST ((size_t)90) /* of the folder: a socket's whole path has 107 bytes at most */
#define READY_WAIT DURATION_SECONDS(120)
#define STOP_WAIT DURATION_SECONDS(10)
#define PORT "5432"
#define SUPERUSER "postgres"

struct pg_scratch {
	struct scratch_place place;
	struct process *server;
};

static void scratch_freep(struct pg_scratch **s)
{
	if (!*s)
		return;
	process_freep(&(*s)->server);
	scratch_place_release(&(*s)->place);
	free(*s);
	*s = NULL;
}

/* ---- the programs ---- */

static void list_folders(int major, struct strlist *to)
{
	static const char *const patterns[] = {"/usr/lib/postgresql/%d/bin", "/usr/pgsql-%d/bin", "/usr/local/pgsql-%d/bin",
					       "/usr/lib/postgresql%d/bin",
					       "/opt/postgresql/%d/bin", "/usr/libexec/postgresql%d"};
	const char *path = getenv("PATH");
	char number[16];

	snprintf(number, sizeof number, "%d", major);
	while (path && *path) {
		size_t n = strcspn(path, ":");

		if (path[0] == '/')
			strlist_take(to, xstrndup(path, n));
		path += n + (path[n] == ':');
	}
	for (size_t i = 0; i < ARRAY_LEN(patterns); i++) {
		const char *at = strstr(patterns[i], "%d");

		strlist_take(to, xasprintf("%.*s%s%s", (int)(at - patterns[i]), patterns[i], number, at + 2));
	}
	strlist_add(to, "/usr/local/pgsql/bin");
	strlist_add(to, "/usr/local/bin");
	strlist_add(to, "/usr/bin");
}

static bool is_major(struct run *run, const struct scratch_place *p, const char *program, int major)
{
	CLEANUP(buf_release) struct buf out = BUF_INIT;
	CLEANUP(error_release) struct error ignored = ERROR_INIT;
	const char *argv[] = {program, "--version", NULL};
	const struct process_spec spec = {.argv = argv, .in = -1, .out = -1, .uid = p->uid, .gid = p->gid};
	struct run bounded = run_within(run, DURATION_SECONDS(20));

	/* "postgres (PostgreSQL) 15.20 (Debian ...)" */
	if (process_capture(&bounded, &spec, 4096, &out, &ignored))
		return false;
	const char *at = strstr(buf_str(&out), ") ");
	return at && strtol(at + 2, NULL, 10) == major;
}

static enum status find_folder(struct run *run, const struct scratch_place *p, const char *version, char **bin, struct error *err)
{
	CLEANUP(strlist_release) struct strlist folders = STRLIST_INIT;
	int major = (int)strtol(version, NULL, 10);

	list_folders(major, &folders);
	for (size_t i = 0; i < folders.len && !*bin; i++) {
		CLEANUP(cstr_release) char *initdb = path_join(folders.item[i], "initdb");
		CLEANUP(cstr_release) char *postgres = path_join(folders.item[i], "postgres");

		if (fs_exists(initdb) && fs_exists(postgres) && is_major(run, p, postgres, major))
			*bin = xstrdup(folders.item[i]);
	}
	if (*bin)
		return ST_OK;
	error_set(err, ST_UNSUPPORTED, "could not verify: no PostgreSQL %d server (initdb, postgres) is installed here", major);
	return error_hint(err, "Install the server package of PostgreSQL %d here, or set scratch to the URL of a server of that"
			       " version, where a database "
			       "of its own is made and dropped.", major);
}

/* ---- the server ---- */

static enum status init_data(struct run *run, const struct scratch_place *p, const char *bin, struct error *err)
{
	CLEANUP(cstr_release) char *initdb = path_join(bin, "initdb");
	CLEANUP(cstr_release) char *data = path_join(p->dir, "data");
	CLEANUP(buf_release) struct buf out = BUF_INIT;
	/* Databases are made from template0 with the encoding and locale that were recorded: those of the templates do not
	 * matter. */
	const char *argv[] = {initdb, "-D", data, "-U", SUPERUSER, "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C",
			      NULL};
	const struct process_spec spec = {.argv = argv, .in = -1, .out = -1, .dir = p->dir, .uid = p->uid, .gid = p->gid,
					  .nice = true};

	return process_capture(run, &spec, 65536, &out, err) ? error_add(err, "making the scratch server") : ST_OK;
}

static enum status start_server(struct pg_scratch *s, const char *bin, struct error *err)
{
	CLEANUP(cstr_release) char *postgres = path_join(bin, "postgres");
	CLEANUP(cstr_release) char *data = path_join(s->place.dir, "data");
	/* Nothing of it is kept: no waiting for disks, no log that could bring it back, no other processes than those that work. */
	const char *argv[] = {
		postgres, "-D", data, "-k", s->place.dir, "-p", PORT,
		"-c", "listen_addresses=", "-c", "unix_socket_permissions=0700", "-c", "fsync=off",
		"-c", "synchronous_commit=off", "-c", "full_page_writes=off", "-c", "wal_level=minimal",
		"-c", "max_wal_senders=0", "-c", "max_wal_size=4GB", "-c", "checkpoint_timeout=1h", "-c", "autovacuum=off",
		"-c", "jit=off", "-c", "logging_collector=off", "-c", "log_destination=stderr", "-c", "log_min_messages=fatal",
		"-c", "log_min_error_statement=panic", "-c", "max_locks_per_transaction=1024", "-c", "max_connections=60",
		"-c", "maintenance_work_mem=128MB", "-c", "shared_buffers=64MB", "-c", "lc_messages=C",
		"-c", "max_prepared_transactions=0", NULL,
	};
	const struct process_spec spec = {.argv = argv, .in = -1, .out = -1, .dir = s->place.dir, .uid = s->place.uid,
					  .gid = s->place.gid, .nice = true};

	return process_start(&s->server, &spec, err) ? error_add(err, "starting the scratch server") : ST_OK;
}

static bool has_ended(const struct process *p)
{
	siginfo_t si = {0};

	return waitid(P_PID, (id_t)process_pid(p), &si, WEXITED | WNOHANG | WNOWAIT) || si.si_pid;
}

static enum status wait_ready(struct run *run, struct pg_scratch *s, const char *url, struct error *err)
{
	struct secret none = SECRET_INIT;
	struct notes *notes = notes_new();
	const struct endpoint e = {.url = url, .password = &none, .notes = notes, .spool_dir = s->place.dir};
	struct run bounded = run_within(run, READY_WAIT);
	enum status st;

	for (;;) {
		CLEANUP(conn_freep) struct conn *c = NULL;
		CLEANUP(error_release) struct error why = ERROR_INIT;

		st = conn_open(&bounded, &e, NULL, &c, &why);
		if (!st)
			break;
		if (has_ended(s->server)) {
			st = process_wait(&bounded, s->server, NULL, err) ? err->code
				: error_set(err, ST_FAILED, "the scratch server ended at once");
			break;
		}
		if (run_sleep(&bounded, DURATION_MS(50), err)) {
			if (err->code == ST_DEADLINE)
				error_add(err, "the scratch server does not answer: %s", error_text(&why));
			st = err->code;
			break;
		}
	}
	notes_freep(&notes);
	return st ? error_add(err, "starting the scratch server") : ST_OK;
}

/* The folder's path as the host of a URL. */
static char *socket_url(const char *dir)
{
	struct buf b = BUF_INIT;

	buf_puts(&b, "postgres://" SUPERUSER "@");
	for (; *dir; dir++) {
		bool plain = (*dir >= 'a' && *dir <= 'z') || (*dir >= 'A' && *dir <= 'Z') || (*dir >= '0' && *dir <= '9') ||
			strchr("-._", *dir);

		if (plain)
			buf_putc(&b, *dir);
		else
			buf_printf(&b, "%%%02X", (unsigned char)*dir);
	}
	buf_puts(&b, ":" PORT "/");
	return buf_detach(&b);
}

enum status pg_scratch_start(struct run *run, const struct scratch_spec *spec, char **url, void **scratch, struct error *err)
{
	CLEANUP(scratch_freep) struct pg_scratch *s = xcalloc(1, sizeof *s);
	CLEANUP(cstr_release) char *bin = NULL;
	CLEANUP(cstr_release) char *where = NULL;
	const char *users[] = {spec->user ? spec->user : SUPERUSER, spec->user ? NULL : "nobody", NULL};

	if (scratch_place_make(run, spec->dir, users, spec->room_needed, &s->place, err))
		return err->code;
	if (strlen(s->place.dir) > SOCKET_PATH_MOST)
		return error_set(err, ST_CONFIG, "scratch_dir is too long for a socket below it: %s", spec->dir);
	if (find_folder(run, &s->place, spec->version, &bin, err) || init_data(run, &s->place, bin, err) ||
	    start_server(s, bin, err))
		return err->code;
	where = socket_url(s->place.dir);
	if (wait_ready(run, s, where, err))
		return err->code;
	*url = where;
	where = NULL;
	*scratch = s;
	s = NULL;
	return ST_OK;
}

void pg_scratch_stop(void *scratch)
{
	struct pg_scratch *s = scratch;
	CLEANUP(error_release) struct error ignored = ERROR_INIT;
	struct run none = RUN_INIT;

	if (!s)
		return;
	struct run bounded = run_within(&none, STOP_WAIT);
	/* At once: nothing has to reach the disk. What does not end by itself is killed when the process is given back. */
	process_signal(s->server, SIGQUIT);
	(void)!process_wait(&bounded, s->server, NULL, &ignored);
	scratch_freep(&s);
}
