#include "drivers/mysql/ddl.h"

#include "drivers/mysql/ddl_lex.h"
#include "drivers/mysql/quote.h"

enum item_kind { ITEM_COLUMN, ITEM_PRIMARY, ITEM_UNIQUE, ITEM_KEY, ITEM_FULLTEXT, ITEM_FOREIGN, ITEM_OTHER };

struct item {
	enum item_kind kind;
	const char *p, *end; /* the text between the commas, without blanks */
	bool base;
};
/* A CREATE TABLE and what its items say. */
struct table {
	const char *open, *close; /* behind the "(", at the ")" */
	struct item *item;
	size_t items;
	struct strlist not_null;
	char *counter; /* column with AUTO_INCREMENT */
	bool innodb, primary;
};

static void table_release(struct table *t)
{
	free(t->item);
	free(t->counter);
	strlist_release(&t->not_null);
}

static enum status bad(struct error *err) { return error_set(err, ST_BAD, "not a CREATE TABLE as the server prints it"); }

/* ---- reading ---- */

static enum item_kind kind_of(struct my_lex l)
{
	static const struct {
		const char *word;
		enum item_kind kind;
	} row[] = {{"PRIMARY", ITEM_PRIMARY}, {"UNIQUE", ITEM_UNIQUE}, {"KEY", ITEM_KEY},	  {"INDEX", ITEM_KEY},
		   {"FULLTEXT", ITEM_FULLTEXT}, {"SPATIAL", ITEM_KEY},   {"VECTOR", ITEM_KEY},	  {"FOREIGN", ITEM_FOREIGN},
		   {"CHECK", ITEM_OTHER},     {"PERIOD", ITEM_OTHER},  {"CONSTRAINT", ITEM_OTHER}};

	if (my_lex_is(&l, "CONSTRAINT")) {
		my_lex_next(&l);
		my_lex_next(&l);
	}
	for (size_t i = 0; i < ARRAY_LEN(row); i++)
		if (my_lex_is(&l, row[i].word))
			return row[i].kind;
	return l.kind == MY_WORD_NAME ? ITEM_COLUMN : ITEM_OTHER;
}

static void read_column(struct table *t, struct my_lex l, const char *end)
{
	CLEANUP(cstr_release) char *name = my_lex_unquoted(&l);
	bool is_not = false;

	for (my_lex_next(&l); l.p < end; my_lex_next(&l)) {
		if (l.depth != 1)
			continue;
		if (is_not && my_lex_is(&l, "NULL"))
			strlist_add(&t->not_null, name);
		if (my_lex_is(&l, "AUTO_INCREMENT") && !t->counter)
			t->counter = xstrdup(name);
		is_not = my_lex_is(&l, "NOT");
	}
}

static void add_item(struct table *t, const struct my_lex *first, const char *end)
{
	const struct item i = {.kind = kind_of(*first), .p = first->p, .end = end};

	if (i.kind == ITEM_COLUMN)
		read_column(t, *first, end);
	t->primary |= i.kind == ITEM_PRIMARY;
	t->item = xrealloc(t->item, (t->items + 1) * sizeof *t->item);
	t->item[t->items++] = i;
}

/* From the "(" on; l stands at the ")" afterwards. */
static enum status read_items(struct table *t, struct my_lex *l, struct error *err)
{
	t->open = l->at;
	do {
		const char *from = l->at;

		my_lex_next(l);
		const struct my_lex first = *l;
		/* A comment there would belong to no item. */
		if (from + strspn(from, " \n\t\r\v\f") != first.p)
			return bad(err);
		for (; !(l->depth == 1 && my_lex_sign(l, ',')) && !(l->depth == 0 && my_lex_sign(l, ')')); my_lex_next(l))
			if (l->kind == MY_WORD_END || l->kind == MY_WORD_BAD)
				return bad(err);
		const char *end = l->p;
		while (end > first.p && strchr(" \n\t\r", end[-1]))
			end--;
		if (end == first.p || l->versioned || first.versioned)
			return bad(err);
		add_item(t, &first, end);
	} while (my_lex_sign(l, ','));
	t->close = l->p;
	return ST_OK;
}

