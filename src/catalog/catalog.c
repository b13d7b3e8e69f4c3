/* Reads what a source has in a store: manifests, accepts, pins, the records that decide about proof. */
#include "catalog/catalog.h"

#include "catalog/bulk.h"
#include "catalog/cache.h"
#include "catalog/evidence.h"

#define MARK_MAX 16384

const char *proof_name(enum proof_level level)
{
	static const char *const names[] = {"stored", "checked", "started", "read", "compared"};

	return names[level];
}

bool proof_parse(const char *name, enum proof_level *level)
{
	for (int i = PROOF_STORED; i <= PROOF_COMPARED; i++)
		if (!strcmp(name, proof_name((enum proof_level)i))) {
			*level = (enum proof_level)i;
			return true;
		}
	return false;
}

static void backup_release(struct catalog_backup *b)
{
	manifest_release(&b->manifest);
	free(b->bad_because);
	for (size_t i = 0; i < b->pins; i++) {
		free(b->pin[i].key);
		free(b->pin[i].who);
		free(b->pin[i].because);
	}
	free(b->pin);
}

void catalog_release(struct catalog *c)
{
	for (size_t i = 0; i < c->backups; i++)
		backup_release(&c->backup[i]);
	for (size_t i = 0; i < c->unreadables; i++) {
		free(c->unreadable[i].key);
		free(c->unreadable[i].why);
	}
	free(c->backup);
	free(c->unreadable);
	strlist_release(&c->opened_with);
	*c = (struct catalog)CATALOG_INIT;
}

static void add_unreadable(struct catalog *c, const char *key, const char *why, bool newer)
{
	c->unreadable = xrealloc(c->unreadable, (c->unreadables + 1) * sizeof *c->unreadable);
	c->unreadable[c->unreadables++] = (struct catalog_unreadable){.key = xstrdup(key), .why = xstrdup(why), .newer = newer};
}

/* The id in "<prefix><id>.json"; NULL where the key is not of that form. Owned. */
static char *manifest_id(const char *key, size_t prefix)
{
	const char *name = key + prefix;

	if (strlen(name) != BACKUP_ID_LEN + strlen(".json") || strcmp(name + BACKUP_ID_LEN, ".json"))
		return NULL;
	char *id = xstrndup(name, BACKUP_ID_LEN);
	if (!backup_id_valid(id))
		cstr_release(&id);
	return id;
}

/* What is being read, for whom. */
struct look {
	struct run *run;
	struct store *store;
	const char *source;
	bool by_time; /* copies of this machine are good where size and time are the same */
	struct catalog *c;
	size_t prefix; /* length of that of the keys */
};

static bool is_manifest(void *ctx, const char *key)
{
	CLEANUP(cstr_release) char *id = manifest_id(key, ((struct look *)ctx)->prefix);

	return id != NULL;
}

static enum status add_manifest(void *ctx, struct bulk_object *o, struct error *err UNUSED)
{
	struct look *k = ctx;
	CLEANUP(cstr_release) char *id = manifest_id(o->key, k->prefix);
	CLEANUP(error_release) struct error why = ERROR_INIT;
	struct manifest m = MANIFEST_INIT;
	struct catalog *c = k->c;

	if (o->bad) {
		add_unreadable(c, o->key, o->bad, false);
		return ST_OK;
	}
	if (!manifest_read(buf_str(o->bytes), o->bytes->len, &m, &why) && !strcmp(m.id, id)) {
		js_decref(&m.shrink); /* nobody looks at it, and it is most of the memory */
		if (!(c->backups & (c->backups + 1))) /* room for twice as many */
			c->backup = xrealloc(c->backup, 2 * (c->backups + 1) * sizeof *c->backup);
		c->backup[c->backups++] = (struct catalog_backup){.manifest = m, .suspect = m.suspect};
		return ST_OK;
	}
	o->keep = false;
	add_unreadable(c, o->key, why.code ? error_text(&why) : "names another backup", why.code == ST_UNSUPPORTED);
	manifest_release(&m);
	return ST_OK;
}

