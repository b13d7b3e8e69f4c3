#include "drivers/mongodb/dump.h"

#include "drivers/mongodb/load_log.h"

#include "drivers/mongodb/dump_text.h"
#include "util/failpoint.h"

#define MOMENT_TRIES 10

/* ---- open ---- */

static enum status check_age(struct run *run, const struct mo_dump *d, struct duration most, struct error *err)
{
	CLEANUP(buf_release) struct buf age = BUF_INIT;

	if (strcmp(d->about.role, MO_ROLE_PRIMARY) == 0 || !most.us)
		return ST_OK;
	if (!d->about.data_time.us) {
		error_set(err, ST_SERVER, "%s does not tell how old its data are (max_lag is set)", d->c->server.where);
		err->retry = true;
		return error_hint(err, "Look at the member's state, or take the backup from the primary.");
	}
	const struct duration lag = instant_diff(run_now(run), d->about.data_time);
	if (lag.us <= most.us)
		return ST_OK;
	duration_print(lag, &age);
	error_set(err, ST_FAILED, "the data of %s, a secondary, are %s old, more than max_lag allows", d->c->server.where, buf_str(&age));
	return error_hint(err, "Look at the replication of this member, or take the backup from the primary.");
}

static void describe(struct run *run, struct mo_dump *d, struct dump_info *info)
{
	CLEANUP(cstr_release) char *weak = mo_about_weakness(&d->about);

	if (!d->about.data_time.us) {
		d->about.data_time = run_now(run);
		notes_add(d->e->notes, "%s does not tell how old its data are: the backup counts as of now", d->c->server.where);
	}

	info->identity = xstrdup(d->about.identity);
	info->version = xstrdup(d->about.version);
	info->role = xstrdup(d->about.role);
	info->data_time = d->about.data_time;
	if (weak && !d->recorded && !d->e->cluster)
		notes_tell(d->e->notes, "%s", weak);
}

/* Where documents are of no one moment, definitions are not, either: what the log makes of them is read back when it is made. */
static enum status find_log(const struct mo_dump *d, struct dump_info *info, struct error *err)
{
	struct mo_log log;

	if (mo_log_find(d->recorded, &log, err) || !log.has)
		return err->code;
	info->not_compared = "";
	notes_tell(d->e->notes, "documents are compared before the log of the backup is replayed; definitions are read back when they are made");
	return ST_OK;
}

static enum status open_server(struct run *run, struct mo_dump *d, const struct dump_request *q, struct dump_info *info, struct error *err)
{
	/* What was just restored may not have reached the members that follow. */
	if (mo_conn_open(run, d->e, d->recorded ? MO_WRITE : MO_READ, &d->c, err) || mo_about_read(run, d->c, &d->about, err))
		return err->code;
	if (!d->recorded && check_age(run, d, q->max_lag, err))
		return err->code;
	describe(run, d, info);
	if (d->recorded && find_log(d, info, err))
		return err->code;
	for (size_t i = 0; d->recorded && i < q->scopes; i++)
		if (mo_dump_add_scope(d, q->scope[i].name, q->scope[i].database, err))
			return err->code;
	if (d->recorded)
		return ST_OK;
	return mo_dump_choose(run, d, q, info, err);
}

static const char *a_database(const struct mo_dump *d) { return d->scopes ? d->scope[0].where.database : "admin"; }

/* A collection to try the moment with. */
static const char *any_collection(const struct mo_dump *d, const char **database)
{
	for (size_t i = 0; i < d->scopes; i++)
		for (size_t k = 0; k < d->scope[i].listing.items; k++) {
			const struct mo_listed *l = &d->scope[i].listing.item[k];

			*database = d->scope[i].where.database;
			if (l->meta.kind == MO_COLLECTION && !mo_is_capped(l))
				return l->collection;
		}
	return NULL;
}

static enum status list_all(struct run *run, struct mo_dump *d, struct error *err)
{
	for (size_t i = 0; i < d->scopes; i++) {
		mo_listing_release(&d->scope[i].listing);
		if (mo_list(run, d->c, &d->scope[i].where, true, &d->scope[i].listing, err))
			return err->code;
	}
	return ST_OK;
}

/* With a log it is listed anew: all that is changed from its beginning on is in it. */
static enum status take_span(struct run *run, struct mo_dump *d, struct error *err)
{
	if (!d->scopes || mo_span_begin(run, d->c, &d->span, err) || !d->span.has)
		return err->code;
	return list_all(run, d, err);
}

/* Between two lists that are alike: so they are those of the moment, and what is made later is none of its. */
static enum status take_between_lists(struct run *run, struct mo_dump *d, struct error *err)
{
	CLEANUP(error_release) struct error difference = ERROR_INIT;