/* Behind CREATE and its words to the name, which may be `a`.`b`. false: another statement. */
static bool read_head(struct my_lex *l, const char *const *kind, struct my_lex *name)
{
	my_lex_next(l);
	if (!my_lex_is(l, "CREATE"))
		return false;
	my_lex_next(l);
	while (*kind && !my_lex_is(l, *kind))
		kind++;
	if (!*kind)
		return false;
	do
		my_lex_next(l);
	while (my_lex_is(l, "IF") || my_lex_is(l, "NOT") || my_lex_is(l, "EXISTS"));
	*name = *l;
	if (!my_lex_name(l))
		return false;
	my_lex_next(l);
	if (my_lex_sign(l, '.')) {
		my_lex_next(l);
		name->n = (size_t)(l->at - name->p);
		my_lex_next(l);
	}
	return true;
}

static enum status read_table(const char *create, struct table *t, struct error *err)
{
	struct my_lex l = my_lex_of(create, NULL), name;

	if (!read_head(&l, (const char *const[]){"TABLE", NULL}, &name) || !my_lex_sign(&l, '(') || read_items(t, &l, err))
		return err->code ? err->code : bad(err);
	bool engine = false;
	for (my_lex_next(&l); l.kind != MY_WORD_END; my_lex_next(&l)) {
		if (l.kind == MY_WORD_BAD)
			return bad(err);
		if (engine && !my_lex_sign(&l, '=')) {
			t->innodb = my_lex_is(&l, "InnoDB");
			return ST_OK;
		}
		engine |= !l.depth && my_lex_is(&l, "ENGINE");
	}
	return ST_OK;
}

/* ---- dividing ---- */

/* Columns of a key by name, "" for an expression; the list is empty where one is only in part in the key and whole is asked for. */
static void key_columns(const struct item *i, bool whole, struct strlist *to)
{
	struct my_lex l = my_lex_of(i->p, NULL);
	bool first = false;

	for (my_lex_next(&l); l.p < i->end && l.kind != MY_WORD_BAD && !(my_lex_sign(&l, ')') && !l.depth); my_lex_next(&l)) {
		if (l.depth == 1 && first && l.kind == MY_WORD_NAME)
			strlist_take(to, my_lex_unquoted(&l));
		else if (l.depth == 1 && first)
			strlist_add(to, "");
		if (l.depth == 1 && !first && whole && my_lex_sign(&l, '(')) {
			strlist_release(to);
			return;
		}
		first = (l.depth == 1 && my_lex_sign(&l, ',')) || (!l.depth && my_lex_sign(&l, '('));
	}
}

static bool first_column_is(const struct item *i, const char *name)
{
	CLEANUP(strlist_release) struct strlist column = STRLIST_INIT;

	key_columns(i, false, &column);
	return column.len && !strcmp(column.item[0], name);
}

static bool never_null(const struct table *t, const struct item *i)
{
	CLEANUP(strlist_release) struct strlist column = STRLIST_INIT;

	key_columns(i, true, &column);
	for (size_t k = 0; k < column.len; k++)
		if (!strlist_has(&t->not_null, column.item[k]))
			return false;
	return column.len > 0;
}

static bool is_key(const struct item *i) { return i->kind == ITEM_UNIQUE || i->kind == ITEM_KEY || i->kind == ITEM_FULLTEXT; }

/* Unique keys come before others by themselves, whenever they are made, and FULLTEXT keys after them. */
static void keep(struct table *t, size_t which)
{
	for (size_t i = 0; i <= which; i++)
		t->item[i].base |= t->item[i].kind == t->item[which].kind;
}

static void keep_needed(struct table *t)
{
	bool counted = !t->counter, stored = t->primary;
	struct item *fulltext = NULL;

	for (size_t i = 0; i < t->items; i++) {
		struct item *m = &t->item[i];

		if (!t->innodb || (!is_key(m) && m->kind != ITEM_FOREIGN))
			m->base = true;
		/* MySQL adds one at a time: all but the last stay. */
		if (m->kind == ITEM_FULLTEXT) {
			if (fulltext)
				fulltext->base = true;
			fulltext = m;
		}
		if (m->kind == ITEM_UNIQUE && !stored && never_null(t, m)) {
			keep(t, i);
			stored = true;
		}
	}
	for (size_t i = 0; i < t->items; i++)
		if (!counted && t->item[i].base && t->item[i].kind <= ITEM_KEY && t->item[i].kind != ITEM_COLUMN)
			counted = first_column_is(&t->item[i], t->counter);
	for (size_t i = 0; !counted && i < t->items; i++)
		if ((t->item[i].kind == ITEM_UNIQUE || t->item[i].kind == ITEM_KEY) && first_column_is(&t->item[i], t->counter)) {
			keep(t, i);
			counted = true;
		}
}

