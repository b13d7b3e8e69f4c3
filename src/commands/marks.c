/* pin, unpin, accept. */
#include "commands/cmd.h"

static enum mark_kind kind_of(const struct cli *cli)
{
	return cli->command->bit == CMD_PIN ? MARK_PIN : cli->command->bit == CMD_UNPIN ? MARK_UNPIN : MARK_ACCEPT;
}

static enum status mark_in(struct cli *cli, const struct op_source *s, const struct op_store *from, struct error *err)
{
	static const char *const said[] = {"pinned", "unpinned", "accepted"};
	CLEANUP(strlist_release) struct strlist ids = STRLIST_INIT;
	struct mark_request q = {
		.kind = kind_of(cli),
		.source = s->name,
		.which = cli->f.backup,
		.because = cli->f.because,
		.since = cli->f.since,
		.until = cli->f.until,
		.from = from,
	};

	if (op_mark(&cli->env, &q, &ids, err))
		return err->code;
	for (size_t i = 0; i < ids.len && !cli->p.quiet; i++)
		out_printf("%s  %s in %s: %s\n", s->name, ids.item[i], from->name, said[q.kind]);
	return ST_OK;
}

static enum status run_mark(struct cli *cli, struct error *err)
{
	CLEANUP(op_source_release) struct op_source source = {0};
	CLEANUP(op_outcomes_release) struct op_outcomes outcomes = {0};
	const struct each_store each = {mark_in, &outcomes};

	if (!cli->f.because || !*cli->f.because)
		return error_set(err, ST_USAGE, "%s needs --because TEXT: whoever reads it later wants to know why",
				 cli->command->name);
	if (cli->f.backup && cli->f.since.us)
		return error_set(err, ST_USAGE, "--backup and --since are two ways to choose; give one");
	if (pick_source(cli, cli->arg.item[0], true, &source, err) || each_store(cli, &source, &each, err))
		return err->code;
	return outcomes_to_error(cli, &outcomes, err);
}

#define MARK_COMMAND(name_, bit_, summary_, about_, examples_)                                     \
	{                                                                                          \
		.name = name_, .summary = summary_, .args = "SOURCE", .min_args = 1, .max_args = 1, \
		.bit = bit_, .needs = NEED_CONFIG, .about = about_, .examples = examples_,          \
		.run = run_mark,                                                                   \
	}

const struct command command_pin =
	MARK_COMMAND("pin", CMD_PIN, "Keep backups whatever the rules say",
		     "Without --backup or --since, the newest good one. The reason is kept as\nevidence.\n",
		     "  drtool pin shop --backup latest --until 2027-12-31 --because \"audit 2026\"\n");
const struct command command_unpin =
	MARK_COMMAND("unpin", CMD_UNPIN, "End the pins of backups", "The rules of prune hold for them again.\n",
		     "  drtool unpin shop --backup 20261120T020000Z-7f3a --because \"audit is over\"\n");
const struct command command_accept =
	MARK_COMMAND("accept", CMD_ACCEPT, "Say that a suspect backup is as it should be",
		     "A backup that is much smaller than the one before is suspect and blocks prune\n"
		     "until somebody looked. Without --backup or --since, the newest suspect one.\n",
		     "  drtool accept shop --because \"the archive tables were dropped on purpose\"\n");