	for (int tries = 0; tries < MOMENT_TRIES; tries++) {
		const char *database = a_database(d);
		const char *collection = any_collection(d, &database);

		if (mo_moment_take(run, d->c, database, collection ? collection : "drtool", &d->moment, err) || !d->moment.has ||
		    mo_dump_relist(run, d, &difference, err))
			return err->code;
		if (!difference.code)
			return ST_OK;
	}
	return error_move(err, &difference);
}

static void tell_no_moment(const struct mo_dump *d, struct dump_info *info)
{
	const struct mo_server *s = &d->c->server;
	const bool alone = !s->set_name && !s->mongos;

	notes_add(d->e->notes, "%s%s%s, so the collections were read one after the other and are not of one moment%s", d->moment.why_not,
		  s->set_name && d->span.why_not ? ", and " : "", s->set_name && d->span.why_not ? d->span.why_not : "",
		  alone && !mo_about_is_other(s) ? "; to have one moment, run the server as a replica set of one member" : "");
	info->many_moments = true;
	strlist_add(&info->not_contained, "one moment of all documents: each is as it was when its collection was read");
}

/* Lists first: what is made or dropped from then on is found at the end of each scope. */
static enum status take_moment(struct run *run, struct mo_dump *d, struct dump_info *info, struct error *err)
{
	const bool asked = mo_params(d->e)->moment == MO_MOMENT_OPLOG;

	if (list_all(run, d, err) || (asked && take_span(run, d, err)))
		return err->code;
	if (d->span.has)
		d->moment.why_not = xstrdup("that was asked for");
	else if (take_between_lists(run, d, err))
		return err->code;
	mo_conn_share_time(d->c);
	if (!asked && !d->moment.has && take_span(run, d, err))
		return err->code;
	if (asked && d->moment.has)
		notes_add(d->e->notes, "the oplog is not taken along as was asked for: %s", d->span.why_not);
	if (mo_unit_try_no_timeout(run, d->c, a_database(d), &d->no_timeout, err))
		return err->code;
	for (size_t i = 0; i < d->scopes; i++) {
		if (mo_dump_find_later(run, d, &d->scope[i], err))
			return err->code;
		mo_dump_limits(&d->scope[i], d->span.has, &info->not_contained);
	}
	if (d->c->server.mongos)
		strlist_add(&info->not_contained, "how collections are divided among the shards: a restore makes them without");
	info->has_log = d->span.has;
	if (d->moment.has)
		notes_tell(d->e->notes, "all collections are of one moment (snapshot reads at cluster time %" PRIu32 ":%" PRIu32 ")", d->moment.t, d->moment.i);
	else if (!d->span.has)
		tell_no_moment(d, info);
	return ST_OK;
}

/* Of a member that follows another. */
static json_t *replication_of(const struct mo_dump *d)
{
	const struct mo_server *s = &d->c->server;
	CLEANUP(cstr_release) char *position = mo_moment_position(&d->moment);

	if (!s->secondary)
		return NULL;
	if (!position && s->has_majority)
		position = xasprintf("%" PRIu32 ":%" PRIu32, s->majority_t, s->majority_i);
	json_t *j = json_object();
	js_set_str(j, "set", s->set_name);
	js_set_str(j, "member", d->about.member ? d->about.member : s->where);
	js_set_str(j, "primary", d->about.primary);
	js_set_str(j, "position", position);
	js_set_str(j, "read", d->moment.has ? "snapshot" : "before");
	return j;
}

static void write_restore_text(const struct mo_dump *d, struct dump_info *info)
{
	const struct mo_server *s = &d->c->server;
	const struct mo_restore_about about = {
		.product = s->product ? s->product : "MongoDB",
		.version = s->version_text,
		.scope = (const char *const *)info->scopes.item,
		.scopes = info->scopes.len,
		.users = d->users != NULL,
		.roles = d->roles != NULL,
		.at_moment = d->moment.has || d->span.has,
		.log = d->span.has ? MO_LOG_SCOPE : NULL,
	};
	struct buf text = BUF_INIT;

	mo_restore_text(&about, &text);
	info->restore_text = buf_detach(&text);
	info->oldest_client = xstrdup(MO_OLDEST_CLIENT);
}

static enum status prepare(struct run *run, struct mo_dump *d, const struct dump_request *q, struct dump_info *info, struct error *err)
{
	if (open_server(run, d, q, info, err))
		return err->code;
	for (size_t i = 0; i < d->scopes; i++)
		strlist_add(&info->scopes, d->scope[i].name);
	if (d->recorded)
		return mo_unit_try_no_timeout(run, d->c, a_database(d), &d->no_timeout, err);
	if (mo_dump_read_users(run, d, info, err) || take_moment(run, d, info, err))
		return err->code;
	info->replication = replication_of(d);
	write_restore_text(d, info);
	if (d->span.has)
		strlist_add(&info->scopes, MO_LOG_SCOPE);
	return ST_OK;
}

