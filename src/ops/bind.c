#include "ops/bind.h"

#include "core/url.h"
#include "ops/rows.h"

/* What client programs of an engine take from the environment. It completes a source given as a URL, never one of the configuration
 * and never a target. The database is not among it: a URL without one means all of them, whatever a shell has set. */
static const struct {
	const char *driver;
	const char *host[4], *port[2], *user[3], *password[4], *tls_ca[2];
} client_env[] = {
	{"postgres",
	 {"PGHOST", "POSTGRES_HOST"},
	 {"PGPORT"},
	 {"PGUSER", "POSTGRES_USER"},
	 {"PGPASSWORD", "POSTGRES_PASSWORD"},
	 {"PGSSLROOTCERT"}},
	{"mysql",
	 {"MYSQL_HOST", "MARIADB_HOST", "MYSQL_UNIX_PORT"},
	 {"MYSQL_TCP_PORT"},
	 {"MYSQL_USER", "MARIADB_USER"},
	 {"MYSQL_PWD", "MYSQL_PASSWORD", "MARIADB_PASSWORD"},
	 {NULL}},
	/* Names of the containers: MongoDB's own programs take none. */
	{"mongodb", {NULL}, {NULL}, {"MONGODB_USERNAME", "MONGO_INITDB_ROOT_USERNAME"}, {"MONGODB_PASSWORD", "MONGO_INITDB_ROOT_PASSWORD"}, {NULL}},
};

static const char *first_set(const struct bind *b, const char *const *names)
{
	const char *value = NULL;

	for (; *names && !value; names++)
		value = config_env(b->config, *names);
	return value;
}

const char *bind_password_variable(const char *url)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	const struct driver *d = NULL;

	if (driver_for_url(url, &d, &err))
		return NULL;
	for (size_t i = 0; i < ARRAY_LEN(client_env); i++)
		if (!strcmp(client_env[i].driver, d->name))
			return client_env[i].password[0];
	return NULL;
}

static void complete_from_env(const struct bind *b, struct url *u, struct op_source *s)
{
	for (size_t i = 0; i < ARRAY_LEN(client_env); i++) {
		if (strcmp(client_env[i].driver, s->driver->name))
			continue;
		const char *host = first_set(b, client_env[i].host), *port = first_set(b, client_env[i].port);
		const char *user = first_set(b, client_env[i].user), *password = first_set(b, client_env[i].password);
		const char *ca = first_set(b, client_env[i].tls_ca);

		if (!u->host && host)
			u->host = xstrdup(host);
		if (!u->port_given && port && strspn(port, "0123456789") == strlen(port) && strlen(port) < 6) {
			u->port = (unsigned)strtoul(port, NULL, 10);
			u->port_given = true;
		}
		if (!u->user && user)
			u->user = xstrdup(user);
		if (!u->password && password)
			u->password = xstrdup(password);
		if (!s->s.tls_ca && ca)
			s->s.tls_ca = xstrdup(ca);
	}
}

enum status bind_global(const struct bind *b, struct global_settings *g, struct error *err)
{
	return config_fill(b->config, SCOPE_GLOBAL, NULL, global_rows, g, err);
}

/* Moves the password out of the URL and keeps the rest in normal form. */
static void move_password(struct url *u, struct secret *password, char **url)
{
	if (u->password && !secret_set(password)) {
		password->value = u->password;
		u->password = NULL;
	}
	secret_text_release(url);
	*url = url_print(u, false);
}

static void take_url(struct url *u, struct op_source *s) { move_password(u, &s->password, &s->url); }

static enum status parse_source_url(const char *text, struct url *u, const struct driver **d, struct error *err)
{
	CLEANUP(cstr_release) char *prefix = NULL;

	if (url_parse(text, u, err))
		return err->code;
	prefix = xasprintf("%s://", u->scheme);
	return driver_for_url(prefix, d, err);
}

/* Moves the password out of the URL of the scratch server. */
static enum status take_scratch(const struct config_section *section, struct op_source *s, struct error *err)
{
	CLEANUP(url_release) struct url u = URL_INIT;
	const struct driver *d = NULL;

	if (!s->s.scratch)
		return ST_OK;
	if (parse_source_url(s->s.scratch, &u, &d, err)) {
		error_add(err, "scratch");
		return section ? error_add(err, "%s: source %s", section->origin, section->name) : err->code;
	}
	move_password(&u, &s->scratch_password, &s->s.scratch);
	return ST_OK;
}

