/* What the files of single commands share. */
#ifndef COMMANDS_CMD_H
#define COMMANDS_CMD_H

#include "commands/command.h"

extern const struct command command_backup, command_list, command_restore, command_exchange, command_check, command_verify,
	command_prune, command_pin, command_unpin, command_accept, command_unlock, command_status, command_config,
	command_completion, command_copy, command_key;

/* Before and after an operation that takes its time: the source in log lines, the progress bar. */
struct progress_display *cmd_begin(struct cli *cli, const char *source);
void cmd_end(struct cli *cli, struct progress_display **bar);
/* Lines for people to stdout, made harmless; nothing with -q. */
void cmd_print_lines(const struct cli *cli, const char *text);
/* Where several stores were asked: those that do not have the thing count only when none has it. */
void outcomes_drop_absent(struct op_outcomes *o);

/* Calls fn for every store of a source: one outcome each, "source in store". Ends early only when the run is cancelled. */
struct each_store {
	enum status (*fn)(struct cli *cli, const struct op_source *s, const struct op_store *from, struct error *err);
	struct op_outcomes *outcomes;
};
enum status each_store(struct cli *cli, const struct op_source *s, const struct each_store *e, struct error *err) MUST_CHECK;

#endif
