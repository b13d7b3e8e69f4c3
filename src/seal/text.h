/* How age writes bytes as text: canonical base64 without padding, Bech32 without a limit of length, the armor of whole files. */
#ifndef SEAL_TEXT_H
#define SEAL_TEXT_H

#include "util/buf.h"
#include "util/error.h"

/* Appends n bytes as base64 without padding. */
void base64_put(struct buf *to, const void *p, size_t n);
/* Exactly `want` bytes from n characters; false for anything that an encoder would not have written. */
bool base64_exact(const char *text, size_t n, void *to, size_t want);
/* Appends what n characters say; false as above (what was appended then is to be thrown away). */
bool base64_get(const char *text, size_t n, struct buf *to);

/* Bech32 of n bytes under the lower-case prefix; upper: all of it in capitals. */
void bech32_put(struct buf *to, const char *prefix, const void *p, size_t n, bool upper);
/* Splits text of either case; prefix (lower case) and bytes are appended. False where it is no Bech32 or its checksum is wrong. */
bool bech32_get(const char *text, size_t n, struct buf *prefix, struct buf *bytes);

/* Whether the file begins, after blank space, as an armored one. */
bool armor_begins(const void *p, size_t n);
/* The bytes of an armored file, appended. ST_BAD where it is not written as the format demands. */
enum status armor_get(const void *p, size_t n, struct buf *to, struct error *err) MUST_CHECK;

#endif
