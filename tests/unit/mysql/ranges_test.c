#include "drivers/mysql/ranges.h"
#include "tests/lib/test.h"

static const char *between_part(enum my_key_kind kind, const char *charset, bool folds, const char *a, const char *z, unsigned part)
{
	static char text[100];
	const struct my_key_column k = {.charset = (char *)(uintptr_t)charset, .kind = kind, .folds = folds};
	const struct my_key_value from = {(char *)(uintptr_t)a, strlen(a)}, till = {(char *)(uintptr_t)z, strlen(z)};
	struct my_key_value mid = {0};

	if (!my_key_between(&k, &from, &till, part, 4, &mid))
		return "none";
	CHECK(mid.n < sizeof text);
	memcpy(text, mid.p, mid.n + 1);
	free(mid.p);
	return text;
}

static const char *number(const char *a, const char *z) { return between_part(MY_KEY_NUMBER, "binary", false, a, z, 2); }
static const char *moment(const char *a, const char *z) { return between_part(MY_KEY_TIME, "binary", false, a, z, 2); }
static const char *text(const char *a, const char *z) { return between_part(MY_KEY_TEXT, "utf8mb4", true, a, z, 2); }

TEST("between two numbers of a MySQL key lies their middle, up to the largest")
{
	CHECK_STR(number("0", "100"), "50");
	CHECK_STR(number("4", "5"), "5");
	CHECK_STR(number("-9223372036854775808", "18446744073709551615"), "4611686018427387903");
	CHECK_STR(number("-10", "-4"), "-7");
	CHECK_STR(number("5", "5"), "none");
	CHECK_STR(number("1.5", "5"), "none");
	CHECK_STR(between_part(MY_KEY_NUMBER, "binary", false, "0", "100", 1), "25");
}

TEST("between two times of a MySQL key lies a time that exists")
{
	CHECK_STR(moment("2020-01-01", "2022-01-01"), "2021-01-01 00:00:00.000000");
	CHECK_STR(moment("2020-01-31 23:00:00", "2020-03-01 00:00:00"), "2020-02-16 11:30:00.000000");
	CHECK_STR(moment("2020-02-26 12:00:00.5", "2020-03-01 12:00:00.5"), "2020-02-28 00:00:00.500000");
	CHECK_STR(moment("2020-02-28 13:00:00", "2020-03-01 12:00:00"), "2020-03-01 12:00:00");
	CHECK_STR(moment("0000-00-00", "0000-00-00"), "none");
}

TEST("between two texts of a MySQL key lies one of the same alphabet")
{
	CHECK_STR(text("0000", "ffff"), "7fff");
	CHECK_STR(text("user0", "user9"), "user4");
	CHECK_STR(text("", "zz"), "hz");
	CHECK_STR(text("anna", "bert"), "b17j");
	CHECK_STR(text("00000000-1", "ffffffff-2"), "7fffffff");
	CHECK_STR(text("a", "A"), "none");
	CHECK_STR(text("\xd0\x90", "\xd0\x9e"), "\xd0\x97");
	CHECK_STR(between_part(MY_KEY_TEXT, "binary", false, "\x01", "\xf1", 2), "\x79");
	CHECK_STR(between_part(MY_KEY_TEXT, "sjis", false, "a", "z", 2), "none");
}

TEST("ranges of a MySQL table are half open, the first without begin and the last without end")
{
	const struct my_ranges r = {.from = (char *[]){(char *)(uintptr_t)"(a >= 5)", (char *)(uintptr_t)"(a >= 9)"},
				    .before = (char *[]){(char *)(uintptr_t)"(a < 5)", (char *)(uintptr_t)"(a < 9)"}, .borders = 2};
	CLEANUP(buf_release) struct buf b = BUF_INIT;

	for (uint32_t i = 0; i < 3; i++)
		my_ranges_where(&r, i, &b);
	CHECK_STR(buf_str(&b), " WHERE (a < 5) WHERE (a >= 5) AND (a < 9) WHERE (a >= 9)");
	buf_clear(&b);
	const struct my_ranges one = {0};
	my_ranges_where(&one, 0, &b);
	CHECK_STR(buf_str(&b), "");
}
