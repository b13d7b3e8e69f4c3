#include "drivers/mongodb/about.h"
#include "drivers/mongodb/list.h"
#include "drivers/mongodb/look.h"
#include "drivers/mongodb/modriver.h"
#include "drivers/mongodb/snapshot.h"
#include "drivers/mongodb/span.h"

/* What one look at a server shares. */
struct looking {
	struct run *run;
	struct mo_conn *c;
	struct mo_about about;
	char *database; /* of the URL; NULL: all */
	char *user, *user_db; /* of this session; NULL: nobody logged in */
	struct probe *p;
	bool want_empty;
	char *try_database, *try_collection; /* one that can be read */
};

static void looking_release(struct looking *l)
{
	mo_about_release(&l->about);
	mo_conn_freep(&l->c);
	free(l->database);
	free(l->user);
	free(l->user_db);
	free(l->try_database);
	free(l->try_collection);
}

static bool concerns(const struct looking *l, const char *name) { return !l->database || !strcmp(l->database, name); }

/* ---- rights ---- */

static enum status find_account(struct looking *l, struct error *err)
{
	CLEANUP(mo_doc_release) bson_t command = BSON_INITIALIZER;
	CLEANUP(mo_doc_release) bson_t reply = BSON_INITIALIZER;
	CLEANUP(error_release) struct error refused = ERROR_INIT;

	BSON_APPEND_INT32(&command, "connectionStatus", 1);
	if (mo_conn_command(l->run, l->c, "admin", &command, &reply, &refused))
		return mo_conn_lost(&refused) || !mo_conn_code(&refused) ? error_move(err, &refused) : ST_OK;
	const char *user = mo_look_str(&reply, "authInfo.authenticatedUsers.0.user"), *db = mo_look_str(&reply, "authInfo.authenticatedUsers.0.db");
	l->user = user ? xstrdup(user) : NULL;
	l->user_db = xstrdup(db ? db : "admin");
	return ST_OK;
}

static void put_text(struct buf *to, const char *text)
{
	CLEANUP(js_decref) json_t *j = json_string(text);
	char *quoted = j ? json_dumps(j, JSON_ENCODE_ANY) : NULL;

	buf_puts(to, quoted ? quoted : "\"\"");
	free(quoted);
}

/* A statement of mongosh. */
static char *grant_text(const struct looking *l, const char *role, const char *database)
{
	struct buf b = BUF_INIT;

	buf_puts(&b, "db.getSiblingDB(");
	put_text(&b, l->user_db);
	buf_puts(&b, ").grantRolesToUser(");
	put_text(&b, l->user);
	buf_printf(&b, ", [{role: \"%s\", db: ", role);
	put_text(&b, database);
	buf_puts(&b, "}])");
	return buf_detach(&b);
}

/* Of the whole server `backup`; of one database `read`, which leaves out the buckets of its time series. */
static void miss_reading(struct looking *l, const char *database, enum mo_kind kind)
{
	const char *role = !l->database ? "backup" : kind == MO_TIMESERIES ? "readAnyDatabase" : "read";

	if (!l->user) {
		strlist_add_once(&l->p->impossible, "the server asks for a login, and nobody is logged in: neither the URL (mongodb://USER@HOST/DATABASE?authSource=admin)"
						    " nor the key user names one");
		return;
	}
	CLEANUP(cstr_release) char *text = grant_text(l, role, strcmp(role, "read") ? "admin" : database);

	strlist_add_once(&l->p->missing, text);
}

/* Runs a command that reads; *allowed false where the account may not. Other refusals are errors. */
static enum status may(struct looking *l, const char *database, const bson_t *command, mo_doc_fn *fn, void *ctx, bool *allowed, struct error *err)
{
	*allowed = true;
	if (!mo_conn_each(l->run, l->c, database, command, fn, ctx, err))
		return ST_OK;
	if (!mo_conn_denied(err))
		return err->code;
	*allowed = false;
	error_release(err);
	return ST_OK;
}

static enum status take_any(void *ctx UNUSED, const bson_t *doc UNUSED, struct error *err UNUSED) { return ST_OK; }

static enum status may_find(struct looking *l, const char *database, const char *collection, bool raw_data, bool *allowed, struct error *err)
{
	CLEANUP(mo_doc_release) bson_t command = BSON_INITIALIZER;

	BSON_APPEND_UTF8(&command, "find", collection);
	BSON_APPEND_INT32(&command, "limit", 1);
	if (raw_data)
		BSON_APPEND_BOOL(&command, "rawData", true);
	return may(l, database, &command, take_any, NULL, allowed, err);
}

