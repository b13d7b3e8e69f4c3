#include "tests/lib/test.h"

#include "storage/s3/internal.h"

static void place(const char *url, const char *endpoint, enum s3_style style, const char *base, const char *normal)
{
	CLEANUP(s3_place_release) struct s3_place p = {0};
	struct error err = ERROR_INIT;

	CHECK_OK(s3_place_make(url, endpoint, "eu-central-1", style, &p, &err), err);
	CLEANUP(cstr_release) char *printed = s3_place_url(&p);
	CHECK_STR(p.base, base);
	CHECK_STR(printed, normal);
}

TEST("the bucket is in the host's name for AWS and in the path for others, unless it is said otherwise")
{
	place("s3://backups/prod/eu/", NULL, S3_STYLE_AUTO, "https://backups.s3.eu-central-1.amazonaws.com",
	      "s3://backups/prod/eu?region=eu-central-1");
	place("s3://back.ups", NULL, S3_STYLE_AUTO, "https://s3.eu-central-1.amazonaws.com/back.ups",
	      "s3://back.ups?region=eu-central-1&path_style=1");
	place("s3://backups", "http://10.0.0.7:9000/", S3_STYLE_AUTO, "http://10.0.0.7:9000/backups",
	      "s3://backups?endpoint=http://10.0.0.7:9000&region=eu-central-1");
	place("s3://backups", "https://s3.example.com:443", S3_STYLE_AUTO, "https://s3.example.com/backups",
	      "s3://backups?endpoint=https://s3.example.com&region=eu-central-1");
	place("s3://backups", "s3.example.com", S3_STYLE_HOST, "https://backups.s3.example.com",
	      "s3://backups?endpoint=https://s3.example.com&region=eu-central-1&path_style=0");
	place("s3://backups", "https://[::1]:7070/gate", S3_STYLE_AUTO, "https://[::1]:7070/gate/backups",
	      "s3://backups?endpoint=https://[::1]:7070/gate&region=eu-central-1");
}

TEST("the URL of a store says how its connection is proven, where that was set")
{
	CLEANUP(s3_place_release) struct s3_place p = {0};
	struct error err = ERROR_INIT;

	CHECK_OK(s3_place_make("s3://backups", "http://minio.example.com", NULL, S3_STYLE_AUTO, &p, &err), err);
	p.mode = TLS_OFF;
	CLEANUP(cstr_release) char *printed = s3_place_url(&p);
	CHECK_STR(printed, "s3://backups?endpoint=http://minio.example.com&region=us-east-1&tls=off");
}

TEST("URLs and endpoints that no store can have are refused with the reason")
{
	static const struct {
		const char *url, *endpoint, *why;
	} wrong[] = {
		{"s3://a", NULL, "not the name of a bucket"},       {"s3://key:secret@bucket", NULL, "no user and no password"},
		{"s3:///path", NULL, "not the name of a bucket"},   {"s3://bucket:9000/x", NULL, "not the name of a bucket"},
		{"s3://bucket/a//b", NULL, "empty"},                {"s3://bucket/../x", NULL, "'..'"},
		{"s3://bucket", "ftp://host", "neither"},           {"s3://bucket", "https://u:p@host", "user"},
		{"s3://bucket", "https://host?x=1", "options"},     {"s3://bucket", "http://", "endpoint"},
		{"s3://bucket", "https://ho<s>t", "cannot be"},
	};
	struct s3_place p;
	struct error err = ERROR_INIT;

	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		CHECK_ERR(s3_place_make(wrong[i].url, wrong[i].endpoint, NULL, S3_STYLE_AUTO, &p, &err), err, ST_CONFIG, wrong[i].why);
}

static void page(const char *text, struct s3_page *p)
{
	struct error err = ERROR_INIT;

	CHECK_OK(s3_page_read(text, strlen(text), p, &err), err);
}

TEST("a page of a listing gives keys, sizes, times, tokens and where it goes on")
{
	CLEANUP(s3_page_release) struct s3_page p = S3_PAGE_INIT;

	page("<?xml version=\"1.0\"?><ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>b</Name><Prefix>x/</Prefix>"
	     "<EncodingType>url</EncodingType><IsTruncated>true</IsTruncated><NextContinuationToken>t&amp;1</NextContinuationToken>"
	     "<Contents><Key>x/a+b%2Bc</Key><LastModified>2026-11-20T02:00:00.123Z</LastModified><ETag>&quot;abc&quot;</ETag>"
	     "<Owner><ID>someone</ID></Owner><Size>7</Size></Contents><CommonPrefixes><Prefix>y</Prefix></CommonPrefixes></ListBucketResult>", &p);
	CHECK_INT(p.item.len, 1);
	CHECK_STR(p.item.item[0].key, "x/a b+c");
	CHECK_INT(p.item.item[0].size, 7);
	CHECK_INT(p.item.item[0].modified.us % 1000000, 0);
	CHECK_STR(p.tokens.item[0], "abc");
	CHECK(p.more);
	CHECK_STR(p.next, "t&1");
}

TEST("a page of versions tells markers from versions")
{
	CLEANUP(s3_page_release) struct s3_page p = S3_PAGE_INIT;

	page("<ListVersionsResult><IsTruncated>false</IsTruncated>"
	     "<DeleteMarker><Key>a</Key><VersionId>2</VersionId><IsLatest>true</IsLatest></DeleteMarker>"
	     "<Version><Key>a</Key><VersionId>1</VersionId><IsLatest>false</IsLatest><Size>3</Size></Version></ListVersionsResult>", &p);
	CHECK_INT(p.item.len, 2);
	CHECK(p.item.item[0].marker && p.item.item[0].latest && !p.item.item[1].marker && !p.more);
	CHECK_STR(p.item.item[1].id, "1");
}

TEST("answers that are cut, are no listing or would grow without bound are refused")
{
	static const char *const wrong[] = {
		"", "<", "<ListBucketResult><Contents>", "<html><body>Log in</body></html>",
		"<!DOCTYPE x [<!ENTITY a \"aaaa\">]><ListBucketResult>&a;</ListBucketResult>",
		"<ListBucketResult><Contents><Size>1</Size></Contents></ListBucketResult>",
		"<ListBucketResult><Contents><Key>a</Key><Size>-1</Size></Contents></ListBucketResult>",
		"<ListBucketResult><Contents><Key>a</Key><LastModified>yesterday</LastModified></Contents></ListBucketResult>",
		"<List><a><b><c><d><e><f><g><h><i><j><k><l></l></k></j></i></h></g></f></e></d></c></b></a></List>",
	};
	struct error err = ERROR_INIT;

	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		CLEANUP(s3_page_release) struct s3_page p = S3_PAGE_INIT;

		CHECK_ERR(s3_page_read(wrong[i], strlen(wrong[i]), &p, &err), err, ST_BAD, "");
	}
}

TEST("an error of the server is read for its code, and never moves the terminal")
{
	static const char text[] = "<Error><Code>NoSuch\tKey</Code><Message>a&#10;b</Message><Region>eu</Region></Error>";
	static const char sts[] = "<ErrorResponse><Error><Code>ExpiredToken</Code><Message>m</Message></Error></ErrorResponse>";
	struct s3_fault f;

	s3_fault_read(text, strlen(text), &f);
	CHECK_STR(f.code, "NoSuch_Key");
	CHECK_STR(f.message, "a b");
	CHECK_STR(f.region, "eu");
	s3_fault_read(sts, strlen(sts), &f);
	CHECK_STR(f.code, "ExpiredToken");
	s3_fault_read("busy", 4, &f);
	CHECK_STR(f.code, "");
}
