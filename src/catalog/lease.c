/* Leases: a reader says which backup it reads, so that prune leaves it alone. */
#include "catalog/holder.h"

#define LEASE_DEAD_AGE DURATION_SECONDS(86400)

struct lease {
	struct holder *holder;
};

enum status lease_take(struct run *run, struct store *s, const char *source, const char *backup, struct lease **l,
		       struct error *err)
{
	char random[9];

	run_random_hex(run, random, 8);
	CLEANUP(cstr_release) char *name = xasprintf("%s%s%s.json", run->run_id ? run->run_id : "", run->run_id ? "-" : "", random);
	CLEANUP(cstr_release) char *key = catalog_key(source, "lease", name);
	CLEANUP(cstr_release) char *what = xasprintf("reader of %s", backup);
	const struct holder_spec spec = {.store = s, .key = key, .what = what, .backup = backup, .alone = true};
	struct holder *h;

	if (holder_claim(run, &spec, &h, err))
		return error_add(err, "cannot leave a lease");
	*l = xcalloc(1, sizeof **l);
	(*l)->holder = h;
	return ST_OK;
}

void lease_release(struct lease **l)
{
	if (!*l)
		return;
	holder_release(&(*l)->holder, true);
	free(*l);
	*l = NULL;
}

struct lease_look {
	struct run *run;
	struct store *store;
	const char *source;
	struct instant now; /* by the store's clock; NONE until it was needed */
};

/* By the store's clock; by this machine's where the store cannot be written. */
static struct instant look_now(struct lease_look *k)
{
	struct error ignored = ERROR_INIT;

	if (!k->now.us && store_clock(k->run, k->store, k->source, &k->now, &ignored)) {
		error_release(&ignored);
		k->now = run_now(k->run);
	}
	return k->now;
}

enum status lease_list(struct run *run, struct store *s, const char *source, struct strlist *backups, struct error *err)
{
	CLEANUP(storage_objects_release) struct storage_objects l = STORAGE_OBJECTS_INIT;
	CLEANUP(cstr_release) char *prefix = catalog_key(source, "lease", "");
	struct lease_look look = {.run = run, .store = s, .source = source};

	if (storage_list(run, &s->storage, prefix, NULL, &l, err))
		return error_add(err, "cannot read the leases of %s", source);
	for (size_t i = 0; i < l.len; i++) {
		CLEANUP(lock_info_release) struct lock_info info = {0};
		CLEANUP(cstr_release) char *backup = NULL;

		if (holder_read(run, s, l.item[i].key, &info, &backup, err)) {
			if (err->code != ST_NOT_FOUND)
				return error_add(err, "cannot read the leases of %s", source);
			error_release(err); /* released meanwhile */
			continue;
		}
		if (!info.held || info.same_process_gone || instant_diff(look_now(&look), info.heartbeat).us > LOCK_STALE.us)
			continue;
		if (!backup)
			return error_set(err, ST_BAD, "the lease %s is damaged and was written minutes ago", l.item[i].key);
		strlist_add_once(backups, backup);
	}
	return ST_OK;
}

enum status lease_sweep(struct run *run, struct store *s, const char *source, struct instant now, struct error *err)
{
	CLEANUP(storage_objects_release) struct storage_objects l = STORAGE_OBJECTS_INIT;
	CLEANUP(cstr_release) char *prefix = catalog_key(source, "lease", "");

	if (storage_list(run, &s->storage, prefix, NULL, &l, err))
		return err->code;
	for (size_t i = 0; i < l.len; i++) {
		if (instant_diff(now, l.item[i].modified).us < LEASE_DEAD_AGE.us)
			continue;
		if (storage_delete(run, &s->storage, l.item[i].key, NULL, err) && err->code != ST_NOT_FOUND &&
		    err->code != ST_RETAINED)
			return err->code;
		error_release(err);
	}
	return ST_OK;
}
