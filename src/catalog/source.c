/* <source>/source.json, and the marks that people set: pin, unpin, accept. */
#include "catalog/catalog.h"

#include "catalog/evidence.h"
#include "core/log.h"
#include "util/failpoint.h"

#define SOURCE_MAX (256u * 1024)

void catalog_source_release(struct catalog_source *s)
{
	free(s->driver);
	free(s->identity);
	free(s->url);
	strlist_release(&s->uncovered);
	*s = (struct catalog_source)CATALOG_SOURCE_INIT;
}

static char *source_key(const char *source) { return xasprintf("%s/source.json", source); }

static struct duration read_duration(const json_t *root, const char *key)
{
	uint64_t us = js_opt_u64(root, key, 0);

	return (struct duration){us <= INT64_MAX ? (int64_t)us : 0};
}

enum status catalog_source_read(struct run *run, struct store *s, const char *source, struct catalog_source *to, struct error *err)
{
	CLEANUP(cstr_release) char *key = source_key(source);
	CLEANUP(buf_release) struct buf b = BUF_INIT;
	CLEANUP(js_decref) json_t *root = NULL;
	const char *driver, *identity;

	if (storage_get_bytes(run, &s->storage, key, SOURCE_MAX, &b, NULL, err))
		return err->code;
	if (js_parse(buf_str(&b), b.len, key, &root, err) || js_str(root, key, "driver", &driver, err) ||
	    js_str(root, key, "identity", &identity, err))
		return err->code;
	*to = (struct catalog_source){
		.driver = xstrdup(driver),
		.identity = xstrdup(identity),
		.url = xstrdup(js_opt_str(root, "url", "")),
		.expect_every = read_duration(root, "expect_every_us"),
		.rpo = read_duration(root, "rpo_us"),
		.verify_every = read_duration(root, "verify_every_us"),
	};
	size_t i;
	json_t *name;
	json_array_foreach(json_object_get(root, "uncovered"), i, name) {
		if (json_is_string(name))
			strlist_add(&to->uncovered, json_string_value(name));
	}
	return ST_OK;
}

enum status catalog_source_write(struct run *run, struct store *s, const char *source, const struct catalog_source *from,
				 struct error *err)
{
	CLEANUP(cstr_release) char *key = source_key(source);
	CLEANUP(buf_release) struct buf b = BUF_INIT;
	CLEANUP(js_decref) json_t *root = json_object();
	const struct put_spec spec = {.key = key};

	js_set_u64(root, "format", 1);
	js_set_str(root, "driver", from->driver);
	js_set_str(root, "identity", from->identity);
	js_set_str(root, "url", from->url);
	js_set_u64(root, "expect_every_us", (uint64_t)from->expect_every.us);
	js_set_u64(root, "rpo_us", (uint64_t)from->rpo.us);
	js_set_u64(root, "verify_every_us", (uint64_t)from->verify_every.us);
	js_set_new(root, "uncovered", js_list(&from->uncovered));
	js_set_time(root, "written", run_now(run));
	js_write(root, true, &b);
	return storage_put_bytes(run, &s->storage, &spec, b.data, b.len, NULL, err);
}

/* A mark's own record. A mark that is set stays set where the record cannot be written. */
static void mark_evidence(struct run *run, struct store *s, const char *source, const struct catalog_mark *m, const char *kind)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(js_decref) json_t *detail = json_object();
	struct instant now = run_now(run);

	js_set_str(detail, "who", m->who);
	js_set_str(detail, "because", m->because);
	js_set_time(detail, "until", m->until);
	const struct evidence e = {.kind = kind, .source = source, .backup = m->backup, .outcome = EVIDENCE_GOOD, .started = now,
				   .finished = now, .detail = detail};
	if (evidence_write(run, s, &e, &err))
		log_line(run, LOG_WARN, "the record of this %s could not be written: %s", kind, error_text(&err));
}

static void mark_json(struct run *run, const struct catalog_mark *m, const char *state, struct buf *to)
{
	CLEANUP(js_decref) json_t *root = json_object();

	js_set_u64(root, "format", 1);
	js_set_str(root, "state", state);
	js_set_str(root, "backup", m->backup);
	js_set_str(root, "who", m->who);
	js_set_str(root, "because", m->because);
	js_set_time(root, "when", run_now(run));
	js_set_time(root, "until", m->until);
	js_write(root, true, to);
}

enum status catalog_pin_backup(struct run *run, struct store *s, const char *source, const struct catalog_mark *m,
			       struct error *err)
{
	CLEANUP(buf_release) struct buf b = BUF_INIT;
	char random[9];

	run_random_hex(run, random, 8);
	CLEANUP(cstr_release) char *name = xasprintf("%s-%s.json", m->backup, random);
	CLEANUP(cstr_release) char *key = catalog_key(source, "pin", name);
	const struct put_spec spec = {.key = key, .condition = PUT_ABSENT};

	mark_json(run, m, "pinned", &b);
	if (failpoint("pin.put.before", err) || storage_put_bytes(run, &s->storage, &spec, b.data, b.len, NULL, err))
		return error_add(err, "cannot pin %s", m->backup);
	mark_evidence(run, s, source, m, "pin");
	return ST_OK;
}

enum status catalog_unpin_backup(struct run *run, struct store *s, const char *source, const struct catalog_mark *m,
				 struct error *err)
{
	CLEANUP(storage_objects_release) struct storage_objects l = STORAGE_OBJECTS_INIT;
	CLEANUP(cstr_release) char *name = xasprintf("%s-", m->backup);
	CLEANUP(cstr_release) char *prefix = catalog_key(source, "pin", name);
	CLEANUP(buf_release) struct buf b = BUF_INIT;

	if (storage_list(run, &s->storage, prefix, NULL, &l, err))
		return error_add(err, "cannot unpin %s", m->backup);
	if (!l.len)
		return error_set(err, ST_NOT_FOUND, "%s is not pinned in store %s", m->backup, s->name);
	mark_json(run, m, "unpinned", &b);
	for (size_t i = 0; i < l.len; i++) {
		const struct put_spec spec = {.key = l.item[i].key};

		if (storage_put_bytes(run, &s->storage, &spec, b.data, b.len, NULL, err))
			return error_add(err, "cannot unpin %s", m->backup);
	}
	mark_evidence(run, s, source, m, "unpin");
	return ST_OK;
}

enum status catalog_accept(struct run *run, struct store *s, const char *source, const struct catalog_mark *m, struct error *err)
{
	CLEANUP(cstr_release) char *name = xasprintf("%s.json", m->backup);
	CLEANUP(cstr_release) char *key = catalog_key(source, "accept", name);
	CLEANUP(buf_release) struct buf b = BUF_INIT;
	const struct put_spec spec = {.key = key};

	mark_json(run, m, "accepted", &b);
	if (failpoint("accept.put.before", err) || storage_put_bytes(run, &s->storage, &spec, b.data, b.len, NULL, err))
		return error_add(err, "cannot accept %s", m->backup);
	mark_evidence(run, s, source, m, "accept");
	return ST_OK;
}
