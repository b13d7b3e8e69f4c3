/* How a column is read and loaded so that nothing is lost: most as they are, some by an expression. */
#include "drivers/mysql/dump.h"

static bool is_one_of(const char *type, const char *const *names)
{
	for (; *names; names++)
		if (!strcmp(type, *names))
			return true;
	return false;
}

static char *of_column(const char *before, const char *name, const char *after)
{
	struct buf b = BUF_INIT;

	buf_puts(&b, before);
	my_sql_ident(&b, name);
	buf_puts(&b, after);
	return buf_detach(&b);
}

/* The text of a FLOAT has six digits, and that of a number with a scale or ZEROFILL is cut too: as a double it is exact. The product keeps the sign
 * of -0 on MySQL, and is known to versions that cannot CAST to it. */
static void read_float(const struct my_column_type *t, bool is_float, struct my_facts_column *f)
{
	uint64_t precision = my_field_u64(t->precision), scale = my_field_u64(t->scale);

	if (!is_float && !t->scale && !strstr(t->column_type, "zerofill"))
		return;
	f->read = of_column("", t->name, "*1e0");
	if (!is_float || !t->scale || precision < scale)
		return;
	/* FLOAT(10,3) may hold 10000000, the float that is nearest to 9999999.999: loaded, it would be out of range. */
	char *limit = xasprintf("(1e%" PRIu64 "-1/1e%" PRIu64 ")", precision - scale, scale);
	char *bounded = xasprintf("LEAST(GREATEST(%s,-%s),%s)", f->read, limit, limit);
	free(f->read);
	free(limit);
	f->read = bounded;
}

void my_column_facts(const struct my_column_type *t, struct my_facts_column *f)
{
	static const char *const number[] = {"bit", "enum", "set", NULL};
	static const char *const text[] = {"uuid", "inet4", "inet6", NULL}; /* bytes would be taken as their inner form */

	f->name = xstrdup(t->name);
	if (is_one_of(t->data_type, number)) {
		f->read = of_column("CAST(", t->name, " AS UNSIGNED)");
		f->load = xstrdup("CAST(@ AS UNSIGNED)");
	} else if (!strcmp(t->data_type, "vector")) {
		f->read = of_column("HEX(", t->name, ")");
		f->load = xstrdup("UNHEX(@)");
	} else if (is_one_of(t->data_type, text)) {
		f->load = xstrdup("CONVERT(@ USING latin1)");
	} else if (!strcmp(t->data_type, "json")) {
		f->load = xstrdup("CONVERT(@ USING utf8mb4)");
	} else if (!strcmp(t->data_type, "float") || !strcmp(t->data_type, "double")) {
		read_float(t, *t->data_type == 'f', f);
	}
}

/* "For ever" is another moment before MariaDB 11.5 and from then on: it is kept as null. */
#define END_32 "'2038-01-19 03:14:07.999999'"
#define END_64 "'2106-02-07 06:28:15.999999'"

void my_column_row_end(const char *name, struct my_facts_column *f)
{
	CLEANUP(buf_release) struct buf read = BUF_INIT;

	buf_puts(&read, "IF(");
	my_sql_ident(&read, name);
	buf_puts(&read, " IN (" END_32 ", " END_64 "), NULL, ");
	my_sql_ident(&read, name);
	buf_putc(&read, ')');
	f->name = xstrdup(name);
	f->read = buf_detach(&read);
	f->load = xstrdup("IFNULL(@, IF(UNIX_TIMESTAMP('2106-02-07 06:28:15') IS NULL, " END_32 ", " END_64 "))");
}
