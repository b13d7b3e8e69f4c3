#include "drivers/postgres/load.h"
#include "drivers/postgres/pgdriver.h"
#include "util/failpoint.h"

#define SWAP_TRIES 8
#define OBJECT_IN_USE "55006"
#define CUT_BYTES ((size_t)60) /* a name that was cut has 63 bytes, or fewer by a part of its last character */

/* The state of an exchange is on the server, in the names: nothing else has to be remembered, and a call after a broken one goes
 * on from what it finds. Both renames are one transaction. */

static enum status fill_pair(struct run *run, struct conn *admin, struct exchange_pair *p, struct error *err)
{
	return database_exists(run, admin, p->name, &p->name_exists, err) ||
		database_exists(run, admin, p->loaded, &p->loaded_exists, err) ||
			       database_exists(run, admin, p->aside, &p->aside_exists, err)
		       ? err->code
		       : ST_OK;
}

/* ---- by the run's names ---- */

static bool pair_known(const struct exchange_request *q, const char *name)
{
	for (size_t i = 0; i < q->pairs; i++)
		if (!strcmp(q->pair[i].name, name))
			return true;
	return false;
}

/* Takes name. */
static void add_pair(struct exchange_request *q, char *name)
{
	if (pair_known(q, name)) {
		free(name);
		return;
	}
	q->pair = xrealloc(q->pair, (q->pairs + 1) * sizeof *q->pair);
	q->pair[q->pairs++] = (struct exchange_pair){
		.name = name,
		.loaded = database_beside(name, "_restore_", q->run),
		.aside = database_beside(name, "_before_", q->run),
	};
}

static bool ends_with(const char *s, const char *tail)
{
	size_t n = strlen(s), t = strlen(tail);

	return n > t && !strcmp(s + n - t, tail);
}

static void put_alter(struct buf *sql, const char *name, const char *what)
{
	buf_puts(sql, "ALTER DATABASE ");
	sql_ident(sql, name);
	buf_printf(sql, " %s", what);
}

static enum status which_by_hand(const char *found, struct error *err)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;

	put_alter(&sql, found, "RENAME TO ...");
	return error_hint(err, "Nothing was changed. Rename it by hand: %s; or restore once more under a short name with --rename.",
			  buf_str(&sql));
}

/* The name that became this one, NULL where found is not of this run. A long name was cut: then it is known only by the one
 * database that is there and would be cut so. */
static enum status name_of(const PGresult *all, const char *found, const char *word, const char *run_id, char **name,
			   struct error *err)
{
	CLEANUP(cstr_release) char *tail = xasprintf("%s%s", word, run_id), *any = xasprintf("_%s", run_id);
	const char *fits = NULL;

	*name = NULL;
	if (!ends_with(found, tail))
		return ST_OK;
	for (int i = 0; i < PQntuples(all); i++) {
		const char *other = res_text(all, i, 0);
		CLEANUP(cstr_release) char *made = database_beside(other, word, run_id);

		/* A long name of this run, cut again, would be itself. */
		if (ends_with(other, any) || strcmp(made, found))
			continue;
		if (fits) {
			error_set(err, ST_REFUSED, "%s may belong to %s or to %s: long names are cut", found, fits, other);
			return which_by_hand(found, err);
		}
		fits = other;
	}
	if (!fits && strlen(found) >= CUT_BYTES) {
		error_set(err, ST_REFUSED, "%s may belong to a database whose long name was cut, and none that is there fits", found);
		return which_by_hand(found, err);
	}
	*name = fits ? xstrdup(fits) : xstrndup(found, strlen(found) - strlen(tail));
	return ST_OK;
}

static enum status find_pairs(struct run *run, struct conn *admin, struct exchange_request *q, struct error *err)
{
	static const char *const words[] = {"_restore_", "_before_"};
	CLEANUP(conn_result_free) PGresult *r = NULL;

	if (conn_query(run, admin, SQL("SELECT datname FROM pg_catalog.pg_database ORDER BY datname"), &r, err))
		return err->code;
	for (int i = 0; i < PQntuples(r); i++)
		for (size_t k = 0; k < ARRAY_LEN(words); k++) {
			char *name;

			if (name_of(r, res_text(r, i, 0), words[k], q->run, &name, err))
				return err->code;
			if (name)
				add_pair(q, name);
		}
	return ST_OK;
}

/* ---- renames ---- */

