/* What S3 has beyond the contract of storages, on versitygw. */
#include "tests/conformance/s3_server.h"
#include "tests/lib/test.h"

#include "storage/s3/s3.h"

struct s3_case {
	struct run run;
	struct s3_test_server server;
	struct storage s;
	char *url; /* with options, open for more */
};

static void begin(struct s3_case *c, const char *bucket, const char *options)
{
	*c = (struct s3_case){.run = RUN_INIT};
	s3_test_server_share(&c->server, false);
	CLEANUP(cstr_release) char *url = s3_test_bucket(&c->server, bucket);
	c->url = xasprintf("%s&retry=5s%s", url, options);
	s3_test_open(&c->run, c->url, &c->s);
}

static void end(struct s3_case *c)
{
	storage_release(&c->s);
	s3_test_server_release(&c->server);
	free(c->url);
}

static void put(struct s3_case *c, const char *key, const char *text, struct storage_object *o)
{
	const struct put_spec spec = {.key = key, .retain = true};
	struct error err = ERROR_INIT;

	CHECK_OK(storage_put_bytes(&c->run, &c->s, &spec, text, strlen(text), o, &err), err);
}

static uint32_t caps_of(struct s3_case *c)
{
	struct error err = ERROR_INIT;
	uint32_t caps;

	CHECK_OK(storage_caps(&c->run, &c->s, &caps, &err), err);
	return caps;
}

TEST("an object of several parts in S3 is proven by SHA-256, and each byte of it is where it was")
{
	CLEANUP(end) struct s3_case c;
	const size_t n = 5u << 20, times = 8; /* borders of writes and of parts differ */
	CLEANUP(cstr_release) char *block = xmalloc(n);
	const struct put_spec spec = {.key = "shop/big", .condition = PUT_ABSENT, .bulk = true};
	struct error err = ERROR_INIT;
	struct storage_put *p;
	struct storage_object o;
	char back[8];

	begin(&c, NULL, "");
	storage_s3.put_parts(c.s.priv, 3);
	CHECK_OK(storage_put_open(&c.run, &c.s, &spec, &p, &err), err);
	for (size_t i = 0; i < times; i++) {
		for (size_t k = 0; k + 8 <= n; k += 8)
			memcpy(block + k, &(uint64_t){i * n + k}, 8);
		CHECK_OK(c.s.ops->put_write(&c.run, p, block, n, &err), err);
	}
	CHECK_OK(c.s.ops->put_finish(&c.run, p, &o, &err), err);
	CHECK_INT(o.size, n * times);
	CHECK_INT(o.proof, PROOF_SHA256);
	for (uint64_t at = 0; at + 8 <= n * times; at += n * times / 7 / 8 * 8) {
		CHECK_OK(storage_get(&c.run, &c.s, "shop/big", at, back, 8, &err), err);
		CHECK(!memcmp(back, &at, 8));
	}
	CHECK_ERR(storage_put_open(&c.run, &c.s, &spec, &p, &err), err, ST_PRECONDITION, "exists already");
}

TEST("a small object in S3 is proven by SHA-256")
{
	CLEANUP(end) struct s3_case c;
	struct storage_object o;

	begin(&c, NULL, "");
	put(&c, "a", "text", &o);
	CHECK_INT(o.proof, PROOF_SHA256);
}

TEST("conditions are believed of a server that was seen to refuse, and the object they are tried on is not listed")
{
	CLEANUP(end) struct s3_case c;
	CLEANUP(storage_objects_release) struct storage_objects l = STORAGE_OBJECTS_INIT;
	struct error err = ERROR_INIT;

	begin(&c, NULL, "");
	CHECK_INT(caps_of(&c), STORAGE_ABSENT | STORAGE_MATCHES);
	CHECK_OK(storage_list(&c.run, &c.s, "", NULL, &l, &err), err);
	CHECK_INT(l.len, 0);
}

TEST("what is deleted in a bucket that keeps versions goes with all of its versions")
{
	CLEANUP(end) struct s3_case c;
	CLEANUP(storage_versions_release) struct storage_versions all = STORAGE_VERSIONS_INIT;
	struct storage_deletion many[] = {{.key = "b/1"}, {.key = "b/2"}, {.key = "b/none"}};
	struct error err = ERROR_INIT;

	begin(&c, "versions", "");
	CHECK(caps_of(&c) & STORAGE_VERSIONS);
	put(&c, "a", "one", NULL);
	put(&c, "a", "two", NULL);
	put(&c, "b/1", "x", NULL);
	put(&c, "b/2", "x", NULL);
	CHECK_OK(storage_list_versions(&c.run, &c.s, "a", &all, &err), err);
	CHECK_INT(all.len, 2);
	CHECK(all.item[0].latest && !all.item[1].latest && !all.item[0].marker);
	CHECK_OK(storage_delete(&c.run, &c.s, "a", NULL, &err), err);
	CHECK_OK(storage_delete_many(&c.run, &c.s, many, 3, &err), err);
	for (size_t i = 0; i < 3; i++)
		CHECK_OK(many[i].err.code, many[i].err);
	storage_versions_release(&all);
	CHECK_OK(storage_list_versions(&c.run, &c.s, "", &all, &err), err);
	CHECK_INT(all.len, 0);
}