static void put_base(const char *create, const struct table *t, struct buf *to)
{
	size_t n = 0;

	buf_put(to, create, (size_t)(t->open - create));
	for (size_t i = 0; i < t->items; i++)
		if (t->item[i].base) {
			buf_puts(to, n++ ? ",\n  " : "\n  ");
			buf_put(to, t->item[i].p, (size_t)(t->item[i].end - t->item[i].p));
		}
	buf_puts(to, "\n");
	buf_puts(to, t->close);
}

enum status my_ddl_split(const char *create, struct my_ddl_table *to, struct error *err)
{
	CLEANUP(table_release) struct table t = {0};
	struct buf base = BUF_INIT;

	if (read_table(create, &t, err))
		return err->code;
	keep_needed(&t);
	put_base(create, &t, &base);
	to->base = buf_detach(&base);
	for (size_t i = 0; i < t.items; i++)
		if (!t.item[i].base)
			strlist_take(t.item[i].kind == ITEM_FOREIGN ? &to->foreign : &to->keys,
				     xasprintf("ADD %.*s", (int)(t.item[i].end - t.item[i].p), t.item[i].p));
	return ST_OK;
}

void my_ddl_release(struct my_ddl_table *t)
{
	cstr_release(&t->base);
	strlist_release(&t->keys);
	strlist_release(&t->foreign);
}

/* ---- names and options ---- */

char *my_ddl_renamed(const char *create, const char *name)
{
	static const char *const kind[] = {"TABLE", "SEQUENCE", "DATABASE", NULL};
	struct my_lex l = my_lex_of(create, NULL), old;
	struct my_edit e = {.done = create};
	CLEANUP(buf_release) struct buf quoted = BUF_INIT;

	if (!read_head(&l, kind, &old))
		return NULL;
	my_sql_ident(&quoted, name);
	my_edit_put(&e, old.p, old.p + old.n, buf_str(&quoted));
	return my_edit_end(&e);
}

char *my_ddl_alter_database(const char *create, const char *name)
{
	struct my_lex l = my_lex_of(create, NULL), old;
	struct buf b = BUF_INIT;

	if (!read_head(&l, (const char *const[]){"DATABASE", NULL}, &old))
		return NULL;
	buf_puts(&b, "ALTER DATABASE ");
	my_sql_ident(&b, name);
	buf_puts(&b, old.p + old.n);
	return buf_detach(&b);
}

/* CHARACTER SET before COLLATE, which implies it. */
static void cut_charset(struct my_edit *e, struct my_lex *l)
{
	struct my_lex word = *l;

	my_lex_next(&word);
	if (!my_lex_is(l, "CHARACTER") || !my_lex_is(&word, "SET"))
		return;
	my_lex_next(&word);
	my_lex_next(&word);
	if (!my_lex_is(&word, "COLLATE"))
		return;
	my_edit_put(e, l->p, word.p, "");
	*l = word;
}

/* The character set before a text: `c` = _utf8mb4'x' becomes `c` = _latin1'x' when MySQL reads it for a column of latin1. */
static void cut_introducer(struct my_edit *e, const struct my_lex *l)
{
	if (l->kind == MY_WORD_PLAIN && *l->p == '_' && *l->at == '\'')
		my_edit_put(e, l->p, l->at, "");
}

char *my_ddl_without_counter(const char *create)
{
	CLEANUP(table_release) struct table t = {0};
	CLEANUP(error_release) struct error err = ERROR_INIT;
	struct my_edit e = {.done = create};

	if (read_table(create, &t, &err))
		return xstrdup(create);
	struct my_lex l = my_lex_of(create, NULL), word = l;
	for (my_lex_next(&l); l.kind != MY_WORD_END && l.kind != MY_WORD_BAD; my_lex_next(&l)) {
		if (l.depth == 1 && l.p < t.close)
			cut_charset(&e, &l);
		if (l.depth > 1 && l.p < t.close)
			cut_introducer(&e, &l);
		if (l.p > t.close && my_lex_is(&word, "AUTO_INCREMENT") && my_lex_sign(&l, '=')) {
			my_lex_next(&l);
			my_edit_put(&e, word.p - (word.p[-1] == ' '), l.at, "");
			break;
		}
		word = l;
	}
	return my_edit_end(&e);
}