static enum status judge_accounts(struct looking *l, struct error *err)
{
	CLEANUP(error_release) struct error refused = ERROR_INIT;
	bool allowed = false;

	if (may_find(l, "admin", "system.users", false, &allowed, &refused) && (mo_conn_lost(&refused) || !mo_conn_code(&refused)))
		return error_move(err, &refused);
	if (refused.code || (allowed && mo_about_is_other(&l->c->server))) {
		strlist_add(&l->p->limits, "accounts and roles are not in a backup: this server does not keep them where a backup can read them");
	} else if (!allowed && l->user) {
		CLEANUP(cstr_release) char *grant = grant_text(l, "backup", "admin");

		strlist_take(&l->p->limits, xasprintf("accounts and roles are not in a backup by this user (%s would change that)", grant));
	}
	return ST_OK;
}

/* ---- databases ---- */

static void look_at_listing(struct looking *l, const char *name, const struct mo_listing *all, struct probe_database *d)
{
	d->empty = !all->items && !all->of_runs.len;
	for (size_t i = 0; i < all->items && !l->try_database; i++) {
		const struct mo_listed *one = &all->item[i];

		if (one->meta.kind != MO_COLLECTION || mo_is_capped(one))
			continue;
		l->try_database = xstrdup(name);
		l->try_collection = xstrdup(one->collection);
	}
}

/* Reads a document of the first collection or time series, as a backup does; of views it takes the definition only. */
static enum status look_at_documents(struct looking *l, const char *database, const struct mo_listing *all, enum mo_kind kind, bool *allowed,
				     struct error *err)
{
	size_t i = 0;

	*allowed = true;
	while (i < all->items && all->item[i].meta.kind != kind)
		i++;
	if (i == all->items)
		return ST_OK;
	if (may_find(l, database, all->item[i].documents, all->item[i].raw_data, allowed, err))
		return error_add(err, "%s.%s", database, all->item[i].documents);
	if (!*allowed)
		miss_reading(l, database, kind);
	return ST_OK;
}

/* *own: it is no database of the server's alone. */
static enum status look_at_database(struct looking *l, struct probe_database *d, bool *own, struct error *err)
{
	CLEANUP(mo_listing_release) struct mo_listing all = MO_LISTING_INIT;
	CLEANUP(mo_where_release) struct mo_where w = {xstrdup(d->name), xstrdup("")};
	bool allowed = true;

	*own = true;
	if (mo_list(l->run, l->c, &w, false, &all, err)) {
		if (!mo_conn_denied(err))
			return err->code;
		error_release(err);
		*own = strcmp(d->name, "admin") != 0;
		if (*own)
			miss_reading(l, d->name, MO_COLLECTION);
		return ST_OK;
	}
	*own = all.items || strcmp(d->name, "admin") != 0;
	if (look_at_documents(l, d->name, &all, MO_COLLECTION, &allowed, err) || !allowed)
		return err->code;
	look_at_listing(l, d->name, &all, d);
	return look_at_documents(l, d->name, &all, MO_TIMESERIES, &allowed, err);
}

static void add_database(struct probe *p, const char *name, int64_t size)
{
	p->database = xrealloc(p->database, (p->databases + 1) * sizeof *p->database);
	p->database[p->databases++] = (struct probe_database){.name = xstrdup(name), .size = size > 0 ? (uint64_t)size : 0};
}

static enum status list_databases(struct looking *l, struct error *err)
{
	CLEANUP(mo_doc_release) bson_t command = BSON_INITIALIZER;
	CLEANUP(mo_doc_release) bson_t reply = BSON_INITIALIZER;
	bson_iter_t at, item;

	BSON_APPEND_INT32(&command, "listDatabases", 1);
	if (mo_conn_command(l->run, l->c, "admin", &command, &reply, err)) {
		if (!mo_conn_denied(err))
			return error_add(err, "the list of databases");
		error_release(err);
		if (!l->database) {
			miss_reading(l, "admin", MO_COLLECTION);
			return ST_OK;
		}
		add_database(l->p, l->database, 0);
		return ST_OK;
	}
	if (!mo_look(&reply, "databases", &at) || !BSON_ITER_HOLDS_ARRAY(&at) || !bson_iter_recurse(&at, &item))
		return error_set(err, ST_SERVER, "the server gave no list of databases");
	while (bson_iter_next(&item)) {
		const uint8_t *data = NULL;
		uint32_t n = 0;
		bson_t one;

		if (!BSON_ITER_HOLDS_DOCUMENT(&item))
			continue;
		bson_iter_document(&item, &n, &data);
		if (!data || !bson_init_static(&one, data, n))
			continue;
		const char *name = mo_look_str(&one, "name");
		if (name && mo_database_place(name) == MO_TAKEN)
			add_database(l->p, name, mo_look_num(&one, "sizeOnDisk", 0));
	}
	return ST_OK;
}

