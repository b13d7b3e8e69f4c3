/* Whom backups are sealed for. */
#include "ops/ops.h"

static enum status by_passphrase(struct op_env *env, struct seal_recipients **to, struct error *err)
{
	char *text;

	if (secret_read(env->run, &env->global->passphrase, &text, err))
		return error_add(err, "passphrase");
	if (!text) {
		error_set(err, ST_CONFIG, "encrypt_to: passphrase, but none is set");
		return error_hint(err, "Set passphrase_file in the configuration, or DRTOOL_PASSPHRASE_FILE.");
	}
	enum status st = seal_recipients_passphrase(text, SEAL_WORK_BACKUP, to, err);
	secret_text_release(&text);
	return st;
}

enum status op_recipients(struct op_env *env, const struct source_settings *s, struct seal_recipients **to, struct error *err)
{
	*to = NULL;
	if (!s->encrypt_to.len)
		return ST_OK;
	if (!strlist_has(&s->encrypt_to, "passphrase"))
		return seal_recipients_new(&s->encrypt_to, to, err) ? error_add(err, "encrypt_to") : ST_OK;
	if (s->encrypt_to.len > 1)
		return error_set(err, ST_CONFIG, "encrypt_to: a passphrase cannot stand beside other recipients: the format of age does not allow it");
	return by_passphrase(env, to, err);
}
