/* One bounded gzip member in, one out. Three engines behind one table; every output is plain RFC 1952 that any gunzip reads.
 * A struct gzip holds the working memory of one thread. The bytes of a member depend on engine, level and input only. */
#ifndef GZIP_GZIP_H
#define GZIP_GZIP_H

#include "util/error.h"

enum gzip_mode {
	GZIP_FAST,     /* ISA-L level 3 (without AVX-512: level 2 and libdeflate 1 in turn), else libdeflate 1, else zlib 1 */
	GZIP_RATIO,    /* libdeflate 6, else zlib 6 */
	GZIP_PORTABLE, /* zlib 6 */
};

struct gzip;
struct gzip *gzip_new(enum gzip_mode mode);
void gzip_freep(struct gzip **z);
const char *gzip_engine_name(const struct gzip *z); /* "isa-l 3" */
/* The largest member that n bytes can make: the same for all engines (z may be NULL), because readers bound what they believe by
 * it. */
size_t gzip_bound(const struct gzip *z, size_t n);
/* Compresses n bytes to one member; cap is at least gzip_bound(n). mtime 0, no name. */
enum status gzip_member(struct gzip *z, const void *in, size_t n, void *out, size_t cap, size_t *out_len,
			struct error *err) MUST_CHECK;
/* Inflates exactly one member that fills in[0..n) completely to exactly out_len bytes; CRC and length are checked. Anything else is
 * ST_BAD. */
enum status gunzip_member(struct gzip *z, const void *in, size_t n, void *out, size_t out_len, struct error *err) MUST_CHECK;
/* Inflates the member at the start of in, whose length is not known: *used bytes taken, *out_len made (at most cap, more is
 * ST_BAD). ST_BAD where in ends before the member does. */
enum status gunzip_next(struct gzip *z, const void *in, size_t n, size_t *used, void *out, size_t cap, size_t *out_len,
			struct error *err) MUST_CHECK;
/* An empty member whose extra field holds one subfield (si1 si2, n <= 65531 bytes). out has room for n + 64; returns its length. */
size_t gzip_extra_member(char si1, char si2, const void *p, size_t n, void *out);
/* Finds the subfield in the empty member that fills in[0..n) exactly. ST_BAD where it is none. *p points into in. */
enum status gzip_extra_parse(const void *in, size_t n, char si1, char si2, const void **p, size_t *len,
			     struct error *err) MUST_CHECK;

#endif
