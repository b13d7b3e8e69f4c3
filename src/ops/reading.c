/* One backup opened for reading: the nearest store that has it, the others behind it, a lease so that no prune takes it away. */
#include "ops/internal.h"
#include "ops/private.h"

static enum status read_at(void *ctx, uint32_t volume, uint64_t offset, void *to, size_t n, struct error *err)
{
	struct reading *r = ctx;

	if (volume >= r->backup->manifest.objects)
		return error_set(err, ST_BAD, "volume %" PRIu32 " is not in the manifest", volume + 1);
	CLEANUP(cstr_release) char *key = catalog_key(r->source, "backup", r->backup->manifest.object[volume].key);
	if (store_set_get(r->set, key, offset, to, n, err)) {
		/* The manifest names it: that it is absent is damage. */
		if (err->code == ST_NOT_FOUND)
			err->code = ST_BAD;
		return err->code;
	}
	return ST_OK;
}

static void keep(void *ctx, uint32_t volume, uint64_t offset, const void *p, size_t n)
{
	struct reading *r = ctx;

	if (r->keep)
		kept_put(r->kept, volume, offset, p, n);
}

static bool take(void *ctx, uint32_t volume, uint64_t offset, void *to, size_t n)
{
	struct reading *r = ctx;

	if (!r->kept || !kept_take(r->kept, volume, offset, to, n))
		return false;
	keep(r, volume, offset, to, n);
	return true;
}

static bool distrust(void *ctx)
{
	struct reading *r = ctx;

	return store_set_distrust(r->set);
}

static enum status size_of(void *ctx, uint32_t volume, uint64_t *size, struct error *err)
{
	struct reading *r = ctx;

	if (volume >= r->backup->manifest.objects)
		return error_set(err, ST_BAD, "volume %" PRIu32 " is not in the manifest", volume + 1);
	*size = r->backup->manifest.object[volume].size;
	return ST_OK;
}

static bool catalog_has(const struct catalog *c, const char *id)
{
	for (size_t i = 0; i < c->backups; i++)
		if (!strcmp(c->backup[i].manifest.id, id))
			return true;
	return false;
}

/* The stores that hold this backup, the one whose catalog chose it first. */
static void make_set(struct op_env *env, struct reading *r, size_t first)
{
	struct store **member = r->member = xcalloc(r->stores.opened, sizeof *member);
	size_t n = 0;

	member[n++] = r->stores.open[first];
	for (size_t i = 0; i < r->stores.opened; i++) {
		CLEANUP(catalog_release) struct catalog c = CATALOG_INIT;
		CLEANUP(error_release) struct error ignored = ERROR_INIT;

		if (i != first && !catalog_read(env->run, r->stores.open[i], r->source, &c, &ignored) && catalog_has(&c, r->backup->manifest.id))
			member[n++] = r->stores.open[i];
	}
	struct store_set_spec spec = {.member = member, .members = n, .stall = env->global->store_stall};
	r->set = store_set_new(env->run, &spec);
}

static bool by_age(const struct reading_spec *q) { return !q->which || !strcmp(q->which, "latest") || !strcmp(q->which, "latest-proven"); }

static enum status choose(const struct reading_spec *q, const struct catalog *c, size_t *index, struct error *err)
{
	struct catalog_query query = {.which = q->which, .tags = q->tags};
	size_t of_this_store;

	if (q->doubt && c->backups && (!q->which || !strcmp(q->which, "latest"))) {
		*index = c->backups - 1;
		return ST_OK;
	}
	return catalog_find(c, &query, index, &of_this_store, err);
}

/* What a nearer store knows to be bad is bad in this one, too. doubtful: ids, also of suspect ones, each once. */
static void share_verdicts(const struct reading_spec *q, struct catalog *c, struct strlist *bad, struct strlist *doubtful)
{
	for (size_t i = 0; i < c->backups; i++) {
		struct catalog_backup *b = &c->backup[i];

		if (b->bad)
			strlist_add(bad, b->manifest.id);
		b->bad = b->bad || strlist_has(bad, b->manifest.id);
		if ((b->bad || b->suspect) && catalog_tags_match(&b->manifest.tags, q->tags) && !strlist_has(doubtful, b->manifest.id))
			strlist_add(doubtful, b->manifest.id);
	}
}

