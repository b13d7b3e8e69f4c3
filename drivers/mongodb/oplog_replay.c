/* What an operation of the log is on the target. */
#include "drivers/mongodb/ejson.h"
#include "drivers/mongodb/oplog_names_internal.h"
#include "drivers/mongodb/raw.h"

void mo_replay_release(struct mo_replay *to)
{
	free(to->database);
	free(to->collection);
	bson_destroy(to->command);
	*to = (struct mo_replay)MO_REPLAY_INIT;
}

/* ---- helpers ---- */

/* A name on the target, or NULL in *name: it is not of the restore. */
static enum status target_name(const struct mo_routes *r, const char *database, const char *collection, const struct mo_route **route, char **name,
			       struct error *err)
{
	*name = mo_route_name(r, database, collection, route);
	if (!*name)
		return ST_OK;
	const char *in = (*route)->where->database;
	const size_t n = strlen(in) + 1 + (mo_buckets_of(collection) ? strlen("system.buckets.") : 0) + strlen(*name);
	if (n <= MO_NAMESPACE_MOST)
		return ST_OK;
	(void)error_set(err, ST_UNSUPPORTED, "%s.%s would be %s.%s on the target, a name of %zu bytes where servers take %u", database, collection, in, *name,
			n, MO_NAMESPACE_MOST);
	cstr_release(name);
	return error_hint(err, "Restore into another database, with --rename %s=NAME.", database);
}

static void put_text(struct buf *to, const char *key, const char *text)
{
	const uint32_t n = BSON_UINT32_TO_LE((uint32_t)strlen(text) + 1);
	CLEANUP(buf_release) struct buf value = BUF_INIT;

	buf_put(&value, &n, sizeof n);
	buf_put(&value, text, strlen(text) + 1);
	const struct mo_raw raw = {.type = BSON_TYPE_UTF8, .value = (const uint8_t *)value.data, .n = (uint32_t)value.len};
	mo_raw_put(to, key, strlen(key), &raw);
}

/* {command: name} and what of o is not left out. */
static void make_command(struct mo_replay *to, const struct mo_route *route, const char *command, const char *name, const bson_t *o,
			 const char *const *without)
{
	CLEANUP(buf_release) struct buf bytes = BUF_INIT;

	(void)mo_raw_open(&bytes);
	put_text(&bytes, command, name);
	if (o)
		mo_raw_put_others(&bytes, o, without);
	to->kind = MO_REPLAY_COMMAND;
	to->route = route;
	to->database = xstrdup(route->where->database);
	to->command = mo_raw_done(&bytes);
}

/* What the collection of an operation is called at this place of the log; NULL: the operation is of no use. */
static const char *collection_of(const struct mo_routes *r, const struct mo_oplog_entry *op, const char *written)
{
	return r->known ? mo_known_name(r->known, op) : written;
}

/* ---- views ---- */

static bool is_of_series(const bson_t *view)
{
	const char *on = mo_bson_text_at(view, "viewOn");

	return on && mo_buckets_of(on);
}

/* What is done in system.views. The view of a time series comes and goes with its buckets; one whose name a collection has that was dumped was gone
 * by then. */
static enum status replay_view(const struct mo_routes *r, const struct mo_oplog_entry *op, struct mo_replay *to, struct error *err)
{
	static const char *const without[] = {"_id", NULL};
	const bson_t *key = op->op == MO_OP_UPDATE ? &op->o2 : &op->o;
	const char *ns = mo_bson_text_at(key, "_id");
	CLEANUP(cstr_release) char *name = NULL;
	const struct mo_route *route;
	struct mo_name view;

	if (!ns || !mo_name_of(ns, &view))
		return error_set(err, ST_BAD, "a view without a name");
	if (target_name(r, view.database, view.collection, &route, &name, err))
		return err->code;
	if (!name || (op->op != MO_OP_DELETE && is_of_series(&op->o)) || (r->known && mo_known_holds(r->known, view.database, view.collection)))
		return ST_OK;
	if (op->op == MO_OP_DELETE) {
		make_command(to, route, "drop", name, NULL, NULL);
		return ST_OK;
	}
	if (!mo_bson_text_at(&op->o, "viewOn"))
		return error_set(err, ST_UNSUPPORTED, "the view %s is changed in a form that cannot be replayed", ns);
	make_command(to, route, op->op == MO_OP_INSERT ? "create" : "collMod", name, &op->o, without);
	return ST_OK;
}

/* ---- documents ---- */

static enum status replay_write(const struct mo_routes *r, const struct mo_oplog_entry *op, struct mo_replay *to, struct error *err)
{
	CLEANUP(cstr_release) char *name = NULL;
	const struct mo_route *route;

