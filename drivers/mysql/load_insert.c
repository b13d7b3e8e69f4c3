/* Rows by INSERT, for servers that forbid LOAD DATA LOCAL: the same rows, the same expressions, many rows a statement. */
#include "drivers/mysql/load.h"

#define ROOM ((uint64_t)1024) /* for what surrounds a statement in its packet */

struct inserter {
	struct run *run;
	const struct my_insert *in;
	struct buf head, sql, row, field, cut; /* cut: a row of which the rest comes with the next chunk */
	uint64_t rows;
};

static void inserter_release(struct inserter *s)
{
	buf_release(&s->head);
	buf_release(&s->sql);
	buf_release(&s->row);
	buf_release(&s->field);
	buf_release(&s->cut);
}

static void put_head(struct inserter *s)
{
	const struct my_facts_table *f = s->in->f;

	buf_puts(&s->head, "INSERT INTO ");
	my_sql_ident(&s->head, s->in->table);
	buf_puts(&s->head, " (");
	for (size_t i = 0; i < f->columns; i++) {
		buf_puts(&s->head, i ? ", " : "");
		my_sql_ident(&s->head, f->column[i].name);
	}
	buf_puts(&s->head, ") VALUES ");
}

static enum status flush(struct inserter *s, struct error *err)
{
	if (!s->sql.len)
		return ST_OK;
	if (my_conn_command(s->run, s->in->c, buf_str(&s->sql), err))
		return err->code;
	uint64_t rows = my_conn_affected(s->in->c);
	if (my_load_check_warnings(s->run, s->in->c, s->in->table, my_conn_warning_count(s->in->c), err))
		return err->code;
	s->rows += rows;
	buf_clear(&s->sql);
	return ST_OK;
}

/* The expression with the value in place of each @. */
static void put_value(struct inserter *s, const struct my_facts_column *c, bool null)
{
	const char *e = c->load ? c->load : "@";

	for (; *e; e++)
		if (*e != '@')
			buf_putc(&s->row, *e);
		else if (null)
			buf_puts(&s->row, "NULL");
		else
			my_sql_bytes(&s->row, s->field.data ? s->field.data : "", s->field.len);
}

static enum status put_row(struct inserter *s, const char *p, size_t n, struct error *err)
{
	const struct my_facts_table *f = s->in->f;
	struct my_row_reader r = {.at = p, .end = p + n};
	bool null;
	size_t i = 0;

	buf_clear(&s->row);
	buf_putc(&s->row, '(');
	for (; my_row_field(&r, &s->field, &null, err); i++) {
		if (!f->columns && !i)
			continue;
		if (i >= f->columns)
			return error_set(err, ST_BAD, "a row has more fields than the table has columns");
		buf_puts(&s->row, i ? ", " : "");
		put_value(s, &f->column[i], null);
	}
	if (err->code)
		return err->code;
	if (i < f->columns)
		return error_set(err, ST_BAD, "a row has %zu fields, the table %zu columns", i, f->columns);
	buf_putc(&s->row, ')');
	if (s->head.len + s->row.len + ROOM > s->in->packet) {
		error_set(err, ST_FAILED, "a row needs a statement of %zu bytes, the server takes %" PRIu64, s->head.len + s->row.len, s->in->packet);
		return error_hint(err, "Raise max_allowed_packet of the server, or allow LOAD DATA LOCAL (local_infile=1), which needs less.");
	}
	if (s->sql.len && s->sql.len + s->row.len + ROOM > s->in->most && flush(s, err))
		return err->code;
	buf_puts(&s->sql, s->sql.len ? "," : buf_str(&s->head));
	buf_put(&s->sql, s->row.data, s->row.len);
	return ST_OK;
}

/* Whole rows; what is left over waits for the next chunk. A newline in a row is only ever its end. */
static enum status take_chunk(struct inserter *s, const char *p, size_t n, struct error *err)
{
	const char *end = p + n, *nl;

	while ((nl = memchr(p, '\n', (size_t)(end - p)))) {
		if (s->cut.len) {
			buf_put(&s->cut, p, (size_t)(nl + 1 - p));
			if (put_row(s, s->cut.data, s->cut.len, err))
				return err->code;
			buf_clear(&s->cut);
		} else if (put_row(s, p, (size_t)(nl + 1 - p), err)) {
			return err->code;
		}
		p = nl + 1;
	}
	if (p < end)
		buf_put(&s->cut, p, (size_t)(end - p));
	return ST_OK;
}

enum status my_load_insert(struct run *run, const struct my_insert *in, struct chunk_source *chunks, uint64_t *rows, uint64_t *given,
			   struct error *err)
{
	CLEANUP(inserter_release) struct inserter s = {.run = run, .in = in};

	put_head(&s);
	for (;;) {
		struct chunk chunk;
		bool end = false;

		if (chunks->next(chunks, &chunk, &end, err))
			return err->code;
		if (end)
			break;
		*given += chunk.rows;
		if (take_chunk(&s, chunk.data, chunk.len, err))
			return err->code;
	}
	if (s.cut.len)
		return error_set(err, ST_BAD, "the last row of a unit is not whole");
	if (flush(&s, err))
		return err->code;
	*rows = s.rows;
	return ST_OK;
}