static void put_rename(struct buf *sql, const char *from, const char *to)
{
	put_alter(sql, from, "RENAME TO ");
	sql_ident(sql, to);
	buf_putc(sql, ';');
}

/* Once more right before the renames, which let no session in while they wait for those that are ending. */
static void put_terminate(struct buf *sql, const char *name)
{
	buf_puts(sql, "SELECT pg_catalog.count(pg_catalog.pg_terminate_backend(pid)) FROM pg_catalog.pg_stat_activity"
		      " WHERE pid <> pg_catalog.pg_backend_pid() AND datname = ");
	sql_literal(sql, name);
	buf_putc(sql, ';');
}

/* out -> away (NULL: nothing is there), in -> out. */
struct swap {
	const char *out, *away, *in;
};

static enum status swap_in_transaction(struct run *run, struct conn *admin, const struct swap *s, struct error *err)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;
	CLEANUP(error_release) struct error ignored = ERROR_INIT;

	buf_puts(&sql, "BEGIN;");
	put_terminate(&sql, s->in);
	if (s->away) {
		put_terminate(&sql, s->out);
		put_rename(&sql, s->out, s->away);
	}
	put_rename(&sql, s->in, s->out);
	buf_puts(&sql, "COMMIT");
	if (failpoint("postgres.exchange.before", err) || conn_command(run, admin, buf_str(&sql), err)) {
		if (PQstatus(admin->pg) == CONNECTION_OK && PQtransactionStatus(admin->pg) != PQTRANS_IDLE)
			(void)!conn_command(run, admin, "ROLLBACK", &ignored);
		return err->code;
	}
	return ST_OK;
}

static enum status try_swap(struct run *run, struct conn *admin, const struct swap *s, struct error *err)
{
	if (database_quiet(run, admin, s->in, err) || (s->away && database_quiet(run, admin, s->out, err)))
		return err->code;
	return swap_in_transaction(run, admin, s, err);
}

/* The databases are never closed to connections: whoever dies here, or whatever the network does, nobody is left locked out. A
 * session that slips in between makes the rename fail, which is tried again. */
static enum status swap(struct run *run, struct conn *admin, const struct swap *s, struct error *err)
{
	int tries = 0;

	while (try_swap(run, admin, s, err) && !strcmp(err->native, OBJECT_IN_USE) && ++tries < SWAP_TRIES)
		error_release(err);
	if (err->code)
		return error_add(err, "putting the database %s in the place of %s", s->in, s->out);
	return ST_OK;
}

/* ---- the actions ---- */

static enum status check_complete(struct run *run, const struct endpoint *e, const struct exchange_request *q,
				  const struct exchange_pair *p, struct error *err)
{
	CLEANUP(conn_freep) struct conn *c = NULL;
	bool marked = false, complete = false;

	if (load_connect(run, e, p->loaded, &c, err) || mark_exists(run, c, q->run, &marked, err))
		return err->code;
	if (!marked)
		return ST_OK;
	if (mark_state(run, c, q->run, "complete", &complete, err))
		return err->code;
	if (complete)
		return mark_remove(run, c, q->run, err);
	error_set(err, ST_REFUSED, "the database %s is not restored completely", p->loaded);
	return error_hint(err, "Finish the restore with --resume=%s first.", q->run);
}

static enum status put(struct run *run, const struct endpoint *e, struct conn *admin, const struct exchange_request *q,
		       struct exchange_pair *p,
		       struct error *err)
{
	if (!p->loaded_exists && p->name_exists && p->aside_exists)
		return ST_OK; /* done before */
	if (!p->loaded_exists)
		return error_set(err, ST_NOT_FOUND, "there is no database %s to put in the place of %s", p->loaded, p->name);
	if (p->name_exists && p->aside_exists)
		return error_set(err, ST_REFUSED, "%s cannot be set aside: %s is there already", p->name, p->aside);
	if (check_complete(run, e, q, p, err))
		return err->code;
	const struct swap s = {.out = p->name, .away = p->name_exists ? p->aside : NULL, .in = p->loaded};
	return swap(run, admin, &s, err);
}

