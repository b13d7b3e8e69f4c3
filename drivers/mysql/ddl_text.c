/* Functions, triggers, events, views: the few words that a restore must change. */
#include "drivers/mysql/ddl.h"
#include "drivers/mysql/ddl_lex.h"
#include "drivers/mysql/quote.h"

static bool more(const struct my_lex *l) { return l->kind != MY_WORD_END && l->kind != MY_WORD_BAD; }

/* Reads to the next such word; false: there is none. */
static bool find(struct my_lex *l, const char *keyword)
{
	do
		my_lex_next(l);
	while (more(l) && !my_lex_is(l, keyword));
	return more(l);
}

/* What follows `database`. that can only be a thing of it: a function's name, a table before its column, or the name of a sequence. A bare
 * `database`.`x` elsewhere may be a column of an alias. */
static bool of_database(struct my_lex l, bool sequence)
{
	if (!my_lex_sign(&l, '.'))
		return false;
	my_lex_next(&l);
	if (!my_lex_name(&l))
		return false;
	my_lex_next(&l);
	return sequence || my_lex_sign(&l, '(') || my_lex_sign(&l, '.');
}

char *my_ddl_unqualified(const char *create, const char *database)
{
	struct my_lex l = my_lex_of(create, NULL);
	struct my_edit e = {.done = create};
	bool sequence = false, open = false, dot = false;

	for (my_lex_next(&l); more(&l);) {
		const struct my_lex word = l;

		my_lex_next(&l);
		if (word.kind == MY_WORD_NAME && !dot && my_lex_named(&word, database) && of_database(l, sequence && open))
			my_edit_put(&e, word.p, l.at, "");
		open = my_lex_sign(&word, '(');
		dot = my_lex_sign(&word, '.');
		if (!open)
			sequence = my_lex_is(&word, "nextval") || my_lex_is(&word, "lastval") || my_lex_is(&word, "setval");
	}
	return my_edit_end(&e);
}

/* l stands at a name that may have a database's before it; at the word behind it afterwards. */
static void unqualify(struct my_lex *l, struct my_edit *e)
{
	const struct my_lex first = *l;

	my_lex_next(l);
	if (!my_lex_sign(l, '.'))
		return;
	my_lex_next(l);
	my_edit_put(e, first.p, l->p, "");
	my_lex_next(l);
}

char *my_ddl_trigger(const char *create, const char *sql_mode)
{
	struct my_lex l = my_lex_of(create, sql_mode);
	struct my_edit e = {.done = create};

	if (!find(&l, "TRIGGER"))
		return my_edit_end(&e);
	do
		my_lex_next(&l);
	while (my_lex_is(&l, "IF") || my_lex_is(&l, "NOT") || my_lex_is(&l, "EXISTS"));
	unqualify(&l, &e);
	while (more(&l) && !my_lex_is(&l, "ON"))
		my_lex_next(&l);
	my_lex_next(&l);
	if (my_lex_name(&l))
		unqualify(&l, &e);
	while (more(&l) && !my_lex_is(&l, "ROW"))
		my_lex_next(&l);
	my_lex_next(&l);
	const struct my_lex order = l;
	if (my_lex_is(&l, "FOLLOWS") || my_lex_is(&l, "PRECEDES")) {
		my_lex_next(&l);
		if (my_lex_name(&l))
			my_edit_put(&e, order.p, l.at, "");
	}
	return my_edit_end(&e);
}

/* SHOW CREATE EVENT prints the schedule's times as texts, so that these words stand for themselves. */
char *my_ddl_event_disabled(const char *create, const char *sql_mode)
{
	struct my_lex l = my_lex_of(create, sql_mode);
	struct my_edit e = {.done = create};

	if (!find(&l, "COMPLETION") || !find(&l, "PRESERVE"))
		return my_edit_end(&e);
	my_lex_next(&l);
	const struct my_lex first = l;
	const char *end = l.at;
	if (my_lex_is(&l, "DISABLE")) {
		my_lex_next(&l);
		if (my_lex_is(&l, "ON")) {
			my_lex_next(&l);
			end = l.at;
		}
	} else if (!my_lex_is(&l, "ENABLE")) {
		return my_edit_end(&e);
	}
	my_edit_put(&e, first.p, end, "DISABLE");
	return my_edit_end(&e);
}

/* l stands at the word behind DEFINER = account; *from at DEFINER. */
static bool find_definer(struct my_lex *l, const char **from, char **account)
{
	static const char *const kind[] = {"TRIGGER", "FUNCTION", "PROCEDURE", "EVENT", "PACKAGE", "VIEW", "SECURITY"};

	/* It stands before the kind of the object, among a few words. */
	for (my_lex_next(l); more(l) && !my_lex_is(l, "DEFINER"); my_lex_next(l))
		for (size_t i = 0; i < ARRAY_LEN(kind); i++)
			if (my_lex_is(l, kind[i]))
				return false;
	*from = l->p;
	my_lex_next(l);
	if (!my_lex_sign(l, '='))
		return false;
	my_lex_next(l);
	*account = my_lex_unquoted(l);
	my_lex_next(l);
	if (!my_lex_sign(l, '@'))
		return more(l);
	my_lex_next(l);
	CLEANUP(cstr_release) char *host = my_lex_unquoted(l), *name = *account;
	*account = xasprintf("%s@%s", name, host);
	my_lex_next(l);
	return more(l);
}

void my_put_account(const char *name, const char *host, struct buf *to)
{
	my_sql_ident(to, name);
	if (*host) {
		buf_putc(to, '@');
		my_sql_ident(to, host);
	}
}

void my_put_definer(const char *name, const char *host, struct buf *to)
{
	buf_puts(to, "DEFINER=");
	my_put_account(name, host, to);
	buf_putc(to, ' ');
}

char *my_ddl_with_definer(const char *create, const char *sql_mode, const char *name, const char *host)
{
	struct my_lex l = my_lex_of(create, sql_mode);
	struct my_edit e = {.done = create};
	CLEANUP(buf_release) struct buf clause = BUF_INIT;
	CLEANUP(cstr_release) char *account = NULL;
	const char *from;

	if (name)
		my_put_definer(name, host, &clause);
	if (find_definer(&l, &from, &account))
		my_edit_put(&e, from, l.p, buf_str(&clause));
	return my_edit_end(&e);
}

char *my_ddl_definer(const char *create, const char *sql_mode)
{
	struct my_lex l = my_lex_of(create, sql_mode);
	CLEANUP(cstr_release) char *account = NULL;
	const char *from;
	char *given = NULL;

	if (find_definer(&l, &from, &account)) {
		given = account;
		account = NULL;
	}
	return given;
}
