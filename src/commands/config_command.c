/* config check, show, example, grants, fetch. */
#include "commands/cmd.h"

#include "core/log.h"
#include "core/url.h"
#include "ops/rows.h"
#include "util/fs.h"

/* ---- check ---- */

static enum status bind_sources(struct cli *cli, struct picked_sources *p, struct error *err)
{
	p->item = xcalloc(cli->config.sources, sizeof(*p->item));
	for (size_t i = 0; i < cli->config.sources; i++) {
		if (pick_source(cli, cli->config.source[i].name, false, &p->item[i], err))
			return err->code;
		p->n++;
	}
	return ST_OK;
}

static enum status bind_stores(struct cli *cli, struct picked_stores *p, struct error *err)
{
	const struct bind bind = {&cli->config};

	p->item = xcalloc(cli->config.stores + 1, sizeof(*p->item));
	for (size_t i = 0; i < cli->config.stores; i++) {
		if (bind_store(cli->run, &bind, cli->config.store[i].name, &p->item[i], err))
			return err->code;
		p->n++;
	}
	if (!p->n && config_env(&cli->config, "DRTOOL_STORE")) {
		if (bind_store(cli->run, &bind, config_env(&cli->config, "DRTOOL_STORE"), &p->item[0], err))
			return error_add(err, "$DRTOOL_STORE");
		p->n++;
	}
	return ST_OK;
}

/* What the rows cannot see: names of stores that a source writes to. */
static enum status check_targets(struct cli *cli, const struct picked_sources *sources, struct error *err)
{
	for (size_t i = 0; i < sources->n; i++) {
		const struct op_source *s = &sources->item[i];

		for (size_t k = 0; k < s->s.to.len; k++) {
			CLEANUP(op_store_release) struct op_store store = {0};
			const struct bind bind = {&cli->config};

			if (bind_store(cli->run, &bind, s->s.to.item[k], &store, err)) {
				err->code = ST_CONFIG;
				return error_add(err, "source %s: to", s->name);
			}
		}
	}
	return ST_OK;
}

static enum status check_sealing(struct cli *cli, const struct picked_sources *sources, struct error *err)
{
	for (size_t i = 0; i < sources->n; i++) {
		const struct op_source *s = &sources->item[i];
		CLEANUP(seal_recipients_freep) struct seal_recipients *to = NULL;

		if (op_recipients(&cli->env, &s->s, &to, err))
			return error_add(err, "source %s", s->name);
		if (s->s.private_manifest && !to)
			return error_set(err, ST_CONFIG, "source %s: private_manifest goes with encrypt_to", s->name);
	}
	return ST_OK;
}

static void print_found(const struct cli *cli, const char *what, const char *name, const struct connect_result *r, enum status st)
{
	if (!cli->p.quiet)
		out_printf("%s %s: %s\n", what, name, st ? "FAILED" : "ok");
	for (size_t i = 0; i < r->lines.len; i++) {
		CLEANUP(cstr_release) char *line = xasprintf("  %s", r->lines.item[i]);

		cmd_print_lines(cli, line);
	}
}

static enum status connect_all(struct cli *cli, const struct picked_sources *sources, const struct picked_stores *stores,
			       struct error *err)
{
	CLEANUP(op_outcomes_release) struct op_outcomes outcomes = {0};

	for (size_t i = 0; i < sources->n + stores->n; i++) {
		CLEANUP(connect_result_release) struct connect_result r = {0};
		bool source = i < sources->n;
		const char *name = source ? sources->item[i].name : stores->item[i - sources->n].name;
		struct error one = ERROR_INIT;
		struct progress_display *bar = cmd_begin(cli, source ? name : NULL);
		enum status st = source ? op_connect_source(&cli->env, &sources->item[i], &r, &one)
					: op_connect_store(&cli->env, &stores->item[i - sources->n], &r, &one);

		cmd_end(cli, &bar);
		print_found(cli, source ? "source" : "store", name, &r, st);
		if (st == ST_CANCELLED)
			return error_move(err, &one);
		op_outcomes_add(&outcomes, name, &one);
	}
	return outcomes_to_error(cli, &outcomes, err);
}

/* Rules of keep against the time for which a store holds what it has. */
static enum status check_retention(struct cli *cli, const struct picked_sources *sources, const struct picked_stores *stores,
				   struct error *err)
{
	CLEANUP(strlist_release) struct strlist notes = STRLIST_INIT;

