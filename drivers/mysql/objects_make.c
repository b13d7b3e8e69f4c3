#include "drivers/mysql/objects.h"

#include "drivers/mysql/ddl.h"
#include "drivers/mysql/object_settings.h"

char *my_object_sql(const struct my_object *o)
{
	return o->kind == OBJECT_EVENT ? my_ddl_event_disabled(o->sql, o->sql_mode) : xstrdup(o->sql);
}

void my_text_account(const char *definer, char **name, char **host)
{
	const char *at = strrchr(definer, '@');

	*name = at ? xstrndup(definer, (size_t)(at - definer)) : xstrdup(definer);
	*host = xstrdup(at ? at + 1 : "");
}

/* ---- the text in the object's own character set ---- */

static char *bytes_of(const char *hex)
{
	size_t n = strlen(hex) / 2;
	char *text = xmalloc(n + 1);

	for (size_t i = 0; i < n; i++) {
		const char two[3] = {hex[2 * i], hex[2 * i + 1], 0};
		text[i] = (char)strtoul(two, NULL, 16);
	}
	text[n] = 0;
	return text;
}

/* The statement has to come in the bytes of character_set_client, since what has an introducer is taken as it comes. Where it cannot be
 * turned without loss, it comes as utf8mb4, and *client says so. */
static enum status in_charset(struct run *run, struct my_conn *c, const struct my_object *o, const char *sql, char **bytes,
			      const char **client, struct error *err)
{
	CLEANUP(my_conn_result_free) MYSQL_RES *r = NULL;
	CLEANUP(buf_release) struct buf ask = BUF_INIT;
	CLEANUP(error_release) struct error why = ERROR_INIT;
	MYSQL_ROW row;

	*bytes = NULL;
	*client = o->charset;
	if (!o->charset || my_text_is_plain(sql, o->charset))
		return ST_OK;
	buf_puts(&ask, "SELECT HEX(CONVERT(t USING ");
	my_sql_ident(&ask, o->charset);
	buf_puts(&ask, ")), CAST(CONVERT(CONVERT(t USING ");
	my_sql_ident(&ask, o->charset);
	buf_puts(&ask, ") USING utf8mb4) AS BINARY) = CAST(t AS BINARY) FROM (SELECT CONVERT(X'");
	buf_hex(&ask, sql, strlen(sql));
	buf_puts(&ask, "' USING utf8mb4) AS t) x");
	if (my_conn_query(run, c, buf_str(&ask), &r, &why) && !my_conn_errno(&why))
		return error_move(err, &why);
	row = r ? mysql_fetch_row(r) : NULL;
	if (row && row[0] && my_field_bool(row[1]))
		*bytes = bytes_of(row[0]);
	else
		*client = "utf8mb4";
	return ST_OK;
}

/* ---- settings of the session ---- */

struct own {
	MYSQL_RES *r; /* the session's own: sql_mode, character_set_client, collation_connection, time_zone, collation_database */
	MYSQL_ROW v;
	bool altered; /* the database has another collation for a moment */
};

static void own_release(struct own *o) { my_conn_result_free(&o->r); }

static enum status alter_collation(struct run *run, struct my_conn *c, const char *collation, struct error *err)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;

	my_put_database_collation(collation, &sql);
	return my_conn_command(run, c, buf_str(&sql), err);
}

/* The server records the database's collation, and gives it to arguments and variables of programs. */
static enum status set_up(struct run *run, struct my_conn *c, const struct my_object *o, const char *client, struct own *own,
			  struct error *err)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;

	my_put_settings(c, o, client, &sql);
	if (!sql.len)
		return ST_OK;
	if (my_conn_query(run, c, "SELECT @@sql_mode, @@character_set_client, @@collation_connection, @@time_zone, @@collation_database",
			  &own->r, err))
		return err->code;
	own->v = mysql_fetch_row(own->r);
	if (o->db_collation && own->v[4] && strcmp(o->db_collation, own->v[4])) {
		if (alter_collation(run, c, o->db_collation, err))
			return error_add(err, "the collation of the database for %s", o->name);
		own->altered = true;
	}
	return my_conn_command(run, c, buf_str(&sql), err);
}

static enum status put_back(struct run *run, struct my_conn *c, const struct own *own, struct error *err)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;

	if (!own->v)
		return ST_OK;
	const struct my_object before = {.sql_mode = own->v[0], .charset = own->v[1], .collation = own->v[2], .time_zone = own->v[3]};
	my_put_settings(c, &before, before.charset, &sql);
	if (my_conn_command(run, c, buf_str(&sql), err))
		return err->code;
	return own->altered ? alter_collation(run, c, own->v[4], err) : ST_OK;
}

/* ---- making ---- */

static void explain(const struct my_conn *c, struct error *err)
{
	switch (my_conn_errno(err)) {
	case 1227:
		error_hint(err, "To make what belongs to others, this account needs: GRANT %s ON *.* TO it;",
			   c->mariadb	       ? "SET USER"
			   : c->version < 80200 ? "SET_USER_ID"
						: "SET_ANY_DEFINER, ALLOW_NONEXISTENT_DEFINER");
		break;
	case 1418:
	case 1419:
		error_hint(err, "The server's binlog is on: SET GLOBAL log_bin_trust_function_creators = 1 lets programs in.");
		break;
	case 1298:
		error_hint(err, "The server has no table of time zones: mysql_tzinfo_to_sql (mariadb-tzinfo-to-sql) fills it.");
		break;
	default:
		break;
	}
}

