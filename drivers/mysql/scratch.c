#include "drivers/mysql/conn.h"

#include <signal.h>
#include <sys/wait.h>

#include "drivers/mysql/mydriver.h"
#include "drivers/scratch.h"

#define SOCKET_NAME "socket"
#define SOCKET_PATH_MOST ((size_t)90) /* of the folder: a socket's whole path has 107 bytes at most */
#define READY_WAIT DURATION_SECONDS(120)
#define VERSION_WAIT DURATION_SECONDS(20)
#define STOP_WAIT DURATION_SECONDS(10)
#define SUPERUSER "root"

struct my_scratch {
	struct scratch_place place;
	struct process *server;
};

/* A server program that is here. */
struct found {
	char *program;
	bool mariadb;
	int series; /* 1011 of 10.11, 907 of 9.7 */
};

static void scratch_freep(struct my_scratch **s)
{
	if (!*s)
		return;
	process_freep(&(*s)->server);
	scratch_place_release(&(*s)->place);
	free(*s);
	*s = NULL;
}

static void found_release(struct found *f) { cstr_release(&f->program); }

/* ---- the programs ---- */

static void list_folders(struct strlist *to)
{
	static const char *const usual[] = {"/usr/sbin", "/usr/libexec", "/usr/local/sbin", "/usr/local/bin", "/usr/local/mysql/bin",
					    "/usr/local/mariadb/bin", "/usr/bin", "/opt/mysql/bin", "/opt/mariadb/bin"};
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

/* "10.11.19-MariaDB-log" -> 1011; 0 where it is no version. */
static int series_of(const char *version, bool *mariadb)
{
	char *dot = NULL;
	long major = strtol(version, &dot, 10);

	*mariadb = strcasestr(version, "mariadb") != NULL;
	return *dot == '.' && major > 0 && major < 1000 ? (int)(major * 100 + strtol(dot + 1, NULL, 10)) : 0;
}

/* "mariadbd  Ver 10.11.19-MariaDB-0+deb12u1 for debian-linux-gnu on x86_64 (Debian 12)" */
static bool ask_version(struct run *run, const struct scratch_place *p, const char *program, struct found *f)
{
	CLEANUP(buf_release) struct buf out = BUF_INIT;
	CLEANUP(error_release) struct error ignored = ERROR_INIT;
	const char *argv[] = {program, "--no-defaults", "--version", NULL};
	const struct process_spec spec = {.argv = argv, .in = -1, .out = -1, .uid = p->uid, .gid = p->gid};
	struct run bounded = run_within(run, VERSION_WAIT);

	if (process_capture(&bounded, &spec, 4096, &out, &ignored))
		return false;
	const char *at = strstr(buf_str(&out), "Ver ");
	if (!at)
		return false;
	CLEANUP(cstr_release) char *version = xstrndup(at + 4, strcspn(at + 4, " "));
	f->series = series_of(version, &f->mariadb);
	return f->series > 0;
}

/* The same series, else the nearest newer one of the same product. */
static bool is_better(const struct found *f, const struct found *best, int series)
{
	return f->series >= series && (!best->program || f->series < best->series);
}

static enum status find_server(struct run *run, const struct scratch_place *p, const char *version, struct found *best,
			       struct error *err)
{
	static const char *const names[] = {"mariadbd", "mysqld"};
	CLEANUP(strlist_release) struct strlist folders = STRLIST_INIT;
	bool mariadb;
	int series = series_of(version, &mariadb);
	const char *product = mariadb ? "MariaDB" : "MySQL";

	list_folders(&folders);
	for (size_t i = 0; i < folders.len * ARRAY_LEN(names) && best->series != series; i++) {
		struct found f = {.program = path_join(folders.item[i / ARRAY_LEN(names)], names[i % ARRAY_LEN(names)])};

		if (fs_exists(f.program) && ask_version(run, p, f.program, &f) && f.mariadb == mariadb && is_better(&f, best, series)) {
			found_release(best);
			*best = f;
		} else {
			found_release(&f);
		}
	}
	if (best->program)
		return ST_OK;
	error_set(err, ST_UNSUPPORTED, "could not verify: no %s server of version %d.%d or later (%s) is installed here", product, series / 100,
		  series % 100, mariadb ? "mariadbd, mariadb-install-db" : "mysqld");
	return error_hint(err, "Install the server package of %s %d.%d here, which needs no running service, or set scratch to the URL of a"
			       " server of that version, where a database of its own is made and dropped.", product, series / 100, series % 100);
}

/* The folder above the program's own: /usr of /usr/sbin/mariadbd. */
static char *prefix_of(const char *program)
{
	const char *end = strrchr(program, '/');

	while (end > program && end[-1] != '/')
		end--;
	return end > program + 1 ? xstrndup(program, (size_t)(end - program - 1)) : xstrdup("/");
}

/* The script that makes the system tables of MariaDB. */
static char *find_installer(const char *prefix)
{
	static const char *const names[] = {"mariadb-install-db", "mysql_install_db"};
	CLEANUP(cstr_release) char *bin = path_join(prefix, "bin");
	CLEANUP(cstr_release) char *scripts = path_join(prefix, "scripts");
	const char *const dirs[] = {bin, scripts, NULL};
	char *at = NULL;

	for (size_t i = 0; i < ARRAY_LEN(names) && !at; i++)
		at = process_find(names[i], dirs);
	return at;
}

/* ---- the server ---- */

static enum status init_data(struct run *run, const struct scratch_place *p, const struct found *f, struct error *err)
{
	CLEANUP(cstr_release) char *prefix = prefix_of(f->program);
	CLEANUP(cstr_release) char *installer = f->mariadb ? find_installer(prefix) : NULL;
	CLEANUP(cstr_release) char *data = xasprintf("--datadir=%s/data", p->dir);
	CLEANUP(cstr_release) char *base = xasprintf("--basedir=%s", prefix);
	CLEANUP(cstr_release) char *temporary = xasprintf("--tmpdir=%s", p->dir);
	CLEANUP(buf_release) struct buf out = BUF_INIT;
	const char *mariadb[] = {installer, "--no-defaults", base, data, temporary, "--auth-root-authentication-method=normal", "--skip-test-db",
				 "--skip-name-resolve", "--force", NULL};
	const char *mysql[] = {f->program, "--no-defaults", "--initialize-insecure", data, temporary, "--secure-file-priv=",
			       "--loose-log-error-verbosity=1", NULL};
	const struct process_spec spec = {.argv = f->mariadb ? mariadb : mysql, .in = -1, .out = -1, .dir = p->dir, .uid = p->uid,
					  .gid = p->gid, .nice = true};

	if (f->mariadb && !installer)
		return error_set(err, ST_UNSUPPORTED, "could not verify: beside %s there is no mariadb-install-db", f->program);
	return process_capture(run, &spec, 65536, &out, err) ? error_add(err, "making the scratch server") : ST_OK;
}

static enum status start_server(struct my_scratch *s, const struct found *f, struct error *err)
{
	const char *dir = s->place.dir;
	CLEANUP(cstr_release) char *data = xasprintf("--datadir=%s/data", dir);
	CLEANUP(cstr_release) char *socket = xasprintf("--socket=%s/" SOCKET_NAME, dir);
	CLEANUP(cstr_release) char *pid = xasprintf("--pid-file=%s/pid", dir);
	CLEANUP(cstr_release) char *temporary = xasprintf("--tmpdir=%s", dir);
	/* Nothing of it is kept: no waiting for disks, no binlog, no event that runs. `loose`: not every version knows it. */
	const char *argv[] = {
		f->program, "--no-defaults", data, socket, pid, temporary, "--skip-networking", "--skip-log-bin", "--skip-name-resolve",
		"--secure-file-priv=", "--local-infile=1", "--event-scheduler=OFF", "--performance-schema=OFF", "--max-connections=60",
		"--max-allowed-packet=1073741824", "--innodb-buffer-pool-size=128M", "--innodb-flush-log-at-trx-commit=0",
		"--innodb-doublewrite=0", "--innodb-use-native-aio=0", "--loose-innodb-flush-method=nosync", "--loose-mysqlx=0",
		"--loose-innodb-redo-log-capacity=256M", "--loose-log-error-verbosity=1", "--loose-log-warnings=0",
		"--loose-innodb-buffer-pool-dump-at-shutdown=0", "--loose-sql-require-primary-key=0", NULL,
	};
	const struct process_spec spec = {.argv = argv, .in = -1, .out = -1, .dir = dir, .uid = s->place.uid, .gid = s->place.gid,
					  .nice = true};

	return process_start(&s->server, &spec, err) ? error_add(err, "starting the scratch server") : ST_OK;
}

static bool has_ended(const struct process *p)
{
	siginfo_t si = {0};

	return waitid(P_PID, (id_t)process_pid(p), &si, WEXITED | WNOHANG | WNOWAIT) || si.si_pid;
}

static enum status wait_ready(struct run *run, struct my_scratch *s, const char *url, struct error *err)
{
	struct secret none = SECRET_INIT;
	struct notes *notes = notes_new();
	const struct endpoint e = {.url = url, .password = &none, .notes = notes, .spool_dir = s->place.dir};
	struct run bounded = run_within(run, READY_WAIT);
	enum status st;

	for (;;) {
		CLEANUP(my_conn_freep) struct my_conn *c = NULL;
		CLEANUP(error_release) struct error why = ERROR_INIT;

		st = my_conn_open(&bounded, &e, NULL, false, &c, &why);
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

	buf_puts(&b, "mysql://" SUPERUSER "@");
	for (; *dir; dir++) {
		bool plain = (*dir >= 'a' && *dir <= 'z') || (*dir >= 'A' && *dir <= 'Z') || (*dir >= '0' && *dir <= '9') ||
			strchr("-._", *dir);

		if (plain)
			buf_putc(&b, *dir);
		else
			buf_printf(&b, "%%%02X", (unsigned char)*dir);
	}
	buf_puts(&b, "%2F" SOCKET_NAME "/");
	return buf_detach(&b);
}

enum status my_scratch_start(struct run *run, const struct scratch_spec *spec, char **url, void **scratch, struct error *err)
{
	CLEANUP(scratch_freep) struct my_scratch *s = xcalloc(1, sizeof *s);
	CLEANUP(found_release) struct found f = {0};
	CLEANUP(cstr_release) char *where = NULL;
	const char *users[] = {spec->user ? spec->user : "mysql", spec->user ? NULL : "nobody", NULL};

	if (scratch_place_make(run, spec->dir, users, spec->room_needed, &s->place, err))
		return err->code;
	if (strlen(s->place.dir) > SOCKET_PATH_MOST)
		return error_set(err, ST_CONFIG, "scratch_dir is too long for a socket below it: %s", spec->dir);
	if (find_server(run, &s->place, spec->version, &f, err) || init_data(run, &s->place, &f, err) || start_server(s, &f, err))
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

void my_scratch_stop(void *scratch)
{
	struct my_scratch *s = scratch;
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
