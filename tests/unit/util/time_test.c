#include "util/time.h"

#include "tests/lib/test.h"

static struct instant parsed(const char *text)
{
	struct error e = ERROR_INIT;
	struct instant t = INSTANT_NONE;

	CHECK_OK(instant_parse(text, &t, &e), e);
	return t;
}

static int64_t duration_of(const char *text)
{
	struct error e = ERROR_INIT;
	struct duration d = {0};

	CHECK_OK(duration_parse(text, &d, &e), e);
	return d.us;
}

TEST("an instant is printed as ISO and compact text in UTC")
{
	char text[INSTANT_TEXT];

	CHECK_STR(instant_iso((struct instant){INT64_C(1795140000000000)}, text), "2026-11-20T02:00:00Z");
	CHECK_STR(instant_compact((struct instant){INT64_C(1795140000999999)}, text), "20261120T020000Z");
	CHECK_STR(instant_iso((struct instant){-1}, text), "1969-12-31T23:59:59Z");
	CHECK_STR(instant_iso((struct instant){INT64_C(951782400000000)}, text), "2000-02-29T00:00:00Z");
	CHECK(strlen(instant_iso((struct instant){INT64_MAX}, text)) < INSTANT_TEXT);
	CHECK(strlen(instant_iso((struct instant){INT64_MIN}, text)) < INSTANT_TEXT);
}

TEST("every day of 400 years is read back as it was printed")
{
	char text[INSTANT_TEXT];

	for (int64_t day = 0; day < 146097; day++) {
		struct instant t = {(day * 86400 + 3661) * 1000000};

		CHECK_INT(parsed(instant_iso(t, text)).us, t.us);
		CHECK_INT(parsed(instant_compact(t, text)).us, t.us);
	}
}

TEST("the civil dates agree with those of libc")
{
	for (int64_t s = 0; s < INT64_C(8000000000); s += 7777777) {
		time_t at = (time_t)s;
		struct tm tm;
		char expected[INSTANT_TEXT], got[INSTANT_TEXT];

		gmtime_r(&at, &tm);
		strftime(expected, sizeof expected, "%Y-%m-%dT%H:%M:%SZ", &tm);
		CHECK_STR(instant_iso((struct instant){s * 1000000}, got), expected);
	}
}

TEST("a time is read with a space, without seconds, with a fraction and with a zone")
{
	int64_t two = parsed("2026-11-20T02:00:00Z").us;

	CHECK_INT(two, INT64_C(1795140000000000));
	CHECK_INT(parsed("2026-11-20 02:00").us, two);
	CHECK_INT(parsed("2026-11-20 02:00:00").us, two);
	CHECK_INT(parsed("2026-11-20 02:00Z").us, two);
	CHECK_INT(parsed("2026-11-20 03:30+01:30").us, two);
	CHECK_INT(parsed("2026-11-20T04:00:00+02").us, two);
	CHECK_INT(parsed("2026-11-19 21:00:00-05:00").us, two);
	CHECK_INT(parsed("2026-11-20 02:00:00.5").us, two + 500000);
	CHECK_INT(parsed("2026-11-20 02:00:00.000001Z").us, two + 1);
	CHECK_INT(parsed("2026-11-20").us, two - INT64_C(7200000000));
	CHECK_INT(parsed("20261120T020000Z").us, two);
}

TEST("what is not a time is refused")
{
	static const char *const bad[] = {"", "now", "2026", "2026-11", "2026-11-2", "2026-11-20T", "2026-11-20 2:00",
					  "2026-11-20 02",
					  "2026-11-20 02:00:", "2026-11-20 02:00:00.", "2026-11-20 02:00:00.1234567",
					  "2026-11-20 02:00z",
					  "2026-11-20 02:00 Z", "2026-11-20 02:00+1", "2026-11-20 02:00+01:0",
					  "2026-11-20 02:00+99",
					  "20261120", "20261120T020000", "20261120T0200Z", "2026-11-20Z", "2026-11-20T02:00:00ZZ",
					  " 2026-11-20", "-2026-11-20", "2026/11/20", "20261120T020000Z "};
	struct error e = ERROR_INIT;
	struct instant t;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		CHECK_ERR(instant_parse(bad[i], &t, &e), e, ST_USAGE, "not a time");
}

