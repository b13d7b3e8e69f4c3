#include <errno.h>
#include <signal.h>
#include <unistd.h>
#include <sys/wait.h>

#include "drivers/mongodb/conn.h"
#include "drivers/mongodb/modriver.h"
#include "drivers/scratch.h"

#define SOCKET_NAME "mongod.sock"
#define SOCKET_PATH_MOST ((size_t)85) /* of the folder: a socket's whole path has 107 bytes at most */
#define READY_WAIT DURATION_SECONDS(120)
#define VERSION_WAIT DURATION_SECONDS(20)
#define STOP_WAIT DURATION_SECONDS(10)

struct mo_scratch {
	struct scratch_place place;
	struct process *server;
};

/* A server program that is here. */
struct found {
	char *program;
	int series; /* 700 of 7.0 */
};

static void scratch_freep(struct mo_scratch **s)
{
	if (!*s)
		return;
	process_freep(&(*s)->server);
	scratch_place_release(&(*s)->place);
	free(*s);
	*s = NULL;
}

static void found_release(struct found *f) { cstr_release(&f->program); }

/* ---- the program ---- */

static void list_folders(struct strlist *to)
{
	static const char *const usual[] = {"/usr/bin", "/usr/local/bin", "/opt/mongodb/bin", "/usr/local/mongodb/bin"};
	const char *path = getenv("PATH");

	while (path && *path) {
		size_t n = strcspn(path, ":");

		if (path[0] == '/')
			strlist_take(to, xstrndup(path, n));
		path += n + (path[n] == ':');
	}
	for (size_t i = 0; i < ARRAY_LEN(usual); i++)
		strlist_add_once(to, usual[i]);
}

/* "7.0.14" -> 700; 0 where it is no version. */
static int series_of(const char *version)
{
	char *dot = NULL;
	long major = strtol(version, &dot, 10);

	return *dot == '.' && major > 0 && major < 1000 ? (int)(major * 100 + strtol(dot + 1, NULL, 10)) : 0;
}

/* "db version v7.0.14", and more */
static bool ask_version(struct run *run, const struct scratch_place *p, const char *program, struct found *f)
{
	CLEANUP(buf_release) struct buf out = BUF_INIT;
	CLEANUP(error_release) struct error ignored = ERROR_INIT;
	const char *argv[] = {program, "--version", NULL};
	const struct process_spec spec = {.argv = argv, .in = -1, .out = -1, .uid = p->uid, .gid = p->gid};
	struct run bounded = run_within(run, VERSION_WAIT);

	if (process_capture(&bounded, &spec, 16384, &out, &ignored))
		return false;
	const char *at = strstr(buf_str(&out), "db version v");
	f->series = at ? series_of(at + strlen("db version v")) : 0;
	return f->series > 0;
}

/* The same series, else the nearest newer one. */
static enum status find_server(struct run *run, const struct scratch_place *p, const char *version, struct found *best, struct error *err)
{
	CLEANUP(strlist_release) struct strlist folders = STRLIST_INIT;
	const int series = series_of(version);

	list_folders(&folders);
	for (size_t i = 0; i < folders.len && best->series != series; i++) {
		struct found f = {.program = path_join(folders.item[i], "mongod")};

		if (fs_exists(f.program) && ask_version(run, p, f.program, &f) && f.series >= series && (!best->program || f.series < best->series)) {
			found_release(best);
			*best = f;
		} else {
			found_release(&f);
		}
	}
	if (best->program)
		return ST_OK;
	error_set(err, ST_UNSUPPORTED, "could not verify: no mongod of version %d.%d or later is on PATH", series / 100, series % 100);
	return error_hint(err, "Install mongod %d.%d here, which needs no running service, or set scratch to the URL of a server of that version, where a"
			       " database of its own is made and dropped.", series / 100, series % 100);
}

/* ---- the server ---- */