static enum status run_under(struct run *run, struct my_conn *c, const struct my_object *o, const char *sql, struct error *err)
{
	CLEANUP(own_release) struct own own = {.r = NULL};
	CLEANUP(error_release) struct error after = ERROR_INIT;
	CLEANUP(cstr_release) char *bytes = NULL;
	const char *client;

	if (in_charset(run, c, o, sql, &bytes, &client, err))
		return err->code;
	if (!set_up(run, c, o, client, &own, err) && my_conn_command(run, c, bytes ? bytes : sql, err))
		explain(c, err);
	if (my_conn_lost(err))
		return err->code;
	if (put_back(run, c, &own, &after) && !err->code)
		return error_move(err, &after);
	return err->code;
}

enum status my_object_make(struct run *run, struct my_conn *c, const struct my_object *o, const char *sql, struct error *err)
{
	CLEANUP(cstr_release) char *own = sql ? NULL : my_object_sql(o);

	if (run_under(run, c, o, sql ? sql : own, err))
		return error_add(err, "making the %s %s", my_object_kind_name(o->kind), o->name);
	return ST_OK;
}

/* ---- views ---- */

struct rounds {
	struct run *run;
	struct my_conn *c;
	const struct my_object *const *view;
	size_t n;
	bool mine;     /* without their definers, so that they belong to who makes them */
	bool *made;
	size_t *order; /* as they were made */
	size_t done;
};

static enum status make_view(struct rounds *r, size_t i, struct error *err)
{
	const struct my_object *o = r->view[i];
	CLEANUP(cstr_release) char *own = r->mine ? my_ddl_with_definer(o->sql, NULL, NULL, NULL) : xstrdup(o->sql);
	const size_t n = strlen("CREATE");

	if (strncmp(own, "CREATE", n))
		return error_set(err, ST_BAD, "the text of the view %s is of no form that is known", o->name);
	CLEANUP(cstr_release) char *sql = xasprintf("CREATE OR REPLACE%s", own + n);
	return my_object_make(r->run, r->c, o, sql, err);
}

/* In rounds, until one makes none; *left: how many could not be made, without those that were invalid. */
static enum status make_all(struct rounds *r, size_t *left, struct error *err)
{
	size_t before;

	r->done = 0;
	memset(r->made, 0, r->n * sizeof *r->made);
	do {
		before = r->done;
		*left = 0;
		for (size_t i = 0; i < r->n; i++) {
			CLEANUP(error_release) struct error why = ERROR_INIT;

			if (r->made[i])
				continue;
			r->made[i] = !make_view(r, i, &why);
			if (!r->made[i] && !my_conn_errno(&why))
				return error_move(err, &why);
			if (r->made[i])
				r->order[r->done++] = i;
			*left += !r->made[i] && !r->view[i]->invalid;
		}
	} while (r->done > before && r->done < r->n);
	return ST_OK;
}

/* A view on a view is refused where the definer of that one has no right to what it names, as in a copy under another name. All are made as
 * of who makes them; then each gets its definer, those first that others do not name. */
static enum status make_backwards(struct rounds *r, size_t *left, struct error *err)
{
	r->mine = true;
	if (make_all(r, left, err))
		return err->code;
	r->mine = false;
	for (size_t i = r->done; i-- > 0;)
		if (make_view(r, r->order[i], err))
			return err->code;
	r->mine = true;
	return ST_OK;
}

/* Why the first of those that are left cannot be made, with the names of all. */
static enum status cannot(struct rounds *r, struct notes *notes, struct error *err)
{
	CLEANUP(buf_release) struct buf names = BUF_INIT;
	size_t n = 0, first = 0;

	for (size_t i = 0; i < r->n; i++) {
		if (r->made[i])
			continue;
		if (r->view[i]->invalid) {
			notes_add(notes, "view %s was invalid on the server of the backup, and is not made: its text is in the archive",
				  r->view[i]->name);
			continue;
		}
		first = n++ ? first : i;
		buf_printf(&names, "%s%s", names.len ? ", " : "", r->view[i]->name);
	}
	if (n && make_view(r, first, err))
		return error_add(err, "%zu view%s cannot be made (%s)", n, n == 1 ? "" : "s", buf_str(&names));
	return ST_OK;
}

enum status my_views_make(struct run *run, struct my_conn *c, const struct my_object *const *view, size_t n, struct notes *notes, struct error *err)
{
	struct rounds r = {.run = run, .c = c, .view = view, .n = n, .made = xcalloc(n + 1, sizeof *r.made), .order = xcalloc(n + 1, sizeof *r.order)};
	size_t left = 0;

	if (!make_all(&r, &left, err) && (!left || !make_backwards(&r, &left, err)) && cannot(&r, notes, err))
		error_hint(err, "What a view names has to be there before it.");
	free(r.made);
	free(r.order);
	return err->code;
}

/* ---- events ---- */

enum status my_event_status(struct run *run, struct my_conn *c, const struct my_object *o, struct notes *notes,
			    struct error *err)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;

	my_put_event_status(o, !c->mariadb && c->version >= 80200, &sql);
	if (!sql.len || !run_under(run, c, o, buf_str(&sql), err))
		return ST_OK;
	if (my_conn_errno(err) != 1539)
		return error_add(err, "the status of the event %s", o->name);
	error_release(err);
	notes_add(notes, "event %s is not made: its time was over, and it was to go then", o->name);
	return ST_OK;
}
