#include "catalog/evidence.h"

#include <unistd.h>

#include "catalog/bulk.h"
#include "util/failpoint.h"

#define EVIDENCE_MAX (4u * 1024 * 1024)
#define TEXT_MAX 256 /* in the detail of a record that is read */
#define TRIES 5

static const char *const outcomes[] = {[EVIDENCE_GOOD] = "good", [EVIDENCE_BAD] = "bad", [EVIDENCE_INCONCLUSIVE] = "inconclusive"};

static char *evidence_prefix(const char *source) { return xasprintf("evidence/%s/", source); }

/* {"key", "sha256"} of the newest record; NULL: there is none. A chain that cannot be read is named, not a reason to write
 * nothing. */
static enum status previous(struct run *run, struct store *s, const char *prefix, json_t **to, struct error *err)
{
	/* Thousands that a copy writes one after the other do not list all of them each time, nor does each daily run. */
	static const int64_t ages[] = {60, 8 * 86400, 0}; /* seconds; 0: all */
	CLEANUP(storage_objects_release) struct storage_objects l = STORAGE_OBJECTS_INIT;
	CLEANUP(buf_release) struct buf b = BUF_INIT;
	char time[INSTANT_TEXT];

	*to = NULL;
	for (size_t i = 0; i < ARRAY_LEN(ages) && !l.len; i++) {
		struct instant since = instant_add(run_now(run), DURATION_SECONDS(-ages[i]));
		CLEANUP(cstr_release) char *after = xasprintf("%s%s", prefix, instant_compact(since, time));

		if (storage_list(run, &s->storage, prefix, ages[i] ? after : NULL, &l, err))
			return err->code;
	}
	if (!l.len)
		return ST_OK;
	const char *key = l.item[l.len - 1].key;
	if (storage_get_bytes(run, &s->storage, key, EVIDENCE_MAX, &b, NULL, err)) {
		if (err->code != ST_BAD && err->code != ST_NOT_FOUND)
			return err->code;
		error_release(err);
	}
	*to = json_object();
	js_set_str(*to, "key", key);
	js_set_sha256(*to, "sha256", sha256_of(buf_str(&b), b.len));
	return ST_OK;
}

static void record_json(const struct evidence *e, const char *run_id, json_t *before, struct buf *to)
{
	CLEANUP(js_decref) json_t *root = json_object();
	char host[256] = "";

	gethostname(host, sizeof host - 1);
	js_set_u64(root, "format", 1);
	js_set_str(root, "kind", e->kind);
	js_set_str(root, "source", e->source);
	js_set_str(root, "backup", e->backup);
	js_set_str(root, "outcome", outcomes[e->outcome]);
	js_set_str(root, "level", e->outcome == EVIDENCE_GOOD ? proof_name(e->level) : NULL);
	js_set_time(root, "started", e->started);
	js_set_time(root, "finished", e->finished);
	js_set_u64(root, "finished_us", (uint64_t)e->finished.us); /* the order of records of one second */
	js_set_str(root, "cause", e->cause);
	js_set_str(root, "run", run_id);
	js_set_str(root, "host", host);
	js_set_str(root, "drtool", DRTOOL_VERSION);
	if (e->detail)
		js_set_new(root, "detail", json_deep_copy(e->detail));
	if (before)
		js_set_new(root, "previous", json_incref(before));
	js_write(root, true, to);
}

enum status evidence_write(struct run *run, struct store *s, const struct evidence *e, struct error *err)
{
	CLEANUP(cstr_release) char *prefix = evidence_prefix(e->source);
	CLEANUP(js_decref) json_t *before = NULL;
	CLEANUP(buf_release) struct buf b = BUF_INIT;
	struct instant at = e->finished.us ? e->finished : run_now(run);
	char time[INSTANT_TEXT], random[7];

