/* UTF-8, one character at a time. */
#ifndef UTIL_UTF8_H
#define UTIL_UTF8_H

#include "util/base.h"

/* The bytes of the character at s, which ends by a 0 byte somewhere; 0: there is none (overlong forms, surrogates, above U+10FFFF). *c, which may be
 * NULL, is its number. */
size_t utf8_character(const void *s, uint32_t *c);

#endif