	if (!strcmp(op->collection, "system.views"))
		return replay_view(r, op, to, err);
	const char *collection = collection_of(r, op, op->collection);
	if (!collection || target_name(r, op->database, collection, &route, &name, err) || !name)
		return err->code;
	if (!bson_has_field(op->op == MO_OP_UPDATE ? &op->o2 : &op->o, "_id") && op->op != MO_OP_INSERT)
		return error_set(err, ST_BAD, "the document that it is about has no _id");
	to->kind = MO_REPLAY_WRITE;
	to->route = route;
	to->database = xstrdup(route->where->database);
	to->buckets = mo_buckets_of(op->collection);
	to->collection = to->buckets ? xasprintf("system.buckets.%s", name) : xstrdup(name);
	return ST_OK;
}

/* ---- commands about one collection ---- */

typedef void make_fn(struct mo_replay *to, const struct mo_oplog_entry *op, const struct mo_route *route, const char *name);

/* The buckets of a time series and its view are made by one command. */
static void make_series(struct mo_replay *to, const struct mo_oplog_entry *op, const struct mo_route *route, const char *name)
{
	static const char *const kept[] = {"timeseries", "expireAfterSeconds", "collation", "storageEngine"};
	CLEANUP(buf_release) struct buf bytes = BUF_INIT;
	bson_iter_t it;

	(void)mo_raw_open(&bytes);
	for (size_t i = 0; i < ARRAY_LEN(kept); i++)
		if (bson_iter_init_find(&it, &op->o, kept[i])) {
			const struct mo_raw raw = mo_raw_of(&it);

			mo_raw_put(&bytes, raw.key, strlen(raw.key), &raw);
		}
	CLEANUP(mo_bson_freep) bson_t *options = mo_raw_done(&bytes);
	make_command(to, route, "create", name, options, (const char *const[]){NULL});
}

static void make_create(struct mo_replay *to, const struct mo_oplog_entry *op, const struct mo_route *route, const char *name)
{
	static const char *const without[] = {"create", "idIndex", NULL};
	CLEANUP(mo_meta_release) struct mo_meta m = MO_META_INIT;
	CLEANUP(buf_release) struct buf options = BUF_INIT;
	CLEANUP(mo_bson_clear) bson_t more = BSON_INITIALIZER;
	bson_t id;

	if (mo_buckets_of(mo_bson_text_at(&op->o, "create"))) {
		make_series(to, op, route, name);
		return;
	}
	(void)mo_raw_open(&options);
	mo_raw_put_others(&options, &op->o, without);
	m.options = mo_raw_done(&options);
	if (mo_bson_document_at(&op->o, "idIndex", &id))
		mo_meta_add_index(&m, &id);
	mo_create_options(&m, &more);
	make_command(to, route, "create", name, &more, (const char *const[]){NULL});
}

static void make_drop(struct mo_replay *to, const struct mo_oplog_entry *op, const struct mo_route *route, const char *name)
{
	(void)op;
	make_command(to, route, "drop", name, NULL, NULL);
}

/* Without its change of an index, and the switches that servers set for themselves. */
static void make_coll_mod(struct mo_replay *to, const struct mo_oplog_entry *op, const struct mo_route *route, const char *name)
{
	CLEANUP(buf_release) struct buf rest = BUF_INIT;
	bson_iter_t it;
	size_t n = 0;

	(void)mo_raw_open(&rest);
	if (bson_iter_init(&it, &op->o))
		while (bson_iter_next(&it)) {
			const struct mo_raw raw = mo_raw_of(&it);

			if (!strcmp(raw.key, "collMod") || !strcmp(raw.key, "index") || *raw.key == '_')
				continue;
			mo_raw_put(&rest, raw.key, strlen(raw.key), &raw);
			n++;
		}
	CLEANUP(mo_bson_freep) bson_t *others = mo_raw_done(&rest);
	if (n)
		make_command(to, route, "collMod", name, others, (const char *const[]){NULL});
}

static void make_same(struct mo_replay *to, const struct mo_oplog_entry *op, const struct mo_route *route, const char *name)
{
	make_command(to, route, op->command, name, &op->o, (const char *const[]){op->command, NULL});
}

static enum status replay_of_collection(const struct mo_routes *r, const struct mo_oplog_entry *op, make_fn *make, struct mo_replay *to, struct error *err)
{
	const char *collection = mo_bson_text_at(&op->o, op->command);
	CLEANUP(cstr_release) char *name = NULL;
	const struct mo_route *route;

	if (!collection || !*collection)
		return error_set(err, ST_BAD, "%s does not name a collection", op->command);
	if (!strcmp(collection, "system.views")) {
		/* Made by the server with the first view, dropped with the database. */
		route = mo_route_of(r, op->database);
		if (!route || strcmp(op->command, "drop"))
			return ST_OK;
		to->kind = MO_REPLAY_DROP_VIEWS;
		to->route = route;
		to->database = xstrdup(route->where->database);
		return ST_OK;
	}
	collection = collection_of(r, op, collection);
	if (collection && target_name(r, op->database, collection, &route, &name, err))
		return err->code;
	if (name)
		make(to, op, route, name);
	return ST_OK;
}