static int by_name(const void *a, const void *b) { return strcmp(((const struct probe_database *)a)->name, ((const struct probe_database *)b)->name); }

static enum status look_at_databases(struct looking *l, struct error *err)
{
	struct probe *p = l->p;
	size_t kept = 0, i = 0;
	bool found = !l->database;

	for (; i < p->databases; i++) {
		struct probe_database *d = &p->database[i];
		bool own = true;

		if ((concerns(l, d->name) || l->want_empty || !strcmp(d->name, "admin")) && look_at_database(l, d, &own, err))
			break;
		found = found || concerns(l, d->name);
		if (own)
			p->database[kept++] = *d;
		else
			free(d->name);
	}
	for (; i < p->databases; i++)
		p->database[kept++] = p->database[i];
	p->databases = kept;
	if (kept)
		qsort(p->database, kept, sizeof *p->database, by_name);
	if (!err->code && !found)
		strlist_take(&p->impossible, xasprintf("there is no database %s, or this user may not see it", l->database));
	return err->code;
}

/* ---- all ---- */

/* Where reading at one moment cannot be had, or is not wanted: why. */
static enum status judge_span(struct looking *l, const char *why, struct error *err)
{
	struct mo_span s = MO_SPAN_INIT;

	if (mo_span_begin(l->run, l->c, &s, err))
		return err->code;
	CLEANUP(cstr_release) char *grant = s.no_right && l->user ? grant_text(l, "backup", "admin") : NULL;
	if (s.has)
		strlist_take(&l->p->limits, xasprintf("a backup fails where the oplog does not hold every change for as long as it reads: it takes the oplog along to be of"
						      " one moment, since %s", why));
	else
		strlist_take(&l->p->limits, xasprintf("the collections of a backup are not of one moment: %s%s%s%s%s%s", why, l->c->server.set_name ? ", and " : "",
						      l->c->server.set_name ? s.why_not : "", grant ? " (" : "", grant ? grant : "", grant ? ")" : ""));
	mo_span_release(&s);
	return ST_OK;
}

static enum status judge_moment(struct looking *l, struct error *err)
{
	struct mo_moment m = MO_MOMENT_INIT;
	uint64_t window = 0;

	if (mo_params(l->c->e)->moment == MO_MOMENT_OPLOG)
		return judge_span(l, "that was asked for", err);
	enum status st = mo_moment_take(l->run, l->c, l->try_database ? l->try_database : l->database ? l->database : "admin",
					l->try_collection ? l->try_collection : "drtool", &m, err);

	if (!st && !m.has)
		st = judge_span(l, m.why_not, err);
	else if (!st && !(st = mo_moment_window(l->run, l->c, &window, err)) && window)
		strlist_take(&l->p->limits, xasprintf("a backup that reads for longer than %" PRIu64 " s fails (db.adminCommand({setParameter: 1,"
						      " minSnapshotHistoryWindowInSeconds: N}) on every member makes that longer, `moment: oplog` takes the"
						      " changes made meanwhile along instead)", window));
	mo_moment_release(&m);
	return st;
}

static enum status look(struct looking *l, struct error *err)
{
	if (mo_about_read(l->run, l->c, &l->about, err) || find_account(l, err) || list_databases(l, err) || look_at_databases(l, err) ||
	    judge_accounts(l, err) || judge_moment(l, err))
		return err->code;
	CLEANUP(cstr_release) char *weak = mo_about_weakness(&l->about);
	if (weak && !l->c->e->cluster)
		strlist_add(&l->p->limits, weak);
	if (strcmp(l->about.role, MO_ROLE_PRIMARY) != 0 && !l->about.data_time.us)
		strlist_take(&l->p->limits, xasprintf("%s does not tell how old its data are, so max_lag cannot be kept", l->c->server.where));
	l->p->identity = xstrdup(l->about.identity);
	l->p->version = xstrdup(l->about.version);
	l->p->role = xstrdup(l->about.role);
	l->p->data_time = l->about.data_time;
	return ST_OK;
}

enum status mo_probe(struct run *run, const struct endpoint *e, bool want_empty, struct probe *p, struct error *err)
{
	CLEANUP(looking_release) struct looking l = {.run = run, .about = MO_ABOUT_INIT, .p = p, .want_empty = want_empty};

	if (mo_conn_url_database(e, &l.database, err) || mo_conn_open(run, e, MO_READ, &l.c, err))
		return err->code;
	return look(&l, err);
}
