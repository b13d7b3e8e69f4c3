#include "drivers/postgres/client.h"

#include <ctype.h>
#include <glob.h>

#include "util/fs.h"
#include "util/process.h"

void client_release(struct client *c)
{
	cstr_release(&c->bin);
	cstr_release(&c->version);
	c->major = 0;
}

void clients_free(struct client *c, size_t n)
{
	for (size_t i = 0; i < n; i++)
		client_release(&c[i]);
	free(c);
}

/* Where distributions put programs of each version side by side. */
static const char *const patterns[] = {"/usr/lib/postgresql/*/bin",         "/usr/pgsql-*/bin",     "/usr/local/pgsql*/bin",
				       "/usr/libexec/postgresql*",          "/opt/postgresql*/bin", "/usr/lib/postgresql*/bin",
				       "/opt/homebrew/opt/postgresql@*/bin"};

static void add_dir(struct strlist *dirs, const char *dir)
{
	CLEANUP(cstr_release) char *dump = path_join(dir, "pg_dump"), *restore = path_join(dir, "pg_restore");

	if (!strlist_has(dirs, dir) && fs_exists(dump) && fs_exists(restore))
		strlist_add(dirs, dir);
}

static void add_matches(struct strlist *dirs, const char *pattern)
{
	glob_t g = {0};

	if (!glob(pattern, GLOB_NOSORT, NULL, &g))
		for (size_t i = 0; i < g.gl_pathc; i++)
			add_dir(dirs, g.gl_pathv[i]);
	globfree(&g);
}

/* Every folder of PATH: that of an older version may come first. */
static void add_path(struct strlist *dirs)
{
	const char *path = getenv("PATH");

	for (const char *at = path ? path : ""; *at;) {
		size_t n = strcspn(at, ":");
		CLEANUP(cstr_release) char *dir = xstrndup(at, n);

		if (*dir == '/')
			add_dir(dirs, dir);
		at += n + (at[n] == ':');
	}
}

static void search(const struct endpoint *e, struct strlist *dirs)
{
	const char *own = pg_params(e)->client_path;

	/* A folder that was named is the only one, so that nothing else is used behind the person's back. */
	if (own) {
		add_matches(dirs, own);
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(patterns); i++)
		add_matches(dirs, patterns[i]);
	add_path(dirs);
}

/* "pg_dump (PostgreSQL) 15.20 (Debian 15.20-0+deb12u1)" */
static bool ask_version(struct run *run, const char *dir, struct client *c)
{
	CLEANUP(error_release) struct error ignored = ERROR_INIT;
	CLEANUP(buf_release) struct buf out = BUF_INIT;
	CLEANUP(cstr_release) char *program = path_join(dir, "pg_dump");
	struct process_spec spec = {.argv = (const char *const[]){program, "--version", NULL}, .in = -1};

	if (process_capture(run, &spec, 4096, &out, &ignored))
		return false;
	const char *at = strstr(buf_str(&out), ") ");
	if (!at || !isdigit((unsigned char)at[2]))
		return false;
	c->bin = xstrdup(dir);
	c->version = xstrndup(at + 2, strcspn(at + 2, " \n"));
	c->major = (int)strtol(at + 2, NULL, 10);
	return true;
}

static int newest_first(const void *a, const void *b)
{
	const struct client *x = a, *y = b;

	return y->major - x->major;
}

/* The first of a version wins: what lies in PATH may be a wrapper that chooses by rules of its own. */
static size_t is_new(struct client *all, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (all[i].major == all[n].major) {
			client_release(&all[n]);
			return 0;
		}
	return 1;
}

struct client *clients_find(struct run *run, const struct endpoint *e, size_t *n)
{
	CLEANUP(strlist_release) struct strlist dirs = STRLIST_INIT;

	search(e, &dirs);
	struct client *all = xcalloc(dirs.len + 1, sizeof *all);
	*n = 0;
	for (size_t i = 0; i < dirs.len; i++)
		if (ask_version(run, dirs.item[i], &all[*n]))
			*n += is_new(all, *n);
	qsort(all, *n, sizeof *all, newest_first);
	return all;
}

int client_oldest_reader(int dump_major)
{
	/* The custom format changed with 16 and 17; what 12 to 15 write, all of them read. */
	return dump_major >= 17 ? 17 : dump_major == 16 ? 16 : 12;
}

static void describe_found(const struct client *all, size_t n, struct buf *to)
{
	if (!n)
		buf_puts(to, "none is installed");
	for (size_t i = 0; i < n; i++)
		buf_printf(to, "%s%s in %s", i ? ", " : "found ", all[i].version, all[i].bin);
}

static void take_client(struct client *to, struct client *from)
{
	*to = *from;
	*from = (struct client)CLIENT_INIT;
}

enum status client_for_server(struct run *run, const struct endpoint *e, int major, struct client *to, struct error *err)
{
	size_t n = 0, best;
	struct client *all = clients_find(run, e, &n);

	/* Newest first: the last that is new enough is the nearest. */
	for (best = n; best && all[best - 1].major < major; best--)
		;
	if (best) {
		take_client(to, &all[best - 1]);
		if (to->major != major)
			notes_add(e->notes, "pg_dump %d is not installed; %s of version %s describes the schema", major, to->bin,
				  to->version);
		clients_free(all, n);
		return ST_OK;
	}
	CLEANUP(buf_release) struct buf found = BUF_INIT;
	describe_found(all, n, &found);
	clients_free(all, n);
	error_set(err, ST_UNSUPPORTED, "the server has version %d, and no pg_dump of that version or a later one is here (%s)", major,
		  buf_str(&found));
	return error_hint(err,
			  "Install the client programs (Debian: apt-get install postgresql-client-%d), or set client_path to their "
			  "folder.",
			  major);
}

enum status client_for_archive(struct run *run, const struct endpoint *e, int dump_major, struct client *to, struct error *err)
{
	size_t n = 0, best, oldest = (size_t)client_oldest_reader(dump_major);
	struct client *all = clients_find(run, e, &n);

	for (best = n; best && all[best - 1].major < dump_major; best--)
		;
	if (!best && n && (size_t)all[0].major >= oldest)
		best = 1;
	if (best) {
		take_client(to, &all[best - 1]);
		clients_free(all, n);
		return ST_OK;
	}
	CLEANUP(buf_release) struct buf found = BUF_INIT;
	describe_found(all, n, &found);
	clients_free(all, n);
	error_set(err, ST_UNSUPPORTED, "this archive needs pg_restore of version %zu or later (%s)", oldest, buf_str(&found));
	return error_hint(err,
			  "Install the client programs (Debian: apt-get install postgresql-client-%d), or set client_path to their "
			  "folder.",
			  dump_major);
}
