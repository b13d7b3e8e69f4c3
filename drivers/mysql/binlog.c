#include "drivers/mysql/binlog.h"

#include "drivers/mysql/load.h"
#include "drivers/mysql/upstream.h"

void my_binlog_choice_release(struct my_binlog_choice *x)
{
	free(x->refusal);
	free(x->warning);
	free(x->step);
	*x = (struct my_binlog_choice)MY_BINLOG_CHOICE_INIT;
}

enum status my_binlog_leave(struct run *run, struct my_conn *c, struct error *err)
{
	return my_conn_command(run, c, "SET SESSION sql_log_bin = 0", err);
}

void my_binlog_tell(const struct endpoint *e)
{
	notes_tell(e->notes, "the restore is not in the binlog of the server: a point in time after it needs a new backup");
}

/* ---- what there is ---- */

struct choosing {
	const struct my_binlog_request *q;
	struct my_binlog_choice *x;
	struct strlist who; /* replicas that are attached */
	bool seen;          /* this account sees them */
	bool galera, may;   /* may: leave the binlog */
	char *names;        /* of who, in short */
};

static void choosing_release(struct choosing *k)
{
	strlist_release(&k->who);
	free(k->names);
}

static enum status is_galera(struct run *run, struct my_conn *c, bool *galera, struct error *err)
{
	CLEANUP(cstr_release) char *on = NULL;

	if (my_conn_shown(run, c, "SHOW VARIABLES LIKE 'wsrep_on'", &on, err))
		return err->code;
	*galera = my_field_bool(on);
	return ST_OK;
}

static enum status look(struct run *run, struct my_conn *c, struct choosing *k, struct error *err)
{
	CLEANUP(error_release) struct error why = ERROR_INIT;

	if (my_replicas_attached(run, c, &k->who, &k->seen, err) || is_galera(run, c, &k->galera, err))
		return err->code;
	if (k->who.len)
		k->names = k->who.len > 1 ? xasprintf("%s and %zu more", k->who.item[0], k->who.len - 1) : xstrdup(k->who.item[0]);
	k->may = !my_binlog_leave(run, c, &why);
	if (!k->may && !my_conn_errno(&why))
		return error_move(err, &why);
	return ST_OK;
}

static const char *right(const struct choosing *k)
{
	const struct my_server *s = k->q->server;

	return s->mariadb ? s->number < 100502 ? "SUPER" : "BINLOG ADMIN" : s->number < 80014 ? "SUPER" : "SESSION_VARIABLES_ADMIN";
}

/* ---- the choice ---- */

static void out(struct choosing *k)
{
	k->x->out = true;
	k->x->step = xasprintf("keep %s out of the binlog: a point in time after it needs a new backup", k->q->what);
}

static void through(struct choosing *k) { k->x->step = xasprintf("%s goes through the binlog", k->q->what); }

static void follow(struct choosing *k)
{
	if (k->q->copy == LOAD_UNLOGGED)
		k->x->refusal = xasprintf("the copy is not in the binlog, so replicas do not have it (%s), and would break: take --replicas rebuild, or"
					  " restore once more with --replicas follow", k->names ? k->names : "none is seen now");
	else if (k->q->copy == LOAD_LOGGED_UNKNOWN && k->who.len)
		k->x->refusal = xasprintf("whether the copy went through the binlog is not known on this machine, so whether the replicas have it (%s):"
					  " exchange it where it was restored, or take --replicas rebuild", k->names);
	else
		through(k);
}

static void rebuild(struct choosing *k)
{
	if (k->galera) {
		k->x->refusal = xasprintf("the server is a node of a Galera cluster: what is kept out of the binlog would make it differ from the others;"
					  " take --replicas follow");
		return;
	}
	if (!k->may) {
		k->x->refusal = xasprintf("--replicas rebuild keeps %s out of the binlog, which this account may not: GRANT %s ON *.* TO it, or take"
					  " --replicas follow", k->q->what, right(k));
		return;
	}
	out(k);
	if (k->who.len)
		k->x->warning = xasprintf("the replicas of this server do not get %s and differ from it: build them anew (%s)", k->q->what, k->names);
}

static void refuse(struct choosing *k)
{
	k->x->refusal = xasprintf("replicas follow this server (%s): with --replicas follow %s goes through the binlog, so that they get it, too;"
				  " with --replicas rebuild it is kept out of it, and they have to be built anew", k->names, k->q->what);
}

/* Nobody is seen to follow. Tables that come into a database with a life of its own go the way of its other changes. */
static void alone(struct choosing *k)
{
	bool unlogged = k->q->copy == LOAD_UNLOGGED;

	if (unlogged && !k->may) {
		k->x->refusal = xasprintf("the copy is not in the binlog, and this account may not keep %s out of it: GRANT %s ON *.* TO it", k->q->what,
					  right(k));
		return;
	}
	if (unlogged || (!k->q->live && !k->galera && k->seen && k->may && k->q->copy != LOAD_LOGGED)) {
		out(k);
		return;
	}
	through(k);
	if (!k->seen)
		k->x->warning = xasprintf("this account may not see whether replicas follow this server: %s goes through the binlog and would reach them"
					  " (GRANT %s)", k->q->what, k->q->server->mariadb ? "REPLICATION MASTER ADMIN, PROCESS" : "REPLICATION SLAVE, PROCESS");
	else if (!k->may && !k->q->live && !k->galera)
		k->x->warning = xasprintf("%s goes through the binlog, which keeps as much again: this account may not leave it (GRANT %s)", k->q->what,
					  right(k));
}

static void choose_scratch(struct choosing *k)
{
	k->x->out = k->may && !k->galera;
	if (!k->x->out && k->who.len)
		k->x->refusal = xasprintf("replicas follow this server (%s) and would get the throwaway copy: GRANT %s ON *.* to this account, or take a"
					  " server without", k->names, right(k));
}

static void choose(struct choosing *k)
{
	int wanted = my_params(k->q->e)->replicas;

	if (k->q->scratch)
		choose_scratch(k);
	else if (wanted == MY_REPLICAS_FOLLOW)
		follow(k);
	else if (wanted == MY_REPLICAS_REBUILD)
		rebuild(k);
	else if (k->who.len)
		refuse(k);
	else
		alone(k);
}

enum status my_binlog_choose(struct run *run, struct my_conn *c, const struct my_binlog_request *q, struct my_binlog_choice *x,
			     struct error *err)
{
	CLEANUP(choosing_release) struct choosing k = {.q = q, .x = x};

	if (q->server->replica) {
		x->refusal = xasprintf("the server is a replica: what is written there would make it differ from its source; restore into the source"
				       " (where this server is no replica any more, RESET REPLICA ALL says so)");
		return ST_OK;
	}
	if (!strcmp(q->server->role, MY_ROLE_UNKNOWN) && !q->scratch)
		notes_add(q->e->notes, "this account lacks %s, so it is not known whether the server is itself a replica", my_upstream_right(c));
	if (!q->server->binlog)
		return ST_OK;
	if (look(run, c, &k, err))
		return err->code;
	choose(&k);
	return x->out || !k.may ? ST_OK : my_conn_command(run, c, "SET SESSION sql_log_bin = 1", err);
}
