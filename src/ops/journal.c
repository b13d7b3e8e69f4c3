/* <state>/restore/<run>.jsonl: the head of a restore and one fsynced line for each thing that is in the target for good. */
#include "ops/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

struct journal {
	int fd;
	char *path;
	struct load_plan targets; /* scopes only; of a scope that stands twice the last counts */
	struct strlist missing;   /* what --salvage had to leave out */
	struct strlist done; /* "event TAB scope" or "unit TAB scope TAB object TAB range TAB part TAB parts" */
};

void journal_head_release(struct journal_head *h)
{
	cstr_release(&h->source);
	cstr_release(&h->backup);
	cstr_release(&h->driver);
	cstr_release(&h->url);
	cstr_release(&h->store);
	cstr_release(&h->arguments);
}

void journal_freep(struct journal **j)
{
	if (!*j)
		return;
	fd_release(&(*j)->fd);
	free((*j)->path);
	load_plan_release(&(*j)->targets);
	strlist_release(&(*j)->missing);
	strlist_release(&(*j)->done);
	free(*j);
	*j = NULL;
}

static enum status append(struct journal *j, const json_t *line, struct error *err)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT;

	js_write(line, false, &text);
	buf_putc(&text, '\n');
	if (fs_write_all(j->fd, text.data, text.len, j->path, err))
		return error_add(err, "journal");
	if (fdatasync(j->fd))
		return error_errno(err, errno, "journal %s", j->path);
	return ST_OK;
}

static char *folder_of(struct op_env *env)
{
	CLEANUP(cstr_release) char *state = state_folder(env);

	return state ? path_join(state, "restore") : NULL;
}

static struct journal *journal_new(const char *folder, const char *run)
{
	struct journal *j = xcalloc(1, sizeof *j);

	j->fd = FD_INIT;
	j->path = xasprintf("%s/%s.jsonl", folder, run);
	return j;
}

enum status journal_begin(struct op_env *env, const struct journal_head *h, struct journal **j, struct error *err)
{
	CLEANUP(cstr_release) char *folder = folder_of(env);
	CLEANUP(js_decref) json_t *line = json_object();

	*j = NULL;
	if (!folder)
		return ST_OK;
	if (fs_mkdirs(folder, 0700, err))
		return err->code;
	CLEANUP(journal_freep) struct journal *made = journal_new(folder, h->run);
	made->fd = open(made->path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
	if (made->fd < 0)
		return error_errno(err, errno, "journal %s", made->path);
	js_set_str(line, "run", h->run);
	js_set_str(line, "source", h->source);
	js_set_str(line, "backup", h->backup);
	js_set_str(line, "driver", h->driver);
	js_set_str(line, "url", h->url);
	js_set_str(line, "store", h->store);
	js_set_str(line, "arguments", h->arguments);
	if (append(made, line, err) || fs_sync_dir(folder, err))
		return err->code;
	*j = made;
	made = NULL;
	return ST_OK;
}

/* ---- reading one back ---- */

static char *unit_key(const char *scope, const struct load_plan_unit *u)
{
	return xasprintf("unit\t%s\t%" PRIu32 "\t%" PRIu32 "\t%" PRIu32 "\t%" PRIu32, scope, u->object, u->range, u->first_part, u->parts);
}

static char *copy_of(const json_t *line, const char *key)
{
	const char *value = js_opt_str(line, key, NULL);

	return value ? xstrdup(value) : NULL;
}

static void scope_release(struct load_scope_plan *s)
{
	free(s->scope);
	free(s->target);
	free(s->replaces);
	free(s->aside);
}

static void take_target(struct journal *j, const json_t *line)
{
	struct load_plan *p = &j->targets;
	const char *scope = js_opt_str(line, "scope", "");
	size_t i = 0;

	while (i < p->scopes && strcmp(p->scope[i].scope, scope))
		i++;
	if (i == p->scopes)
		p->scope = xrealloc(p->scope, ++p->scopes * sizeof *p->scope);
	else
		scope_release(&p->scope[i]);
	p->scope[i] = (struct load_scope_plan){
		.scope = xstrdup(scope),
		.target = xstrdup(js_opt_str(line, "target", "")),
		.replaces = copy_of(line, "replaces"),
		.aside = copy_of(line, "aside"),
		.beside = js_opt_bool(line, "beside", false),
		.log = js_opt_bool(line, "log", false),
	};
}

static void take_line(struct journal *j, const json_t *line)
{
	const char *event = js_opt_str(line, "event", NULL), *scope = js_opt_str(line, "scope", "");
	struct load_plan_unit u = {
		.object = (uint32_t)js_opt_u64(line, "object", 0),
		.range = (uint32_t)js_opt_u64(line, "range", 0),
		.first_part = (uint32_t)js_opt_u64(line, "part", 0),
		.parts = (uint32_t)js_opt_u64(line, "parts", 0),
	};

	if (!event)
		return;
	if (!strcmp(event, "target"))
		take_target(j, line);
	else if (!strcmp(event, "missing"))
		strlist_add(&j->missing, scope);
	else if (!strcmp(event, "unit"))
		strlist_take(&j->done, unit_key(scope, &u));
	else
		strlist_take(&j->done, xasprintf("%s\t%s", event, scope));
}

static void take_head(const json_t *line, struct journal_head *h)
{
	snprintf(h->run, sizeof h->run, "%s", js_opt_str(line, "run", ""));
	h->source = xstrdup(js_opt_str(line, "source", ""));
	h->backup = xstrdup(js_opt_str(line, "backup", ""));
	h->driver = xstrdup(js_opt_str(line, "driver", ""));
	h->url = xstrdup(js_opt_str(line, "url", ""));
	h->store = xstrdup(js_opt_str(line, "store", ""));
	h->arguments = xstrdup(js_opt_str(line, "arguments", "{}"));
}

/* A line that was cut by a crash is the last one and was never acted upon: it is dropped, also from the file, so that the next append begins a line of its own. */
static enum status read_lines(struct journal *j, struct journal_head *h, struct error *err)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT;
	size_t start = 0;
	bool head = true;

