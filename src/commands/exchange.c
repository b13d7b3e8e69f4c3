#include "commands/cmd.h"

static void print_pair(const struct cli *cli, enum exchange_action action, const struct exchange_pair *p)
{
	CLEANUP(cstr_release) char *line = NULL;

	if (action == EXCHANGE_PUT)
		line = xasprintf("%s is the restored one now%s%s", p->name, p->aside_exists ? "; what was there is " : "",
				 p->aside_exists ? p->aside : "");
	else if (action == EXCHANGE_BACK)
		line = xasprintf("%s is the old one again; the restored one is %s", p->name, p->loaded);
	else
		line = xasprintf("%s is dropped", p->aside);
	cmd_print_lines(cli, line);
}

/* Sources that name a server: where to look when the journal of the run is not on this machine. */
static enum status pick_configured(struct cli *cli, struct picked_sources *p, const struct op_source ***list, struct error *err)
{
	p->item = xcalloc(cli->config.sources, sizeof(*p->item));
	*list = xcalloc(cli->config.sources, sizeof(**list));
	for (size_t i = 0; i < cli->config.sources; i++) {
		if (pick_source(cli, cli->config.source[i].name, false, &p->item[i], err))
			return err->code;
		(*list)[i] = &p->item[i];
		p->n++;
	}
	return ST_OK;
}

static enum status exchange(struct cli *cli, const struct exchange_request_op *q, struct error *err)
{
	CLEANUP(exchange_result_release) struct exchange_result r = {0};
	struct progress_display *bar = cmd_begin(cli, NULL);
	enum status st = op_exchange(&cli->env, q, &r, err);

	cmd_end(cli, &bar);
	for (size_t i = 0; !st && i < r.pairs; i++)
		print_pair(cli, q->action, &r.pair[i]);
	if (!st && q->action == EXCHANGE_PUT && !cli->p.quiet)
		out_printf("To go back: drtool exchange %s --back; to drop what was there before: drtool exchange %s --drop\n",
			   q->run, q->run);
	return st;
}

static enum status run_exchange(struct cli *cli, struct error *err)
{
	CLEANUP(picked_sources_release) struct picked_sources configured = PICKED_INIT;
	CLEANUP(op_source_release) struct op_source into = {0};
	CLEANUP(cstr_release) char *database = NULL;
	const struct op_source **list = NULL;
	const struct bind bind = {&cli->config};
	enum status st;

	if (cli->f.back && cli->f.drop)
		return error_set(err, ST_USAGE, "--back and --drop are two different things; choose one");
	if (cli->f.into && bind_target(cli->run, &bind, cli->f.into, NULL, &into, &database, err))
		return err->code;
	st = pick_configured(cli, &configured, &list, err);
	if (!st) {
		struct exchange_request_op q = {
			.bind = &bind,
			.run = cli->arg.item[0],
			.action = cli->f.back ? EXCHANGE_BACK : cli->f.drop ? EXCHANGE_DROP : EXCHANGE_PUT,
			.source = cli->f.into ? &into : NULL,
			.configured = list,
			.sources = configured.n,
		};

		st = exchange(cli, &q, err);
	}
	free(list);
	return st;
}

const struct command command_exchange = {
	.name = "exchange",
	.summary = "Put a restored copy in place, go back, or drop what was set aside",
	.args = "RUN",
	.min_args = 1,
	.max_args = 1,
	.bit = CMD_EXCHANGE,
	.needs = NEED_CONFIG,
	.about = "RUN is the six digits that restore printed. The exchange is a rename: what was\n"
		 "there stays beside until --drop.\n",
	.examples = "  drtool exchange 3fa2c1\n  drtool exchange 3fa2c1 --back\n",
	.run = run_exchange,
};
