/* The keys that a run may open sealed backups with. */
#include "ops/ops.h"
#include "util/fs.h"

enum { FILE_OF_KEYS_MAX = 64 * 1024 };

struct asking {
	struct op_env *env;
	char *passphrase; /* of the settings; NULL: none */
};

static void asking_release(struct asking *a) { secret_text_release(&a->passphrase); }

/* The passphrase of a file of keys: that of the settings, else what somebody types. */
static enum status passphrase_of(void *ctx, const char *what, char **text, struct error *err)
{
	const struct asking *a = ctx;
	CLEANUP(cstr_release) char *question = xasprintf("Passphrase of %s: ", what);

	if (a->passphrase) {
		*text = xstrdup(a->passphrase);
		return ST_OK;
	}
	if (a->env->ask_secret)
		return a->env->ask_secret(a->env->ctx, question, text, err);
	error_set(err, ST_CONFIG, "%s: the keys in it are sealed with a passphrase, and nobody can be asked for it", what);
	return error_hint(err, "Give it by DRTOOL_PASSPHRASE_FILE or DRTOOL_PASSPHRASE_COMMAND.");
}

static enum status add_file(struct seal_identities *ids, const char *path, const struct seal_ask *ask, struct error *err)
{
	CLEANUP(seal_text_wipe) struct buf text = BUF_INIT;

	buf_reserve(&text, FILE_OF_KEYS_MAX);
	if (fs_read_file(path, FILE_OF_KEYS_MAX, &text, err)) {
		err->code = err->code == ST_NOT_FOUND ? ST_CONFIG : err->code;
		return error_add(err, "identity");
	}
	return seal_identities_add(ids, path, buf_str(&text), text.len, ask, err);
}

static enum status add_setting(struct op_env *env, struct seal_identities *ids, const struct seal_ask *ask, struct error *err)
{
	const struct secret *s = &env->global->identity;
	CLEANUP(seal_text_wipe) struct buf text = BUF_INIT;

	if (!secret_set(s))
		return ST_OK;
	if (secret_read_all(env->run, s, &text, err))
		return error_add(err, "identity");
	return seal_identities_add(ids, s->file ? s->file : "identity", buf_str(&text), text.len, ask, err);
}

static enum status load(struct op_env *env, struct seal_identities *ids, struct error *err)
{
	CLEANUP(asking_release) struct asking a = {env, NULL};
	const struct seal_ask ask = {passphrase_of, &a};

	if (secret_read(env->run, &env->global->passphrase, &a.passphrase, err))
		return error_add(err, "passphrase");
	for (size_t i = 0; i < env->global->identities.len; i++)
		if (add_file(ids, env->global->identities.item[i], &ask, err))
			return err->code;
	if (add_setting(env, ids, &ask, err))
		return err->code;
	if (a.passphrase)
		seal_identities_add_passphrase(ids, a.passphrase, SEAL_WORK_BACKUP_MAX);
	return ST_OK;
}

enum status op_identities(struct op_env *env, const struct seal_identities **ids, struct error *err)
{
	if (!env->identities) {
		CLEANUP(seal_identities_freep) struct seal_identities *made = seal_identities_new();

		if (load(env, made, err))
			return err->code;
		env->identities = made;
		made = NULL;
	}
	*ids = env->identities;
	return ST_OK;
}
