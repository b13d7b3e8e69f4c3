#include "drivers/mysql/load.h"

#define SHOWN 5u
#define MOST 65535u /* what servers count and keep */

struct judge {
	struct run *run;
	struct my_conn *c;
	const char *table;
	struct strlist enums; /* columns of the table of this type */
	bool asked;
};

static void judge_release(struct judge *j) { strlist_release(&j->enums); }

static enum status ask_enums(struct judge *j, struct error *err)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;
	CLEANUP(my_conn_result_free) MYSQL_RES *r = NULL;
	MYSQL_ROW row;

	j->asked = true;
	buf_puts(&sql, "SELECT COLUMN_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() AND DATA_TYPE = 'enum'"
		       " AND TABLE_NAME = ");
	my_sql_literal(&sql, j->table);
	if (my_conn_query(j->run, j->c, buf_str(&sql), &r, err))
		return err->code;
	while ((row = mysql_fetch_row(r)))
		strlist_add(&j->enums, row[0]);
	return ST_OK;
}

/* The value 0 of an ENUM, which a server stores for what is none of its words, cannot be written again without this warning. Nothing else gives it
 * in such a column: rows have the numbers of words. */
static enum status is_enum_zero(struct judge *j, const char *warning, bool *yes, struct error *err)
{
	static const char before[] = "1265: Data truncated for column '", after[] = "' at row ";

	*yes = false;
	if (strncmp(warning, before, sizeof before - 1))
		return ST_OK;
	if (!j->asked && ask_enums(j, err))
		return err->code;
	for (size_t i = 0; i < j->enums.len && !*yes; i++) {
		size_t n = strlen(j->enums.item[i]);

		*yes = !strncmp(warning + sizeof before - 1, j->enums.item[i], n) &&
		       !strncmp(warning + sizeof before - 1 + n, after, sizeof after - 1);
	}
	return ST_OK;
}

enum status my_load_check_warnings(struct run *run, struct my_conn *c, const char *table, unsigned warnings, struct error *err)
{
	CLEANUP(strlist_release) struct strlist all = STRLIST_INIT;
	CLEANUP(buf_release) struct buf text = BUF_INIT;
	CLEANUP(judge_release) struct judge j = {.run = run, .c = c, .table = table};
	unsigned bad = 0;

	if (!warnings)
		return ST_OK;
	if (my_conn_warnings(run, c, MOST, &all, err))
		return err->code;
	for (size_t i = 0; i < all.len; i++) {
		bool harmless = !strncmp(all.item[i], "1592:", 5); /* that the binlog would rather have rows */

		if (!harmless && is_enum_zero(&j, all.item[i], &harmless, err))
			return err->code;
		if (!harmless && bad++ < SHOWN)
			buf_printf(&text, "%s%s", text.len ? "; " : "", all.item[i]);
	}
	if (!bad && (warnings == all.len || all.len >= MOST))
		return ST_OK;
	return error_set(err, ST_FAILED, "the server took rows otherwise than they are, %u warnings: %s", warnings, buf_str(&text));
}
