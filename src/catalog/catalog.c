/* Reads what a source has in a store: manifests, accepts, pins, the records that decide about proof. */
#include "catalog/catalog.h"

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
	*c = (struct catalog)CATALOG_INIT;
}

static void add_unreadable(struct catalog *c, const char *key, const char *why)
{
	c->unreadable = xrealloc(c->unreadable, (c->unreadables + 1) * sizeof *c->unreadable);
	c->unreadable[c->unreadables++] = (struct catalog_unreadable){.key = xstrdup(key), .why = xstrdup(why)};
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

static enum status read_manifest(struct run *run, struct store *s, const char *key, const char *id, struct catalog *c,
				 struct error *err)
{
	CLEANUP(buf_release) struct buf b = BUF_INIT;
	struct manifest m = MANIFEST_INIT;

	if (storage_get_bytes(run, &s->storage, key, MANIFEST_MAX, &b, NULL, err)) {
		if (err->code == ST_BAD)
			add_unreadable(c, key, error_text(err));
		else if (err->code != ST_NOT_FOUND) /* else deleted since it was listed */
			return err->code;
		error_release(err);
		return ST_OK;
	}
	if (!manifest_read(buf_str(&b), b.len, &m, err) && !strcmp(m.id, id)) {
		c->backup = xrealloc(c->backup, (c->backups + 1) * sizeof *c->backup);
		c->backup[c->backups++] = (struct catalog_backup){.manifest = m, .suspect = m.suspect};
		return ST_OK;
	}
	add_unreadable(c, key, err->code ? error_text(err) : "names another backup");
	error_release(err);
	manifest_release(&m);
	return ST_OK;
}

static enum status read_manifests(struct run *run, struct store *s, const char *source, struct catalog *c, struct error *err)
{
	CLEANUP(storage_objects_release) struct storage_objects l = STORAGE_OBJECTS_INIT;
	CLEANUP(cstr_release) char *prefix = catalog_key(source, "backup", "");

	if (storage_list(run, &s->storage, prefix, NULL, &l, err))
		return err->code;
	for (size_t i = 0; i < l.len; i++) {
		CLEANUP(cstr_release) char *id = manifest_id(l.item[i].key, strlen(prefix));

		if (id && read_manifest(run, s, l.item[i].key, id, c, err))
			return err->code;
	}
	return ST_OK;
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

static enum status read_marks(struct run *run, struct store *s, const char *source, const struct mark_kind *kind,
			      struct catalog *c, struct error *err)
{
	CLEANUP(storage_objects_release) struct storage_objects l = STORAGE_OBJECTS_INIT;
	CLEANUP(cstr_release) char *prefix = catalog_key(source, kind->folder, "");

	if (storage_list(run, &s->storage, prefix, NULL, &l, err))
		return err->code;
	for (size_t i = 0; i < l.len; i++) {
		CLEANUP(buf_release) struct buf b = BUF_INIT;
		CLEANUP(js_decref) json_t *root = NULL;
		const char *key = l.item[i].key;
		CLEANUP(cstr_release) char *id = xstrndup(key + strlen(prefix), BACKUP_ID_LEN);
		struct catalog_backup *backup = find_id(c, id);

		if (!backup)
			continue;
		enum status st = storage_get_bytes(run, &s->storage, key, MARK_MAX, &b, NULL, err);
		if (st && st != ST_BAD && st != ST_NOT_FOUND)
			return st;
		error_release(err);
		if (!st)
			st = js_parse(buf_str(&b), b.len, key, &root, err);
		error_release(err);
		if (st != ST_NOT_FOUND)
			kind->apply(run, backup, key, root);
	}
	return ST_OK;
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
	bool seen, bad;
	uint64_t at_us;
	enum proof_level level;
	struct instant at;
	struct duration took;
	char *cause;
};
struct proofs {
	const struct catalog *c;
	struct verdict *check, *verify; /* an item for each backup */
};

static enum status apply_record(void *ctx, const char *key UNUSED, const json_t *record, struct error *err UNUSED)
{
	struct proofs *p = ctx;
	const char *kind = js_opt_str(record, "kind", ""), *outcome = js_opt_str(record, "outcome", "");
	const struct catalog_backup *b = find_id(p->c, js_opt_str(record, "backup", ""));
	enum proof_level level = PROOF_STORED;
	bool check = !strcmp(kind, "check"), bad = !strcmp(outcome, "bad");

	if (!b || (!check && strcmp(kind, "verify")) || (!bad && strcmp(outcome, "good")))
		return ST_OK;
	if (!bad && !proof_parse(js_opt_str(record, "level", ""), &level))
		return ST_OK;
	struct verdict *v = &(check ? p->check : p->verify)[b - p->c->backup];
	uint64_t at_us = js_opt_u64(record, "finished_us", (uint64_t)js_opt_time(record, "finished").us);
	if (v->seen && at_us < v->at_us)
		return ST_OK;
	free(v->cause);
	*v = (struct verdict){
		.seen = true,
		.at_us = at_us,
		.bad = bad,
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
		b->bad_because = xasprintf("%s of %s: %s", kind, instant_iso(v->at, at), v->cause);
	}
	if (!v->bad && v->level >= b->level && v->level > PROOF_STORED) {
		b->level = v->level;
		b->proven_at = v->at;
	}
}

static enum status read_proofs(struct run *run, struct store *s, const char *source, struct catalog *c, struct error *err)
{
	struct proofs p = {.c = c, .check = xcalloc(c->backups + 1, sizeof *p.check),
			   .verify = xcalloc(c->backups + 1, sizeof *p.verify)};
	size_t damaged = 0;
	enum status st = c->backups ? evidence_each(run, s, source, apply_record, &p, &damaged, err) : ST_OK;

	for (size_t i = 0; i < c->backups; i++) {
		if (!st) {
			apply_verdict(&c->backup[i], &p.check[i], "check");
			apply_verdict(&c->backup[i], &p.verify[i], "verify");
			if (p.verify[i].seen && !p.verify[i].bad)
				c->backup[i].verify_took = p.verify[i].took;
		}
		free(p.check[i].cause);
		free(p.verify[i].cause);
	}
	free(p.check);
	free(p.verify);
	return st;
}

static const struct mark_kind accepts = {"accept", apply_accept}, pins = {"pin", apply_pin};

enum status catalog_pinned(struct run *run, struct store *s, const char *source, const char *id, bool *pinned, struct error *err)
{
	struct catalog_backup b = {0};
	struct catalog one = {.backup = &b, .backups = 1};

	snprintf(b.manifest.id, sizeof b.manifest.id, "%s", id);
	enum status st = read_marks(run, s, source, &pins, &one, err);
	*pinned = b.pins > 0;
	backup_release(&b);
	return st;
}

enum status catalog_read(struct run *run, struct store *s, const char *source, struct catalog *c, struct error *err)
{
	struct catalog read = CATALOG_INIT;

	if (read_manifests(run, s, source, &read, err) || read_marks(run, s, source, &accepts, &read, err) ||
	    read_marks(run, s, source, &pins, &read, err) || read_proofs(run, s, source, &read, err)) {
		catalog_release(&read);
		return error_add(err, "cannot read what store %s has of %s", s->name, source);
	}
	*c = read;
	return ST_OK;
}
