/* What an engine has to give; gzip.c chooses among them. Internal to the room. */
#ifndef GZIP_ENGINE_H
#define GZIP_ENGINE_H

#include "util/base.h"

/* Sizes handed to an engine never exceed GZIP_ENGINE_MAX, so that those which count in 32 bits are safe. */
#define GZIP_ENGINE_MAX ((size_t)1 << 30)

struct gzip_engine {
	/* The working memory of one thread; close takes it back. */
	void *(*open)(int level);
	void (*close)(void *state);
	/* One whole member with a 10-byte header, mtime 0. Returns its length, 0 where it does not fit into cap. */
	size_t (*deflate)(void *state, const void *in, size_t n, void *out, size_t cap);
	/* The member at the start of in: its stored and its inflated length. False: no whole valid member, or more than cap bytes.
	 */
	bool (*inflate)(void *state, const void *in, size_t n, size_t *used, void *out, size_t cap, size_t *out_len);
};

#ifdef HAVE_LIBISAL
extern const struct gzip_engine gzip_isal;
#endif
#ifdef HAVE_LIBDEFLATE
extern const struct gzip_engine gzip_libdeflate;
#endif
#if defined HAVE_LIBISAL && defined HAVE_LIBDEFLATE
extern const struct gzip_engine gzip_mixed;
#endif
extern const struct gzip_engine gzip_zlib;

#endif