/* A check of a backup that is named whole needs its manifest and no catalog, which a check of all would read again for each. */
static bool read_one(struct op_env *env, const struct reading_spec *q, struct store *s, struct catalog *c)
{
	CLEANUP(error_release) struct error ignored = ERROR_INIT;
	CLEANUP(catalog_release) struct catalog one = CATALOG_INIT;

	if (!q->doubt || !q->which || !backup_id_valid(q->which))
		return false;
	one.backup = xcalloc(1, sizeof *one.backup);
	one.backups = 1;
	if (catalog_manifest(env->run, s, q->source, q->which, &one.backup->manifest, &ignored))
		return false; /* the catalog tells why */
	*c = one;
	one = (struct catalog)CATALOG_INIT;
	return true;
}

/* A named backup: the first store that has it. Else the newest one of all stores. The error of the first store where none has any. */
static enum status find(struct op_env *env, const struct reading_spec *q, struct reading *r, size_t *store, struct error *err)
{
	CLEANUP(error_release) struct error first = ERROR_INIT;
	CLEANUP(strlist_release) struct strlist bad = STRLIST_INIT, doubtful = STRLIST_INIT;

	for (size_t i = 0; i < r->stores.opened && (!r->backup || by_age(q)); i++) {
		CLEANUP(error_release) struct error e = ERROR_INIT;
		CLEANUP(catalog_release) struct catalog c = CATALOG_INIT;
		const char *name = r->stores.open[i]->name;
		size_t index;

		if (!read_one(env, q, r->stores.open[i], &c) && !catalog_read(env->run, r->stores.open[i], q->source, &c, &e))
			share_verdicts(q, &c, &bad, &doubtful);
		if (e.code || choose(q, &c, &index, &e)) {
			if (e.code != ST_NOT_FOUND && r->stores.opened > 1)
				notes_add(env->notes, "store %s is passed over: %s", name, error_text(&e));
			error_add(&e, "%s in %s", q->source, name);
			error_keep_first(&first, &e);
			continue;
		}
		if (r->backup && strcmp(c.backup[index].manifest.id, r->backup->manifest.id) <= 0)
			continue;
		catalog_release(&r->catalog);
		r->catalog = c;
		c = (struct catalog)CATALOG_INIT;
		r->backup = &r->catalog.backup[index];
		*store = i;
	}
	if (!r->backup)
		return error_move(err, &first);
	for (size_t i = 0; by_age(q) && i < doubtful.len; i++)
		r->passed_over += strcmp(doubtful.item[i], r->backup->manifest.id) > 0;
	return ST_OK;
}

enum { CHOICES = 3 };

/* Chosen by what this machine has copies of, and then, under a lease, seen in the store itself: from then on nobody takes its volumes away.
 * Where others were faster, as encrypting anew is, it is chosen once more. A store that does not answer now is left to the reads that
 * follow, which go to another. */
static enum status find_leased(struct op_env *env, const struct reading_spec *q, struct reading *r, size_t *store, struct error *err)
{
	for (int i = 1;; i++) {
		CLEANUP(error_release) struct error why = ERROR_INIT, no_lease = ERROR_INIT;

		if (find(env, q, r, store, err))
			return err->code;
		struct store *s = r->stores.open[*store];
		const struct manifest *m = &r->backup->manifest;
		bool leased = !lease_take(env->run, s, q->source, m->id, &r->lease, &no_lease);
		enum status st = catalog_confirm_volumes(env->run, s, q->source, m, &why);
		if ((st != ST_BAD && st != ST_NOT_FOUND) || i == CHOICES) {
			if (!leased)
				notes_add(env->notes, "no lease on the backup (%s): a prune could take it away while it is read",
					  error_text(&no_lease));
			return ST_OK;
		}
		lease_release(&r->lease);
		catalog_release(&r->catalog);
		r->backup = NULL;
		r->passed_over = 0;
	}
}

/* What is in the stores, for the person who mistyped a name. */
static void hint_sources(struct op_env *env, struct reading *r, struct error *err)
{
	CLEANUP(strlist_release) struct strlist names = STRLIST_INIT;
	CLEANUP(buf_release) struct buf text = BUF_INIT;

	for (size_t i = 0; i < r->stores.opened; i++) {
		CLEANUP(error_release) struct error ignored = ERROR_INIT;
		CLEANUP(strlist_release) struct strlist here = STRLIST_INIT;

		if (catalog_sources(env->run, r->stores.open[i], &here, &ignored))
			continue;
		for (size_t k = 0; k < here.len; k++)
			strlist_add_once(&names, here.item[k]);
	}
	for (size_t k = 0; k < names.len; k++)
		buf_printf(&text, "%s%s", k ? ", " : "", names.item[k]);
	error_hint(err, "The store has backups of: %s. `drtool list` shows them.", names.len ? buf_str(&text) : "no source at all");
}