/* A flag of another driver would do nothing here, which its giver has to know. */
static enum status refuse_foreign_flags(const struct bind *b, const struct op_source *s, struct error *err)
{
	for (const struct driver *const *d = drivers; *d; d++)
		for (const struct setting *row = (*d)->settings; row && !setting_is_end(row); row++) {
			const char *name = setting_name(row);

			if (!config_get(&b->config->flags, SCOPE_SOURCE, name) ||
			    (s->driver->settings && setting_find(s->driver->settings, SCOPE_SOURCE, name, NULL)))
				continue;
			error_set(err, ST_USAGE, "--%s is for %s:// alone; this is %s://", row->flag, (*d)->schemes[0], s->driver->schemes[0]);
			return error_hint(err, "Among several sources it belongs into the configuration of those that know it: %s.", name);
		}
	return ST_OK;
}

/* The settings of a source whose driver is known. */
static enum status fill_settings(const struct bind *b, const struct config_section *section, struct op_source *s, struct error *err)
{
	if (config_fill(b->config, SCOPE_SOURCE, section, source_rows, &s->s, err) || take_scratch(section, s, err))
		return err->code;
	if (!s->driver || s->params)
		return ST_OK;
	if (refuse_foreign_flags(b, s, err))
		return err->code;
	s->params = xcalloc(1, s->driver->params_size ? s->driver->params_size : 1);
	return s->driver->settings ? config_fill(b->config, SCOPE_SOURCE, section, s->driver->settings, s->params, err) : ST_OK;
}

static enum status source_from_url(const struct bind *b, const char *text, const char *name, struct op_source *s, struct error *err)
{
	CLEANUP(url_release) struct url u = URL_INIT;

	if (parse_source_url(text, &u, &s->driver, err) || fill_settings(b, NULL, s, err))
		return err->code;
	complete_from_env(b, &u, s);
	s->name = name ? xstrdup(name) : url_source_name(&u);
	take_url(&u, s);
	if (source_name_valid(s->name))
		return ST_OK;
	error_set(err, ST_USAGE, "\"%s\" cannot be the name of a source", s->name);
	return error_hint(err, "Give one with --name: a-z, 0-9, '.', '_' and '-', beginning with a letter or digit.");
}

static enum status source_from_file(const struct bind *b, const struct config_section *section, struct op_source *s,
				    struct error *err)
{
	CLEANUP(url_release) struct url u = URL_INIT;

	s->name = xstrdup(section->name);
	if (config_fill(b->config, SCOPE_SOURCE, section, source_base_rows, s, err))
		return err->code;
	if (parse_source_url(s->url, &u, &s->driver, err))
		return error_add(err, "%s: source %s", section->origin, section->name);
	take_url(&u, s);
	return fill_settings(b, section, s, err);
}

static enum status no_such(const char *what, const char *text, const struct config_section *list, size_t n, struct error *err)
{
	CLEANUP(buf_release) struct buf known = BUF_INIT;
	const char **names = xcalloc(n, sizeof(*names));

	for (size_t i = 0; i < n; i++) {
		names[i] = list[i].name;
		buf_printf(&known, "%s%s", i ? ", " : "", list[i].name);
	}
	const char *near = nearest_name(text, names, n);

	free(names);
	if (!n) {
		error_set(err, ST_NOT_FOUND, "there is no %s named \"%s\": none is configured", what, text);
		return error_hint(err, "Give a URL, or name the configuration with --config.");
	}
	error_set(err, ST_NOT_FOUND, "there is no %s named \"%s\"; there are %s", what, text, buf_str(&known));
	return near ? error_hint(err, "Did you mean \"%s\"?", near) : err->code;
}

static enum status source_by_name(const struct bind *b, const char *text, bool admin, struct op_source *s, struct error *err)
{
	const struct config_section *section = config_source(b->config, text);

	if (section)
		return source_from_file(b, section, s, err);
	if (!admin)
		return no_such("source", text, b->config->source, b->config->sources, err);
	if (!source_name_valid(text))
		return error_set(err, ST_USAGE, "\"%s\" is neither a URL nor the name of a source", text);
	s->name = xstrdup(text);
	return fill_settings(b, NULL, s, err);
}

enum status bind_source(struct run *run, const struct bind *b, const char *text, const char *name, bool admin, struct op_source *s,
			struct error *err)
{
	bool url = url_looks_like(text);

