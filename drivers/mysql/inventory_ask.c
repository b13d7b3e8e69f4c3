#include "drivers/mysql/inventory_ask.h"

#include <ctype.h>

void my_inventory_line(struct buf *to, const char *text)
{
	for (; *text; text++)
		if (*text == '\n')
			buf_puts(to, "\\n");
		else if (*text == '\r')
			buf_puts(to, "\\r");
		else if (*text == '\\')
			buf_puts(to, "\\\\");
		else
			buf_putc(to, *text);
}

enum status my_inventory_give(const struct my_taking *t, const char *kind, const char *name, const char *facts, struct error *err)
{
	const struct inventory_item item = {.kind = kind, .name = name, .facts = facts, .perhaps = t->perhaps};

	return t->to->item(t->to->ctx, &item, err);
}

enum status my_inventory_grows(const struct my_taking *t, const char *kind, const char *name, const char *value, int sign, struct error *err)
{
	const struct inventory_item item = {.kind = kind, .name = name, .facts = value, .grows = true, .sign = sign};

	return t->to->item(t->to->ctx, &item, err);
}

static int compare(const void *key, const void *item) { return strcmp(key, *(const char *const *)item); }

bool my_inventory_has(const struct strlist *sorted, const char *name)
{
	return sorted->len && bsearch(name, sorted->item, sorted->len, sizeof *sorted->item, compare);
}

/* Names of information_schema compare without case; the second comparison does not. */
void my_inventory_sql(const struct my_taking *t, const char *columns, const char *table, const char *schema, const char *more, struct buf *sql)
{
	buf_printf(sql, "SELECT %s FROM information_schema.%s WHERE %s = ", columns, table, schema);
	my_sql_literal(sql, t->database);
	buf_printf(sql, " AND CAST(%s AS BINARY) = CAST(", schema);
	my_sql_literal(sql, t->database);
	buf_printf(sql, " AS BINARY) %s", more);
}

/* ---- facts in words that do not depend on the version or the database's name ---- */

/* MySQL 8 leaves out the width that int(11) had and that says nothing. */
static void put_type(struct buf *to, const char *type)
{
	const char *open = strchr(type, '(');
	const bool width = open && open - type >= 3 && !strncmp(open - 3, "int", 3) && !strstr(type, "zerofill") && strcmp(type, "tinyint(1)");

	if (!width) {
		my_inventory_line(to, type);
		return;
	}
	buf_put(to, type, (size_t)(open - type));
	buf_puts(to, strchr(open, ')') ? strchr(open, ')') + 1 : "");
}

/* nextval(`database`.`sequence`) is printed so whatever the default database is. */
static void put_default(struct buf *to, const struct my_taking *t, const char *text)
{
	CLEANUP(buf_release) struct buf own = BUF_INIT;
	const char *at;

	buf_putc(&own, '(');
	my_sql_ident(&own, t->database);
	buf_putc(&own, '.');
	while ((at = strstr(text, buf_str(&own)))) {
		CLEANUP(cstr_release) char *before = xstrndup(text, (size_t)(at - text) + 1);

		my_inventory_line(to, before);
		text = at + own.len;
	}
	my_inventory_line(to, text);
}

/* An expression without the character sets before its texts: _utf8mb4\'x\' of one is _latin1\'x\' of its copy in MySQL. */
static void put_expression(struct buf *to, const char *text)
{
	CLEANUP(buf_release) struct buf plain = BUF_INIT;
	bool word = false, quoted = false;

	while (*text) {
		size_t n = !word && !quoted && *text == '_' ? 1 + strspn(text + 1, "abcdefghijklmnopqrstuvwxyz0123456789") : 0;

		if (n && text[n + (text[n] == '\\')] == '\'') {
			text += n;
			continue;
		}
		quoted ^= *text == '\'';
		word = isalnum((unsigned char)*text) || *text == '_' || *text == '`';
		buf_putc(&plain, *text++);
	}
	my_inventory_line(to, buf_str(&plain));
}

static bool is_label(const char *label, size_t n, const char *word) { return strlen(word) == n && !strncmp(label, word, n); }

static void put_fact(struct buf *to, const struct my_taking *t, const char *label, size_t n, const char *value)
{
	const bool is_default = is_label(label, n, "default"), schema = is_label(label, n, "schema");

	if (!value || (!*value && !is_default) || (schema && !strcmp(value, t->database)))
		return;
	buf_printf(to, "%s%.*s ", to->len ? ", " : "", (int)n, label);
	if (is_default)
		put_default(to, t, value);
	else if (!t->c->mariadb && (is_label(label, n, "check") || is_label(label, n, "as") || is_label(label, n, "on")))
		put_expression(to, value);
	else if (is_label(label, n, "type"))
		put_type(to, value);
	else if (is_label(label, n, "status") && !strcmp(value, "REPLICA_SIDE_DISABLED"))
		buf_puts(to, "SLAVESIDE_DISABLED");
	else if (n >= 9 && !strncmp(label + n - 9, "collation", 9) && !strncmp(value, "utf8_", 5))
		buf_printf(to, "utf8mb3_%s", value + 5);
	else
		my_inventory_line(to, value);
}

/* ---- asking ---- */

struct asking {
	struct my_taking *t;
	const struct my_question *q;
	struct buf name, facts;
};

static void asking_release(struct asking *a)
{
	buf_release(&a->name);
	buf_release(&a->facts);
}

static enum status take_row(void *ctx, char *const *field, const unsigned long *len, unsigned fields, struct error *err)
{
	struct asking *a = ctx;
	const char *label = a->q->label;

	(void)len;
	if (a->q->tables_only && !my_inventory_has(&a->t->tables, field[0] ? field[0] : ""))
		return ST_OK;
	buf_clear(&a->name);
	buf_clear(&a->facts);
	for (unsigned i = 0; i < a->q->parts; i++) {
		if (!field[i])
			continue;
		buf_puts(&a->name, a->name.len ? "." : "");
		my_sql_shown(&a->name, field[i]);
	}
	for (unsigned i = a->q->parts; label && i < fields; i++) {
		size_t n = strcspn(label, ",");

		put_fact(&a->facts, a->t, label, n, field[i]);
		label = label[n] ? label + n + 1 : NULL;
	}
	const char *name = a->name.len ? buf_str(&a->name) : a->q->kind;
	if (my_inventory_give(a->t, a->q->kind, name, buf_str(&a->facts), err))
		return err->code;
	return a->q->seen ? a->q->seen(a->t, name, field, err) : ST_OK;
}

static bool fits(const struct my_question *q, const struct my_taking *t)
{
	const struct my_conn *c = t->c;

	return (!q->needed || q->needed(t)) && (q->product == MY_ANY || (q->product == MY_MARIADB) == c->mariadb) &&
	       (!q->from || c->version >= q->from) && (!q->before || c->version < q->before);
}

enum status my_inventory_ask(struct my_taking *t, const struct my_question *q, struct error *err)
{
	for (; q->kind; q++) {
		CLEANUP(asking_release) struct asking a = {.t = t, .q = q};
		CLEANUP(buf_release) struct buf sql = BUF_INIT;

		if (!fits(q, t))
			continue;
		my_inventory_sql(t, q->columns, q->table, q->schema, q->more, &sql);
		if (my_conn_each(t->run, t->c, buf_str(&sql), take_row, &a, err))
			return error_add(err, "%s", q->kind);
	}
	return ST_OK;
}
