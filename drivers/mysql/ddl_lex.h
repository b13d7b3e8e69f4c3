/* Words of the server's own statements. Blanks, comments and the marks of versioned comments (what stands in those counts) lie between them.
 * Nothing is copied: a word is a piece of the text. */
#ifndef DRIVERS_MYSQL_DDL_LEX_H
#define DRIVERS_MYSQL_DDL_LEX_H

#include "util/buf.h"

enum my_word {
	MY_WORD_END,
	MY_WORD_PLAIN, /* keyword, number or name without quotes */
	MY_WORD_NAME,  /* `name`, and "name" where ansi */
	MY_WORD_TEXT,  /* 'text', and "text" where not ansi */
	MY_WORD_SIGN,  /* one character */
	MY_WORD_BAD,   /* quote or comment without an end; no more words come */
};
struct my_lex {
	const char *at; /* behind the word */
	enum my_word kind;
	const char *p; /* the word with its quotes; at the end of the text its 0 */
	size_t n;
	unsigned depth; /* parentheses open before the word; a ")" closes first */
	bool versioned; /* inside of a versioned comment */
	bool ansi, no_backslash;
};
/* sql_mode: that under which the text is read; NULL: none. */
struct my_lex my_lex_of(const char *text, const char *sql_mode);
void my_lex_next(struct my_lex *l);
bool my_lex_is(const struct my_lex *l, const char *keyword); /* without quotes, upper or lower case */
bool my_lex_sign(const struct my_lex *l, char c);
bool my_lex_name(const struct my_lex *l); /* plain or quoted */
/* The name without its quotes; owned. */
char *my_lex_unquoted(const struct my_lex *l);
bool my_lex_named(const struct my_lex *l, const char *name);

/* Pieces of a text that are taken away or replaced, in order of their place. */
struct my_edit {
	struct buf out;
	const char *done; /* up to here the text is in out */
};
void my_edit_put(struct my_edit *e, const char *from, const char *to, const char *instead);
/* The text to its end; owned. e is _INIT again. */
char *my_edit_end(struct my_edit *e);

#endif
