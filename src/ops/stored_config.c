#include "ops/stored_config.h"

#include <unistd.h>

#include "ops/internal.h"
#include "util/failpoint.h"
#include "util/hash.h"

#define FOLDER "drtool/config/"
#define CONFIG_MAX (4u * 1024 * 1024)
#define SUM_DIGITS 8
#define LONG_AGO DURATION_SECONDS(30 * 86400)
/* <time>-<host><text>. */
#define SUM_AT strlen("20261120T020000Z-")

static void sum(const char *text, size_t n, char *to)
{
	char hex[SHA256_HEX];

	snprintf(to, SUM_DIGITS + 1, "%.*s", SUM_DIGITS, sha256_hex(sha256_of(text, n), hex));
}

static bool is_name(const char *name) { return strlen(name) > SUM_AT + 2 * SUM_DIGITS && name[SUM_AT - 1] == '-' && strstr(name, ".yaml"); }

static enum status list(struct run *run, struct store *s, struct storage_objects *l, struct error *err)
{
	return storage_list(run, &s->storage, FOLDER, NULL, l, err) ? error_add(err, "stored configurations") : ST_OK;
}

static const char *name_of(const struct storage_object *o) { return o->key + strlen(FOLDER); }

/* part NULL: any name. */
static const struct storage_object *newest(const struct storage_objects *l, const char *part)
{
	for (size_t i = l->len; i--;)
		if (is_name(name_of(&l->item[i])) && (!part || strstr(name_of(&l->item[i]), part)))
			return &l->item[i];
	return NULL;
}

enum status stored_config_newest(struct run *run, struct store *s, const char *part, char **key, struct error *err)
{
	CLEANUP(storage_objects_release) struct storage_objects l = STORAGE_OBJECTS_INIT;

	*key = NULL;
	if (list(run, s, &l, err))
		return err->code;
	const struct storage_object *found = newest(&l, part);

	*key = found ? xstrdup(found->key) : NULL;
	return ST_OK;
}

static bool has_text(const char *name, const char *text) { return !strncmp(name + SUM_AT + SUM_DIGITS, text, SUM_DIGITS); }

/* Whether the newest one, or the newest one of this host, has the text. Names of hosts that come and go, as those of containers do, are
 * no reason to write it each time: for them one that is not old will do. */
static enum status same_as_before(struct run *run, struct store *s, const char *host, const char *text, bool *yes, struct error *err)
{
	CLEANUP(storage_objects_release) struct storage_objects l = STORAGE_OBJECTS_INIT;
	char recent[INSTANT_TEXT];

	*yes = false;
	if (list(run, s, &l, err))
		return err->code;
	const struct storage_object *last = newest(&l, NULL);
	*yes = last && has_text(name_of(last), text);
	instant_compact(instant_add(run_now(run), (struct duration){-LONG_AGO.us}), recent);
	for (size_t i = l.len; i-- && !*yes;) {
		const char *name = name_of(&l.item[i]);

		if (!is_name(name))
			continue;
		if (!strncmp(name + SUM_AT, host, SUM_DIGITS)) {
			*yes = has_text(name, text);
			return ST_OK;
		}
	}
	for (size_t i = l.len; i-- && !*yes;)
		*yes = is_name(name_of(&l.item[i])) && has_text(name_of(&l.item[i]), text) && strcmp(name_of(&l.item[i]), recent) > 0;
	return ST_OK;
}

/* Whom a text about sealed sources is sealed for. */
static enum status recipients(struct op_env *env, const struct strlist *all, struct seal_recipients **r, struct error *err)
{
	CLEANUP(strlist_release) struct strlist keys = STRLIST_INIT;
	CLEANUP(secret_text_release) char *passphrase = NULL;

	for (size_t i = 0; i < all->len; i++)
		if (strcmp(all->item[i], "passphrase"))
			strlist_add_once(&keys, all->item[i]);
	if (keys.len)
		return seal_recipients_new(&keys, r, err);
	if (secret_read(env->run, &env->global->passphrase, &passphrase, err))
		return err->code;
	if (!passphrase)
		return error_set(err, ST_CONFIG, "no passphrase is set to seal it with");
	return seal_recipients_passphrase(passphrase, SEAL_WORK_BACKUP, r, err);
}

