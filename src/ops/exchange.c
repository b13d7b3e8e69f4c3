/* drtool exchange RUN: put a copy in place, go back, drop what was set aside. */
#include "ops/bind.h"
#include "ops/internal.h"

struct exchanging {
	struct journal *journal;
	struct journal_head head;
	struct op_source target; /* of the journal */
	struct tmpdir dir;
};

static void exchanging_release(struct exchanging *x)
{
	journal_freep(&x->journal);
	journal_head_release(&x->head);
	if (x->target.url)
		op_source_release(&x->target);
	tmpdir_release(&x->dir);
}

/* Looks on one server for databases that carry the run in their name. */
static enum status look(struct op_env *env, const struct op_source *s, const struct tmpdir *dir, const char *run, struct exchange_request *q, struct error *err)
{
	struct endpoint e = endpoint_of(env, s, dir);

	q->action = EXCHANGE_LOOK;
	q->run = run;
	return s->driver->exchange(env->run, &e, q, err);
}

static void pairs_release(struct exchange_pair *pair, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(pair[i].name);
		free(pair[i].loaded);
		free(pair[i].aside);
	}
	free(pair);
}

/* The journal knows the URL of a server that no configuration has; a password it does not know. */
static enum status look_by_journal(struct op_env *env, const struct exchange_request_op *q, struct exchanging *x, struct exchange_request *found,
				   const struct op_source **server, struct error *err)
{
	const struct driver *d = x->head.driver ? driver_named(x->head.driver) : NULL;
	CLEANUP(cstr_release) char *database = NULL;

	if (!d || !(d->caps & DRIVER_EXCHANGE))
		return error_set(err, ST_NOT_FOUND, "no server is known");
	if (bind_target(env->run, q->bind, x->head.url, NULL, &x->target, &database, err))
		return err->code;
	*server = &x->target;
	return look(env, &x->target, &x->dir, x->head.run, found, err);
}

/* The server is the configured one on which the run's names are found, else that of the journal. */
static enum status find_server(struct op_env *env, const struct exchange_request_op *q, struct exchanging *x, struct exchange_request *found,
			       const struct op_source **server, struct error *err)
{
	CLEANUP(error_release) struct error first = ERROR_INIT;

	if (q->source) {
		*server = q->source;
		return look(env, q->source, &x->dir, q->run, found, err);
	}
	for (size_t i = 0; i < q->sources; i++) {
		CLEANUP(error_release) struct error e = ERROR_INIT;

		if (!(q->configured[i]->driver->caps & DRIVER_EXCHANGE))
			continue;
		enum status st = look(env, q->configured[i], &x->dir, q->run, found, &e);
		if (!st && found->pairs) {
			*server = q->configured[i];
			return ST_OK;
		}
		if (st) {
			error_add(&e, "source %s", q->configured[i]->name);
			error_keep_first(&first, &e);
		}
		pairs_release(found->pair, found->pairs);
		*found = (struct exchange_request){0};
	}
	if (x->journal && !look_by_journal(env, q, x, found, server, err))
		return ST_OK;
	if (err->code == ST_REFUSED)
		error_keep_first(&first, err);
	error_release(err);
	if (first.code)
		return error_move(err, &first);
	error_set(err, ST_NOT_FOUND, "no server that is configured has a database of run %s", q->run);
	return error_hint(err, "Name the server: drtool exchange %s --into URL", q->run);
}

static enum status check_state(const struct exchange_request *found, enum exchange_action action, const char *run, struct error *err)
{
	for (size_t i = 0; i < found->pairs; i++) {
		const struct exchange_pair *p = &found->pair[i];

		if (action == EXCHANGE_PUT && !p->loaded_exists)
			return error_set(err, ST_REFUSED, "%s is not there: run %s is in place already, or was dropped", p->loaded, run);
		/* After going back the restored copy is what can be dropped. */
		if (action != EXCHANGE_PUT && !p->aside_exists && (action == EXCHANGE_BACK || !p->loaded_exists))
			return error_set(err, ST_REFUSED, "%s is not there: nothing of run %s is set aside", p->aside, run);
	}
	if (!found->pairs)
		return error_set(err, ST_NOT_FOUND, "this server has no database of run %s", run);
	return ST_OK;
}

