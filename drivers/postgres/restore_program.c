#include <unistd.h>

#include "drivers/postgres/client.h"
#include "drivers/postgres/load.h"
#include "util/process.h"

#define LIST_MEMORY ((size_t)8 * 1024 * 1024)
#define SORT_LIMIT_KB ((uint64_t)1024 * 1024)
#define ERROR_LINE "pg_restore: error: "
#define IGNORED_LINE "errors ignored on restore: "

/* For sorts of indexes: what the server has set, or more where its shared_buffers show a larger machine. */
static enum status sort_memory(struct run *run, struct load *l, struct error *err)
{
	CLEANUP(conn_result_free) PGresult *r = NULL;

	if (conn_query(run, l->conn,
		       SQL("SELECT (SELECT setting FROM pg_catalog.pg_settings WHERE name = 'maintenance_work_mem'),"
			   " (SELECT setting::bigint * 8 FROM pg_catalog.pg_settings WHERE name = 'shared_buffers')"),
		       &r, err))
		return err->code;
	l->sort_kb = max_u64(res_u64(r, 0, 0), min_u64(SORT_LIMIT_KB, res_u64(r, 0, 1) / (2 * (l->q->jobs + 1))));
	return ST_OK;
}

/* Replaces a variable, or adds to what it says. Takes value. */
static void set_variable(struct strlist *env, const char *name, char *value, bool add)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < env->len; i++)
		if (!strncmp(env->item[i], name, n) && env->item[i][n] == '=') {
			char *text = add ? xasprintf("%s %s", env->item[i], value) : xasprintf("%s=%s", name, value);

			free(env->item[i]);
			free(value);
			env->item[i] = text;
			return;
		}
	strlist_take(env, xasprintf("%s=%s", name, value));
	free(value);
}

static void add_options(struct strlist *env, const struct load *l)
{
	set_variable(env, "PGOPTIONS",
		     xasprintf("-c synchronous_commit=off -c statement_timeout=0 -c lock_timeout=0 -c"
			       " default_transaction_read_only=off"
			       " -c client_min_messages=warning -c maintenance_work_mem=%" PRIu64 "kB", l->sort_kb),
		     true);
	/* By which a run that resumes finds what is left of it in the server. */
	set_variable(env, "PGAPPNAME", xasprintf("drtool_restore_%s", l->q->run), false);
}

enum status restore_program_find(struct run *run, struct load *l, struct error *err)
{
	CLEANUP(client_release) struct client client = CLIENT_INIT;
	int wrote = l->toc.client ? (int)strtol(l->toc.client, NULL, 10) : 0;

	if (wrote < toc_oldest_client(&l->toc))
		wrote = toc_oldest_client(&l->toc);
	if (client_for_archive(run, l->e, wrote, &client, err) || sort_memory(run, l, err))
		return err->code;
	free(l->restore_path);
	l->restore_path = xasprintf("%s/pg_restore", client.bin);
	l->restore_version = client.major;
	/* From 17 on it begins each session with a setting that older servers do not know. */
	l->tolerant = client.major >= 17 && l->conn->version < 170000;
	strlist_release(&l->env);
	CLEANUP(cstr_release) char *passfile = xasprintf("%s/pg_restore.pass", l->e->spool_dir);
	if (conn_client_env(run, l->e, passfile, &l->env, err))
		return err->code;
	add_options(&l->env, l);
	return ST_OK;
}

/* The name is quoted as libpq's connection strings want it; -d alone would take some names for such a string. */
static char *database_option(const char *name)
{
	struct buf b = BUF_INIT;

	buf_puts(&b, "--dbname=dbname='");
	for (; *name; name++) {
		if (*name == '\'' || *name == '\\')
			buf_putc(&b, '\\');
		buf_putc(&b, *name);
	}
	buf_putc(&b, '\'');
	return buf_detach(&b);
}