	for (size_t i = 0; i < sources->n * stores->n; i++) {
		const struct op_source *s = &sources->item[i / stores->n];
		const struct op_store *store = &stores->item[i % stores->n];

		if ((!s->s.to.len || strlist_has(&s->s.to, store->name)) &&
		    op_compare_retention(&cli->env, s, store, op_keep_of(store, s), &notes, err))
			return err->code;
	}
	for (size_t i = 0; i < notes.len; i++) {
		CLEANUP(cstr_release) char *line = xasprintf("note: %s", notes.item[i]);

		cmd_print_lines(cli, line);
	}
	return ST_OK;
}

static enum status config_check(struct cli *cli, struct error *err)
{
	CLEANUP(picked_sources_release) struct picked_sources sources = PICKED_INIT;
	CLEANUP(picked_stores_release) struct picked_stores stores = PICKED_INIT;

	if (bind_sources(cli, &sources, err) || bind_stores(cli, &stores, err) || check_targets(cli, &sources, err) ||
	    check_sealing(cli, &sources, err))
		return err->code;
	CLEANUP(cstr_release) char *n_sources = text_count(sources.n, "source"), *n_stores = text_count(stores.n, "store");
	if (!cli->p.quiet)
		out_printf("%s: %s, %s\n", cli->config.path ? cli->config.path : "no configuration file", n_sources, n_stores);
	if (check_retention(cli, &sources, &stores, err))
		return err->code;
	return cli->f.connect ? connect_all(cli, &sources, &stores, err) : ST_OK;
}

/* ---- show ---- */

static char *shown_value(const struct setting *row, const char *key, const char *text)
{
	bool reference = strlen(key) > strlen(setting_name(row));

	if (row->secret || row->type == SET_SECRET)
		return xstrdup(reference ? text : "***");
	return url_without_secrets(text);
}

static void show_row(const struct cli *cli, const struct config_section *section, const struct setting *row, const char *indent)
{
	const struct config_value *v = config_where(&cli->config, section, row);
	CLEANUP(buf_release) struct buf text = BUF_INIT;
	bool list = row->type == SET_LIST;

	if (!v && !row->def)
		return;
	for (size_t i = 0; v && i < v->text.len; i++) {
		CLEANUP(cstr_release) char *value = shown_value(row, v->key, v->text.item[i]);

		buf_printf(&text, "%s%s", i ? ", " : "", value);
	}
	out_printf("%s%s: %s%s%s  # %s\n", indent, v ? v->key : row->key, list ? "[" : "", v ? buf_str(&text) : row->def,
		   list ? "]" : "", v && v->origin ? v->origin : "default");
}

static void show_rows(const struct cli *cli, enum setting_scope scope, const struct config_section *section, const char *indent)
{
	for (size_t g = 0; g < cli->schema.groups; g++) {
		const struct setting_group *group = &cli->schema.group[g];

		if (!setting_group_fits(group, section ? section->url : NULL))
			continue;
		for (const struct setting *row = group->rows; !setting_is_end(row); row++)
			if (row->scope == scope && row->key)
				show_row(cli, section, row, indent);
	}
}

static void show_sections(const struct cli *cli, enum setting_scope scope, const char *title, const struct config_section *list,
			  size_t n)
{
	if (n)
		out_printf("\n%s:\n", title);
	for (size_t i = 0; i < n; i++) {
		out_printf("  %s:  # %s\n", list[i].name, list[i].origin);
		show_rows(cli, scope, &list[i], "    ");
	}
}

static enum status config_show(struct cli *cli, struct error *err)
{
	(void)err;
	out_printf("# %s\n", cli->config.path ? cli->config.path : "no configuration file");
	show_rows(cli, SCOPE_GLOBAL, NULL, "");
	show_sections(cli, SCOPE_STORE, "stores", cli->config.store, cli->config.stores);
	show_sections(cli, SCOPE_SOURCE, "sources", cli->config.source, cli->config.sources);
	return ST_OK;
}

/* ---- example, grants ---- */

static enum status config_example_command(struct cli *cli, struct error *err)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT;

	(void)err;
	config_example(&cli->schema, &text);
	out_text(buf_str(&text));
	return ST_OK;
}

static enum status config_grants(struct cli *cli, struct error *err)
{
	CLEANUP(op_source_release) struct op_source s = {0};

	if (cli->arg.len < 2)
		return error_set(err, ST_USAGE, "config grants needs a SOURCE: a name of the configuration or a URL");
	if (pick_source(cli, cli->arg.item[1], false, &s, err))
		return err->code;
	out_text(s.driver->grants);
	if (*s.driver->grants && s.driver->grants[strlen(s.driver->grants) - 1] != '\n')
		out_text("\n");
	return ST_OK;
}

