/* The state folder: journals of restores and remembered ids of stores. Losing it loses --resume, never data. */
#include "ops/internal.h"

#include <unistd.h>

static char *state_path(const struct op_env *env)
{
	const char *xdg = getenv("XDG_STATE_HOME"), *home = getenv("HOME");

	if (env->global->state_dir)
		return xstrdup(env->global->state_dir);
	if (xdg && xdg[0] == '/')
		return path_join(xdg, "drtool");
	if (geteuid() == 0)
		return xstrdup("/var/lib/drtool");
	return home && home[0] == '/' ? path_join(home, ".local/state/drtool") : NULL;
}

char *state_folder(struct op_env *env)
{
	CLEANUP(error_release) struct error why = ERROR_INIT;
	char *path = state_path(env);

	if (!path)
		return NULL;
	if (!fs_mkdirs(path, 0700, &why) && !access(path, W_OK))
		return path;
	notes_add(env->notes, "no state folder (%s): a restore of this run cannot be resumed", path);
	free(path);
	return NULL;
}