	if (fs_read_file(j->path, 256u << 20, &text, err))
		return err->code;
	for (const char *nl; start < text.len && (nl = memchr(text.data + start, '\n', text.len - start)); start = (size_t)(nl - text.data) + 1) {
		CLEANUP(js_decref) json_t *line = NULL;

		if (js_parse(text.data + start, (size_t)(nl - text.data) - start, j->path, &line, err))
			return err->code;
		if (head)
			take_head(line, h);
		else
			take_line(j, line);
		head = false;
	}
	if (head)
		return error_set(err, ST_BAD, "journal %s has no head", j->path);
	j->fd = open(j->path, O_WRONLY | O_APPEND | O_CLOEXEC);
	if (j->fd < 0 || (start < text.len && ftruncate(j->fd, (off_t)start)))
		return error_errno(err, errno, "journal %s", j->path);
	strlist_sort(&j->done);
	return ST_OK;
}

static enum status open_one(const char *folder, const char *run, struct journal **j, struct journal_head *h, struct error *err)
{
	CLEANUP(journal_freep) struct journal *made = journal_new(folder, run);

	if (read_lines(made, h, err))
		return err->code;
	*j = made;
	made = NULL;
	return ST_OK;
}

struct found {
	char run[7];
	struct timespec at;
};

static bool newer(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec > b->tv_sec || (a->tv_sec == b->tv_sec && a->tv_nsec > b->tv_nsec);
}

/* The newest journal of the source that has not come to its end. */
static enum status newest(const char *folder, const char *source, struct found *f, struct error *err)
{
	CLEANUP(strlist_release) struct strlist names = STRLIST_INIT;

	if (fs_exists(folder) && fs_list(folder, &names, err))
		return err->code;
	for (size_t i = 0; i < names.len; i++) {
		CLEANUP(journal_freep) struct journal *j = NULL;
		CLEANUP(journal_head_release) struct journal_head h = {0};
		CLEANUP(error_release) struct error ignored = ERROR_INIT;
		struct stat st;

		if (strlen(names.item[i]) != 12 || strcmp(names.item[i] + 6, ".jsonl"))
			continue;
		names.item[i][6] = 0;
		if (open_one(folder, names.item[i], &j, &h, &ignored) || (source && strcmp(h.source, source)) || journal_has(j, "finished", ""))
			continue;
		if (!stat(j->path, &st) && (!f->run[0] || newer(&st.st_mtim, &f->at))) {
			memcpy(f->run, names.item[i], 7);
			f->at = st.st_mtim;
		}
	}
	if (!f->run[0])
		return error_set(err, ST_NOT_FOUND, "no unfinished restore%s%s is known on this machine", source ? " of " : "", source ? source : "");
	return ST_OK;
}

