/* Names: what a backup takes, how files are called, where a scope is on a server. */
#include <openssl/evp.h>

#include "drivers/mongodb/meta.h"

#define FILE_NAME_MOST ((size_t)238)
#define FILE_NAME_KEPT ((size_t)208)
#define RUN_DIGITS ((size_t)6)

static bool begins(const char *s, const char *with) { return !strncmp(s, with, strlen(with)); }

enum mo_place mo_database_place(const char *database)
{
	if (!strcmp(database, "local") || !strcmp(database, "config") || begins(database, "__mdb_internal"))
		return MO_SILENT;
	return MO_TAKEN;
}

enum mo_place mo_collection_place(const char *database, const char *name)
{
	/* Come in another form, or belong to the server itself. */
	static const char *const silent[] = {"system.profile", "system.views", "system.indexes", "system.namespaces"};
	static const char *const of_admin[] = {"system.users", "system.roles", "system.version", "system.keys", "system.new_users", "system.backup_users"};

	if (strchr(name, '$'))
		return MO_NOT_TAKEN;
	if (!begins(name, "system.") || !strcmp(name, "system.js"))
		return MO_TAKEN;
	if (begins(name, "system.buckets.") || begins(name, "system.drop."))
		return MO_SILENT;
	for (size_t i = 0; i < ARRAY_LEN(silent); i++)
		if (!strcmp(name, silent[i]))
			return MO_SILENT;
	for (size_t i = 0; i < ARRAY_LEN(of_admin) && !strcmp(database, "admin"); i++)
		if (!strcmp(name, of_admin[i]))
			return MO_SILENT;
	return MO_NOT_TAKEN;
}

/* ---- names of files ---- */

/* 20 bytes are 27 digits. */
static void put_sha1(struct buf *to, const char *name)
{
	static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	unsigned char sum[EVP_MAX_MD_SIZE + 1] = {0};
	unsigned n = 0;

	if (!EVP_Digest(name, strlen(name), sum, &n, EVP_sha1(), NULL) || n != 20)
		die("SHA-1 is not to be had");
	for (unsigned bit = 0; bit < n * 8; bit += 6) {
		const unsigned two = (unsigned)sum[bit / 8] << 8 | sum[bit / 8 + 1];

		buf_putc(to, digit[two >> (10 - bit % 8) & 63]);
	}
}

char *mo_file_name(const char *collection)
{
	struct buf b = BUF_INIT;

	for (const unsigned char *p = (const unsigned char *)collection; *p; p++)
		if ((*p >= '0' && *p <= '9') || (*p >= 'A' && *p <= 'Z') || (*p >= 'a' && *p <= 'z') || strchr("-_.~", *p))
			buf_putc(&b, (char)*p);
		else
			buf_printf(&b, "%%%02X", *p);
	if (b.len > FILE_NAME_MOST) {
		b.len = FILE_NAME_KEPT;
		buf_puts(&b, "%24");
		put_sha1(&b, collection);
	}
	return buf_detach(&b);
}

/* ---- places ---- */

void mo_where_release(struct mo_where *w)
{
	free(w->database);
	free(w->suffix);
	*w = (struct mo_where)MO_WHERE_INIT;
}

static bool is_suffix(const char *s)
{
	static const char *const words[] = {"_restore_", "_before_"};

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (begins(s, words[i])) {
			s += strlen(words[i]);
			return strlen(s) == RUN_DIGITS && strspn(s, "0123456789abcdef") == RUN_DIGITS;
		}
	return false;
}

enum status mo_where_parse(const char *place, struct mo_where *w, struct error *err)
{
	const size_t n = strcspn(place, ".");
	const char *suffix = place[n] ? place + n : "";

	if (!n || n > 63 || strcspn(place, "/\\ \"$") < n || (*suffix && (!begins(suffix, ".*") || !is_suffix(suffix + 2)))) {
		(void)error_set(err, ST_USAGE, "\"%s\" is no place of a database", place);
		return error_hint(err, "A place is the name of a database (at most 63 bytes, without any of /\\. \"$), or as in shop.*_restore_1a2b3c the "
				       "collections of one whose names end so.");
	}
	w->database = xstrndup(place, n);
	w->suffix = xstrdup(*suffix ? suffix + 2 : "");
	return ST_OK;
}

char *mo_where_print(const struct mo_where *w)
{
	return xasprintf("%s%s%s", w->database, *w->suffix ? ".*" : "", w->suffix);
}

char *mo_where_collection(const struct mo_where *w, const char *name)
{
	return xasprintf("%s%s", name, w->suffix);
}

bool mo_where_holds(const struct mo_where *w, const char *collection, char **name)
{
	const size_t n = strlen(collection), tail = strlen(w->suffix);

	if (n <= tail || strcmp(collection + n - tail, w->suffix))
		return false;
	if (name)
		*name = xstrndup(collection, n - tail);
	return true;
}