static enum status write_list(const struct load *l, const struct restore_job *job, struct spool *list, struct error *err)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT;

	for (size_t i = 0; i < job->entries; i++)
		buf_printf(&text, "%d;\n", l->toc.entry[job->entry[i]].id);
	return spool_write(list, buf_str(&text), text.len, err) || spool_seal(list, err) ? err->code : ST_OK;
}

/* What pg_restore said went wrong beside what was expected: one line each. *known: how often the expected was said. */
static void read_complaints(const char *text, struct strlist *bad, uint64_t *known, uint64_t *ignored)
{
	while (*text) {
		size_t n = strcspn(text, "\n");
		CLEANUP(cstr_release) char *line = xstrndup(text, n);
		const char *count = strstr(line, IGNORED_LINE);

		if (count)
			*ignored = strtoull(count + strlen(IGNORED_LINE), NULL, 10);
		else if (!strncmp(line, ERROR_LINE, strlen(ERROR_LINE)) && strstr(line, "transaction_timeout"))
			++*known;
		else if (!strncmp(line, ERROR_LINE, strlen(ERROR_LINE)))
			strlist_add(bad, line + strlen(ERROR_LINE));
		text += n + (text[n] == '\n');
	}
}

/* pg_restore went on after errors: whether they are all of the kind that may be. */
static enum status judge(struct load *l, const struct restore_job *job, struct process *p, struct error *err)
{
	CLEANUP(strlist_release) struct strlist bad = STRLIST_INIT;
	uint64_t known = 0, ignored = 0;

	read_complaints(process_stderr(p), &bad, &known, &ignored);
	/* Those of its worker processes are said, but not all counted. */
	if (!ignored || (!job->go_on && (bad.len || known < ignored)))
		return err->code;
	for (size_t i = 0; i < bad.len; i++)
		notes_add(l->e->notes, "database %s: pg_restore: %s", l->s->target, bad.item[i]);
	error_release(err);
	return ST_OK;
}

static enum status run_program(struct run *run, struct load *l, const struct restore_job *job, int list_fd, struct error *err)
{
	CLEANUP(process_freep) struct process *p = NULL;
	CLEANUP(cstr_release) char *db = database_option(l->s->target);
	CLEANUP(cstr_release) char *jobs = xasprintf("--jobs=%u", job->jobs ? job->jobs : 1);
	CLEANUP(cstr_release) char *list = xasprintf("--use-list=/proc/self/fd/%d", list_fd);
	CLEANUP(cstr_release) char *dump = xasprintf("/proc/self/fd/%d", spool_fd(l->dump));
	const int keep[] = {spool_fd(l->dump), list_fd, -1};
	const char *argv[12] = {l->restore_path, "--no-password", db, jobs, list};
	size_t n = 5;
	struct run mine = load_run(run, l);

	if (l->q->no_owner)
		argv[n++] = "--no-owner";
	if (l->no_tablespaces)
		argv[n++] = "--no-tablespaces";
	if (l->no_privileges)
		argv[n++] = "--no-privileges";
	if (!l->tolerant && !job->go_on)
		argv[n++] = "--exit-on-error";
	argv[n++] = dump;
	/* The list of variables must end with NULL, and the load keeps it as a list of strings. */
	const char **env = xcalloc(l->env.len + 1, sizeof *env);
	for (size_t i = 0; i < l->env.len; i++)
		env[i] = l->env.item[i];
	const struct process_spec spec = {.argv = argv, .env = env, .in = -1, .out = -1, .keep = keep};
	enum status st = process_start(&p, &spec, err);
	if (!st)
		st = process_wait(&mine, p, NULL, err);
	free(env);
	if (st == ST_FAILED && p && (l->tolerant || job->go_on))
		st = judge(l, job, p, err);
	return st;
}

enum status restore_program_run(struct run *run, struct load *l, const struct restore_job *job, struct error *err)
{
	CLEANUP(spool_freep) struct spool *list = spool_new(l->e->spool_dir, LIST_MEMORY);

	if (!job->entries)
		return ST_OK;
	if (write_list(l, job, list, err))
		return err->code;
	return run_program(run, l, job, spool_fd(list), err);
}
