/* What an exchange has to remember while it is under way: definitions, and how far it got. */
#include "drivers/mysql/exchange.h"

static void moved_release(struct my_moved *m)
{
	for (size_t i = 0; i < m->objects; i++)
		my_object_release(&m->object[i]);
	free(m->object);
}

void my_mover_release(struct my_mover *m)
{
	moved_release(&m->out);
	moved_release(&m->in);
	strlist_release(&m->tables_in);
}

static void put_state(struct buf *to, const struct my_swap *s)
{
	CLEANUP(cstr_release) char *table = xasprintf("drtool_exchange_%s", s->run);

	my_sql_name(to, s->in, table);
}

enum status my_swap_begun(struct run *run, struct my_conn *c, const char *in, const char *run_id, bool *begun, struct error *err)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;
	CLEANUP(cstr_release) char *n = NULL;

	buf_puts(&sql, "SELECT COUNT(*) FROM information_schema.TABLES WHERE");
	my_sql_is_name(&sql, "TABLE_SCHEMA", in);
	buf_printf(&sql, " AND TABLE_NAME = 'drtool_exchange_%s'", run_id);
	if (my_conn_value(run, c, buf_str(&sql), &n, err))
		return err->code;
	*begun = my_field_u64(n) > 0;
	return ST_OK;
}

enum status my_swap_use(struct run *run, struct my_swap *s, const char *database, struct error *err)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;

	buf_puts(&sql, "USE ");
	my_sql_ident(&sql, database);
	return my_conn_command(run, s->c, buf_str(&sql), err);
}

/* side 'o', 'i': an object of out, of in; 't': a table of in; 's': a step that is done. */
enum status my_swap_line(struct run *run, struct my_swap *s, char side, const char *text, struct error *err)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;

	buf_puts(&sql, "INSERT INTO ");
	put_state(&sql, s);
	buf_printf(&sql, " (side, doc) VALUES ('%c', ", side);
	my_sql_literal(&sql, text);
	buf_putc(&sql, ')');
	return my_conn_command(run, s->c, buf_str(&sql), err);
}

static enum status take_object(void *ctx, const struct my_object *o, struct error *err)
{
	struct strlist *to = ctx;
	CLEANUP(js_decref) json_t *j = NULL;
	struct buf text = BUF_INIT;

	(void)err;
	if (o->kind == OBJECT_TABLE || o->kind == OBJECT_SEQUENCE)
		return ST_OK;
	j = my_object_json(o);
	js_write(j, false, &text);
	strlist_take(to, buf_detach(&text));
	return ST_OK;
}

enum status my_swap_tables(struct run *run, struct my_conn *c, const char *database, struct strlist *to, struct error *err)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;

	buf_puts(&sql, "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_TYPE NOT IN ('VIEW', 'SYSTEM VIEW') AND"
		       " TABLE_NAME NOT LIKE 'drtool\\_exchange\\_______' AND");
	my_sql_is_name(&sql, "TABLE_SCHEMA", database);
	if (my_list(run, c, buf_str(&sql), to, err))
		return error_add(err, "the tables of the database %s", database);
	strlist_sort(to);
	return ST_OK;
}

static enum status record_side(struct run *run, struct my_swap *s, char side, const char *database, struct error *err)
{
	CLEANUP(strlist_release) struct strlist lines = STRLIST_INIT;

	if (my_objects_each(run, s->c, database, s->e->notes, take_object, &lines, err))
		return error_add(err, "the definitions of the database %s", database);
	for (size_t i = 0; i < lines.len; i++)
		if (my_swap_line(run, s, side, lines.item[i], err))
			return err->code;
	return ST_OK;
}

/* Views and triggers go next, at once and for good, while a server that is set not to wait for the disk could die and forget what was
 * committed. Each waits for it in DDL; FLUSH ENGINE LOGS does nothing on such a MariaDB. */