static enum status ask(struct op_env *env, const struct exchange_request *found, enum exchange_action action, struct error *err)
{
	CLEANUP(buf_release) struct buf question = BUF_INIT;

	for (size_t i = 0; i < found->pairs; i++) {
		const struct exchange_pair *p = &found->pair[i];

		if (action == EXCHANGE_PUT)
			buf_printf(&question, "%s takes the place of %s%s%s. ", p->loaded, p->name, p->name_exists ? ", which is kept as " : "", p->name_exists ? p->aside : "");
		else if (action == EXCHANGE_BACK)
			buf_printf(&question, "%s takes its place as %s back, the restored copy is kept as %s. ", p->aside, p->name, p->loaded);
		else
			buf_printf(&question, "%s is DROPPED for ever. ", p->aside_exists ? p->aside : p->loaded);
	}
	buf_puts(&question, action == EXCHANGE_DROP ? "Go on?" : "Sessions in their way are ended. Go on?");
	return op_confirm(env, buf_str(&question), err);
}

/* The driver's exchange. What is dropped is in the result as what was set aside, also where it is the restored copy. */
static enum status act(struct op_env *env, const struct endpoint *e, const struct op_source *server, struct exchange_request *q, struct error *err)
{
	bool *aside = xcalloc(q->pairs, sizeof *aside);

	for (size_t i = 0; i < q->pairs; i++)
		aside[i] = q->pair[i].aside_exists;
	enum status st = server->driver->exchange(env->run, e, q, err);
	for (size_t i = 0; !st && i < q->pairs && q->action == EXCHANGE_DROP; i++)
		if (!aside[i]) {
			free(q->pair[i].aside);
			q->pair[i].aside = xstrdup(q->pair[i].loaded);
		}
	free(aside);
	return st;
}

enum status op_exchange(struct op_env *env, const struct exchange_request_op *q, struct exchange_result *r, struct error *err)
{
	CLEANUP(exchanging_release) struct exchanging x = {0};
	CLEANUP(error_release) struct error no_journal = ERROR_INIT;
	struct exchange_request found = {0};
	const struct op_source *server = NULL;

	if (strlen(q->run) != 6 || strspn(q->run, "0123456789abcdef") != 6)
		return error_set(err, ST_USAGE, "%s is no run: six hex digits, as the restore printed them", q->run);
	if (tmpdir_make(&x.dir, "drtool", err))
		return err->code;
	if (journal_open(env, NULL, q->run, &x.journal, &x.head, &no_journal))
		notes_add(env->notes, "%s; looking on the servers themselves", error_text(&no_journal));
	if (find_server(env, q, &x, &found, &server, err)) {
		pairs_release(found.pair, found.pairs);
		return err->code;
	}
	r->pair = found.pair;
	r->pairs = found.pairs;
	if (check_state(&found, q->action, q->run, err) || ask(env, &found, q->action, err))
		return err->code;
	struct endpoint e = endpoint_of(env, server, &x.dir);
	found.action = q->action;
	found.logged = !x.journal ? LOAD_LOGGED_UNKNOWN : journal_has(x.journal, JOURNAL_UNLOGGED, "") ? LOAD_UNLOGGED : LOAD_LOGGED;
	const enum load_logged before = found.logged;
	if (act(env, &e, server, &found, err))
		return err->code;
	if (found.logged == LOAD_UNLOGGED && found.logged != before && journal_write(x.journal, JOURNAL_UNLOGGED, "", NULL, err))
		return err->code;
	const char *event = q->action == EXCHANGE_PUT ? "exchanged" : q->action == EXCHANGE_BACK ? "back" : "dropped";
	return journal_write(x.journal, event, "", NULL, err);
}

void exchange_result_release(struct exchange_result *r)
{
	pairs_release(r->pair, r->pairs);
	*r = (struct exchange_result){0};
}
