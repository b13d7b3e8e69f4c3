#include "seal/seal.h"

#include "tests/lib/test.h"

static struct run run = RUN_INIT;

struct pair {
	struct buf secret, key;
};
static void pair_release(struct pair *p)
{
	buf_release(&p->secret);
	buf_release(&p->key);
}
static struct pair pair_new(void)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	struct pair p = {BUF_INIT, BUF_INIT};

	CHECK_OK(seal_key_generate(&run, &p.secret, &p.key, &err), err);
	return p;
}

static struct seal_recipients *recipients(const char *a, const char *b)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(strlist_release) struct strlist l = STRLIST_INIT;
	struct seal_recipients *r = NULL;

	strlist_add(&l, a);
	if (b)
		strlist_add(&l, b);
	CHECK_OK(seal_recipients_new(&l, &r, &err), err);
	return r;
}

static struct seal_identities *identity(const char *text)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	struct seal_identities *ids = seal_identities_new();

	CHECK_OK(seal_identities_add(ids, "keys", text, strlen(text), NULL, &err), err);
	return ids;
}

static void pattern(struct buf *b, size_t n)
{
	buf_reserve(b, n + 1);
	for (size_t i = 0; i < n; i++)
		b->data[i] = (char)(i * 7 + i / 251);
	b->len = n;
}

static const size_t sizes[] = {0, 1, SEAL_CHUNK - 1, SEAL_CHUNK, SEAL_CHUNK + 1, 3 * SEAL_CHUNK, 3 * SEAL_CHUNK + 12345};

TEST("seal: what is sealed for two keys opens with either, at every size around a chunk")
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(pair_release) struct pair a = pair_new(), b = pair_new();
	CLEANUP(seal_recipients_freep) struct seal_recipients *to = recipients(buf_str(&a.key), buf_str(&b.key));
	CLEANUP(seal_identities_freep) struct seal_identities *one = identity(buf_str(&a.secret)), *two = identity(buf_str(&b.secret));

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		CLEANUP(buf_release) struct buf plain = BUF_INIT, sealed = BUF_INIT, again = BUF_INIT, other = BUF_INIT;
		size_t header = 0;
		uint64_t size = 1;
		CLEANUP(strlist_release) struct strlist kinds = STRLIST_INIT;

		pattern(&plain, sizes[i]);
		CHECK_OK(seal_bytes(&run, to, plain.data, plain.len, &sealed, &err), err);
		CHECK_OK(seal_header_kinds(sealed.data, sealed.len, &kinds, &header, &err), err);
		CHECK_INT(kinds.len, 2);
		CHECK_INT(seal_stored_size(header, sizes[i]), sealed.len);
		CHECK_OK(seal_plain_size(header, sealed.len, &size, &err), err);
		CHECK_INT(size, sizes[i]);
		CHECK_OK(seal_open_bytes(one, sealed.data, sealed.len, &again, &err), err);
		CHECK_OK(seal_open_bytes(two, sealed.data, sealed.len, &other, &err), err);
		CHECK(again.len == plain.len && other.len == plain.len);
		CHECK(!plain.len || (!memcmp(again.data, plain.data, plain.len) && !memcmp(other.data, plain.data, plain.len)));
	}
}