TEST("dates and times that the calendar lacks are refused")
{
	static const char *const bad[] = {"2026-02-29", "2100-02-29", "2026-13-01", "2026-00-10", "2026-04-31", "2026-01-00",
					  "1969-12-31",
					  "2026-11-20 24:00", "2026-11-20 02:60", "2026-11-20 02:00:60"};
	struct error e = ERROR_INIT;
	struct instant t;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		CHECK_ERR(instant_parse(bad[i], &t, &e), e, ST_USAGE, "no such time");
	CHECK_OK(instant_parse("2000-02-29", &t, &e), e);
	CHECK_OK(instant_parse("2028-02-29", &t, &e), e);
}

TEST("a duration is a number with a unit or a sum of such")
{
	CHECK_INT(duration_of("500ms"), 500000);
	CHECK_INT(duration_of("45s"), 45000000);
	CHECK_INT(duration_of("2m"), 120000000);
	CHECK_INT(duration_of("26h"), INT64_C(26) * 3600000000);
	CHECK_INT(duration_of("30d"), INT64_C(30) * 86400000000);
	CHECK_INT(duration_of("1w"), INT64_C(7) * 86400000000);
	CHECK_INT(duration_of("1y"), INT64_C(365) * 86400000000);
	CHECK_INT(duration_of("1d12h"), INT64_C(36) * 3600000000);
	CHECK_INT(duration_of("1m500ms"), 60500000);
	CHECK_INT(duration_of("0s"), 0);
}

TEST("durations without unit, with doubled units, signs or too large numbers are refused")
{
	static const char *const bad[] = {"", "5", "5 m", "-5m", "+5m", "m", "5x", "5M", "1h1h", "1m1h", "1.5h", "1d12",
					  "99999999999999999999s",
					  "9223372036854775807s", "300000y", "292271y292271w"};
	struct error e = ERROR_INIT;
	struct duration d;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		CHECK_ERR(duration_parse(bad[i], &d, &e), e, ST_USAGE, "not a duration");
}

static void check_duration(int64_t us, const char *expected)
{
	struct buf b = BUF_INIT;

	duration_print((struct duration){us}, &b);
	CHECK_STR(buf_str(&b), expected);
	buf_release(&b);
}

TEST("a duration is printed in its two largest units")
{
	check_duration(0, "0s");
	check_duration(400000, "0.4s");
	check_duration(12000, "12ms");
	check_duration(2500000, "2.5s");
	check_duration(2000000, "2s");
	check_duration(59999999, "59s");
	check_duration(200000000, "3m 20s");
	check_duration(INT64_C(3600000000), "1h");
	check_duration(INT64_C(3605000000), "1h");
	check_duration(INT64_C(28) * 3600000000, "1d 4h");
	check_duration(INT64_C(400) * 86400000000, "400d");
	check_duration(-2500000, "-2.5s");
	check_duration(INT64_MIN, "-106751991d 4h");
}

static void check_size(uint64_t n, const char *expected)
{
	struct buf b = BUF_INIT;

	size_print(n, &b);
	CHECK_STR(buf_str(&b), expected);
	buf_release(&b);
}

TEST("a size is printed with at most one decimal")
{
	check_size(0, "0 B");
	check_size(830, "830 B");
	check_size(1023, "1023 B");
	check_size(1024, "1 KiB");
	check_size(1536, "1.5 KiB");
	check_size(12 << 20, "12 MiB");
	check_size((uint64_t)3 << 29, "1.5 GiB");
	check_size((1 << 20) - 1, "1 MiB");
	check_size(10 * 1024 - 1, "10 KiB");
	check_size(UINT64_MAX, "16 EiB");
}

TEST("a size is read in powers of 1024 whatever the case")
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} good[] = {{"100", 100}, {"100b", 100}, {"4k", 4096}, {"64MiB", 64 << 20}, {"6m", 6 << 20}, {"1g", 1 << 30},
		    {"2GB", UINT64_C(2) << 30},
		    {"1T", UINT64_C(1) << 40}, {"15e", UINT64_C(15) << 60}, {"18446744073709551615", UINT64_MAX}, {"0", 0}};
	static const char *const bad[] = {"", "k", "-1", "1.5g", "1 k", "1x", "1kk", "1ki", "16e", "18446744073709551616", "1kb "};
	struct error e = ERROR_INIT;
	uint64_t n;

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		CHECK_OK(size_parse(good[i].text, &n, &e), e);
		CHECK_INT(n, good[i].bytes);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		CHECK_ERR(size_parse(bad[i], &n, &e), e, ST_USAGE, "not a size");
}
