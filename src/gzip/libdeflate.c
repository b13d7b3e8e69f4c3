/* libdeflate: better ratio per second than zlib, whole buffers only. */
#include "gzip/engine.h"

#include <libdeflate.h>

/* Made at first use: a compressor is 1 MB at level 6, and most users only inflate. */
struct state {
	struct libdeflate_compressor *out;
	struct libdeflate_decompressor *in;
	int level;
};

static void *deflate_open(int level)
{
	struct state *s = xcalloc(1, sizeof *s);

	s->level = level;
	return s;
}

static void deflate_close(void *state)
{
	struct state *s = state;

	libdeflate_free_compressor(s->out);
	libdeflate_free_decompressor(s->in);
	free(s);
}

static size_t deflate_deflate(void *state, const void *in, size_t n, void *out, size_t cap)
{
	struct state *s = state;

	if (!s->out && !(s->out = libdeflate_alloc_compressor(s->level)))
		die("out of memory");
	return libdeflate_gzip_compress(s->out, in, n, out, cap);
}

static bool deflate_inflate(void *state, const void *in, size_t n, size_t *used, void *out, size_t cap, size_t *out_len)
{
	struct state *s = state;

	if (!s->in && !(s->in = libdeflate_alloc_decompressor()))
		die("out of memory");
	return libdeflate_gzip_decompress_ex(s->in, in, n, out, cap, used, out_len) == LIBDEFLATE_SUCCESS;
}

const struct gzip_engine gzip_libdeflate = {
	.open = deflate_open, .close = deflate_close, .deflate = deflate_deflate, .inflate = deflate_inflate};
