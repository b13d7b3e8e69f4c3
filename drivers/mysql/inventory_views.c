#include "drivers/mysql/inventory_ask.h"

/* Behind a name in backticks. */
static const char *name_end(const char *p)
{
	for (p++; *p && !(*p == '`' && p[1] != '`'); p++)
		p += *p == '`';
	return *p ? p + 1 : p;
}

static const char *text_end(const char *p)
{
	for (p++; *p && !(*p == '\'' && p[1] != '\''); p++)
		p += (*p == '\\' || *p == '\'') && p[1];
	return *p ? p + 1 : p;
}

/* Whether the bracket before p is that of a function whose argument is a sequence. */
static bool of_sequence(const char *before, const char *p)
{
	static const char *const function[] = {"nextval(", "lastval(", "setval("};

	for (size_t i = 0; i < ARRAY_LEN(function); i++) {
		size_t n = strlen(function[i]);

		if ((size_t)(p - before) >= n && !strncmp(p - n, function[i], n))
			return true;
	}
	return false;
}

/* A body as SHOW CREATE VIEW prints it: names in backticks, texts in quotes. In its own database it still names functions and sequences
 * by `database`.`name`, and, where what it needs is gone, columns by `database`.`table`.`column`. */
static void put_body(struct buf *to, const char *database, const char *p)
{
	CLEANUP(buf_release) struct buf own = BUF_INIT;
	const char *before = p;

	my_sql_ident(&own, database);
	buf_puts(&own, ".`");
	while (*p) {
		const char *end = *p == '`' ? name_end(p) : *p == '\'' ? text_end(p) : p + 1;

		if (*p == '`' && !strncmp(p, buf_str(&own), own.len) && (p == before || p[-1] != '.')) {
			const char *next = name_end(end + 1);

			if (*next == '(' || *next == '.' || of_sequence(before, p))
				end++;
			else
				buf_put(to, p, (size_t)(end - p));
		} else {
			buf_put(to, p, (size_t)(end - p));
		}
		p = end;
	}
}

/* "CREATE ALGORITHM=x DEFINER=.. SQL SECURITY .. VIEW `name` AS ..": the algorithm, and what comes behind the name. */
static void put_view(struct buf *to, const struct my_taking *t, const char *name, const char *text)
{
	CLEANUP(buf_release) struct buf head = BUF_INIT, body = BUF_INIT;
	const char *algorithm = strstr(text, "ALGORITHM="), *at;

	buf_puts(&head, " VIEW ");
	my_sql_ident(&head, name);
	at = strstr(text, buf_str(&head));
	if (algorithm && at && algorithm < at)
		buf_printf(to, "algorithm %.*s, ", (int)strcspn(algorithm + 10, " "), algorithm + 10);
	put_body(&body, t->database, at ? at + head.len : text);
	my_inventory_line(to, buf_str(&body));
}

/* Views that the server calls invalid (1356) are no part of the inventory: no restore can make them. In a copy under another name it may mean
 * that the definer has no rights there. */
static enum status show_view(struct my_taking *t, const char *name, MYSQL_RES **r, bool *valid, struct error *err)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;
	CLEANUP(strlist_release) struct strlist warning = STRLIST_INIT;

	buf_puts(&sql, "SHOW CREATE VIEW ");
	my_sql_ident(&sql, name);
	*valid = true;
	if (my_conn_query(t->run, t->c, buf_str(&sql), r, err)) {
		if (my_conn_errno(err) != 1356)
			return err->code;
		error_release(err);
		*valid = false;
		return ST_OK;
	}
	if (my_conn_warning_count(t->c) && my_conn_warnings(t->run, t->c, 16, &warning, err))
		return err->code;
	for (size_t i = 0; i < warning.len; i++)
		*valid &= strncmp(warning.item[i], "1356", 4) != 0;
	return ST_OK;
}

static enum status take_view(struct my_taking *t, MYSQL_ROW said, struct error *err)
{
	CLEANUP(my_conn_result_free) MYSQL_RES *r = NULL;
	CLEANUP(buf_release) struct buf facts = BUF_INIT, shown = BUF_INIT;
	MYSQL_ROW row;
	bool valid;

	if (show_view(t, said[0], &r, &valid, err))
		return error_add(err, "view %s", said[0]);
	row = r && (valid || t->beside) ? mysql_fetch_row(r) : NULL;
	if (!row || !row[1])
		return ST_OK;
	buf_printf(&facts, "security %s, check option %s, client %s, collation %s, ", said[1] ? said[1] : "", said[2] ? said[2] : "",
		   said[3] ? said[3] : "", said[4] ? said[4] : "");
	put_view(&facts, t, said[0], row[1]);
	my_sql_shown(&shown, said[0]);
	t->perhaps = !valid;
	if (!my_inventory_give(t, "view", buf_str(&shown), buf_str(&facts), err))
		(void)!my_inventory_give(t, "definer of a view", buf_str(&shown), said[5] ? said[5] : "", err);
	t->perhaps = false;
	return err->code;
}

enum status my_inventory_views(struct my_taking *t, struct error *err)
{
	CLEANUP(my_conn_result_free) MYSQL_RES *r = NULL;
	CLEANUP(buf_release) struct buf sql = BUF_INIT;
	MYSQL_ROW row;

	my_inventory_sql(t, "TABLE_NAME, SECURITY_TYPE, CHECK_OPTION, CHARACTER_SET_CLIENT, COLLATION_CONNECTION, DEFINER", "VIEWS",
			 "TABLE_SCHEMA", "", &sql);
	if (my_conn_query(t->run, t->c, buf_str(&sql), &r, err))
		return err->code;
	while ((row = mysql_fetch_row(r)))
		if (take_view(t, row, err))
			return err->code;
	return ST_OK;
}