static enum status put_config(struct op_env *env, struct store *s, const struct strlist *keys, const char *key, const char *text, struct error *err)
{
	CLEANUP(seal_recipients_freep) struct seal_recipients *to = NULL;
	CLEANUP(buf_release) struct buf sealed = BUF_INIT;
	bool seal = keys->len;
	CLEANUP(cstr_release) char *name = xasprintf("%s%s", key, seal ? ".age" : "");
	const struct put_spec put = {.key = name};

	if (failpoint("config.put.before", err))
		return err->code;
	if (!seal)
		return storage_put_bytes(env->run, &s->storage, &put, text, strlen(text), NULL, err);
	if (recipients(env, keys, &to, err) || seal_bytes(env->run, to, text, strlen(text), &sealed, err))
		return err->code;
	return storage_put_bytes(env->run, &s->storage, &put, buf_str(&sealed), sealed.len, NULL, err);
}

static enum status write_config(struct op_env *env, struct store *s, const struct strlist *keys, struct error *err)
{
	char host[256] = "", host_sum[SUM_DIGITS + 1], text_sum[SUM_DIGITS + 1], time[INSTANT_TEXT];
	bool same;

	gethostname(host, sizeof host - 1);
	sum(host, strlen(host), host_sum);
	sum(env->config_text, strlen(env->config_text), text_sum);
	if (same_as_before(env->run, s, host_sum, text_sum, &same, err) || same)
		return err->code;
	CLEANUP(cstr_release) char *key = xasprintf(FOLDER "%s-%s%s.yaml", instant_compact(run_now(env->run), time), host_sum, text_sum);
	CLEANUP(cstr_release) char *text = xasprintf("# The configuration of %s as drtool %s used it, defaults and variables filled in. Secrets are left out.\n%s",
						     host, DRTOOL_VERSION, env->config_text);
	return put_config(env, s, keys, key, text, err);
}

void stored_config_write(struct op_env *env, struct store *s, const struct strlist *also)
{
	CLEANUP(strlist_release) struct strlist keys = STRLIST_INIT;
	CLEANUP(error_release) struct error err = ERROR_INIT;

	for (size_t i = 0; env->config_keys && i < env->config_keys->len; i++)
		strlist_add_once(&keys, env->config_keys->item[i]);
	for (size_t i = 0; i < also->len; i++)
		strlist_add_once(&keys, also->item[i]);
	if (env->config_text && write_config(env, s, &keys, &err))
		notes_add(env->notes, "store %s: the configuration was not stored: %s", s->name, error_text(&err));
}

enum status op_config_fetch(struct op_env *env, const struct config_fetch_request *q, struct config_fetch_result *r, struct error *err)
{
	CLEANUP(store_release) struct store s = STORE_INIT;
	CLEANUP(storage_objects_release) struct storage_objects l = STORAGE_OBJECTS_INIT;

	if (store_open_one(env, q->from, &s, err) || list(env->run, &s, &l, err))
		return err->code;
	const struct storage_object *found = newest(&l, q->name);
	r->key = found ? xstrdup(found->key) : NULL;
	for (size_t i = 0; i < l.len; i++)
		if (is_name(name_of(&l.item[i])))
			strlist_add(&r->names, name_of(&l.item[i]));
	if (!r->key) {
		error_set(err, ST_NOT_FOUND, "store %s has no stored configuration%s%s", s.name, q->name ? " with this in its name: " : "",
			  q->name ? q->name : "");
		return error_hint(err, "A backup by a host with a configuration file stores it.");
	}
	const char *end = strrchr(r->key, '.');
	if (strcmp(end, ".age"))
		return storage_get_bytes(env->run, &s.storage, r->key, CONFIG_MAX, &r->text, NULL, err);
	CLEANUP(buf_release) struct buf sealed = BUF_INIT;
	const struct seal_identities *ids;
	if (storage_get_bytes(env->run, &s.storage, r->key, CONFIG_MAX, &sealed, NULL, err) || op_identities(env, &ids, err))
		return err->code;
	return seal_open_bytes(ids, buf_str(&sealed), sealed.len, &r->text, err) ? error_add(err, "%s", r->key) : ST_OK;
}

void config_fetch_result_release(struct config_fetch_result *r)
{
	cstr_release(&r->key);
	strlist_release(&r->names);
	buf_release(&r->text);
}
