/* The one visible array of commands. */
#include "commands/cmd.h"

const struct command *command_named(const char *name)
{
	for (const struct command *const *c = commands; *c; c++)
		if (!strcmp((*c)->name, name))
			return *c;
	return NULL;
}

const struct command *const commands[] = {
	&command_backup, &command_list,   &command_restore, &command_exchange,   &command_check,
	&command_verify, &command_prune,  &command_pin,     &command_unpin,      &command_accept,
	&command_unlock, &command_status, &command_config,  &command_completion,
	&command_copy,   &command_key, NULL,
};
