#include "core/config.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/config_internal.h"
#include "core/expand.h"
#include "util/fs.h"

enum { MAX_FILE = 1024 * 1024 };
#define SYSTEM_FILE "/etc/drtool/drtool.yaml"

/* ---- values ---- */

static void value_release(struct config_value *v)
{
	for (size_t i = 0; i < v->text.len; i++)
		if (v->secret)
			secure_zero(v->text.item[i], strlen(v->text.item[i]));
	strlist_release(&v->text);
	cstr_release(&v->key);
	cstr_release(&v->origin);
}

void config_values_release(struct config_values *v)
{
	for (size_t i = 0; i < v->len; i++)
		value_release(&v->item[i]);
	free(v->item);
	*v = (struct config_values)CONFIG_VALUES_INIT;
}

static struct config_value *add_value(struct config_values *v, enum setting_scope scope, const char *key)
{
	if (v->len == v->cap) {
		v->cap = v->cap ? 2 * v->cap : 8;
		v->item = xrealloc(v->item, v->cap * sizeof(*v->item));
	}
	v->item[v->len] = (struct config_value){.scope = scope, .key = xstrdup(key)};
	return &v->item[v->len++];
}

struct config_value *config_set(struct config_values *v, enum setting_scope scope, const char *key, const char *text, bool append)
{
	struct config_value *found = NULL;

	for (size_t i = 0; i < v->len && !found; i++)
		if (v->item[i].scope == scope && !strcmp(v->item[i].key, key))
			found = &v->item[i];
	if (!found)
		found = add_value(v, scope, key);
	if (!append)
		strlist_release(&found->text);
	if (text)
		strlist_add(&found->text, text);
	return found;
}

const struct config_value *config_get(const struct config_values *v, enum setting_scope scope, const char *key)
{
	for (size_t i = 0; i < v->len; i++)
		if (v->item[i].scope == scope && !strcmp(v->item[i].key, key))
			return &v->item[i];
	return NULL;
}

void config_copy(struct config_values *to, const struct config_value *from)
{
	struct config_value *v = config_set(to, from->scope, from->key, NULL, false);

	for (size_t i = 0; i < from->text.len; i++)
		strlist_add(&v->text, from->text.item[i]);
	v->secret = from->secret;
	v->origin = from->origin ? xstrdup(from->origin) : NULL;
}

const struct config_value *config_get_row(const struct config_values *v, const struct setting *row)
{
	const struct config_value *found = NULL;

	if (row->type != SET_SECRET)
		return config_get(v, row->scope, setting_name(row));
	for (size_t i = 0; i < v->len; i++) {
		const struct setting one[] = {*row, SETTING_END};

		if (setting_find(one, v->item[i].scope, v->item[i].key, NULL))
			found = &v->item[i];
	}
	return found;
}

/* ---- the whole ---- */

static void sections_release(struct config_section *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(s[i].name);
		free(s[i].origin);
		if (s[i].url)
			secure_zero(s[i].url, strlen(s[i].url));
		free(s[i].url);
		config_values_release(&s[i].values);
	}
	free(s);
}

void config_release(struct config *c)
{
	free(c->path);
	config_values_release(&c->global);
	config_values_release(&c->env_file);
	config_values_release(&c->env);
	config_values_release(&c->flags);
	sections_release(c->store, c->stores);
	sections_release(c->source, c->sources);
	*c = (struct config)CONFIG_INIT;
}

static const struct config_section *find_section(const struct config_section *s, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(s[i].name, name))
			return &s[i];
	return NULL;
}

const struct config_section *config_store(const struct config *c, const char *name)
{
	return find_section(c->store, c->stores, name);
}
const struct config_section *config_source(const struct config *c, const char *name)
{
	return find_section(c->source, c->sources, name);
}

/* ---- environment ---- */

const char *config_lookup_env(const struct config *c, const char *name)
{
	const char *value = getenv(name);

	if (!value) {
		const struct config_value *v = config_get(&c->env_file, SCOPE_GLOBAL, name);

		value = v ? v->text.item[0] : NULL;
	}
	return value;
}

