#include "commands/cmd.h"

#include "core/url.h"

static bool same_server(const char *a, const char *b)
{
	CLEANUP(url_release) struct url x = URL_INIT, y = URL_INIT;
	CLEANUP(error_release) struct error err = ERROR_INIT;

	return !url_parse(a, &x, &err) && !url_parse(b, &y, &err) && !strcmp(x.scheme, y.scheme) && x.port == y.port &&
	       !strcmp(x.host ? x.host : "", y.host ? y.host : "");
}

/* What other configured sources take from the same server: names and patterns. */
static enum status find_covered(struct cli *cli, const struct op_source *s, struct strlist *covered, struct error *err)
{
	for (size_t i = 0; i < cli->config.sources; i++) {
		const struct config_section *other = &cli->config.source[i];
		CLEANUP(op_source_release) struct op_source o = {0};
		CLEANUP(url_release) struct url u = URL_INIT;
		const struct bind bind = {&cli->config};

		if (!strcmp(other->name, s->name) || !same_server(other->url, s->url))
			continue;
		if (bind_source(cli->run, &bind, other->name, NULL, false, &o, err) || url_parse(o.url, &u, err))
			return err->code;
		for (size_t k = 0; k < o.s.databases.len; k++)
			strlist_add(covered, o.s.databases.item[k]);
		if (!o.s.databases.len)
			strlist_add(covered, u.path && *u.path ? u.path : "*");
	}
	return ST_OK;
}

static void print_pruned(const struct backup_result *r)
{
	CLEANUP(cstr_release) char *freed = text_size(r->freed), *backups = text_count(r->removed, "backup");
	CLEANUP(cstr_release) char *leftovers = text_count(r->leftovers, "leftover");

	if (r->removed || r->leftovers)
		out_printf("    pruned %s and %s, %s freed\n", backups, leftovers, freed);
}

static void print_result(const struct cli *cli, const struct op_source *s, const struct backup_result *r)
{
	const struct manifest *m = &r->manifest;
	CLEANUP(cstr_release) char *raw = text_size(m->raw), *stored = text_size(m->stored), *took = text_duration(r->took);
	CLEANUP(cstr_release) char *tables = text_count(m->tables, "table"), *rows = text_count(m->rows, "row");
	CLEANUP(buf_release) struct buf stores = BUF_INIT;

	if (cli->p.quiet)
		return;
	for (size_t i = 0; i < r->stores.n; i++)
		if (!r->stores.item[i].err.code)
			buf_printf(&stores, "%s%s", stores.len ? ", " : "", r->stores.item[i].what);
	out_printf("%s  %s  %s, %s, %s as %s in %s, in %s\n", s->name, m->id, tables, rows, raw, stored, took, buf_str(&stores));
	if (m->suspect)
		out_printf("    SUSPECT: %s; look, then `drtool accept %s --backup %s --because TEXT`\n", m->suspect_because,
			   s->name, m->id);
	print_pruned(r);
}

/* The message of a backup that is not everywhere says where not, and why. */
static void name_failed_stores(const struct op_outcomes *stores, struct error *err)
{
	for (size_t i = 0; i < stores->n; i++) {
		const struct error *e = &stores->item[i].err;

		if (!e->code)
			continue;
		char *text = xasprintf("%s; %s%s%s", error_text(err),
				       out_names(error_text(e), stores->item[i].what) ? "" : stores->item[i].what,
				       out_names(error_text(e), stores->item[i].what) ? "" : ": ", error_text(e));

		free(err->text);
		err->text = text;
		if (e->hint && !err->hint)
			error_hint(err, "%s", e->hint);
	}
}