TEST("many objects go in one request each thousand, whatever their names")
{
	CLEANUP(end) struct s3_case c;
	CLEANUP(storage_objects_release) struct storage_objects l = STORAGE_OBJECTS_INIT;
	static const char *const names[] = {"x/a&b", "x/<c>", "x/d e+f%20", "x/\xc3\xa4\"", "x/plain"};
	struct storage_deletion d[ARRAY_LEN(names)] = {{0}};
	struct error err = ERROR_INIT;

	begin(&c, NULL, "");
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		put(&c, names[i], "x", NULL);
		d[i].key = names[i];
	}
	put(&c, "y", "stays", NULL);
	CHECK_OK(storage_list(&c.run, &c.s, "x/", NULL, &l, &err), err);
	CHECK_INT(l.len, ARRAY_LEN(names));
	CHECK_OK(storage_delete_many(&c.run, &c.s, d, ARRAY_LEN(d), &err), err);
	storage_objects_release(&l);
	CHECK_OK(storage_list(&c.run, &c.s, "", NULL, &l, &err), err);
	CHECK_INT(l.len, 1);
	CHECK_STR(l.item[0].key, "y");
}

TEST("an object under retention is not deleted, and the error says until when")
{
	CLEANUP(end) struct s3_case c;
	struct storage_deletion many[] = {{.key = "kept"}, {.key = "lock"}};
	const struct put_spec free_spec = {.key = "lock"};
	struct error err = ERROR_INIT;
	struct storage_object o;

	begin(&c, "lock", "&object_lock=1d");
	CHECK_INT(storage_retention(&c.s).us, DURATION_SECONDS(86400).us);
	put(&c, "kept", "text", NULL);
	CHECK_OK(storage_put_bytes(&c.run, &c.s, &free_spec, "x", 1, NULL, &err), err);
	CHECK_ERR(storage_delete(&c.run, &c.s, "kept", NULL, &err), err, ST_RETAINED, "retained until 20");
	CHECK_OK(storage_delete_many(&c.run, &c.s, many, 2, &err), err);
	CHECK_ERR(many[0].err.code, many[0].err, ST_RETAINED, "retained until 20");
	CHECK_OK(many[1].err.code, many[1].err);
	CHECK_OK(storage_stat(&c.run, &c.s, "kept", &o, &err), err);
	CHECK_ERR(storage_stat(&c.run, &c.s, "lock", &o, &err), err, ST_NOT_FOUND, "");
}

TEST("a bucket that does not exist is no empty store")
{
	CLEANUP(s3_test_server_release) struct s3_test_server server;
	CLEANUP(storage_release) struct storage s = STORAGE_INIT;
	CLEANUP(storage_objects_release) struct storage_objects l = STORAGE_OBJECTS_INIT;
	struct run run = RUN_INIT;
	struct error err = ERROR_INIT;
	struct storage_object o;

	s3_test_server_share(&server, false);
	CLEANUP(cstr_release) char *url = xasprintf("s3://no-such-bucket?endpoint=%s&retry=2s", server.endpoint);
	s3_test_open(&run, url, &s);
	CHECK_ERR(storage_stat(&run, &s, "a", &o, &err), err, ST_CONFIG, "there is no bucket no-such-bucket");
	CHECK_ERR(storage_list(&run, &s, "", NULL, &l, &err), err, ST_CONFIG, "there is no bucket no-such-bucket");
	CHECK_ERR(storage_put_bytes(&run, &s, &(struct put_spec){.key = "a"}, "x", 1, NULL, &err), err, ST_CONFIG, "no-such-bucket");
}

TEST("wrong access keys are told as such, by reads as by writes")
{
	CLEANUP(end) struct s3_case c;
	CLEANUP(storage_release) struct storage s = STORAGE_INIT;
	struct error err = ERROR_INIT;
	struct storage_object o;

	begin(&c, NULL, "");
	CLEANUP(cstr_release) char *wrong = xasprintf("%s&access_key=%s&secret_key=wrong-secret", c.url, c.server.access_key);
	s3_test_open(&c.run, wrong, &s);
	CHECK_ERR(storage_stat(&c.run, &s, "a", &o, &err), err, ST_AUTH, "refuses the access keys");
	CHECK(!err.text);
	CHECK_ERR(storage_put_bytes(&c.run, &s, &(struct put_spec){.key = "a"}, "x", 1, NULL, &err), err, ST_AUTH, "SignatureDoesNotMatch");
}

TEST("a server that is not there is unreachable after the time for tries")
{
	CLEANUP(end) struct s3_case c;
	CLEANUP(storage_release) struct storage s = STORAGE_INIT;
	struct error err = ERROR_INIT;
	struct storage_object o;

	begin(&c, NULL, "");
	s3_test_open(&c.run, "s3://bucket?endpoint=http://127.0.0.1:9&retry=300ms", &s);
	CHECK_ERR(storage_stat(&c.run, &s, "a", &o, &err), err, ST_UNREACHABLE, "");
}

TEST("the URL of an opened store opens the same one")
{
	CLEANUP(end) struct s3_case c;
	CLEANUP(storage_release) struct storage again = STORAGE_INIT;
	CLEANUP(buf_release) struct buf b = BUF_INIT;
	CLEANUP(buf_release) struct buf line = BUF_INIT;
	struct error err = ERROR_INIT;

	begin(&c, NULL, "");
	put(&c, "a", "text", NULL);
	s3_test_open(&c.run, c.s.url, &again);
	CHECK_STR(again.url, c.s.url);
	CHECK_OK(storage_get_bytes(&c.run, &again, "a", 10, &b, NULL, &err), err);
	CHECK_STR(b.data, "text");
	storage_fetch_line(&c.s, "shop/backup/x.tar.gz", "x.tar.gz", &line);
	CHECK_HAS(line.data, "aws --endpoint-url ");
	CHECK_HAS(line.data, "/shop/backup/x.tar.gz");
}
