#include "commands/cmd.h"

static enum status run_completion(struct cli *cli, struct error *err)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT;

	if (completion_script(&cli->schema, cli->arg.item[0], &text, err))
		return err->code;
	out_text(buf_str(&text));
	return ST_OK;
}

static const char *const shells[] = {"bash", "zsh", "fish", NULL};

const struct command command_completion = {
	.name = "completion",
	.summary = "Print the completion script of a shell",
	.args = "bash|zsh|fish",
	.min_args = 1,
	.max_args = 1,
	.bit = CMD_COMPLETION,
	.about = "Made from the same tables as this text.\n",
	.examples = "  source <(drtool completion bash)\n",
	.words = shells,
	.run = run_completion,
};