static enum status read_manifests(struct look *k, struct error *err)
{
	CLEANUP(cstr_release) char *prefix = catalog_key(k->source, "backup", "");
	const struct bulk_spec spec = {.prefix = prefix, .source = k->source, .folder = "backup", .by_time = k->by_time,
				       .max = MANIFEST_MAX, .wanted = is_manifest, .fn = add_manifest, .ctx = k};

	k->prefix = strlen(prefix);
	return bulk_read(k->run, k->store, &spec, err);
}

static struct catalog_backup *find_id(const struct catalog *c, const char *id)
{
	size_t low = 0, high = c->backups;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(c->backup[middle].manifest.id, id);

		if (!order)
			return &c->backup[middle];
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

/* What a mark in a folder of the source does to its backup; root is NULL where the mark is damaged. */
struct mark_kind {
	const char *folder;
	void (*apply)(struct run *run, struct catalog_backup *b, const char *key, const json_t *root);
};
struct marks {
	struct look *look;
	const struct mark_kind *kind;
	size_t prefix;
};

static struct catalog_backup *marked(const struct marks *m, const char *key)
{
	CLEANUP(cstr_release) char *id = xstrndup(key + m->prefix, BACKUP_ID_LEN);

	return find_id(m->look->c, id);
}

static bool is_mark(void *ctx, const char *key) { return marked(ctx, key) != NULL; }

static enum status apply_mark(void *ctx, struct bulk_object *o, struct error *err UNUSED)
{
	const struct marks *m = ctx;
	CLEANUP(error_release) struct error ignored = ERROR_INIT;
	CLEANUP(js_decref) json_t *root = NULL;

	o->keep = !o->bad && !js_parse(buf_str(o->bytes), o->bytes->len, o->key, &root, &ignored);
	m->kind->apply(m->look->run, marked(m, o->key), o->key, root);
	return ST_OK;
}

/* copies: of the whole catalog, not of a few ids that must be looked up in the store itself. */
static enum status read_marks(struct look *k, const struct mark_kind *kind, bool copies, struct error *err)
{
	CLEANUP(cstr_release) char *prefix = catalog_key(k->source, kind->folder, "");
	struct marks m = {.look = k, .kind = kind, .prefix = strlen(prefix)};
	const struct bulk_spec spec = {.prefix = prefix, .source = k->source, .folder = copies ? kind->folder : NULL,
				       .by_time = k->by_time, .max = MARK_MAX, .wanted = is_mark, .fn = apply_mark, .ctx = &m};

	return bulk_read(k->run, k->store, &spec, err);
}

static void apply_accept(struct run *run UNUSED, struct catalog_backup *b, const char *key UNUSED, const json_t *root)
{
	b->suspect = b->suspect && !root; /* a damaged accept accepts nothing */
}

static void apply_pin(struct run *run, struct catalog_backup *b, const char *key, const json_t *root)
{
	struct instant until = root ? js_opt_time(root, "until") : INSTANT_NONE;

	/* A damaged pin still holds: somebody wanted this backup to stay. */
	if (root && !strcmp(js_opt_str(root, "state", ""), "unpinned"))
		return;
	if (until.us && until.us <= run_now(run).us)
		return;
	b->pin = xrealloc(b->pin, (b->pins + 1) * sizeof *b->pin);
	b->pin[b->pins++] = (struct catalog_pin){
		.key = xstrdup(key),
		.who = xstrdup(root ? js_opt_str(root, "who", "?") : "?"),
		.because = xstrdup(root ? js_opt_str(root, "because", "") : "the pin cannot be read"),
		.from = root ? js_opt_time(root, "when") : INSTANT_NONE,
		.until = until,
	};
}

/* Of one backup: the newest conclusive check or verify so far. */
struct verdict {
	bool seen, bad, inside;
	uint64_t at_us;
	enum proof_level level;
	struct instant at;
	struct duration took;
	char *cause;
};
struct proofs {
	struct catalog *c;
	struct verdict *check, *verify; /* an item for each backup */
	uint64_t *copied_us;            /* as long: when its bytes were last written anew */
	struct verdict *shallow;        /* of checks that did not read the inside */
};

/* Whatever came of it otherwise: the key did open it. */
static void note_key(struct catalog *c, const json_t *record)
{
	const char *with = js_opt_str(json_object_get(record, "detail"), "opened_with", "");

	if (*with)
		strlist_add_once(&c->opened_with, with);
}

static enum status apply_record(void *ctx, const char *key UNUSED, const json_t *record, struct error *err UNUSED)
{
	struct proofs *p = ctx;
	const char *kind = js_opt_str(record, "kind", ""), *outcome = js_opt_str(record, "outcome", "");
	const struct catalog_backup *b = find_id(p->c, js_opt_str(record, "backup", ""));
	enum proof_level level = PROOF_STORED;
	bool check = !strcmp(kind, "check"), bad = !strcmp(outcome, "bad");