const char *config_env(const struct config *c, const char *name)
{
	const char *value = config_lookup_env(c, name);

	return value && *value ? value : NULL;
}

static enum status read_env_row(struct config *c, const struct setting *row, const char *variable, const char *key,
				struct error *err)
{
	const char *value = config_env(c, variable);

	if (!value)
		return ST_OK;
	struct config_value *v = config_set(&c->env, row->scope, key, NULL, false);

	v->secret = row->secret || row->type == SET_SECRET;
	free(v->origin);
	v->origin = xasprintf("$%s", variable);
	if (row->type != SET_LIST) {
		strlist_add(&v->text, value);
		return setting_check(row, value, err) ? error_add(err, "%s", v->origin) : ST_OK;
	}
	for (const char *s = value + strspn(value, " \t\n"); *s; s += strspn(s, " \t\n")) {
		size_t n = strcspn(s, " \t\n");

		strlist_take(&v->text, xstrndup(s, n));
		s += n;
	}
	return ST_OK;
}

enum status config_read_env(const struct config_schema *schema, struct config *c, struct error *err)
{
	static const char *const ending[][2] = {{"", ""}, {"_FILE", "_file"}, {"_COMMAND", "_command"}};

	for (size_t g = 0; g < schema->groups; g++)
		for (const struct setting *row = schema->group[g].rows; !setting_is_end(row); row++) {
			if (!row->env || (row->scope != SCOPE_GLOBAL && row->scope != SCOPE_STORE))
				continue;
			for (size_t i = 0; i < (row->type == SET_SECRET ? ARRAY_LEN(ending) : 1); i++) {
				CLEANUP(cstr_release) char *variable = xasprintf("%s%s", row->env, ending[i][0]);
				CLEANUP(cstr_release) char *key = xasprintf("%s%s", setting_name(row), ending[i][1]);

				if (read_env_row(c, row, variable, key, err))
					return err->code;
			}
		}
	return ST_OK;
}

/* ---- files ---- */

/* Who may write a file may say where the data goes and which commands give the passwords. */
static enum status nobody_else_writes(const char *path, const struct stat *st, struct error *err)
{
	bool sticky = S_ISDIR(st->st_mode) && (st->st_mode & S_ISVTX);
	bool group = (st->st_mode & S_IWGRP) && st->st_gid && st->st_gid != getegid();
	const char *who = (st->st_mode & S_IWOTH) ? "everybody" : group ? "its group" : NULL;

	if (sticky)
		return ST_OK;
	if (!who && (st->st_uid == 0 || st->st_uid == geteuid()))
		return ST_OK;
	error_set(err, ST_REFUSED, "%s may be written by %s", path, who ? who : "another user, its owner");
	return error_hint(err, "Make it yours alone: `chown %u %s; chmod go-w %s`.", (unsigned)geteuid(), path, path);
}

static enum status folder_is_safe(const char *path, struct error *err)
{
	struct stat st;
	char *real = realpath(path, NULL);

	if (!real)
		return error_errno(err, errno, "%s", path);
	char *slash = strrchr(real, '/');

	slash[slash == real] = 0;
	enum status s = stat(real, &st) ? error_errno(err, errno, "%s", real) : nobody_else_writes(real, &st, err);

	free(real);
	return s;
}

static enum status read_all(int fd, const char *path, struct buf *to, struct error *err)
{
	for (;;) {
		buf_reserve(to, 16 * 1024);
		ssize_t n = read(fd, to->data + to->len, 16 * 1024);

		if (n < 0)
			return error_errno(err, errno, "%s", path);
		if (!n)
			return ST_OK;
		to->len += (size_t)n;
		to->data[to->len] = 0;
		if (to->len > MAX_FILE)
			return error_set(err, ST_CONFIG, "%s: larger than 1 MiB", path);
	}
}

static enum status read_safe_file(const char *path, struct buf *to, struct error *err)
{
	CLEANUP(fd_release) int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return error_errno(err, errno, "%s", path);
	if (S_ISDIR(st.st_mode))
		return error_set(err, ST_CONFIG, "%s is a folder", path);
	if (S_ISREG(st.st_mode) && (nobody_else_writes(path, &st, err) || folder_is_safe(path, err)))
		return err->code;
	return read_all(fd, path, to, err);
}

