/* Any text as a statement of the server: divided, it loses nothing, and what is changed in it is still one. */
#include "drivers/mysql/ddl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t dense(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += !strchr(" \t\r\n\v\f,", *text);
	return n;
}

static size_t dense_parts(const struct strlist *l)
{
	size_t n = 0;

	for (size_t i = 0; i < l->len; i++)
		n += dense(l->item[i]) - strlen("ADD");
	return n;
}

/* The parts hold all of the text but blanks and commas. What is left is divided again: of several FULLTEXT keys one goes each time. */
static void divide(const char *text, unsigned times)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(my_ddl_release) struct my_ddl_table t = MY_DDL_TABLE_INIT;

	if (my_ddl_split(text, &t, &err))
		return;
	if (dense(t.base) + dense_parts(&t.keys) + dense_parts(&t.foreign) != dense(text))
		die("a part that is lost");
	if (times)
		divide(t.base, times - 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const mode[] = {NULL, "ANSI_QUOTES", "NO_BACKSLASH_ESCAPES", "ORACLE,ANSI_QUOTES"};

	if (!size)
		return 0;
	CLEANUP(cstr_release) char *text = xstrndup((const char *)data + 1, size - 1);
	const char *m = mode[data[0] % ARRAY_LEN(mode)];

	divide(text, 2);
	char *const made[] = {my_ddl_renamed(text, "a`b"),   my_ddl_alter_database(text, "c"), my_ddl_without_counter(text),
			      my_ddl_unqualified(text, "x"), my_ddl_trigger(text, m),	       my_ddl_event_disabled(text, m),
			      my_ddl_with_definer(text, m, NULL, NULL),
			      my_ddl_comment(text, m)};
	CLEANUP(cstr_release) char *definer = my_ddl_definer(text, m);
	if (definer && strlen(definer) > strlen(text))
		die("a definer that is longer than its text");
	for (size_t i = 0; i < ARRAY_LEN(made); i++) {
		if (made[i] && i >= 2 && strlen(made[i]) > strlen(text) + strlen("DISABLE"))
			die("a text that grows");
		free(made[i]);
	}
	return 0;
}
