/* check and verify: the same requests and results, another operation. */
#include "commands/cmd.h"

static void print_result(const struct cli *cli, const struct op_source *s, const struct op_store *from,
			 const struct proof_result *r, enum status st)
{
	CLEANUP(cstr_release) char *bytes = text_size(r->bytes), *took = text_duration(r->took);

	for (size_t i = 0; i < r->differences.len; i++) {
		CLEANUP(cstr_release) char *line = xasprintf("  %s", r->differences.item[i]);

		cmd_print_lines(cli, line);
	}
	if (r->difference_count > r->differences.len && !cli->p.quiet)
		out_printf("  and %" PRIu64 " more\n", r->difference_count - r->differences.len);
	if (cli->p.quiet || (st && st != ST_BAD))
		return;
	out_printf("%s  %s in %s  %s: ", s->name, r->backup, from->name, st ? "BAD" : proof_name(r->level));
	if (r->stored_only)
		out_printf("stored bytes only (encrypted, no key given), ");
	CLEANUP(cstr_release) char *tables = text_count(r->tables, "table"), *rows = text_count(r->rows, "row");
	if (r->tables)
		out_printf("%s, %s, ", tables, rows);
	out_printf("%s in %s\n", bytes, took);
}

static enum status prove(struct cli *cli, const struct op_source *s, const struct op_store *from, const char *which,
			 struct error *err)
{
	CLEANUP(proof_result_release) struct proof_result r = {0};
	struct proof_request q = {.source = s->name, .configured = s, .from = from, .which = which};
	struct progress_display *bar = cmd_begin(cli, s->name);
	enum status st = cli->command->bit == CMD_CHECK ? op_check(&cli->env, &q, &r, err) : op_verify(&cli->env, &q, &r, err);

	cmd_end(cli, &bar);
	print_result(cli, s, from, &r, st);
	return st;
}

/* --backup all: each on its own; the first failure that is worst counts, the others are printed. */
static enum status check_all(struct cli *cli, const struct op_source *s, const struct op_store *from, struct error *err)
{
	CLEANUP(list_result_release) struct list_result list = {0};
	CLEANUP(op_outcomes_release) struct op_outcomes outcomes = {0};

	if (op_list(&cli->env, from, s->name, &list, err))
		return err->code;
	const struct catalog *c = &list.source[0].catalog;

	for (size_t i = 0; i < c->backups; i++) {
		struct error one = ERROR_INIT;
		const char *id = c->backup[i].manifest.id;

		if (prove(cli, s, from, id, &one) == ST_CANCELLED)
			return error_move(err, &one);
		op_outcomes_add(&outcomes, id, &one);
	}
	for (size_t i = 0; i < c->unreadables; i++) {
		struct error one = ERROR_INIT;

		error_set(&one, ST_BAD, "the manifest cannot be read: %s", c->unreadable[i].why);
		op_outcomes_add(&outcomes, c->unreadable[i].key, &one);
	}
	if (!outcomes.n)
		return error_set(err, ST_NOT_FOUND, "%s has no backup in %s", s->name, from->name);
	enum status st = outcomes_to_error(cli, &outcomes, err);

	/* One bad backup among good ones is still bad. */
	for (size_t i = 0; st && i < outcomes.n; i++)
		if (outcomes.item[i].err.code == ST_BAD)
			err->code = ST_BAD;
	return err->code;
}

static enum status prove_in(struct cli *cli, const struct op_source *s, const struct op_store *from, struct error *err)
{
	const char *which = cli->f.backup ? cli->f.backup : "latest";

	if (cli->command->bit == CMD_CHECK && !strcmp(which, "all"))
		return check_all(cli, s, from, err);
	return prove(cli, s, from, which, err);
}

static enum status prove_sources(struct cli *cli, const struct picked_sources *sources, struct error *err)
{
	CLEANUP(op_outcomes_release) struct op_outcomes outcomes = {0};
	const struct each_store each = {prove_in, &outcomes};

	for (size_t i = 0; i < sources->n; i++) {
		struct error one = ERROR_INIT;

		if (each_store(cli, &sources->item[i], &each, &one) == ST_CANCELLED)
			return error_move(err, &one);
		if (one.code)
			op_outcomes_add(&outcomes, sources->item[i].name, &one);
	}
	return outcomes_to_error(cli, &outcomes, err);
}

/* Without SOURCE, check means all that lies in the stores. */
static enum status check_command(struct cli *cli, struct error *err)
{
	CLEANUP(picked_sources_release) struct picked_sources sources = PICKED_INIT;
	CLEANUP(picked_stores_release) struct picked_stores from = PICKED_INIT;
	CLEANUP(strlist_release) struct strlist names = STRLIST_INIT;

	if (!cli->arg.len) {
		if (pick_from(cli, NULL, &from, err) || pick_names(cli, &from, &names, err))
			return err->code;
		for (size_t i = 0; i < names.len; i++)
			strlist_add(&cli->arg, names.item[i]);
	}
	if (!cli->arg.len)
		return error_set(err, ST_NOT_FOUND, "there is no backup yet");
	if (pick_sources(cli, true, &sources, err))
		return err->code;
	return prove_sources(cli, &sources, err);
}

static enum status run_verify(struct cli *cli, struct error *err)
{
	CLEANUP(picked_sources_release) struct picked_sources sources = PICKED_INIT;

	if (pick_sources(cli, true, &sources, err))
		return err->code;
	return prove_sources(cli, &sources, err);
}

const struct command command_check = {
	.name = "check",
	.summary = "Read every byte of backups and compare checksums and structure",
	.args = "[SOURCE]",
	.max_args = 1,
	.bit = CMD_CHECK,
	.needs = NEED_CONFIG,
	.about = "Needs no database server. Exit status 4 means that a backup is damaged.\n",
	.examples = "  drtool check\n  drtool check shop --backup all\n",
	.run = check_command,
};

const struct command command_verify = {
	.name = "verify",
	.summary = "Restore a backup into a scratch server and compare everything",
	.args = "[SOURCE|--all]",
	.max_args = 1,
	.bit = CMD_VERIFY,
	.needs = NEED_CONFIG,
	.about = "Starts a server of the matching version in scratch_dir (or uses the one of\n"
		 "`scratch`), restores, compares inventory, rows and digests with what the backup\n"
		 "recorded, and runs the queries of `assert`. Exit status 4 means that it differs;\n"
		 "1 that it could not be verified.\n",
	.examples = "  drtool verify shop\n  drtool verify --all -q\n",
	.run = run_verify,
};
