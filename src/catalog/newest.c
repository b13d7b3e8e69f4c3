/* The newest good backup of a source, with a handful of reads however many there are. */
#include "catalog/catalog.h"

#include "catalog/evidence.h"

#define RECENT DURATION_SECONDS(8 * 86400)
#define RECORD_MAX (4u * 1024 * 1024)

enum { CHECK, VERIFY, SHALLOW, KINDS }; /* SHALLOW: a check that did not read the inside */

/* The newest conclusive record of each kind, and when a copy last wrote the bytes. */
struct verdicts {
	uint64_t at_us[KINDS], copied_us;
	bool bad[KINDS], inside; /* inside: of the verify */
};

static void judge(struct verdicts *v, const char *id, const json_t *record)
{
	const char *kind = js_opt_str(record, "kind", ""), *outcome = js_opt_str(record, "outcome", "");
	uint64_t at_us = js_opt_u64(record, "finished_us", (uint64_t)js_opt_time(record, "finished").us);
	size_t i = !strcmp(kind, "verify") ? VERIFY : evidence_deep(record) ? CHECK : SHALLOW;
	bool bad = !strcmp(outcome, "bad");

	if (strcmp(js_opt_str(record, "backup", ""), id) || (i != VERIFY && strcmp(kind, "check")) || (!bad && strcmp(outcome, "good")))
		return;
	if (!bad && evidence_of_copy(record))
		v->copied_us = max_u64(v->copied_us, at_us);
	if (at_us < v->at_us[i])
		return;
	v->at_us[i] = at_us;
	v->bad[i] = bad;
	v->inside = i == VERIFY ? evidence_inside(record) : v->inside;
}

static bool judged_bad(const struct verdicts *v)
{
	return v->bad[CHECK] || (v->bad[SHALLOW] && v->at_us[SHALLOW] >= v->at_us[CHECK]) ||
	       (v->bad[VERIFY] && (v->inside || v->at_us[VERIFY] > v->copied_us));
}

/* Records since the backup was begun: only their names are listed, and only checks and verifies are read. */
static enum status known_bad(struct run *run, struct store *s, const char *source, const char *id, bool *bad, struct error *err)
{
	CLEANUP(storage_objects_release) struct storage_objects l = STORAGE_OBJECTS_INIT;
	CLEANUP(cstr_release) char *prefix = xasprintf("evidence/%s/", source), *after = xasprintf("%s%.16s", prefix, id);
	struct verdicts v = {.copied_us = 0};

	if (storage_list(run, &s->storage, prefix, after, &l, err))
		return err->code;
	for (size_t i = 0; i < l.len; i++) {
		CLEANUP(buf_release) struct buf b = BUF_INIT;
		CLEANUP(js_decref) json_t *record = NULL;
		const char *key = l.item[i].key;

		if (!strstr(key, "-check-") && !strstr(key, "-verify-"))
			continue;
		if (storage_get_bytes(run, &s->storage, key, RECORD_MAX, &b, NULL, err) || js_parse(buf_str(&b), b.len, key, &record, err)) {
			if (err->code != ST_BAD && err->code != ST_NOT_FOUND)
				return err->code;
			error_release(err);
			continue;
		}
		judge(&v, id, record);
	}
	*bad = judged_bad(&v);
	return ST_OK;
}

static bool is_like(const struct manifest *m, const struct newest_query *q)
{
	return (!q->identity || !strcmp(q->identity, m->identity)) && (!q->kind || !strcmp(q->kind, m->kind));
}

/* The manifest of the id in "<folder><id>.json". */
static bool names_itself(const struct manifest *m, const char *key)
{
	CLEANUP(cstr_release) char *name = xasprintf("/%s.json", m->id);
	size_t n = strlen(name), len = strlen(key);

	return len >= n && !strcmp(key + len - n, name);
}

/* good: readable, of the kind asked for, not suspect or accepted, not known to be bad. */
static enum status look_at(struct run *run, struct store *s, const struct newest_query *q, const char *key, struct manifest *m, bool *good,
			   struct error *err)
{
	CLEANUP(buf_release) struct buf b = BUF_INIT;
	struct storage_object o = {0};
	bool bad = false;

	*good = false;
	if (storage_get_bytes(run, &s->storage, key, MANIFEST_MAX, &b, NULL, err) || manifest_read(buf_str(&b), b.len, m, err)) {
		if (err->code != ST_BAD && err->code != ST_NOT_FOUND && err->code != ST_UNSUPPORTED)
			return err->code;
		error_release(err);
		return ST_OK;
	}
	if (!is_like(m, q) || !names_itself(m, key))
		return ST_OK;
	if (m->suspect) {
		CLEANUP(cstr_release) char *name = xasprintf("%s.json", m->id);
		CLEANUP(cstr_release) char *accept = catalog_key(q->source, "accept", name);
		enum status st = storage_stat(run, &s->storage, accept, &o, err);

		error_release(err);
		if (st)
			return st == ST_NOT_FOUND ? ST_OK : error_set(err, st, "cannot look at %s", accept);
	}
	if (known_bad(run, s, q->source, m->id, &bad, err))
		return err->code;
	*good = !bad;
	return ST_OK;
}

static enum status newest_after(struct run *run, struct store *s, const struct newest_query *q, const char *after, struct manifest *m,
				bool *found, struct error *err)
{
	CLEANUP(storage_objects_release) struct storage_objects l = STORAGE_OBJECTS_INIT;
	CLEANUP(cstr_release) char *folder = catalog_key(q->source, "backup", "");

	if (storage_list(run, &s->storage, folder, after, &l, err))
		return err->code;
	for (size_t i = l.len; i-- && !*found;) {
		CLEANUP(cstr_release) char *id = xstrndup(l.item[i].key + strlen(folder), BACKUP_ID_LEN);

		if (!backup_id_valid(id) || strcmp(l.item[i].key + strlen(folder) + BACKUP_ID_LEN, ".json"))
			continue;
		manifest_release(m);
		if (look_at(run, s, q, l.item[i].key, m, found, err))
			return err->code;
	}
	return ST_OK;
}

enum status catalog_newest_good(struct run *run, struct store *s, const struct newest_query *q, struct manifest *m, struct error *err)
{
	char time[INSTANT_TEXT];
	struct instant recent = instant_add(run_now(run), (struct duration){-RECENT.us});
	CLEANUP(cstr_release) char *after = catalog_key(q->source, "backup", instant_compact(recent, time));
	bool found = false;

	if (newest_after(run, s, q, after, m, &found, err) || (!found && newest_after(run, s, q, NULL, m, &found, err)))
		return err->code;
	return found ? ST_OK : error_set(err, ST_NOT_FOUND, "store %s has no good backup of %s", s->name, q->source);
}