TEST("seal: a range is opened from its chunks alone, apart or in one buffer")
{
	static const struct {
		size_t offset, n;
	} range[] = {{0, 1}, {0, SEAL_CHUNK}, {SEAL_CHUNK - 1, 2}, {70000, 130000}, {3 * SEAL_CHUNK, 12345}, {3 * SEAL_CHUNK + 12344, 1}, {0, 3 * SEAL_CHUNK + 12345}};
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(pair_release) struct pair a = pair_new();
	CLEANUP(seal_recipients_freep) struct seal_recipients *to = recipients(buf_str(&a.key), NULL);
	CLEANUP(seal_identities_freep) struct seal_identities *ids = identity(buf_str(&a.secret));
	CLEANUP(buf_release) struct buf plain = BUF_INIT, sealed = BUF_INIT, in = BUF_INIT, out = BUF_INIT;
	CLEANUP(seal_stream_freep) struct seal_stream *s = NULL;
	CLEANUP(seal_work_freep) struct seal_work *w = seal_work_new();
	size_t header = 0, which = 9;

	pattern(&plain, 3 * SEAL_CHUNK + 12345);
	CHECK_OK(seal_bytes(&run, to, plain.data, plain.len, &sealed, &err), err);
	CHECK_OK(seal_open(ids, sealed.data, min_size(sealed.len, SEAL_HEADER_MAX), &s, &header, &which, &err), err);
	CHECK_INT(which, 0);
	for (size_t i = 0; i < ARRAY_LEN(range); i++) {
		struct seal_span span = seal_span(header, plain.len, range[i].offset, range[i].n);

		CHECK(span.offset + span.len <= sealed.len);
		buf_clear(&in);
		buf_put(&in, sealed.data + span.offset, span.len);
		buf_reserve(&out, span.len);
		CHECK_OK(seal_open_span(w, s, &span, plain.len, in.data, out.data, &err), err);
		CHECK(!memcmp(out.data + span.skip, plain.data + range[i].offset, range[i].n));
		CHECK_OK(seal_open_span(w, s, &span, plain.len, in.data, in.data, &err), err);
		CHECK(!memcmp(in.data + span.skip, plain.data + range[i].offset, range[i].n));
	}
}

TEST("seal: a flipped bit anywhere, a lost end and chunks in another order are found")
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(pair_release) struct pair a = pair_new();
	CLEANUP(seal_recipients_freep) struct seal_recipients *to = recipients(buf_str(&a.key), NULL);
	CLEANUP(seal_identities_freep) struct seal_identities *ids = identity(buf_str(&a.secret));
	CLEANUP(buf_release) struct buf plain = BUF_INIT, sealed = BUF_INIT, out = BUF_INIT;

	pattern(&plain, 2 * SEAL_CHUNK + 100);
	CHECK_OK(seal_bytes(&run, to, plain.data, plain.len, &sealed, &err), err);
	size_t header = sealed.len - plain.len - 3 * SEAL_TAG;

	for (size_t i = 0; i < sealed.len; i += i < header ? 1 : 7919) {
		sealed.data[i] ^= 1;
		buf_clear(&out);
		CHECK(seal_open_bytes(ids, sealed.data, sealed.len, &out, &err) != ST_OK);
		error_release(&err);
		sealed.data[i] ^= 1;
	}
	for (size_t n = 0; n < sealed.len; n += n < header + 100 ? 1 : 9973) {
		buf_clear(&out);
		CHECK_ERR(seal_open_bytes(ids, sealed.data, n, &out, &err), err, ST_BAD, "");
	}
	/* Whole chunks lost at the end. */
	for (size_t n = 1; n < 3; n++)
		CHECK_ERR(seal_open_bytes(ids, sealed.data, header + n * SEAL_STORED_CHUNK, &out, &err), err, ST_BAD, "cut off");
	char *first = sealed.data + header;
	CLEANUP(buf_release) struct buf swap = BUF_INIT;

	buf_put(&swap, first, SEAL_STORED_CHUNK);
	memmove(first, first + SEAL_STORED_CHUNK, SEAL_STORED_CHUNK);
	memcpy(first + SEAL_STORED_CHUNK, swap.data, SEAL_STORED_CHUNK);
	CHECK_ERR(seal_open_bytes(ids, sealed.data, sealed.len, &out, &err), err, ST_BAD, "chunk 0");
}

