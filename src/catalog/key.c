/* Names of sources, keys of objects, the next backup id. */
#include "catalog/catalog.h"

#define NAME_MAX_BYTES 100
#define AHEAD_MAX DURATION_SECONDS(5)
#define AFTER_SLASH "0" /* the next byte: after every key of a folder */

char *catalog_key(const char *source, const char *folder, const char *name) { return xasprintf("%s/%s/%s", source, folder, name); }

bool source_name_valid(const char *name)
{
	static const char *const taken[] = {"evidence", "recover", "drtool"};
	size_t n = strlen(name);

	for (size_t i = 0; i < ARRAY_LEN(taken); i++)
		if (!strcmp(name, taken[i]))
			return false;
	if (!n || n > NAME_MAX_BYTES || name[0] == '.' || name[0] == '_' || name[0] == '-')
		return false;
	return strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789._-") == n;
}

/* Whether something of a source lies below the name. */
static enum status is_source(struct run *run, struct store *s, const char *name, bool *yes, struct error *err)
{
	CLEANUP(cstr_release) char *facts = xasprintf("%s/source.json", name);
	CLEANUP(cstr_release) char *folder = catalog_key(name, "backup", "");
	CLEANUP(cstr_release) char *found = NULL;
	struct storage_object o;

	*yes = false;
	if (!source_name_valid(name))
		return ST_OK;
	if (!storage_stat(run, &s->storage, facts, &o, err)) {
		*yes = true;
		return ST_OK;
	}
	if (err->code != ST_NOT_FOUND)
		return err->code;
	error_release(err);
	if (storage_first(run, &s->storage, folder, NULL, &found, err))
		return err->code;
	*yes = found != NULL;
	return ST_OK;
}

enum status catalog_sources(struct run *run, struct store *s, struct strlist *to, struct error *err)
{
	CLEANUP(cstr_release) char *after = NULL;

	/* Jumps from folder to folder, so that what lies in them is not listed. */
	for (;;) {
		CLEANUP(cstr_release) char *key = NULL;
		bool yes = false;

		if (storage_first(run, &s->storage, "", after, &key, err))
			return error_add(err, "cannot list the sources of store %s", s->name);
		if (!key)
			return ST_OK;
		cstr_release(&after);
		char *slash = strchr(key, '/');
		if (!slash) {
			after = xstrdup(key);
			continue;
		}
		*slash = 0;
		after = xasprintf("%s" AFTER_SLASH, key);
		if (is_source(run, s, key, &yes, err))
			return error_add(err, "cannot list the sources of store %s", s->name);
		if (yes)
			strlist_add(to, key);
	}
}

enum status catalog_newest_id(struct run *run, struct store *s, const char *source, struct instant *newest, struct error *err)
{
	CLEANUP(storage_objects_release) struct storage_objects l = STORAGE_OBJECTS_INIT;
	CLEANUP(cstr_release) char *folder = catalog_key(source, "backup", "");
	char now[INSTANT_TEXT];

	CLEANUP(cstr_release) char *after = catalog_key(source, "backup", instant_compact(run_now(run), now));
	if (storage_list(run, &s->storage, folder, after, &l, err))
		return error_add(err, "store %s: cannot choose an id for the backup of %s", s->name, source);
	for (size_t k = 0; k < l.len; k++) {
		CLEANUP(cstr_release) char *id = xstrndup(l.item[k].key + strlen(folder), BACKUP_ID_LEN);

		if (backup_id_valid(id) && backup_id_time(id).us > newest->us)
			*newest = backup_id_time(id);
	}
	return ST_OK;
}

enum status catalog_new_id(struct run *run, const char *source, struct instant newest, char *id, struct instant *start,
			   struct error *err)
{
	for (;;) {
		char text[INSTANT_TEXT], other[INSTANT_TEXT];
		uint16_t random;
		struct instant now = run_now(run);
		struct instant second = {now.us - now.us % 1000000};
		struct duration ahead = instant_diff(newest, second);
		if (!newest.us || ahead.us < 0) {
			run_random(run, &random, sizeof random);
			backup_id_make(second, random, id);
			*start = now;
			return ST_OK;
		}
		if (ahead.us > AHEAD_MAX.us) {
			error_set(err, ST_REFUSED, "the newest backup of %s is of %s, but the clock of this machine says %s",
				  source, instant_iso(newest, text), instant_iso(now, other));
			return error_hint(err, "Set the clock of this machine, or find the one that ran ahead.");
		}
		if (run_sleep(run, instant_diff(instant_add(newest, DURATION_SECONDS(1)), now), err))
			return err->code;
	}
}