enum status reading_open(struct op_env *env, const struct reading_spec *q, struct reading *r, struct error *err)
{
	size_t store = 0;

	r->source = q->source;
	if (tmpdir_make(&r->dir, "drtool", err) || stores_open(env, q->from, q->stores, false, &r->stores, err))
		return err->code;
	for (size_t i = 0; i < r->stores.n; i++)
		if (r->stores.err[i].code)
			notes_add(env->notes, "store %s is passed over: %s", q->from[i]->name, error_text(&r->stores.err[i]));
	if (find_leased(env, q, r, &store, err)) {
		if (err->code == ST_NOT_FOUND && !err->hint)
			hint_sources(env, r, err);
		return err->code;
	}
	if (r->passed_over)
		op_say(env, "%zu newer %s bad or suspect and passed over; using %s of %s", r->passed_over,
		       r->passed_over > 1 ? "backups are" : "backup is", r->backup->manifest.id, q->source);
	make_set(env, r, store);
	return ST_OK;
}

void reading_ranges(struct reading *r)
{
	r->ranges = (struct range_source){.read_at = read_at, .size = size_of, .distrust = distrust, .keep = keep, .take = take, .volumes = (uint32_t)r->backup->manifest.objects, .ctx = r};
}

bool reading_sealed(const struct reading *r) { return r->backup->manifest.recipients.len > 0; }

enum status reading_open_seal(struct op_env *env, struct reading *r, struct error *err)
{
	const struct seal_identities *ids;

	if (!reading_sealed(r))
		return ST_OK;
	if (op_identities(env, &ids, err))
		return err->code;
	r->opener = opener_new(ids, &r->ranges, &r->backup->manifest);
	if (opener_prove(r->opener, err))
		return err->code;
	r->ranges = opener_ranges(r->opener);
	return ST_OK;
}

const char *reading_key(const struct reading *r) { return r->opener ? opener_key(r->opener) : NULL; }

enum status reading_manifest(struct op_env *env, struct reading *r, struct error *err)
{
	const struct seal_identities *ids;

	if (!r->backup->manifest.hidden)
		return ST_OK;
	return op_identities(env, &ids, err) ? err->code : private_manifest_open(ids, &r->backup->manifest, err);
}

const char *evidence_cause(bool private, const struct error *cause)
{
	return private ? status_text(cause->code) : error_text(cause);
}

struct budget_use reading_use(const struct reading *r, bool load)
{
	struct budget_use use = {.chunk_size = archive_chunk_size(r->reader), .load = load, .sealed = reading_sealed(r)};

	use.passphrase = strlist_has(&r->backup->manifest.recipients, "passphrase");
	for (size_t i = 0; i < r->stores.opened; i++)
		use.network = use.network || r->stores.open[i]->storage.ops->part_size;
	return use;
}

enum status reading_archive(struct op_env *env, struct reading *r, struct error *err)
{
	if (strcmp(r->backup->manifest.kind, "dump"))
		return error_set(err, ST_UNSUPPORTED, "backup %s is of kind %s", r->backup->manifest.id, r->backup->manifest.kind);
	reading_ranges(r);
	if (reading_open_seal(env, r, err) || reading_manifest(env, r, err))
		return err->code;
	/* Trailer and root: a second time, then from another copy, as for every other range. What was distrusted is forgotten with the
	 * next range, so the number of copies ends this, too. */
	enum status st = archive_reader_open(env->run, &r->ranges, r->dir.path, &r->reader, err);
	for (size_t i = 1; st == ST_BAD && i < 2 * r->stores.opened && (i % 2 || distrust(r)); i++) {
		error_release(err);
		st = archive_reader_open(env->run, &r->ranges, r->dir.path, &r->reader, err);
	}
	if (st)
		return error_add(err, "backup %s", r->backup->manifest.id);
	return ST_OK;
}

void reading_release(struct reading *r)
{
	archive_reader_freep(&r->reader);
	opener_freep(&r->opener);
	kept_freep(&r->kept);
	lease_release(&r->lease);
	store_set_freep(&r->set);
	free(r->member);
	catalog_release(&r->catalog);
	stores_release(&r->stores);
	tmpdir_release(&r->dir);
	*r = (struct reading)READING_INIT;
}
