#include "commands/cmd.h"


static enum status unlock_in(struct cli *cli, const struct op_source *s, const struct op_store *from, struct error *err)
{
	if (op_unlock(&cli->env, from, s->name, cli->f.role ? "log" : "backup", err))
		return err->code;
	if (!cli->p.quiet)
		out_printf("%s in %s is unlocked\n", s->name, from->name);
	return ST_OK;
}

static enum status run_unlock(struct cli *cli, struct error *err)
{
	CLEANUP(op_source_release) struct op_source source = {0};
	CLEANUP(op_outcomes_release) struct op_outcomes outcomes = {0};
	const struct each_store each = {unlock_in, &outcomes};

	if (pick_source(cli, cli->arg.item[0], true, &source, err) || each_store(cli, &source, &each, err))
		return err->code;
	return outcomes_to_error(cli, &outcomes, err);
}

const struct command command_unlock = {
	.name = "unlock",
	.summary = "Show who holds the lock of a source and break it",
	.args = "SOURCE",
	.min_args = 1,
	.max_args = 1,
	.bit = CMD_UNLOCK,
	.needs = NEED_CONFIG,
	.about = "A lock whose holder is gone is taken over by the next run by itself; this is for\n"
		 "the case that somebody knows better.\n",
	.examples = "  drtool unlock shop\n",
	.run = run_unlock,
};