enum status mo_dump_open(struct run *run, const struct endpoint *e, const struct dump_request *q, struct dump_info *info, void **to, struct error *err)
{
	struct mo_dump *d = xcalloc(1, sizeof *d);

	d->e = e;
	d->recorded = q->recorded;
	mutex_init(&d->life);
	if (prepare(run, d, q, info, err)) {
		mo_dump_close(d);
		return err->code;
	}
	*to = d;
	return ST_OK;
}

void mo_dump_close(void *dump)
{
	struct mo_dump *d = dump;
	struct mo_conn *c;

	/* A silent server keeps a goodbye for a while, and an interrupt must not wait for that. */
	mutex_lock(&d->life);
	c = d->c;
	d->c = NULL;
	mutex_unlock(&d->life);
	mo_conn_freep(&c);
	mo_dump_readings_release(d);
	for (size_t i = 0; i < d->scopes; i++) {
		free(d->scope[i].name);
		mo_where_release(&d->scope[i].where);
		mo_listing_release(&d->scope[i].listing);
		strlist_release(&d->scope[i].later);
	}
	free(d->scope);
	spool_freep(&d->users);
	spool_freep(&d->roles);
	mo_moment_release(&d->moment);
	mo_span_release(&d->span);
	free(d->log_folder);
	mo_about_release(&d->about);
	mutex_destroy(&d->life);
	free(d);
}

void mo_interrupt_dump(void *dump)
{
	struct mo_dump *d = dump;

	mutex_lock(&d->life);
	if (d->c)
		mo_conn_interrupt(d->c);
	mutex_unlock(&d->life);
}

/* ---- a scope ---- */

static struct instant time_of(struct run *run, const struct mo_dump *d)
{
	if (d->moment.has)
		return (struct instant){(int64_t)d->moment.t * 1000000};
	return strcmp(d->about.role, MO_ROLE_PRIMARY) == 0 ? run_now(run) : d->about.data_time;
}

enum status mo_scope_begin(struct run *run, void *dump, size_t i, struct scope_info *info, const struct object_sink *objects,
			   const struct entry_sink *entries, struct error *err)
{
	struct mo_dump *d = dump;

	mo_dump_readings_release(d);
	d->at = i;
	if (i == d->scopes)
		return mo_log_begin(run, d, info, objects, err);
	if (d->span.has && mo_span_kept(run, d->c, &d->span, err))
		return err->code;
	info->snapshot = time_of(run, d);
	info->position = mo_moment_position(&d->moment);
	if (mo_dump_objects(run, d, objects, err))
		return err->code;
	return d->recorded ? ST_OK : mo_dump_metadata(d, entries, err);
}

enum status mo_scope_end(struct run *run, void *dump, const struct entry_sink *entries, struct error *err)
{
	struct mo_dump *d = dump;

	if (d->at == d->scopes)
		return mo_log_end(d, entries, err);
	/* What changed is in the log, where there is one. */
	if (!d->recorded && ((!d->span.has && mo_dump_still(run, d, err)) || mo_dump_script(d, entries, err)))
		return err->code;
	mo_dump_readings_release(d);
	mo_listing_release(&mo_dump_scope(d)->listing);
	return ST_OK;
}

/* ---- workers ---- */

struct worker {
	struct mo_dump *d;
	struct mo_conn *c;
};

enum status mo_worker_open(struct run *run, void *dump, void **to, struct error *err)
{
	struct mo_dump *d = dump;
	struct mo_conn *c = NULL;

	/* Members of a set may be behind each other. */
	if (mo_conn_open_same(run, d->c, &c, err))
		return err->code;
	struct worker *w = xcalloc(1, sizeof *w);
	w->d = d;
	w->c = c;
	*to = w;
	return ST_OK;
}

enum status mo_dump_unit(struct run *run, void *worker, const struct dump_unit *u, struct row_sink *rows, struct error *err)
{
	struct worker *w = worker;

	if (failpoint("mongodb.unit", err))
		return err->code;
	return w->d->at == w->d->scopes ? mo_log_read(run, w->c, w->d, rows, err) : mo_unit_read(run, w->c, w->d, u, rows, err);
}

void mo_worker_close(void *worker)
{
	struct worker *w = worker;

	mo_conn_freep(&w->c);
	free(w);
}

void mo_interrupt_worker(void *worker)
{
	struct worker *w = worker;

	mo_conn_interrupt(w->c);
}