/* ---- renameCollection ---- */

static enum status replay_rename(const struct mo_routes *r, const struct mo_oplog_entry *op, struct mo_replay *to, struct error *err)
{
	CLEANUP(cstr_release) char *from = NULL, *target = NULL;
	CLEANUP(buf_release) struct buf bytes = BUF_INIT;
	const struct mo_route *of_from, *of_to;
	struct mo_renaming n;

	if (mo_renaming_of(op, &n, err))
		return err->code;
	/* It was dumped under a later name already, or is gone. */
	const char *now = collection_of(r, op, n.from.collection);
	if (!now || strcmp(now, n.from.collection))
		return ST_OK;
	if (target_name(r, n.from.database, n.from.collection, &of_from, &from, err) ||
	    target_name(r, n.to.database, n.to.collection, &of_to, &target, err))
		return err->code;
	if (!from && !target)
		return ST_OK;
	if (!from) {
		(void)error_set(err, ST_UNSUPPORTED, "%s.%s, which is not restored, was renamed to %s.%s, which is: its documents are not at hand", n.from.database,
				n.from.collection, n.to.database, n.to.collection);
		return error_hint(err, "Restore both of them, or choose a moment before this.");
	}
	if (!target) {
		make_command(to, of_from, "drop", from, NULL, NULL);
		return ST_OK;
	}
	CLEANUP(cstr_release) char *from_ns = xasprintf("%s.%s%s", of_from->where->database, mo_buckets_of(n.from.collection) ? "system.buckets." : "", from);
	CLEANUP(cstr_release) char *to_ns = xasprintf("%s.%s%s", of_to->where->database, mo_buckets_of(n.to.collection) ? "system.buckets." : "", target);
	(void)mo_raw_open(&bytes);
	put_text(&bytes, "renameCollection", from_ns);
	put_text(&bytes, "to", to_ns);
	if (n.drop_target)
		mo_raw_put(&bytes, "dropTarget", strlen("dropTarget"), &(struct mo_raw){.type = BSON_TYPE_BOOL, .value = (const uint8_t *)"\1", .n = 1});
	to->kind = MO_REPLAY_COMMAND;
	to->route = of_to;
	to->database = xstrdup("admin");
	to->command = mo_raw_done(&bytes);
	return ST_OK;
}

/* ---- all commands ---- */

static bool one_of(const char *key, const char *const *names)
{
	for (; *names; names++)
		if (!strcmp(key, *names))
			return true;
	return false;
}

/* About indexes, which are made at the end; or about the server's own affairs. dropDatabase comes behind the drops of all that was in it. */
static bool is_passed_over(const char *command)
{
	static const char *const names[] = {
		"createIndexes", "startIndexBuild", "commitIndexBuild", "abortIndexBuild", "dropIndexes", "dropIndex", "deleteIndexes", "deleteIndex",
		"dropDatabase", "dbCheck", "setMultikeyMetadata", "dropIdent", "modifyCollectionShardingIndexCatalog", "createDatabaseMetadata",
		"dropDatabaseMetadata", "commitTransaction", "abortTransaction", NULL,
	};

	return one_of(command, names);
}

static enum status refuse(const struct mo_oplog_entry *op, struct error *err)
{
	static const char *const known[] = {"importCollection", "upgradeDowngradeViewlessTimeseries", NULL};

	(void)error_set(err, ST_UNSUPPORTED, one_of(op->command, known) ? "%s cannot be replayed" : "%s is no command that drtool can replay", op->command);
	return error_hint(err, "Choose a moment before this, or a backup that was made after it.");
}

static enum status replay_command(const struct mo_routes *r, const struct mo_oplog_entry *op, struct mo_replay *to, struct error *err)
{
	static const struct {
		const char *command;
		make_fn *make;
	} commands[] = {
		{"create", make_create}, {"drop", make_drop}, {"collMod", make_coll_mod}, {"convertToCapped", make_same}, {"emptycapped", make_same},
	};

	if (!strcmp(op->command, "renameCollection"))
		return replay_rename(r, op, to, err);
	if (is_passed_over(op->command))
		return ST_OK;
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		if (!strcmp(op->command, commands[i].command))
			return replay_of_collection(r, op, commands[i].make, to, err);
	return mo_route_of(r, op->database) ? refuse(op, err) : ST_OK;
}

enum status mo_replay_make(const struct mo_routes *r, const struct mo_oplog_entry *op, struct mo_replay *to, struct error *err)
{
	enum status st = ST_OK;

	if (op->op == MO_OP_COMMAND)
		st = replay_command(r, op, to, err);
	else if (op->op == MO_OP_INSERT || op->op == MO_OP_UPDATE || op->op == MO_OP_DELETE)
		st = replay_write(r, op, to, err);
	return st ? mo_oplog_blame(op, err) : ST_OK;
}
