/* The published vectors of age (tests/fixtures/age). */
#include <zlib.h>

#include "seal/seal.h"
#include "tests/lib/test.h"
#include "util/fs.h"
#include "util/hash.h"

enum { INFLATED_MAX = 32 * 1024 * 1024 };

struct vector {
	struct strlist identity, passphrase;
	char *expect, *payload;
	bool compressed;
	struct buf file;
};

static void vector_release(struct vector *v)
{
	strlist_release(&v->identity);
	strlist_release(&v->passphrase);
	free(v->expect);
	free(v->payload);
	buf_release(&v->file);
}

static void set_line(struct vector *v, const char *line)
{
	const char *value = strstr(line, ": ");

	CHECK(value);
	value += 2;
	if (!strncmp(line, "expect:", 7))
		v->expect = xstrdup(value);
	else if (!strncmp(line, "payload:", 8))
		v->payload = xstrdup(value);
	else if (!strncmp(line, "identity:", 9))
		strlist_add(&v->identity, value);
	else if (!strncmp(line, "passphrase:", 11))
		strlist_add(&v->passphrase, value);
	else if (!strncmp(line, "compressed:", 11))
		v->compressed = true;
}

static void inflate_file(const char *p, size_t n, struct buf *to)
{
	uLongf len = INFLATED_MAX;

	buf_reserve(to, INFLATED_MAX);
	CHECK_INT(uncompress((Bytef *)to->data, &len, (const Bytef *)p, n), Z_OK);
	to->len = len;
}

static void vector_read(const char *path, struct vector *v)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(buf_release) struct buf b = BUF_INIT;

	CHECK_OK(fs_read_file(path, 1024 * 1024, &b, &err), err);
	char *s = b.data;

	while (*s != '\n') {
		char *lf = strchr(s, '\n');

		CHECK(lf);
		*lf = 0;
		set_line(v, s);
		s = lf + 1;
	}
	s++;
	size_t n = b.len - (size_t)(s - b.data);

	if (v->compressed)
		inflate_file(s, n, &v->file);
	else
		buf_put(&v->file, s, n);
	CHECK(v->expect);
}

static struct seal_identities *keys_of(const struct vector *v)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	struct seal_identities *ids = seal_identities_new();

	for (size_t i = 0; i < v->identity.len; i++)
		CHECK_OK(seal_identities_add(ids, "vector", v->identity.item[i], strlen(v->identity.item[i]), NULL, &err), err);
	for (size_t i = 0; i < v->passphrase.len; i++)
		seal_identities_add_passphrase(ids, v->passphrase.item[i], SEAL_WORK_MAX);
	return ids;
}

/* What each word of the vectors is here. */
static bool as_expected(const struct vector *v, enum status st, const char *text)
{
	bool header = strstr(text, "header") || strstr(text, "no age file"), mac = strstr(text, "its MAC");

	if (!strcmp(v->expect, "success"))
		return st == ST_OK;
	if (!strcmp(v->expect, "no match"))
		return st == ST_DENIED;
	if (!strcmp(v->expect, "HMAC failure"))
		return st == ST_BAD && mac;
	if (!strcmp(v->expect, "armor failure"))
		return st == ST_BAD && (strstr(text, "armor") || strstr(text, "no age file"));
	if (!strcmp(v->expect, "payload failure"))
		return st == ST_BAD && !mac && (!header || strstr(text, "ends behind its header"));
	return (st == ST_BAD && !mac) || st == ST_UNSUPPORTED;
}

static void check_vector(const char *name)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(vector_release) struct vector v = {0};
	CLEANUP(buf_release) struct buf plain = BUF_INIT;
	CLEANUP(cstr_release) char *path = path_join("tests/fixtures/age", name);
	char hex[SHA256_HEX];

	vector_read(path, &v);
	CLEANUP(seal_identities_freep) struct seal_identities *ids = keys_of(&v);
	enum status st = seal_open_bytes(ids, v.file.data, v.file.len, &plain, &err);

	if (!as_expected(&v, st, error_text(&err)))
		test_fail(__FILE__, __LINE__, "%s: expected %s, got %s: %s", name, v.expect, status_name(st), error_text(&err));
	CHECK(!st || !plain.len);
	if (!st)
		CHECK_STR(sha256_hex(sha256_of(plain.data, plain.len), hex), v.payload);
}

TEST("age: every published vector opens or fails as it says")
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(strlist_release) struct strlist names = STRLIST_INIT;

	CHECK_OK(fs_list("tests/fixtures/age", &names, &err), err);
	CHECK_INT(names.len, 125);
	for (size_t i = 0; i < names.len; i++)
		if (strcmp(names.item[i], "README"))
			check_vector(names.item[i]);
}