	note_key(p->c, record);
	if (!b || (!check && strcmp(kind, "verify")) || (!bad && strcmp(outcome, "good")))
		return ST_OK;
	if (!bad && !proof_parse(js_opt_str(record, "level", ""), &level))
		return ST_OK;
	struct verdict *v = &(!check ? p->verify : evidence_deep(record) ? p->check : p->shallow)[b - p->c->backup];
	uint64_t at_us = js_opt_u64(record, "finished_us", (uint64_t)js_opt_time(record, "finished").us);
	uint64_t *copied_us = &p->copied_us[b - p->c->backup];
	if (!bad && evidence_of_copy(record))
		*copied_us = max_u64(*copied_us, at_us);
	if (v->seen && at_us < v->at_us)
		return ST_OK;
	free(v->cause);
	*v = (struct verdict){
		.seen = true,
		.at_us = at_us,
		.bad = bad,
		.inside = evidence_inside(record),
		.level = level,
		.at = js_opt_time(record, "finished"),
		.took = instant_diff(js_opt_time(record, "finished"), js_opt_time(record, "started")),
		.cause = xstrdup(js_opt_str(record, "cause", "")),
	};
	return ST_OK;
}

static void apply_verdict(struct catalog_backup *b, const struct verdict *v, const char *kind)
{
	char at[INSTANT_TEXT];

	if (!v->seen)
		return;
	if (v->bad && !b->bad) {
		b->bad = true;
		b->bad_inside = v->inside;
		b->bad_because = xasprintf("%s of %s: %s", kind, instant_iso(v->at, at), v->cause);
	}
	if (!v->bad && v->level >= b->level && v->level > PROOF_STORED) {
		b->level = v->level;
		b->proven_at = v->at;
	}
}

/* A verify that could not read the bytes that lay there then. */
static void drop_replaced(struct verdict *verify, uint64_t copied_us)
{
	if (verify->bad && !verify->inside && verify->at_us <= copied_us)
		verify->seen = false;
}

/* The one of both that decides: the newer one, but what a deep check found wrong stays wrong until a deep one finds it right. */
static const struct verdict *judge_checks(const struct verdict *deep, const struct verdict *shallow)
{
	return deep->bad || shallow->at_us < deep->at_us ? deep : shallow;
}

static enum status read_proofs(struct look *k, struct error *err)
{
	struct catalog *c = k->c;
	struct proofs p = {.c = c, .check = xcalloc(c->backups + 1, sizeof *p.check),
			   .verify = xcalloc(c->backups + 1, sizeof *p.verify),
			   .copied_us = xcalloc(c->backups + 1, sizeof *p.copied_us),
			   .shallow = xcalloc(c->backups + 1, sizeof *p.shallow)};
	const struct evidence_query q = {.source = k->source, .kinds = "check verify restore key", .by_time = k->by_time, .fn = apply_record,
					 .ctx = &p};
	enum status st = c->backups ? evidence_each(k->run, k->store, &q, &c->damaged, err) : ST_OK;