TEST("seal: a key that it was not sealed for, and none at all, are denied in words")
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(pair_release) struct pair a = pair_new(), b = pair_new();
	CLEANUP(seal_recipients_freep) struct seal_recipients *to = recipients(buf_str(&a.key), NULL);
	CLEANUP(seal_identities_freep) struct seal_identities *other = identity(buf_str(&b.secret)), *none = seal_identities_new();
	CLEANUP(buf_release) struct buf sealed = BUF_INIT, out = BUF_INIT;

	CHECK_OK(seal_bytes(&run, to, "x", 1, &sealed, &err), err);
	CHECK_ERR(seal_open_bytes(other, sealed.data, sealed.len, &out, &err), err, ST_DENIED, "other keys");
	CHECK_ERR(seal_open_bytes(none, sealed.data, sealed.len, &out, &err), err, ST_DENIED, "no key was given");
}

TEST("seal: a passphrase opens what was sealed with it, and no other does")
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(seal_recipients_freep) struct seal_recipients *to = NULL;
	CLEANUP(seal_identities_freep) struct seal_identities *right = seal_identities_new(), *wrong = seal_identities_new();
	CLEANUP(buf_release) struct buf sealed = BUF_INIT, out = BUF_INIT;

	CHECK_ERR(seal_recipients_passphrase("", 10, &to, &err), err, ST_CONFIG, "empty");
	CHECK_OK(seal_recipients_passphrase("correct horse", 10, &to, &err), err);
	CHECK_OK(seal_bytes(&run, to, "hello", 5, &sealed, &err), err);
	seal_identities_add_passphrase(right, "correct horse", 10);
	seal_identities_add_passphrase(wrong, "correct house", 10);
	CHECK_OK(seal_open_bytes(right, sealed.data, sealed.len, &out, &err), err);
	CHECK_STR(buf_str(&out), "hello");
	CHECK_STR(seal_identity_recipient(right, 0), "");
	CHECK_ERR(seal_open_bytes(wrong, sealed.data, sealed.len, &out, &err), err, ST_DENIED, "passphrase");
}

TEST("seal: a passphrase is not tried on a file that asks for more work than its reader allows")
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(seal_recipients_freep) struct seal_recipients *to = NULL;
	CLEANUP(seal_identities_freep) struct seal_identities *ids = seal_identities_new();
	CLEANUP(buf_release) struct buf sealed = BUF_INIT, out = BUF_INIT;

	CHECK_OK(seal_recipients_passphrase("correct horse", 11, &to, &err), err);
	CHECK_OK(seal_bytes(&run, to, "hello", 5, &sealed, &err), err);
	seal_identities_add_passphrase(ids, "correct horse", 10);
	CHECK_ERR(seal_open_bytes(ids, sealed.data, sealed.len, &out, &err), err, ST_UNSUPPORTED, "at most 10");
}

TEST("seal: keys that drtool cannot seal for are refused by name, a secret one without its text")
{
	static const struct {
		const char *key, *says;
	} row[] = {
		{"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHsKLqeplhpW+uObz5dvMgjz1OxfM/XXUB+VHtZ6isGN a@b", "an SSH key"},
		{"age1pq1xyz", "post-quantum"},
		{"age1tag1qt8lw0ual6avlwmwatk888yqnmdamm7xfd0wak53ut6elz5c4swx2yqdj4e", "plugin tag"},
		{"age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwk", "a letter is wrong"},
		{"AGE1ZVKYG2LQZRAA2LNJVQEJ32NKUU0UES2S82HZRYE869XEEXVN73EQUNUJWJ", "a letter is wrong"},
		{"age1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqrwujvk", "no"},
		{"", "no public key"},
	};
	CLEANUP(error_release) struct error err = ERROR_INIT;

	for (size_t i = 0; i < ARRAY_LEN(row); i++)
		CHECK_ERR(seal_recipient_check(row[i].key, &err), err, ST_CONFIG, row[i].says);
	CHECK_OK(seal_recipient_check("age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj", &err), err);
	const char *secret = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX";

	CHECK(seal_recipient_check(secret, &err) == ST_CONFIG);
	CHECK_HAS(error_text(&err), "a secret key stands where a public key belongs");
	CHECK(!strstr(error_text(&err), "1GFP") && !strstr(err.hint, "1GFP"));
}