static enum status start_server(struct mo_scratch *s, const struct found *f, struct error *err)
{
	const char *dir = s->place.dir;
	CLEANUP(cstr_release) char *data = path_join(dir, "data");
	CLEANUP(cstr_release) char *socket = path_join(dir, SOCKET_NAME);
	/* A path among the addresses is a socket; that of the port lies in the folder, too. No TCP, and nothing is deleted by time. */
	const char *argv[] = {f->program, "--dbpath", data, "--bind_ip", socket, "--unixSocketPrefix", dir, "--wiredTigerCacheSizeGB", "0.25",
			      "--setParameter", "ttlMonitorEnabled=false", "--setParameter", "diagnosticDataCollectionEnabled=false", "--quiet", NULL};
	const struct process_spec spec = {.argv = argv, .in = -1, .out = -1, .dir = dir, .uid = s->place.uid, .gid = s->place.gid, .nice = true};

	if (mkdir(data, 0700) || (s->place.uid && chown(data, s->place.uid, s->place.gid)))
		return error_errno(err, errno, "cannot make the folder %s", data);
	return process_start(&s->server, &spec, err) ? error_add(err, "starting the scratch server") : ST_OK;
}

static bool has_ended(const struct process *p)
{
	siginfo_t si = {0};

	return waitid(P_PID, (id_t)process_pid(p), &si, WEXITED | WNOHANG | WNOWAIT) || si.si_pid;
}

static enum status wait_ready(struct run *run, struct mo_scratch *s, const char *url, struct error *err)
{
	struct secret none = SECRET_INIT;
	struct notes *notes = notes_new();
	const struct endpoint e = {.url = url, .password = &none, .notes = notes, .spool_dir = s->place.dir};
	struct run bounded = run_within(run, READY_WAIT);
	CLEANUP(cstr_release) char *socket = path_join(s->place.dir, SOCKET_NAME);
	enum status st;

	for (;;) {
		CLEANUP(mo_conn_freep) struct mo_conn *c = NULL;
		CLEANUP(error_release) struct error why = ERROR_INIT;

		/* To be asked before there is a socket takes as long as the choice of a server may. */
		st = fs_exists(socket) ? mo_conn_open(&bounded, &e, MO_WRITE, &c, &why) : ST_UNREACHABLE;
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

/* The socket's path as the host of a URL. */
static char *socket_url(const char *dir)
{
	struct buf b = BUF_INIT;

	buf_puts(&b, "mongodb://");
	for (; *dir; dir++) {
		bool plain = (*dir >= 'a' && *dir <= 'z') || (*dir >= 'A' && *dir <= 'Z') || (*dir >= '0' && *dir <= '9') || strchr("-._", *dir);

		if (plain)
			buf_putc(&b, *dir);
		else
			buf_printf(&b, "%%%02X", (unsigned char)*dir);
	}
	buf_puts(&b, "%2F" SOCKET_NAME "/");
	return buf_detach(&b);
}

enum status mo_scratch_start(struct run *run, const struct scratch_spec *spec, char **url, void **scratch, struct error *err)
{
	CLEANUP(scratch_freep) struct mo_scratch *s = xcalloc(1, sizeof *s);
	CLEANUP(found_release) struct found f = {0};
	CLEANUP(cstr_release) char *where = NULL;
	const char *users[] = {spec->user ? spec->user : "mongodb", spec->user ? NULL : "nobody", NULL};

	if (scratch_place_make(run, spec->dir, users, spec->room_needed, &s->place, err))
		return err->code;
	if (strlen(s->place.dir) > SOCKET_PATH_MOST)
		return error_set(err, ST_CONFIG, "scratch_dir is too long for a socket below it: %s", spec->dir);
	if (find_server(run, &s->place, spec->version, &f, err) || start_server(s, &f, err))
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

void mo_scratch_stop(void *scratch)
{
	struct mo_scratch *s = scratch;
	CLEANUP(error_release) struct error ignored = ERROR_INIT;
	struct run none = RUN_INIT;

	if (!s)
		return;
	struct run bounded = run_within(&none, STOP_WAIT);
	/* At once: nothing has to reach the disk. */
	process_signal(s->server, SIGKILL);
	(void)!process_wait(&bounded, s->server, NULL, &ignored);
	scratch_freep(&s);
}