static enum status back(struct run *run, struct conn *admin, struct exchange_pair *p, struct error *err)
{
	if (!p->aside_exists && p->name_exists && p->loaded_exists)
		return ST_OK;
	if (!p->aside_exists)
		return error_set(err, ST_NOT_FOUND, "there is no database %s to go back to", p->aside);
	if (p->name_exists && p->loaded_exists)
		return error_set(err, ST_REFUSED, "%s cannot be moved away: %s is there already", p->name, p->loaded);
	const struct swap s = {.out = p->name, .away = p->name_exists ? p->loaded : NULL, .in = p->aside};
	return swap(run, admin, &s, err);
}

/* A restored subscription holds its database and was never enabled; the slot that it names is another's. */
static enum status forget_subscriptions(struct run *run, const struct endpoint *e, const char *database, struct error *err)
{
	CLEANUP(conn_freep) struct conn *c = NULL;
	CLEANUP(conn_result_free) PGresult *r = NULL;

	if (load_connect(run, e, database, &c, err) ||
	    conn_query(run, c, SQL("SELECT pg_catalog.format('ALTER SUBSCRIPTION %1$I SET (slot_name = NONE); DROP SUBSCRIPTION"
				   " %1$I', subname)"
				   " FROM pg_catalog.pg_subscription WHERE NOT subenabled AND subdbid ="
				   " (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())"),
		       &r, err))
		return err->code;
	for (int i = 0; i < PQntuples(r); i++)
		if (conn_command(run, c, res_text(r, i, 0), err))
			return err->code;
	return ST_OK;
}

static enum status drop(struct run *run, const struct endpoint *e, struct conn *admin, struct exchange_pair *p, struct error *err)
{
	if (!strcmp(p->name, p->loaded)) {
		bool invalid = false;

		if (database_invalid(run, admin, p->loaded, &invalid, err))
			return err->code;
		if (p->loaded_exists && !invalid && forget_subscriptions(run, e, p->loaded, err))
			return err->code;
		return database_drop(run, admin, p->loaded, err);
	}
	if (!p->name_exists && (p->aside_exists || p->loaded_exists))
		return error_set(err, ST_REFUSED, "there is no database %s now: put one in its place before the other is dropped",
				 p->name);
	if (p->aside_exists && p->loaded_exists)
		return error_set(err, ST_REFUSED, "both %s and %s are there: neither is known to be needless", p->aside, p->loaded);
	if (p->aside_exists)
		return database_drop(run, admin, p->aside, err);
	/* After going back the restored copy is what was set aside. */
	return p->loaded_exists ? database_drop(run, admin, p->loaded, err) : ST_OK;
}

static enum status act(struct run *run, const struct endpoint *e, struct conn *admin, const struct exchange_request *q,
		       struct exchange_pair *p,
		       struct error *err)
{
	switch (q->action) {
	case EXCHANGE_PUT:
		return put(run, e, admin, q, p, err);
	case EXCHANGE_BACK:
		return back(run, admin, p, err);
	case EXCHANGE_DROP:
		return drop(run, e, admin, p, err);
	case EXCHANGE_LOOK:
		break;
	}
	return ST_OK;
}

static enum status connect_apart(struct run *run, const struct endpoint *e, const struct exchange_request *q, struct conn **admin,
				 struct error *err)
{
	CLEANUP(strlist_release) struct strlist avoid = STRLIST_INIT;

	for (size_t i = 0; i < q->pairs; i++) {
		strlist_add(&avoid, q->pair[i].name);
		strlist_add(&avoid, q->pair[i].loaded);
		strlist_add(&avoid, q->pair[i].aside);
	}
	return load_connect_admin(run, e, &avoid, admin, err);
}

enum status pg_exchange(struct run *run, const struct endpoint *e, struct exchange_request *q, struct error *err)
{
	CLEANUP(conn_freep) struct conn *admin = NULL;

	if (connect_apart(run, e, q, &admin, err))
		return err->code;
	if (q->action == EXCHANGE_LOOK && !q->pairs && find_pairs(run, admin, q, err))
		return err->code;
	for (size_t i = 0; i < q->pairs; i++)
		if (fill_pair(run, admin, &q->pair[i], err))
			return err->code;
	for (size_t i = 0; i < q->pairs; i++) {
		CLEANUP(error_release) struct error why = ERROR_INIT, ignored = ERROR_INIT;
		enum status st = act(run, e, admin, q, &q->pair[i], &why);

		/* As it is now, also where it failed. */
		(void)!fill_pair(run, admin, &q->pair[i], &ignored);
		if (st)
			return error_move(err, &why);
	}
	return ST_OK;
}
