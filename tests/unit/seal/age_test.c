/* Files cross both ways with age, the program of the format's author (Debian's package of that name). */
#include "seal/seal.h"
#include "tests/lib/test.h"
#include "util/fs.h"
#include "util/process.h"

static struct run run = RUN_INIT;

static char *path(const char *name) { return path_join(test_dir(), name); }

/* Runs age or age-keygen to its end; skips the test where it is not installed. */
static void program(const char *const *argv, struct buf *out)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(cstr_release) char *found = process_find(argv[0], NULL);
	struct run limited = run_within(&run, DURATION_SECONDS(120));

	if (!found)
		test_skip("age is not installed");
	const struct process_spec spec = {.argv = argv, .in = -1, .out = -1, .dir = test_dir()};

	CHECK_OK(process_capture(&limited, &spec, 64u << 20, out, &err), err);
}

static void write_file(const char *name, const void *p, size_t n)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(cstr_release) char *to = path(name);

	CHECK_OK(fs_write_file(to, 0600, p, n, &err), err);
}

static void read_file(const char *name, struct buf *to)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(cstr_release) char *from = path(name);

	CHECK_OK(fs_read_file(from, 64u << 20, to, &err), err);
}

/* The keys that age-keygen makes, in the file key.txt; the public one is returned. */
static char *keygen(struct seal_identities *ids)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(buf_release) struct buf text = BUF_INIT, out = BUF_INIT;

	program((const char *const[]){"age-keygen", "-o", "key.txt", NULL}, &out);
	read_file("key.txt", &text);
	CHECK_OK(seal_identities_add(ids, "key.txt", text.data, text.len, NULL, &err), err);
	return xstrdup(seal_identity_recipient(ids, 0));
}

static void fill(struct buf *b, size_t n)
{
	buf_clear(b);
	buf_reserve(b, n + 1);
	for (size_t i = 0; i < n; i++)
		b->data[i] = (char)(i * 31 + i / 509);
	b->len = n;
}

static const size_t sizes[] = {0, 1, SEAL_CHUNK, SEAL_CHUNK + 1, 2 * SEAL_CHUNK, 1000003};

TEST("age opens what drtool sealed for a key of age-keygen")
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(seal_identities_freep) struct seal_identities *ids = seal_identities_new();
	CLEANUP(cstr_release) char *key = keygen(ids);
	CLEANUP(strlist_release) struct strlist keys = STRLIST_INIT;
	CLEANUP(seal_recipients_freep) struct seal_recipients *to = NULL;

	strlist_add(&keys, "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj");
	strlist_add(&keys, key);
	CHECK_OK(seal_recipients_new(&keys, &to, &err), err);
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		CLEANUP(buf_release) struct buf plain = BUF_INIT, sealed = BUF_INIT, out = BUF_INIT;

		fill(&plain, sizes[i]);
		CHECK_OK(seal_bytes(&run, to, plain.data, plain.len, &sealed, &err), err);
		write_file("sealed.age", sealed.data, sealed.len);
		program((const char *const[]){"age", "-d", "-i", "key.txt", "sealed.age", NULL}, &out);
		CHECK(out.len == plain.len && (!out.len || !memcmp(out.data, plain.data, out.len)));
	}
}

TEST("drtool opens what age sealed, armored or not")
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(seal_identities_freep) struct seal_identities *ids = seal_identities_new();
	CLEANUP(cstr_release) char *key = keygen(ids);

	for (size_t i = 0; i < 2 * ARRAY_LEN(sizes); i++) {
		CLEANUP(buf_release) struct buf plain = BUF_INIT, sealed = BUF_INIT, out = BUF_INIT;
		const char *armor = i < ARRAY_LEN(sizes) ? NULL : "-a";

		fill(&plain, sizes[i % ARRAY_LEN(sizes)]);
		write_file("plain", buf_str(&plain), plain.len);
		program((const char *const[]){"age", "-r", key, "-o", "sealed.age", armor ? armor : "plain", armor ? "plain" : NULL, NULL}, &out);
		read_file("sealed.age", &sealed);
		CHECK_OK(seal_open_bytes(ids, sealed.data, sealed.len, &out, &err), err);
		CHECK(out.len == plain.len && (!out.len || !memcmp(out.data, plain.data, out.len)));
	}
}

TEST("age-keygen gives the public key of a key that drtool made")
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(buf_release) struct buf secret = BUF_INIT, public_key = BUF_INIT, out = BUF_INIT;

	CHECK_OK(seal_key_generate(&run, &secret, &public_key, &err), err);
	write_file("own.txt", secret.data, secret.len);
	program((const char *const[]){"age-keygen", "-y", "own.txt", NULL}, &out);
	buf_putc(&public_key, '\n');
	CHECK_STR(buf_str(&out), buf_str(&public_key));
}
