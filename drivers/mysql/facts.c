#include "drivers/mysql/facts.h"

#define CLASS_TABLE "table"
#define FORMAT "tsv"

/* ---- as JSON ---- */

/* {"column": "expression"} of those columns that have one; NULL: none. */
static json_t *expressions(const struct my_facts_table *t, bool load)
{
	json_t *j = NULL;

	for (size_t i = 0; i < t->columns; i++) {
		const char *e = load ? t->column[i].load : t->column[i].read;

		if (e && !j)
			j = json_object();
		if (e)
			js_set_str(j, t->column[i].name, e);
	}
	return j;
}

json_t *my_facts_json(const struct my_facts_table *t)
{
	json_t *j = json_object(), *columns = json_array(), *read = expressions(t, false), *load = expressions(t, true);

	js_set_str(j, "class", CLASS_TABLE);
	js_set_str(j, "name", t->table);
	for (size_t i = 0; i < t->columns; i++)
		js_add_str(columns, t->column[i].name);
	js_set_new(j, "columns", columns);
	if (read)
		js_set_new(j, "read", read);
	if (load)
		js_set_new(j, "load", load);
	js_set_str(j, "encoding", "binary");
	js_set_str(j, "format", FORMAT);
	if (t->history)
		js_set_bool(j, "history", true);
	if (!t->transactional)
		js_set_bool(j, "transactional", false);
	return j;
}

static char *expression_of(const json_t *j, const char *column)
{
	const char *text = j ? js_opt_str(j, column, NULL) : NULL;

	return text ? xstrdup(text) : NULL;
}

static enum status read_columns(const json_t *j, const json_t *names, struct my_facts_table *t, struct error *err)
{
	const json_t *read = json_object_get(j, "read"), *load = json_object_get(j, "load");
	size_t i;
	json_t *name;

	t->column = xcalloc(json_array_size(names) + 1, sizeof *t->column);
	json_array_foreach(names, i, name) {
		const char *text = json_string_value(name);

		if (!text)
			return error_set(err, ST_BAD, "facts of table %s: a column without a name", t->table);
		t->column[t->columns++] = (struct my_facts_column){
			.name = xstrdup(text),
			.read = expression_of(read, text),
			.load = expression_of(load, text),
		};
	}
	return ST_OK;
}

enum status my_facts_read(const json_t *j, struct my_facts_table *t, struct error *err)
{
	static const char what[] = "facts of a table";
	const char *class, *format, *name;
	json_t *names = NULL;

	*t = (struct my_facts_table){0};
	if (js_str(j, what, "class", &class, err) || js_str(j, what, "format", &format, err) || js_str(j, what, "name", &name, err) ||
	    js_arr(j, what, "columns", &names, err))
		return err->code;
	if (strcmp(class, CLASS_TABLE))
		return error_set(err, ST_UNSUPPORTED, "%s: this drtool does not know the class \"%s\"", what, class);
	if (strcmp(format, FORMAT))
		return error_set(err, ST_UNSUPPORTED, "%s: this drtool does not know the format \"%s\"", what, format);
	t->table = xstrdup(name);
	t->history = js_opt_bool(j, "history", false);
	t->transactional = js_opt_bool(j, "transactional", true);
	if (read_columns(j, names, t, err)) {
		my_facts_release(t);
		return err->code;
	}
	return ST_OK;
}

void my_facts_release(struct my_facts_table *t)
{
	for (size_t i = 0; i < t->columns; i++) {
		free(t->column[i].name);
		free(t->column[i].read);
		free(t->column[i].load);
	}
	free(t->column);
	free(t->table);
	*t = (struct my_facts_table){0};
}

/* ---- as SQL ---- */

void my_facts_select(const struct my_facts_table *t, const char *database, const char *table, struct buf *sql)
{
	buf_puts(sql, t->columns ? "SELECT " : "SELECT NULL"); /* a table of generated columns only has rows too */
	for (size_t i = 0; i < t->columns; i++) {
		buf_puts(sql, i ? ", " : "");
		if (t->column[i].read)
			buf_puts(sql, t->column[i].read);
		else
			my_sql_ident(sql, t->column[i].name);
	}
	buf_puts(sql, " FROM ");
	my_sql_name(sql, database, table);
	if (t->history)
		buf_puts(sql, " FOR SYSTEM_TIME ALL");
}

static void put_load_expression(struct buf *sql, const char *expression, size_t number)
{
	for (; *expression; expression++)
		if (*expression == '@')
			buf_printf(sql, "@v%zu", number);
		else
			buf_putc(sql, *expression);
}

void my_facts_load(const struct my_facts_table *t, const char *database, const char *table, struct buf *sql)
{
	const char *word = " SET ";

	buf_puts(sql, "LOAD DATA LOCAL INFILE 'rows' INTO TABLE ");
	my_sql_name(sql, database, table);
	buf_puts(sql, t->columns ? " CHARACTER SET binary (" : " CHARACTER SET binary (@v");
	for (size_t i = 0; i < t->columns; i++) {
		buf_puts(sql, i ? ", " : "");
		if (t->column[i].load)
			buf_printf(sql, "@v%zu", i);
		else
			my_sql_ident(sql, t->column[i].name);
	}
	buf_putc(sql, ')');
	for (size_t i = 0; i < t->columns; i++) {
		if (!t->column[i].load)
			continue;
		buf_puts(sql, word);
		my_sql_ident(sql, t->column[i].name);
		buf_puts(sql, " = ");
		put_load_expression(sql, t->column[i].load, i);
		word = ", ";
	}
}