TEST("seal: the key of the specification has the public key of the specification, and a key named twice counts once")
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(seal_identities_freep) struct seal_identities *ids =
		identity("AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX");
	const char *key = seal_identity_recipient(ids, 0);
	char fingerprint[SEAL_FINGERPRINT];
	CLEANUP(buf_release) struct buf sealed = BUF_INIT;
	CLEANUP(strlist_release) struct strlist kinds = STRLIST_INIT;
	size_t header;

	CHECK_STR(key, "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj");
	CHECK_STR(seal_fingerprint(key, fingerprint), "6a804773982840fa");
	CLEANUP(seal_recipients_freep) struct seal_recipients *to = recipients(key, key);

	CHECK_OK(seal_bytes(&run, to, "x", 1, &sealed, &err), err);
	CHECK_OK(seal_header_kinds(sealed.data, sealed.len, &kinds, &header, &err), err);
	CHECK_INT(kinds.len, 1);
}

static enum status say_open(void *ctx, const char *what, char **text, struct error *err)
{
	(void)err;
	CHECK_STR(what, "keys.age");
	*text = xstrdup(ctx);
	return ST_OK;
}

TEST("seal: a file of keys has comments and several keys, and may itself be sealed with a passphrase")
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(pair_release) struct pair a = pair_new(), b = pair_new();
	CLEANUP(buf_release) struct buf text = BUF_INIT, sealed = BUF_INIT;
	CLEANUP(seal_recipients_freep) struct seal_recipients *to = NULL;
	CLEANUP(seal_identities_freep) struct seal_identities *ids = seal_identities_new();
	struct seal_ask ask = {say_open, (char[]){"sesame"}}, wrong = {say_open, (char[]){"barley"}};

	buf_printf(&text, "# created\r\n# public key: %s\r\n%s\r\n\n%s", buf_str(&a.key), buf_str(&a.secret), buf_str(&b.secret));
	CHECK_OK(seal_identities_add(ids, "keys", text.data, text.len, NULL, &err), err);
	CHECK_INT(seal_identities_count(ids), 2);
	CHECK_STR(seal_identity_recipient(ids, 1), buf_str(&b.key));
	CHECK_OK(seal_recipients_passphrase("sesame", 10, &to, &err), err);
	CHECK_OK(seal_bytes(&run, to, text.data, text.len, &sealed, &err), err);
	CHECK_ERR(seal_identities_add(ids, "keys.age", sealed.data, sealed.len, NULL, &err), err, ST_CONFIG, "nobody can be asked");
	CHECK_ERR(seal_identities_add(ids, "keys.age", sealed.data, sealed.len, &wrong, &err), err, ST_DENIED, "the passphrase is wrong");
	CHECK_OK(seal_identities_add(ids, "keys.age", sealed.data, sealed.len, &ask, &err), err);
	CHECK_INT(seal_identities_count(ids), 4);
}

TEST("seal: what is no file of keys is refused with its line and without its text")
{
	static const struct {
		const char *text, *says;
	} row[] = {
		{"# nothing\n", "no secret key"},
		{"", "no secret key"},
		{"# x\nhunter2secret\n", "line 2: no secret key of age"},
		{"AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEY\n", "line 1: the secret key is damaged"},
		{"age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj", "a public key, which opens nothing"},
		{"-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl\n", "an SSH or PEM key"},
		{"AGE-PLUGIN-YUBIKEY-1QQQ\n", "a key of an age plugin"},
		{"AGE-SECRET-KEY-PQ-1XX\n", "a post-quantum key"},
	};
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(seal_identities_freep) struct seal_identities *ids = seal_identities_new();

	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		CHECK(seal_identities_add(ids, "keys", row[i].text, strlen(row[i].text), NULL, &err) == ST_CONFIG);
		CHECK_HAS(error_text(&err), row[i].says);
		CHECK(!strstr(error_text(&err), "hunter2") && !strstr(error_text(&err), "GFPYY"));
		error_release(&err);
	}
	CHECK_INT(seal_identities_count(ids), 0);
}
