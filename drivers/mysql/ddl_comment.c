/* SHOW CREATE prints the comment of a program with backslashes as escapes, whatever the sql_mode of the program is. Under
 * NO_BACKSLASH_ESCAPES it would come back as another text. */
#include "drivers/mysql/ddl.h"
#include "drivers/mysql/ddl_lex.h"

static bool more(const struct my_lex *l) { return l->kind != MY_WORD_END && l->kind != MY_WORD_BAD; }

static bool is_one_of(const struct my_lex *l, const char *const *words)
{
	for (; *words; words++)
		if (my_lex_is(l, *words))
			return true;
	return false;
}

/* From a word that has an open bracket to the one behind it. */
static void pass_brackets(struct my_lex *l)
{
	if (!my_lex_sign(l, '('))
		return;
	const unsigned depth = l->depth;

	do
		my_lex_next(l);
	while (more(l) && !(my_lex_sign(l, ')') && l->depth == depth));
	my_lex_next(l);
}

/* To the word behind the name of the object, and behind its arguments. */
static bool pass_name(struct my_lex *l)
{
	static const char *const kinds[] = {"FUNCTION", "PROCEDURE", "PACKAGE", "EVENT", NULL};

	while (more(l) && !is_one_of(l, kinds))
		my_lex_next(l);
	my_lex_next(l);
	if (my_lex_is(l, "BODY"))
		my_lex_next(l);
	if (!my_lex_name(l))
		return false;
	my_lex_next(l);
	pass_brackets(l);
	return more(l);
}

/* Of an event, words up to COMMENT or DO; else the type of a function and the words that say how a program is. A body begins with none of these. */
static bool find_comment(struct my_lex *l)
{
	static const char *const type[] = {"RETURNS", "RETURN", "CHARSET", "COLLATE", "LANGUAGE", NULL};
	static const char *const words[] = {"UNSIGNED", "SIGNED", "ZEROFILL", "PRECISION", "CHARACTER", "SET", "NOT", "DETERMINISTIC", "CONTAINS",
					    "SQL", "NO", "READS", "MODIFIES", "DATA", "SECURITY", "INVOKER", "DEFINER", "AUTHID", "CURRENT_USER", NULL};
	static const char *const returns[] = {"RETURNS", "RETURN", NULL};
	bool returned = false;

	if (my_lex_is(l, "ON")) {
		while (more(l) && !my_lex_is(l, "COMMENT") && !my_lex_is(l, "DO"))
			my_lex_next(l);
		return my_lex_is(l, "COMMENT");
	}
	while (!my_lex_is(l, "COMMENT")) {
		const bool set = my_lex_is(l, "SET");

		if (!is_one_of(l, words) && (!is_one_of(l, type) || (returned && is_one_of(l, returns))))
			return false;
		if (is_one_of(l, type) || set) {
			returned |= is_one_of(l, returns);
			my_lex_next(l);
		}
		my_lex_next(l);
		pass_brackets(l);
	}
	return true;
}

static void put_plain(struct buf *to, const char *p, const char *end)
{
	for (; p < end; p++) {
		if (*p == '\\' && p + 1 < end) {
			p++;
			buf_putc(to, *p == 'n' ? '\n' : *p == 'r' ? '\r' : *p == 't' ? '\t' : *p == 'Z' ? '\x1a' : *p);
		} else {
			buf_putc(to, *p);
		}
	}
}

char *my_ddl_comment(const char *create, const char *sql_mode)
{
	struct my_lex l = my_lex_of(create, sql_mode);
	struct my_edit e = {.done = create};
	CLEANUP(buf_release) struct buf text = BUF_INIT;

	my_lex_next(&l);
	if (!l.no_backslash || !pass_name(&l) || !find_comment(&l))
		return my_edit_end(&e);
	my_lex_next(&l);
	if (l.kind == MY_WORD_TEXT) {
		put_plain(&text, l.p, l.at);
		my_edit_put(&e, l.p, l.at, buf_str(&text));
	}
	return my_edit_end(&e);
}