/* ---- fetch ---- */

/* *found: the store has one, so that the next one is not asked, whatever becomes of it here. */
static enum status fetch_from(struct cli *cli, const struct op_store *from, bool *found, struct error *err)
{
	CLEANUP(config_fetch_result_release) struct config_fetch_result r = {0};
	const struct config_fetch_request q = {.from = from, .name = cli->arg.len > 1 ? cli->arg.item[1] : NULL};

	if (op_config_fetch(&cli->env, &q, &r, err))
		return err->code;
	*found = true;
	if (r.names.len > 1 && !q.name) {
		log_line(cli->run, LOG_INFO, "%s is the newest of %zu; `config fetch NAME` gets another one:", r.key, r.names.len);
		for (size_t i = r.names.len, n = 0; i-- && n < 10; n++)
			log_line(cli->run, LOG_INFO, "  %s", r.names.item[i]);
	}
	if (!cli->f.output) {
		out_text(buf_str(&r.text));
		return ST_OK;
	}
	if (fs_write_new(cli->f.output, buf_str(&r.text), r.text.len, err))
		return err->code;
	if (!cli->p.quiet)
		out_printf("%s from %s; secrets are left out: look for \"left out\"\n", cli->f.output, r.key);
	return ST_OK;
}

/* The first store that has one. */
static enum status config_fetch(struct cli *cli, struct error *err)
{
	CLEANUP(picked_stores_release) struct picked_stores from = PICKED_INIT;
	CLEANUP(op_outcomes_release) struct op_outcomes outcomes = {0};

	if (pick_from(cli, NULL, &from, err))
		return err->code;
	for (size_t i = 0; i < from.n; i++) {
		struct error one = ERROR_INIT;
		bool found = false;

		if (!fetch_from(cli, &from.item[i], &found, &one))
			return ST_OK;
		if (found || one.code == ST_CANCELLED)
			return error_move(err, &one);
		op_outcomes_add(&outcomes, from.item[i].name, &one);
	}
	outcomes_drop_absent(&outcomes);
	return outcomes_to_error(cli, &outcomes, err);
}

static const char *const words[] = {"check", "show", "example", "grants", "fetch", NULL};

static enum status run_config(struct cli *cli, struct error *err)
{
	static enum status (*const run[])(struct cli * cli, struct error * err) = {config_check, config_show,
										   config_example_command, config_grants, config_fetch};
	const struct bind bind = {&cli->config};
	const char *word = cli->arg.item[0];

	for (size_t i = 0; words[i]; i++) {
		if (strcmp(words[i], word))
			continue;
		if (cli->arg.len > 1 && strcmp(word, "grants") && strcmp(word, "fetch"))
			return error_set(err, ST_USAGE, "config %s takes no further argument", word);
		if (cli->f.connect && strcmp(word, "check"))
			return error_set(err, ST_USAGE, "--connect goes with config check");
		if ((cli->f.from || cli->f.output) && strcmp(word, "fetch"))
			return error_set(err, ST_USAGE, "--from and --output go with config fetch");
		/* A broken configuration is no reason to refuse an example of a good one. */
		if (strcmp(word, "example") &&
		    (config_load(&cli->schema, cli->p.config, &cli->config, err) || bind_global(&bind, &cli->global, err)))
			return err->code;
		return run[i](cli, err);
	}
	const char *near = nearest_name(word, words, ARRAY_LEN(words) - 1);

	error_set(err, ST_USAGE, "config knows check, show, example, grants and fetch, not \"%s\"", word);
	return near ? error_hint(err, "Did you mean `drtool config %s`?", near) : err->code;
}

const struct command command_config = {
	.name = "config",
	.summary = "Check, show or explain the configuration",
	.args = "check|show|example|grants SOURCE|fetch [NAME]",
	.min_args = 1,
	.max_args = 2,
	.bit = CMD_CONFIG,
	.about = "check reads it and, with --connect, tries every source and store. show prints what\n"
		 "holds and where each value comes from, without secrets. example prints every\n"
		 "setting there is. grants prints the statements that make the smallest backup user.\n"
		 "fetch gets the configuration that backups stored beside themselves, without secrets.\n",
	.examples = "  drtool config check --connect\n  drtool config grants shop | psql -h host shop\n"
		    "  drtool config fetch --from file:///backups --output drtool.yaml\n",
	.words = words,
	.run = run_config,
};
