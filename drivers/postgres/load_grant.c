#include "drivers/postgres/load.h"

static const struct {
	char letter;
	const char *word;
} rights[] = {{'r', "SELECT"}, {'w', "UPDATE"}, {'C', "CREATE"}, {'T', "TEMPORARY"}, {'c', "CONNECT"}};

/* A role at the start of an aclitem's text, up to '='; in double quotes where it is odd. */
static char *take_grantee(const char **at)
{
	struct buf name = BUF_INIT;
	bool quoted = false;
	const char *p = *at;

	for (; *p && (quoted || *p != '='); p++) {
		if (*p == '"' && quoted && p[1] == '"')
			buf_putc(&name, *p++);
		else if (*p == '"')
			quoted = !quoted;
		else
			buf_putc(&name, *p);
	}
	*at = p;
	return buf_detach(&name);
}

static void put_words(struct buf *to, const char *letters, bool with_option)
{
	bool first = true;

	for (; *letters && *letters != '/'; letters++)
		for (size_t i = 0; i < ARRAY_LEN(rights); i++)
			if (rights[i].letter == *letters && (letters[1] == '*') == with_option) {
				buf_printf(to, "%s%s", first ? "" : ", ", rights[i].word);
				first = false;
			}
}

char *acl_grantee(const char *acl)
{
	const char *at = acl;

	return take_grantee(&at);
}

void sql_grant(struct buf *to, const char *object, const char *acl)
{
	const char *at = acl;
	CLEANUP(cstr_release) char *grantee = take_grantee(&at);

	for (int option = 0; *at && option < 2; option++) {
		CLEANUP(buf_release) struct buf words = BUF_INIT;

		put_words(&words, at + 1, option);
		if (!words.len)
			continue;
		buf_printf(to, "GRANT %s ON %s TO ", buf_str(&words), object);
		if (*grantee)
			sql_ident(to, grantee);
		else
			buf_puts(to, "PUBLIC");
		buf_puts(to, option ? " WITH GRANT OPTION;" : ";");
	}
}
