#include "storage/s3/sign.h"

#include "tests/lib/test.h"
#include "util/hash.h"

#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

/* What AWS publishes: requests, and the signatures that they must get. */
struct vector {
	const char *name;
	const char *method, *path; /* not encoded */
	struct s3_param param[5];
	struct {
		const char *name, *value;
	} header[4];
	const char *body, *token, *names, *signature;
};

static const struct s3_keys suite_keys = {.id = (char[]){"AKIDEXAMPLE"}, .secret = (char[]){"wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"}};
static const struct s3_keys guide_keys = {.id = (char[]){"AKIAIOSFODNN7EXAMPLE"}, .secret = (char[]){"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}};

/* Of the suite of test cases of Signature Version 4. */
static const struct vector suite[] = {
	{.name = "get-vanilla", .path = "/", .names = "host;x-amz-date", .signature = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
	{.name = "get-vanilla-empty-query-key", .path = "/", .param = {{"Param1", "value1"}}, .names = "host;x-amz-date",
	 .signature = "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb"},
	{.name = "get-vanilla-query-order-key-case", .path = "/", .param = {{"Param2", "value2"}, {"Param1", "value1"}}, .names = "host;x-amz-date",
	 .signature = "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
	{.name = "get-vanilla-query-order-encoded", .path = "/", .param = {{"Param-3", "Value3"}, {"Param", "Value2"}, {"\u1234", "Value1"}},
	 .names = "host;x-amz-date", .signature = "371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac"},
	{.name = "get-vanilla-query-unreserved", .path = "/",
	 .param = {{"-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"}},
	 .names = "host;x-amz-date", .signature = "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197"},
	{.name = "get-vanilla-utf8-query", .path = "/", .param = {{"\u1234", "bar"}}, .names = "host;x-amz-date",
	 .signature = "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"},
	{.name = "get-utf8", .path = "/\u1234", .names = "host;x-amz-date", .signature = "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"},
	{.name = "get-unreserved", .path = "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", .names = "host;x-amz-date",
	 .signature = "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"},
	{.name = "get-space-unnormalized", .path = "/example space/", .names = "host;x-amz-date",
	 .signature = "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741"},
	{.name = "get-slashes-unnormalized", .path = "//example//", .names = "host;x-amz-date",
	 .signature = "87cca117541a147f6df867677d98a7d80dff226d2bfca9e4ffa899665623c7e5"},
	{.name = "get-relative-relative-unnormalized", .path = "/example1/example2/../..", .names = "host;x-amz-date",
	 .signature = "dc33e0856fd4baca4d7aa2146c38958283844764f38c74252a333df5e613003b"},
	{.name = "get-header-value-trim", .path = "/", .header = {{"My-Header1", " value1"}, {"My-Header2", " \"a   b   c\""}},
	 .names = "host;my-header1;my-header2;x-amz-date", .signature = "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"},
	{.name = "get-header-value-order", .path = "/", .header = {{"My-Header1", "value4,value1,value3,value2"}}, .names = "host;my-header1;x-amz-date",
	 .signature = "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01"},
	{.name = "get-vanilla-with-session-token", .path = "/", .token = "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267",
	 .names = "host;x-amz-date;x-amz-security-token", .signature = "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8"},
	{.name = "post-vanilla", .method = "POST", .path = "/", .names = "host;x-amz-date",
	 .signature = "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
	{.name = "post-header-key-sort", .method = "POST", .path = "/", .header = {{"My-Header1", "value1"}}, .names = "host;my-header1;x-amz-date",
	 .signature = "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c"},
	{.name = "post-x-www-form-urlencoded", .method = "POST", .path = "/", .header = {{"Content-Type", "application/x-www-form-urlencoded"}}, .body = "Param1=value1",
	 .names = "content-type;host;x-amz-date", .signature = "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"},
};

/* Of the guide to S3's own signatures. */
static const struct vector guide[] = {
	{.name = "get an object", .path = "/test.txt", .header = {{"Range", "bytes=0-9"}}, .names = "host;range;x-amz-content-sha256;x-amz-date",
	 .signature = "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"},
	{.name = "put an object", .method = "PUT", .path = "/test$file.text",
	 .header = {{"Date", "Fri, 24 May 2013 00:00:00 GMT"}, {"x-amz-storage-class", "REDUCED_REDUNDANCY"}}, .body = "Welcome to Amazon S3.",
	 .names = "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
	 .signature = "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"},
	{.name = "get the bucket's life cycle", .path = "/", .param = {{"lifecycle", NULL}}, .names = "host;x-amz-content-sha256;x-amz-date",
	 .signature = "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"},
	{.name = "list objects", .path = "/", .param = {{"prefix", "J"}, {"max-keys", "2"}}, .names = "host;x-amz-content-sha256;x-amz-date",
	 .signature = "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"},
};

static size_t params_of(const struct vector *v)
{
	size_t n = 0;

	while (n < ARRAY_LEN(v->param) && v->param[n].name)
		n++;
	return n;
}

static void check_vector(const struct vector *v, struct s3_signing s)
{
	CLEANUP(http_headers_release) struct http_headers h = HTTP_HEADERS_INIT;
	CLEANUP(buf_release) struct buf path = BUF_INIT, query = BUF_INIT;
	char payload[SHA256_HEX];
	const char *body = v->body ? v->body : "";
	struct s3_keys keys = *s.keys;
	CLEANUP(cstr_release) char *token = v->token ? xstrdup(v->token) : NULL;

	keys.token = token;
	s3_encode(&path, v->path, true);
	s3_query(v->param, params_of(v), &query);
	for (size_t i = 0; i < ARRAY_LEN(v->header) && v->header[i].name; i++)
		http_headers_add(&h, v->header[i].name, "%s", v->header[i].value);
	s.keys = &keys;
	s.region = "us-east-1";
	s.method = v->method ? v->method : "GET";
	s.path = buf_str(&path);
	s.query = buf_str(&query);
	s.payload = sha256_hex(sha256_of(body, strlen(body)), payload);
	s3_sign(&s, &h);
	CLEANUP(cstr_release) char *names = xasprintf("SignedHeaders=%s, ", v->names), *signature = xasprintf("Signature=%s", v->signature);
	CLEANUP(cstr_release) char *got = xasprintf("%s: %s", v->name, http_headers_get(&h, "Authorization"));
	CHECK_HAS(got, names);
	CHECK_HAS(got, signature);
}

TEST("S3: signatures are those that AWS publishes for its suite of test cases")
{
	struct s3_signing s = {.keys = &suite_keys, .service = "service", .host = "example.amazonaws.com", .now = {INT64_C(1440938160000000)}};

	for (size_t i = 0; i < ARRAY_LEN(suite); i++)
		check_vector(&suite[i], s);
}

TEST("S3: signatures are those of the examples in S3's guide")
{
	struct s3_signing s = {.keys = &guide_keys, .service = "s3", .host = "examplebucket.s3.amazonaws.com", .now = {INT64_C(1369353600000000)}};

	for (size_t i = 0; i < ARRAY_LEN(guide); i++)
		check_vector(&guide[i], s);
}

TEST("S3: a signature adds the headers that it needs, and the body's hash only for S3")
{
	CLEANUP(http_headers_release) struct http_headers h = HTTP_HEADERS_INIT, other = HTTP_HEADERS_INIT;
	struct s3_keys keys = guide_keys;
	CLEANUP(cstr_release) char *token = xstrdup("a token");

	keys.token = token;
	struct s3_signing s = {.keys = &keys, .region = "eu-central-1", .service = "s3", .host = "localhost:7070", .now = {INT64_C(1369353600000000)},
			       .method = "PUT", .path = "/b/k", .payload = S3_UNSIGNED};

	s3_sign(&s, &h);
	CHECK_STR(http_headers_get(&h, "X-Amz-Date"), "20130524T000000Z");
	CHECK_STR(http_headers_get(&h, "x-amz-content-sha256"), "UNSIGNED-PAYLOAD");
	CHECK_STR(http_headers_get(&h, "x-amz-security-token"), "a token");
	CHECK_HAS(http_headers_get(&h, "authorization"), "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/eu-central-1/s3/aws4_request, SignedHeaders=host;");
	CHECK(!http_headers_get(&h, "host"));
	s.service = "sts";
	s.payload = EMPTY;
	s3_sign(&s, &other);
	CHECK(!http_headers_get(&other, "x-amz-content-sha256"));
}

TEST("S3: keys and queries are encoded byte by byte, so that what is sent is what is signed")
{
	CLEANUP(buf_release) struct buf path = BUF_INIT, query = BUF_INIT;
	const struct s3_param param[] = {{"uploads", NULL}, {"prefix", "a b+c/%2F&d=é"}, {"max-keys", "2"}, {"max", "1"}, {"prefix", "a"}};

	s3_encode(&path, "/shop/a b+c%2F~d'é(1)*!", true);
	CHECK_STR(buf_str(&path), "/shop/a%20b%2Bc%252F~d%27%C3%A9%281%29%2A%21");
	s3_query(param, ARRAY_LEN(param), &query);
	CHECK_STR(buf_str(&query), "max=1&max-keys=2&prefix=a&prefix=a%20b%2Bc%2F%252F%26d%3D%C3%A9&uploads=");
}