enum status journal_open(struct op_env *env, const char *source, const char *run, struct journal **j, struct journal_head *h, struct error *err)
{
	CLEANUP(cstr_release) char *folder = folder_of(env);
	struct found f = {0};

	*j = NULL;
	if (!folder)
		return error_set(err, ST_NOT_FOUND, "there is no state folder, so no restore is known here");
	if (!run) {
		if (newest(folder, source, &f, err))
			return err->code;
		run = f.run;
	}
	if (strlen(run) != 6 || strspn(run, "0123456789abcdef") != 6)
		return error_set(err, ST_USAGE, "%s is no run: six hex digits", run);
	if (open_one(folder, run, j, h, err)) {
		if (err->code == ST_NOT_FOUND)
			error_set(err, ST_NOT_FOUND, "no restore with run %s is known on this machine (%s)", run, folder);
		return err->code;
	}
	return ST_OK;
}

enum status journal_write(struct journal *j, const char *event, const char *scope, const struct load_plan_unit *u, struct error *err)
{
	CLEANUP(js_decref) json_t *line = json_object();

	if (!j)
		return ST_OK;
	js_set_str(line, "event", event);
	js_set_str(line, "scope", scope);
	if (u) {
		js_set_u64(line, "object", u->object);
		js_set_u64(line, "range", u->range);
		js_set_u64(line, "part", u->first_part);
		js_set_u64(line, "parts", u->parts);
	}
	return append(j, line, err);
}

enum status journal_write_targets(struct journal *j, const struct load_plan *p, struct error *err)
{
	for (size_t i = 0; j && i < p->scopes; i++) {
		CLEANUP(js_decref) json_t *line = json_object();
		const struct load_scope_plan *s = &p->scope[i];

		js_set_str(line, "event", "target");
		js_set_str(line, "scope", s->scope);
		js_set_str(line, "target", s->target);
		js_set_bool(line, "beside", s->beside);
		if (s->log)
			js_set_bool(line, "log", true);
		if (s->replaces)
			js_set_str(line, "replaces", s->replaces);
		if (s->aside)
			js_set_str(line, "aside", s->aside);
		if (append(j, line, err))
			return err->code;
	}
	return ST_OK;
}

bool journal_take_targets(struct journal *j, const struct strlist *scopes, struct load_plan *p)
{
	if (!j || plan_databases(&j->targets) != scopes->len)
		return false;
	for (size_t i = 0; i < scopes->len; i++)
		if (strcmp(j->targets.scope[i].scope, scopes->item[i]))
			return false;
	for (size_t i = 0; i < j->targets.scopes; i++)
		if (!journal_has(j, "loaded", j->targets.scope[i].scope))
			return false;
	*p = j->targets;
	j->targets = (struct load_plan){0};
	return true;
}

void journal_missing(const struct journal *j, struct strlist *to)
{
	for (size_t i = 0; j && i < j->missing.len; i++)
		strlist_add(to, j->missing.item[i]);
}

static bool has(const struct journal *j, const char *key)
{
	size_t lo = 0, hi = j->done.len;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int c = strcmp(j->done.item[mid], key);

		if (!c)
			return true;
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return false;
}

bool journal_has(const struct journal *j, const char *event, const char *scope)
{
	if (!j)
		return false;
	CLEANUP(cstr_release) char *key = xasprintf("%s\t%s", event, scope);
	return has(j, key);
}

bool journal_has_unit(const struct journal *j, const char *scope, const struct load_plan_unit *u)
{
	if (!j)
		return false;
	CLEANUP(cstr_release) char *key = unit_key(scope, u);
	return has(j, key);
}
