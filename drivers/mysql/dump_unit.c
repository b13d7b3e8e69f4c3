/* The rows of a unit. */
#include "drivers/mysql/dump.h"

struct reading {
	struct row_sink *rows;
	struct buf line;
	uint64_t count;
};

static void reading_release(struct reading *r) { buf_release(&r->line); }

static enum status give_row(void *ctx, char *const *field, const unsigned long *len, unsigned fields, struct error *err)
{
	struct reading *r = ctx;

	my_row_text(&r->line, field, len, fields);
	r->count++;
	return r->rows->row(r->rows, r->line.data, r->line.len, err);
}

static enum status run_again(const struct my_dump *d, struct error *err)
{
	err->retry = true;
	return error_hint(err, d->server.mariadb || d->server.number < 80000 || d->guard
				       ? "Run the backup again when no migration is at work."
				       : "Run the backup again when no migration is at work; lock_ddl: true makes migrations wait.");
}

enum status my_dump_altered(const struct my_dump *d, const char *what, struct error *err)
{
	error_set(err, ST_SERVER, "%s was altered while it was dumped", what);
	return run_again(d, err);
}

/* Table definition has changed; no such table, column or object; the server's own words would not tell what to do. */
enum status my_unit_altered(const struct my_dump *d, const char *shown, struct error *err)
{
	unsigned number = my_conn_errno(err);

	if (number != 1412 && number != 1146 && number != 1054 && number != 1305 && number != 1176)
		return error_add(err, "table %s", shown);
	CLEANUP(cstr_release) char *said = xstrdup(error_text(err));
	char native[sizeof err->native];
	memcpy(native, err->native, sizeof native);
	error_set(err, ST_SERVER, "table %s was altered while it was dumped (%s)", shown, said);
	error_native(err, native);
	return run_again(d, err);
}

/* That words of the statement, such as the name of a character set, will go one day. */
static bool is_of_words(const char *number)
{
	static const char *const numbers[] = {"1287", "1681", "3719", "3720", "3778"};

	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		if (!strcmp(number, numbers[i]))
			return true;
	return false;
}

struct warnings {
	struct buf first; /* of those that matter */
	unsigned shown;
};

static void warnings_release(struct warnings *w) { buf_release(&w->first); }

static enum status take_warning(void *ctx, char *const *field, const unsigned long *len UNUSED, unsigned fields UNUSED, struct error *err UNUSED)
{
	struct warnings *w = ctx;

	w->shown++;
	if (!w->first.len && strcasecmp(field[0], "Note") && !is_of_words(field[1]))
		buf_printf(&w->first, "%s: %s", field[1], field[2]);
	return ST_OK;
}

/* Where a value cannot be given as it is, servers may give another, with no more than a warning. */
static enum status check_warnings(struct run *run, struct my_conn *c, struct error *err)
{
	CLEANUP(warnings_release) struct warnings w = {.shown = 0};
	unsigned count = my_conn_warning_count(c);

	if (!count)
		return ST_OK;
	if (my_conn_each(run, c, "SHOW WARNINGS", take_warning, &w, err))
		return err->code;
	/* With max_error_count=0 servers count them, and keep none. */
	if (!w.shown)
		buf_printf(&w.first, "%u warnings", count);
	return w.first.len ? error_set(err, ST_SERVER, "the server gave rows otherwise than they are: %s", buf_str(&w.first)) : ST_OK;
}

enum status my_unit_read(struct run *run, struct my_conn *c, struct my_table *t, const struct dump_unit *u, struct row_sink *rows,
			 struct error *err)
{
	CLEANUP(reading_release) struct reading r = {.rows = rows};
	CLEANUP(buf_release) struct buf sql = BUF_INIT;

	buf_puts(&sql, t->select);
	my_ranges_where(&t->ranges, u->range, &sql);
	buf_puts(&sql, t->order);
	if (my_snapshot_savepoint(run, c, err) || my_conn_each(run, c, buf_str(&sql), give_row, &r, err) || check_warnings(run, c, err) ||
	    my_snapshot_let_go(run, c, err))
		return err->code;
	atomic_fetch_add(&t->rows, r.count);
	return ST_OK;
}
