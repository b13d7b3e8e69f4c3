#include "commands/cmd.h"

static void print_scopes(const struct cli *cli, const struct restore_result *r)
{
	for (size_t i = 0; i < r->scopes; i++) {
		const struct restore_scope_result *s = &r->scope[i];
		CLEANUP(cstr_release) char *raw = text_size(s->raw);
		CLEANUP(cstr_release) char *tables = text_count(s->tables, "table"), *rows = text_count(s->rows, "row"), *line = NULL;

		line = xasprintf("%s of %s: %s, %s, %s, now in %s%s%s", s->scope, r->backup, tables, rows, raw, s->target, s->aside ? "; what was there is now " : "",
				 s->aside ? s->aside : "");
		cmd_print_lines(cli, line);
	}
}

/* The last line is the next command. */
static void print_next(const struct cli *cli, const struct restore_request *q, const struct restore_result *r)
{
	bool beside = false, aside = false;

	for (size_t i = 0; i < r->scopes; i++) {
		beside |= r->scope[i].beside;
		aside |= r->scope[i].aside != NULL;
	}
	if (!r->compared && !q->compare && !cli->p.quiet)
		out_text("The server counted as many rows as the backup has. To read everything back and compare: --compare.\n");
	if (cli->p.quiet)
		return;
	if (beside)
		out_printf("To put it in place: drtool exchange %s\n", r->run);
	else if (aside)
		out_printf("To go back: drtool exchange %s --back; to drop what was there before: drtool exchange %s --drop\n",
			   r->run, r->run);
}

static void print_result(const struct cli *cli, const struct restore_request *q, const struct restore_result *r)
{
	CLEANUP(cstr_release) char *took = text_duration(r->took), *load = text_duration(r->load_time);
	CLEANUP(cstr_release) char *index = text_duration(r->index_time);
	CLEANUP(cstr_release) char *compare = text_duration(r->compare_time);

	print_scopes(cli, r);
	for (size_t i = 0; i < r->missing.len; i++) {
		CLEANUP(cstr_release) char *line = xasprintf("MISSING: %s", r->missing.item[i]);

		cmd_print_lines(cli, line);
	}
	if (!cli->p.quiet)
		out_printf("done in %s (rows %s, indexes and constraints %s%s%s)\n", took, load, index,
			   r->compared ? ", compared and equal " : "", r->compared ? compare : "");
	print_next(cli, q, r);
}

static enum status restore(struct cli *cli, const struct restore_request *q, struct error *err)
{
	CLEANUP(restore_result_release) struct restore_result r = {0};
	struct progress_display *bar = cmd_begin(cli, q->source);
	enum status st = op_restore(&cli->env, q, &r, err);

	cmd_end(cli, &bar);
	if (st || q->dry_run)
		cmd_print_lines(cli, buf_str(&r.text));
	/* A salvage that found damage is whole all the same, and says what it could not have. */
	if (!q->dry_run && (!st || (q->salvage && r.scopes)))
		print_result(cli, q, &r);
	return st;
}

static enum status pick_target(struct cli *cli, const struct op_source *source, struct op_source *into,
			       const struct op_source **target, char **database, struct error *err)
{
	const struct bind bind = {&cli->config};

	*target = source;
	if (cli->f.into) {
		*target = into;
		return bind_target(cli->run, &bind, cli->f.into, source, into, database, err);
	}
	if (source->driver)
		return ST_OK;
	error_set(err, ST_USAGE, "%s is in no configuration, so it is not known where to restore it", source->name);
	return error_hint(err, "Name the server: drtool restore %s --into URL, as postgres://user@host/database, mysql://user@host/database or mongodb://user@host/database", source->name);
}

static enum status check_flags(const struct command_flags *f, struct error *err)
{
	if (f->in_place && f->clean)
		return error_set(err, ST_USAGE, "--in-place and --clean are two different ways; choose one");
	if (f->in_place && (f->tables.len || f->exclude_tables.len || f->data_only))
		return error_set(
			err, ST_USAGE,
			"--in-place exchanges whole databases; it does not go with --table, --exclude-table or --data-only");
	if (f->salvage && (f->in_place || f->clean || f->data_only))
		return error_set(err, ST_USAGE, "--salvage loads into a new database only");
	return ST_OK;
}

static enum status run_restore(struct cli *cli, struct error *err)
{
	CLEANUP(op_source_release) struct op_source source = {0}, into = {0};
	CLEANUP(picked_stores_release) struct picked_stores from = PICKED_INIT;
	CLEANUP(cstr_release) char *database = NULL;
	const struct op_source *target = NULL;
	const struct command_flags *f = &cli->f;

	if (check_flags(f, err) || pick_source(cli, cli->arg.item[0], true, &source, err) ||
	    pick_target(cli, &source, &into, &target, &database, err) || pick_from(cli, &source, &from, err))
		return err->code;
	struct restore_request q = {
		.source = source.name,
		.target = target,
		.into_database = database,
		.from = from.list,
		.stores = from.n,
		.which = f->backup,
		.tags = &f->tags,
		.databases = &f->databases,
		.tables = &f->tables,
		.exclude_tables = &f->exclude_tables,
		.renames = &f->renames,
		.in_place = f->in_place,
		.data_only = f->data_only,
		.no_owner = f->no_owner,
		.clean = f->clean,
		.compare = f->compare,
		.salvage = f->salvage,
		.dry_run = f->dry_run,
		.resume = f->resume != NULL,
		.resume_run = f->resume && *f->resume ? f->resume : NULL,
		.confirm = f->confirm,
		.users = f->users,
	};
	return restore(cli, &q, err);
}

const struct command command_restore = {
	.name = "restore",
	.summary = "Restore a backup, beside what is there unless told otherwise",
	.args = "SOURCE",
	.min_args = 1,
	.max_args = 1,
	.bit = CMD_RESTORE,
	.needs = NEED_CONFIG,
	.about = "Never writes into a database that is not empty: where its name is taken, the\n"
		 "backup is loaded beside and the last line is the command that puts it in place.\n"
		 "Object names are split at dots outside double quotes.\n",
	.examples = "  drtool restore shop --dry-run\n"
		    "  drtool restore shop --in-place\n"
		    "  drtool restore shop --into postgres://u@other/ --database shop\n"
		    "  drtool restore shop --table public.orders --rename public.orders=orders_old\n"
		    "  drtool restore shop --into mysql://u@other/ --table orders\n"
		    "  drtool restore shop --into mongodb://u@other/ --table orders\n",
	.run = run_restore,
};