	(void)run;
	*s = (struct op_source){0};
	if (name && !url) {
		error_set(err, ST_USAGE, "--name goes with a source that is given as a URL");
		return error_hint(err, "The source \"%s\" has its name from the configuration.", text);
	}
	if (url ? source_from_url(b, text, name, s, err) : source_by_name(b, text, admin, s, err)) {
		op_source_release(s);
		return err->code;
	}
	return ST_OK;
}

static bool same_text(const char *a, const char *b) { return !strcmp(a ? a : "", b ? b : ""); }

/* The account of a URL is looked for where the other URL has it. Options that come from elsewhere, by DNS, come to both. */
static void same_login(const struct driver *d, const struct url *known, struct url *u)
{
	const char *option = d->login_option;

	if (!option || url_param(u, option))
		return;
	if (url_param(known, option))
		url_param_add(u, option, url_param(known, option));
	else if (known->path && *known->path && !strcmp(known->scheme, d->schemes[0]))
		url_param_add(u, option, known->path);
}

/* What `like` says holds for a target on the same server that says nothing else. */
static enum status fill_like(const struct op_source *like, struct url *u, struct op_source *s, struct error *err)
{
	CLEANUP(url_release) struct url known = URL_INIT;

	if (!like || like->driver != s->driver)
		return ST_OK;
	if (url_parse(like->url, &known, err))
		return err->code;
	if (!same_text(u->host, known.host) || u->port != known.port || (u->others && !same_text(u->others, known.others)))
		return ST_OK;
	const char *user = like->user ? like->user : known.user;
	bool same_user = !u->user || (user && !strcmp(u->user, user));

	if (!u->user && user)
		u->user = xstrdup(user);
	if (same_user)
		same_login(like->driver, &known, u);
	/* The password of one login is nothing to try with another. */
	if (same_user && !u->password)
		s->password = secret_copy(&like->password);
	s->s.tls = like->s.tls;
	if (like->s.tls_ca) {
		free(s->s.tls_ca);
		s->s.tls_ca = xstrdup(like->s.tls_ca);
	}
	return ST_OK;
}

static enum status target_from_url(const struct bind *b, const char *text, const struct op_source *like, struct op_source *s,
				   char **database, struct error *err)
{
	CLEANUP(url_release) struct url u = URL_INIT;

	if (parse_source_url(text, &u, &s->driver, err) || fill_settings(b, NULL, s, err) || fill_like(like, &u, s, err))
		return err->code;
	s->name = url_source_name(&u);
	*database = u.path && *u.path ? xstrdup(u.path) : NULL;
	take_url(&u, s);
	return ST_OK;
}

static enum status target_by_name(const struct bind *b, const char *text, struct op_source *s, char **database, struct error *err)
{
	CLEANUP(url_release) struct url u = URL_INIT;

	if (source_by_name(b, text, false, s, err) || url_parse(s->url, &u, err))
		return err->code;
	*database = u.path && *u.path ? xstrdup(u.path) : NULL;
	return ST_OK;
}

enum status bind_target(struct run *run, const struct bind *b, const char *url, const struct op_source *like, struct op_source *s,
			char **database, struct error *err)
{
	(void)run;
	*s = (struct op_source){0};
	*database = NULL;
	if (url_looks_like(url) ? target_from_url(b, url, like, s, database, err) : target_by_name(b, url, s, database, err)) {
		op_source_release(s);
		return error_add(err, "--into");
	}
	return ST_OK;
}

/* A URL is seen in the list of processes, in shells' histories and in logs. */
static enum status refuse_secret(const struct storage_ops *ops, const char *key, struct error *err)
{
	CLEANUP(buf_release) struct buf names = BUF_INIT;

	for (const char *const *v = ops->variables; v && *v; v++)
		buf_printf(&names, "%s%s", names.len ? ", " : "", *v);
	error_set(err, ST_CONFIG, "\"%s\" is a secret, and a URL is seen by others", key);
	return error_hint(err, "Set it in the environment (%s), or name a file of it in the settings of the store.", buf_str(&names));
}

/* The options in a store's URL are its settings; what is no setting is no option. */
static enum status take_store_options(const struct storage_ops *ops, const char *text, struct config_section *section, char **url,
				      struct error *err)
{
	CLEANUP(url_release) struct url u = URL_INIT;
	struct url bare;

