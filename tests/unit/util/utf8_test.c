#include "util/utf8.h"
#include "tests/lib/test.h"

TEST("characters of one to four bytes are told with their number")
{
	uint32_t c;

	CHECK_INT(utf8_character("a", &c), 1);
	CHECK_INT(c, 'a');
	CHECK_INT(utf8_character("\xc3\xa9", &c), 2);
	CHECK_INT(c, 0xe9);
	CHECK_INT(utf8_character("\xe2\x82\xac", &c), 3);
	CHECK_INT(c, 0x20ac);
	CHECK_INT(utf8_character("\xf4\x8f\xbf\xbf", &c), 4);
	CHECK_INT(c, 0x10ffff);
	CHECK_INT(utf8_character("\xf0\x9f\x98\x80", NULL), 4);
}

TEST("cut, overlong, surrogate and too large characters are none")
{
	static const char *const bad[] = {"\x80", "\xc3", "\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf8\x88\x80\x80", "\xe2\x82"};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		CHECK_INT(utf8_character(bad[i], NULL), 0);
}