	for (size_t i = 0; i < c->backups; i++) {
		if (!st) {
			drop_replaced(&p.verify[i], p.copied_us[i]);
			apply_verdict(&c->backup[i], judge_checks(&p.check[i], &p.shallow[i]), "check");
			apply_verdict(&c->backup[i], &p.verify[i], "verify");
			if (p.verify[i].seen && !p.verify[i].bad)
				c->backup[i].verify_took = p.verify[i].took;
		}
		free(p.check[i].cause);
		free(p.verify[i].cause);
		free(p.shallow[i].cause);
	}
	free(p.check);
	free(p.verify);
	free(p.copied_us);
	free(p.shallow);
	return st;
}

static const struct mark_kind accepts = {"accept", apply_accept}, pins = {"pin", apply_pin};

enum status catalog_pinned(struct run *run, struct store *s, const char *source, const struct strlist *ids, struct strlist *pinned,
			   struct error *err)
{
	struct catalog asked = {.backup = xcalloc(ids->len + 1, sizeof *asked.backup), .backups = ids->len};
	struct look k = {.run = run, .store = s, .source = source, .c = &asked};

	for (size_t i = 0; i < ids->len; i++)
		snprintf(asked.backup[i].manifest.id, sizeof asked.backup[i].manifest.id, "%s", ids->item[i]);
	enum status st = read_marks(&k, &pins, false, err);
	for (size_t i = 0; !st && i < ids->len; i++)
		if (asked.backup[i].pins)
			strlist_add(pinned, ids->item[i]);
	catalog_release(&asked);
	return st;
}

static enum status read_all(struct look *k, struct catalog *c, struct error *err)
{
	struct catalog read = CATALOG_INIT;

	k->c = &read;
	if (read_manifests(k, err) || read_marks(k, &accepts, true, err) || read_marks(k, &pins, true, err) ||
	    read_proofs(k, err)) {
		catalog_release(&read);
		return error_add(err, "cannot read what store %s has of %s", k->store->name, k->source);
	}
	*c = read;
	return ST_OK;
}

enum status catalog_read(struct run *run, struct store *s, const char *source, struct catalog *c, struct error *err)
{
	struct look k = {.run = run, .store = s, .source = source};

	return read_all(&k, c, err);
}

enum status catalog_look(struct run *run, struct store *s, const char *source, struct catalog *c, struct error *err)
{
	struct look k = {.run = run, .store = s, .source = source, .by_time = true};

	return read_all(&k, c, err);
}

enum status catalog_manifest(struct run *run, struct store *s, const char *source, const char *id, struct manifest *m, struct error *err)
{
	CLEANUP(cstr_release) char *name = xasprintf("%s.json", id);
	CLEANUP(cstr_release) char *key = catalog_key(source, "backup", name);
	CLEANUP(buf_release) struct buf b = BUF_INIT;

	if (storage_get_bytes(run, &s->storage, key, MANIFEST_MAX, &b, NULL, err) || manifest_read(buf_str(&b), b.len, m, err) ||
	    (strcmp(m->id, id) && error_set(err, ST_BAD, "names another backup"))) {
		if (err->code == ST_BAD)
			cache_forget(s, source);
		return error_add(err, "store %s: the manifest of %s", s->name, id);
	}
	return ST_OK;
}

enum status catalog_confirm(struct run *run, struct store *s, const char *source, const char *id, struct error *err)
{
	CLEANUP(manifest_release) struct manifest m = MANIFEST_INIT;

	return catalog_manifest(run, s, source, id, &m, err);
}

static bool same_volumes(const struct manifest *a, const struct manifest *b)
{
	bool same = a->objects == b->objects;

	for (size_t i = 0; same && i < a->objects; i++)
		same = !strcmp(a->object[i].key, b->object[i].key) && a->object[i].size == b->object[i].size &&
		       sha256_equal(a->object[i].sha256, b->object[i].sha256);
	return same;
}

enum status catalog_confirm_volumes(struct run *run, struct store *s, const char *source, const struct manifest *was, struct error *err)
{
	CLEANUP(manifest_release) struct manifest m = MANIFEST_INIT;

	if (catalog_manifest(run, s, source, was->id, &m, err) || same_volumes(&m, was))
		return err->code;
	cache_forget(s, source);
	return error_set(err, ST_BAD, "store %s: the manifest of %s names other volumes now", s->name, was->id);
}