struct env_reading {
	struct config *c;
	const char *path;
};

static const char *env_of_reading(void *ctx, const char *name)
{
	return config_lookup_env(((struct env_reading *)ctx)->c, name);
}

static void take_pair(void *ctx, const char *name, const char *value, unsigned line)
{
	struct env_reading *r = ctx;

	/* A name alone hands the outer variable on, and that one is seen anyhow. */
	if (!value)
		return;
	struct config_value *v = config_set(&r->c->env_file, SCOPE_GLOBAL, name, value, false);

	v->secret = true;
	free(v->origin);
	v->origin = xasprintf("%s:%u", r->path, line);
}

enum status config_read_env_file(struct config *c, const char *beside, const char *path, struct error *err)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT;
	CLEANUP(cstr_release) char *whole = NULL;
	const char *slash = strrchr(beside, '/');

	whole = *path == '/' || !slash ? xstrdup(path) : xasprintf("%.*s/%s", (int)(slash - beside), beside, path);
	if (read_safe_file(whole, &text, err)) {
		err->code = err->code == ST_NOT_FOUND ? ST_CONFIG : err->code;
		return err->code;
	}
	struct env_reading r = {c, whole};
	const struct expand_env env = {env_of_reading, &r};
	const struct env_file_spec spec = {whole, &env, take_pair, &r};
	enum status st = strlen(buf_str(&text)) < text.len ? error_set(err, ST_CONFIG, "%s: it holds a zero byte", whole)
							   : env_file_parse(&spec, buf_str(&text), err);

	if (text.data)
		secure_zero(text.data, text.cap);
	return st;
}

/* The file to read; NULL: none. Only the last two places may be empty. */
static const char *find_file(const char *path)
{
	const char *env = getenv("DRTOOL_CONFIG");

	if (path)
		return path;
	if (env && *env)
		return env;
	/* In whatever folder root happens to be, a file of that name may be anybody's. */
	if (geteuid() && !access("drtool.yaml", F_OK))
		return "./drtool.yaml";
	return !access(SYSTEM_FILE, F_OK) ? SYSTEM_FILE : NULL;
}

enum status config_load(const struct config_schema *schema, const char *path, struct config *c, struct error *err)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT;
	const char *file = find_file(path);

	if (file) {
		c->path = xstrdup(file);
		if (read_safe_file(file, &text, err)) {
			err->code = err->code == ST_NOT_FOUND ? ST_CONFIG : err->code;
			return error_add(err, "configuration");
		}
		enum status st = config_read(schema, file, buf_str(&text), text.len, c, err);

		if (text.data)
			secure_zero(text.data, text.cap);
		if (st)
			return st;
	}
	return config_read_env(schema, c, err);
}

/* ---- filling ---- */

const struct config_value *config_where(const struct config *c, const struct config_section *section, const struct setting *row)
{
	const struct config_value *v = config_get_row(&c->flags, row);

	if (!v)
		v = config_get_row(&c->env, row);
	if (!v && row->key)
		v = config_get_row(section ? &section->values : &c->global, row);
	return v;
}

static enum status fill_row(const struct setting *row, const struct config_value *v, void *params, struct error *err)
{
	const struct setting one[] = {*row, SETTING_END};
	enum secret_form form = SECRET_VALUE;

	setting_clear(row, params);
	if (!v)
		return row->def ? setting_parse(row, row->def, params, err) : ST_OK;
	if (row->key)
		setting_find(one, row->scope, v->key, &form);
	for (size_t i = 0; i < v->text.len; i++)
		if (setting_store(row, form, v->text.item[i], params, err))
			return error_add(err, "%s", v->origin ? v->origin : setting_name(row));
	return ST_OK;
}

enum status config_fill(const struct config *c, enum setting_scope scope, const struct config_section *section,
			const struct setting *rows, void *params, struct error *err)
{
	for (const struct setting *row = rows; !setting_is_end(row); row++)
		if (row->scope == scope && fill_row(row, config_where(c, section, row), params, err))
			return err->code;
	return ST_OK;
}
