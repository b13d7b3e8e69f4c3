#include "util/utf8.h"

size_t utf8_character(const void *text, uint32_t *c)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	const unsigned char *s = text;
	size_t n = *s < 0x80 ? 1 : *s < 0xc2 ? 0 : *s < 0xe0 ? 2 : *s < 0xf0 ? 3 : *s < 0xf5 ? 4 : 0;

	if (!n)
		return 0;
	uint32_t number = n == 1 ? *s : *s & (0xffu >> (n + 1));
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		number = number << 6 | (s[i] & 0x3fu);
	}
	if (c)
		*c = number;
	return number < least[n] || number > 0x10ffff || (number >= 0xd800 && number < 0xe000) ? 0 : n;
}