	if (failpoint("evidence.put.before", err) || previous(run, s, prefix, &before, err))
		return error_add(err, "cannot write the record of this %s", e->kind);
	record_json(e, run->run_id, before, &b);
	for (int i = 0; i < TRIES; i++) {
		/* The run names the record; a run that writes several of a kind within a second gets a number in addition. */
		run_random_hex(run, random, 6);
		CLEANUP(cstr_release) char *unique = i && run->run_id ? xasprintf("%s-%s", run->run_id, random)
								      : xstrdup(run->run_id ? run->run_id : random);
		CLEANUP(cstr_release) char *key = xasprintf("%s%s-%s-%s.json", prefix, instant_compact(at, time), e->kind, unique);
		const struct put_spec spec = {.key = key, .condition = PUT_ABSENT, .retain = true};

		if (!storage_put_bytes(run, &s->storage, &spec, b.data, b.len, NULL, err))
			return ST_OK;
		if (err->code != ST_PRECONDITION)
			break;
		error_release(err);
	}
	if (!err->code)
		error_set(err, ST_IO, "no free name");
	return error_add(err, "cannot write the record of this %s", e->kind);
}

bool evidence_of_copy(const json_t *record)
{
	return *js_opt_str(json_object_get(record, "detail"), "copied_from", "") && !strcmp(js_opt_str(record, "kind", ""), "check");
}

bool evidence_inside(const json_t *record)
{
	return js_opt_u64(json_object_get(record, "detail"), "differences", 0) && !strcmp(js_opt_str(record, "kind", ""), "verify");
}

bool evidence_deep(const json_t *record)
{
	const json_t *detail = json_object_get(record, "detail");

	return !js_opt_bool(detail, "stored_bytes_only", false) || *js_opt_str(detail, "copied_from", "");
}

struct each {
	const struct evidence_query *q;
	size_t prefix, *damaged;
};

/* The kind in "<prefix><time>-<kind>-<run>.json" is one of those asked for, or the name is of another form. */
static bool is_wanted(void *ctx, const char *key)
{
	const struct each *e = ctx;
	const char *kind = strchr(key + e->prefix, '-'), *end = kind ? strchr(kind + 1, '-') : NULL;

	if (!e->q->kinds || !end)
		return true;
	size_t n = (size_t)(end - ++kind);
	for (const char *word = e->q->kinds; *word; word += strspn(word, " ")) {
		size_t len = strcspn(word, " ");

		if (len == n && !memcmp(word, kind, n))
			return true;
		word += len;
	}
	return false;
}

/* What readers get and this machine keeps. */
static void shorten(json_t *record, struct buf *to)
{
	json_t *detail = json_object_get(record, "detail"), *value;
	const char *key;
	void *next;

	json_object_del(record, "previous");
	json_object_foreach_safe (detail, next, key, value)
		if (json_is_array(value) || json_is_object(value) || json_string_length(value) > TEXT_MAX)
			json_object_del(detail, key);
	buf_clear(to);
	js_write(record, false, to);
}

static enum status give_record(void *ctx, struct bulk_object *o, struct error *err)
{
	const struct each *e = ctx;
	CLEANUP(error_release) struct error ignored = ERROR_INIT;
	CLEANUP(js_decref) json_t *record = NULL;

	o->keep = !o->bad && !js_parse(buf_str(o->bytes), o->bytes->len, o->key, &record, &ignored);
	if (!record) {
		(*e->damaged)++;
		return ST_OK;
	}
	if (!o->copy)
		shorten(record, o->bytes);
	return e->q->fn(e->q->ctx, o->key, record, err);
}

enum status evidence_each(struct run *run, struct store *s, const struct evidence_query *q, size_t *damaged, struct error *err)
{
	CLEANUP(cstr_release) char *prefix = evidence_prefix(q->source);
	struct each e = {.q = q, .prefix = strlen(prefix), .damaged = damaged};
	const struct bulk_spec spec = {.prefix = prefix, .source = q->source, .folder = q->kinds ? "evidence" : NULL, .by_time = q->by_time,
				       .max = EVIDENCE_MAX, .wanted = is_wanted, .fn = give_record, .ctx = &e};

	*damaged = 0;
	return bulk_read(run, s, &spec, err);
}