/* "drtool copy shop --backup ID --from local --to offsite" for each store that does not have the backup. */
static void hint_copies(const struct cli *cli, const struct op_source *s, const struct backup_result *r, struct error *err)
{
	CLEANUP(buf_release) struct buf lines = BUF_INIT;
	const char *from = NULL;

	for (size_t i = 0; i < r->stores.n && !from; i++)
		from = r->stores.item[i].err.code ? NULL : r->stores.item[i].what;
	for (size_t i = 0; i < r->stores.n && from; i++) {
		if (!r->stores.item[i].err.code)
			continue;
		buf_puts(&lines, lines.len ? " ; drtool copy " : "drtool copy ");
		buf_printf(&lines, "%s --backup %s --from ", s->name, r->manifest.id);
		buf_shell_word(&lines, from);
		buf_puts(&lines, " --to ");
		buf_shell_word(&lines, r->stores.item[i].what);
		if (config_get(&cli->config.flags, SCOPE_GLOBAL, "config")) {
			buf_puts(&lines, " --config ");
			buf_shell_word(&lines, cli->p.config);
		}
	}
	if (!lines.len)
		return;
	CLEANUP(cstr_release) char *before = err->hint ? xasprintf("%s ", err->hint) : xstrdup("");
	error_hint(err, "%sWhen the store can be written again, bring it there: %s", before, buf_str(&lines));
}

static enum status backup_one(struct cli *cli, const struct op_source *s, struct error *err)
{
	CLEANUP(picked_stores_release) struct picked_stores to = PICKED_INIT;
	CLEANUP(strlist_release) struct strlist covered = STRLIST_INIT;
	CLEANUP(backup_result_release) struct backup_result r = {0};

	if (pick_targets(cli, s, &to, err) || find_covered(cli, s, &covered, err))
		return err->code;
	struct backup_request q = {
		.source = s,
		.to = to.list,
		.stores = to.n,
		.tags = &cli->f.tags,
		.covered = &covered,
		.prune = cli->f.prune,
		.new_identity = cli->f.new_identity,
		.dry_run = cli->f.dry_run,
		.because = cli->f.because,
	};
	struct progress_display *bar = cmd_begin(cli, s->name);
	enum status st = op_backup(&cli->env, &q, &r, err);

	cmd_end(cli, &bar);
	/* "Nothing matches" answers a search; a database that is not there is a failure. */
	if (st == ST_NOT_FOUND)
		st = err->code = ST_FAILED;
	if (r.listed && st)
		name_failed_stores(&r.stores, err);
	if (r.listed && st)
		hint_copies(cli, s, &r, err);
	if (cli->f.dry_run && !st)
		cmd_print_lines(cli, buf_str(&r.plan));
	else if (r.listed)
		print_result(cli, s, &r);
	return st;
}

static enum status run_backup(struct cli *cli, struct error *err)
{
	CLEANUP(picked_sources_release) struct picked_sources sources = PICKED_INIT;
	CLEANUP(op_outcomes_release) struct op_outcomes outcomes = {0};

	if (cli->f.new_identity && !cli->f.because)
		return error_set(err, ST_USAGE, "--new-identity needs --because TEXT: whoever reads it later wants to know why");
	if (pick_sources(cli, false, &sources, err))
		return err->code;
	for (size_t i = 0; i < sources.n; i++) {
		struct error e = ERROR_INIT;

		if (backup_one(cli, &sources.item[i], &e) == ST_CANCELLED)
			return error_move(err, &e);
		op_outcomes_add(&outcomes, sources.item[i].name, &e);
	}
	return outcomes_to_error(cli, &outcomes, err);
}

const struct command command_backup = {
	.name = "backup",
	.summary = "Back sources up",
	.args = "[SOURCE...|--all]",
	.max_args = 1000,
	.bit = CMD_BACKUP,
	.needs = NEED_CONFIG,
	.about = "A SOURCE is a name of the configuration or a URL. Exit status 0 means complete,\n"
		 "durable and with a manifest written; nothing that failed is ever listed.\n",
	.examples = "  drtool backup postgres://u@host/shop --to file:///var/backups/drtool\n"
		    "  drtool backup mysql://u@host/shop --to file:///var/backups/drtool\n"
		    "  drtool backup \"mongodb://u@host/shop?authSource=admin\" --to file:///backups\n"
		    "  drtool backup --all --prune -q\n",
	.run = run_backup,
};