	if (url_parse(text, &u, err))
		return err->code;
	for (size_t i = 0; i < u.params; i++) {
		const struct url_param *p = &u.param[i];
		enum secret_form form = SECRET_VALUE;
		const struct setting *row = ops->settings ? setting_find(ops->settings, SCOPE_STORE, p->key, &form) : NULL;

		if (!row)
			return error_set(err, ST_CONFIG, "a store of the kind %s has no option \"%s\"", ops->name, p->key);
		if (row->type == SET_SECRET && form != SECRET_FILE)
			return refuse_secret(ops, p->key, err);
		struct config_value *v = config_set(&section->values, SCOPE_STORE, p->key, p->value, row->type == SET_LIST);

		free(v->origin);
		v->origin = xasprintf("store %s: option %s", ops->name, p->key);
		v->secret = row->secret || row->type == SET_SECRET;
	}
	bare = u;
	bare.params = 0;
	*url = url_print(&bare, true);
	return ST_OK;
}

static enum status open_params(const struct bind *b, const struct config_section *section, struct op_store *s, struct error *err)
{
	s->params = xcalloc(1, s->ops->params_size ? s->ops->params_size : 1);
	return s->ops->settings ? config_fill(b->config, SCOPE_STORE, section, s->ops->settings, s->params, err) : ST_OK;
}

/* A store's own rules of retention; flags change them as they change those of a source. */
static enum status take_keep(const struct bind *b, const struct config_section *section, struct op_store *s, struct error *err)
{
	struct config_section rules = {.name = section->name};
	struct source_settings filled = {0};
	enum status st = ST_OK;

	for (size_t i = 0; i < section->values.len; i++) {
		const struct config_value *v = &section->values.item[i];

		if (strncmp(v->key, "keep.", 5))
			continue;
		struct config_value *rule = config_set(&rules.values, SCOPE_SOURCE, v->key, NULL, false);

		for (size_t k = 0; k < v->text.len; k++)
			strlist_add(&rule->text, v->text.item[k]);
		rule->origin = v->origin ? xstrdup(v->origin) : NULL;
		s->own_keep = true;
	}
	if (s->own_keep) {
		st = config_fill(b->config, SCOPE_SOURCE, &rules, source_rows, &filled, err);
		s->keep = filled.keep;
		filled.keep.tags = (struct strlist)STRLIST_INIT;
		settings_release(source_rows, &filled);
	}
	config_values_release(&rules.values);
	return st;
}

const struct keep_policy *op_keep_of(const struct op_store *store, const struct op_source *source)
{
	return store->own_keep ? &store->keep : &source->s.keep;
}

static enum status store_from_file(const struct bind *b, const struct config_section *section, struct op_store *s,
				   struct error *err)
{
	struct config_section both = {.url = section->url};

	for (size_t i = 0; i < section->values.len; i++) {
		const struct config_value *v = &section->values.item[i];
		struct config_value *copy = config_set(&both.values, v->scope, v->key, NULL, false);

		for (size_t k = 0; k < v->text.len; k++)
			strlist_add(&copy->text, v->text.item[k]);
		copy->origin = v->origin ? xstrdup(v->origin) : NULL;
		copy->secret = v->secret;
	}
	s->name = xstrdup(section->name);
	enum status st = take_store_options(s->ops, section->url, &both, &s->url, err);

	if (!st)
		st = open_params(b, &both, s, err);
	if (!st)
		st = take_keep(b, section, s, err);
	config_values_release(&both.values);
	return st ? error_add(err, "%s: store %s", section->origin, section->name) : ST_OK;
}

static enum status store_from_url(const struct bind *b, const char *text, struct op_store *s, struct error *err)
{
	struct config_section section = {.url = NULL};

	s->name = url_without_secrets(text);
	enum status st = take_store_options(s->ops, text, &section, &s->url, err);

	if (!st)
		st = open_params(b, &section, s, err);
	config_values_release(&section.values);
	return st ? error_add(err, "store %s", s->name) : ST_OK;
}

enum status bind_store(struct run *run, const struct bind *b, const char *text, struct op_store *s, struct error *err)
{
	const struct config_section *section = config_store(b->config, text);

	(void)run;
	*s = (struct op_store){0};
	CLEANUP(cstr_release) char *url = NULL;

	/* A folder by its path is as clear as its URL. */
	if (*text == '/') {
		const struct url folder = {.scheme = (char[]){"file"}, .path = (char *)(uintptr_t)text};

		url = url_print(&folder, false);
	} else if (!section && !url_looks_like(text)) {
		return no_such("store", text, b->config->store, b->config->stores, err);
	}
	const char *where = section ? section->url : url ? url : text;

	if (storage_for_url(where, &s->ops, err))
		return err->code;
	if (section ? store_from_file(b, section, s, err) : store_from_url(b, where, s, err)) {
		op_store_release(s);
		return err->code;
	}
	return ST_OK;
}