static enum status make_durable(struct run *run, struct my_swap *s, struct error *err)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;

	buf_puts(&sql, "ALTER TABLE ");
	put_state(&sql, s);
	buf_puts(&sql, " FORCE");
	return my_conn_command(run, s->c, buf_str(&sql), err);
}

/* Whole, or not at all: the step "recorded" is its last line. */
enum status my_swap_record(struct run *run, struct my_swap *s, struct error *err)
{
	CLEANUP(strlist_release) struct strlist tables = STRLIST_INIT;
	CLEANUP(buf_release) struct buf sql = BUF_INIT, empty = BUF_INIT;

	buf_puts(&sql, "CREATE TABLE IF NOT EXISTS ");
	put_state(&sql, s);
	buf_puts(&sql, " (n int unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY, side char(1) NOT NULL, doc longtext NOT NULL)"
		       " ENGINE=InnoDB DEFAULT CHARSET=utf8mb4");
	buf_puts(&empty, "DELETE FROM ");
	put_state(&empty, s);
	if (my_swap_tables(run, s->c, s->in, &tables, err) || my_conn_command(run, s->c, buf_str(&sql), err) ||
	    my_conn_command(run, s->c, "START TRANSACTION", err) || my_conn_command(run, s->c, buf_str(&empty), err) ||
	    record_side(run, s, 'i', s->in, err) || (s->away && record_side(run, s, 'o', s->out, err)))
		return err->code;
	for (size_t i = 0; i < tables.len; i++)
		if (my_swap_line(run, s, 't', tables.item[i], err))
			return err->code;
	if (!s->away && my_swap_line(run, s, 's', "alone", err))
		return err->code;
	if (my_swap_line(run, s, 's', "recorded", err) || my_conn_command(run, s->c, "COMMIT", err))
		return err->code;
	return make_durable(run, s, err);
}

enum status my_swap_step(struct run *run, struct my_swap *s, const char *step, bool *done, struct error *err)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;
	CLEANUP(cstr_release) char *n = NULL;

	buf_puts(&sql, "SELECT COUNT(*) FROM ");
	put_state(&sql, s);
	buf_printf(&sql, " WHERE side = 's' AND doc = '%s'", step);
	if (my_conn_value(run, s->c, buf_str(&sql), &n, err))
		return err->code;
	*done = my_field_u64(n) > 0;
	return ST_OK;
}

static enum status take_line(struct my_mover *m, const char *side, const char *text, struct error *err)
{
	CLEANUP(js_decref) json_t *j = NULL;
	struct my_moved *to = *side == 'o' ? &m->out : &m->in;

	if (*side == 't')
		strlist_add(&m->tables_in, text);
	if (*side != 'o' && *side != 'i')
		return ST_OK;
	if (js_parse(text, strlen(text), "the state of the exchange", &j, err))
		return err->code;
	to->object = xrealloc(to->object, (to->objects + 1) * sizeof *to->object);
	to->object[to->objects] = (struct my_object)MY_OBJECT_INIT;
	return my_object_from_json(j, &to->object[to->objects++], err);
}

enum status my_swap_read(struct run *run, struct my_mover *m, struct error *err)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;
	CLEANUP(my_conn_result_free) MYSQL_RES *r = NULL;
	MYSQL_ROW row;

	buf_puts(&sql, "SELECT side, doc FROM ");
	put_state(&sql, m->s);
	buf_puts(&sql, " ORDER BY n");
	if (my_conn_query(run, m->s->c, buf_str(&sql), &r, err))
		return err->code;
	while ((row = mysql_fetch_row(r)))
		if (take_line(m, row[0], row[1], err))
			return err->code;
	strlist_sort(&m->tables_in);
	return ST_OK;
}

enum status my_swap_forget(struct run *run, struct my_swap *s, struct error *err)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;

	buf_puts(&sql, "DROP TABLE IF EXISTS ");
	put_state(&sql, s);
	return my_conn_command(run, s->c, buf_str(&sql), err);
}
