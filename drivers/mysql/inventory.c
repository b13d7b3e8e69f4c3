#include "drivers/mysql/inventory_ask.h"

static void taking_release(struct my_taking *t)
{
	strlist_release(&t->tables);
	strlist_release(&t->counted);
	strlist_release(&t->sequences);
}

/* ---- what there is ---- */

static enum status take_table(void *ctx, char *const *field, const unsigned long *len UNUSED, unsigned fields UNUSED, struct error *err UNUSED)
{
	struct my_taking *t = ctx;

	if (!strcmp(field[1], "SEQUENCE"))
		strlist_add(&t->sequences, field[0]);
	else if (strcmp(field[1], "VIEW") != 0 && strcmp(field[1], "TEMPORARY") != 0)
		strlist_add(&t->tables, field[0]);
	return ST_OK;
}

static enum status take_counted(void *ctx, char *const *field, const unsigned long *len UNUSED, unsigned fields UNUSED,
				struct error *err UNUSED)
{
	struct my_taking *t = ctx;

	strlist_add(&t->counted, field[0]);
	return ST_OK;
}

static enum status read_names(struct my_taking *t, struct error *err)
{
	CLEANUP(buf_release) struct buf tables = BUF_INIT, counted = BUF_INIT;

	my_inventory_sql(t, "TABLE_NAME, TABLE_TYPE", "TABLES", "TABLE_SCHEMA", "", &tables);
	my_inventory_sql(t, "TABLE_NAME", "COLUMNS", "TABLE_SCHEMA", "AND EXTRA LIKE '%auto_increment%'", &counted);
	if (my_conn_each(t->run, t->c, buf_str(&tables), take_table, t, err) ||
	    my_conn_each(t->run, t->c, buf_str(&counted), take_counted, t, err))
		return err->code;
	strlist_sort(&t->tables);
	strlist_sort(&t->counted);
	strlist_sort(&t->sequences);
	return ST_OK;
}

/* ---- sequences ---- */

/* Those that begin anew at their end are no measure. */
static enum status take_sequence(struct my_taking *t, const char *name, struct error *err)
{
	CLEANUP(my_conn_result_free) MYSQL_RES *r = NULL;
	CLEANUP(buf_release) struct buf sql = BUF_INIT, shown = BUF_INIT, facts = BUF_INIT;
	MYSQL_ROW row;

	buf_puts(&sql, "SELECT next_not_cached_value, minimum_value, maximum_value, start_value, increment, cache_size, cycle_option FROM ");
	my_sql_name(&sql, t->database, name);
	if (my_conn_query(t->run, t->c, buf_str(&sql), &r, err))
		return error_add(err, "sequence %s", name);
	row = mysql_fetch_row(r);
	if (!row)
		return error_set(err, ST_SERVER, "sequence %s has no row", name);
	my_sql_shown(&shown, name);
	buf_printf(&facts, "from %s, to %s, start %s, by %s, cache %s, cycle %s", row[1], row[2], row[3], row[4], row[5], row[6]);
	if (my_inventory_give(t, "sequence", buf_str(&shown), buf_str(&facts), err))
		return err->code;
	if (my_field_bool(row[6]))
		return ST_OK;
	return my_inventory_grows(t, "sequence value", buf_str(&shown), row[0], *row[4] == '-' ? -1 : 1, err);
}

/* ---- all ---- */

static enum status take_all(struct my_taking *t, struct error *err)
{
	if (read_names(t, err) || my_inventory_ask(t, my_inventory_tables, err) || my_inventory_views(t, err) ||
	    my_inventory_ask(t, my_inventory_programs, err))
		return err->code;
	for (size_t i = 0; i < t->sequences.len; i++)
		if (take_sequence(t, t->sequences.item[i], err))
			return err->code;
	return ST_OK;
}

static enum status use(struct run *run, struct my_conn *c, const char *database, struct error *err)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;

	buf_puts(&sql, "USE ");
	my_sql_ident(&sql, database);
	return my_conn_command(run, c, buf_str(&sql), err);
}

enum status my_inventory_take_all(struct run *run, struct my_conn *c, const char *database, bool beside, const struct inventory_sink *items,
				  struct error *err)
{
	CLEANUP(taking_release) struct my_taking t = {.run = run, .c = c, .database = database, .beside = beside, .to = items};
	CLEANUP(cstr_release) char *before = NULL;

	if (my_conn_value(run, c, "SELECT DATABASE()", &before, err) || use(run, c, database, err) || take_all(&t, err) ||
	    (before && use(run, c, before, err)))
		return error_add(err, "inventory of database %s", database);
	return ST_OK;
}
