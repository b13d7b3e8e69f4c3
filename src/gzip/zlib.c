/* zlib: the engine that is always there. */
#include "gzip/engine.h"

#include <zlib.h>

struct state {
	z_stream out, in;
	bool out_open, in_open;
	int level;
};

static void *zlib_open(int level)
{
	struct state *s = xcalloc(1, sizeof *s);

	s->level = level;
	return s;
}

static void zlib_close(void *state)
{
	struct state *s = state;

	if (s->out_open)
		deflateEnd(&s->out);
	if (s->in_open)
		inflateEnd(&s->in);
	free(s);
}

static size_t zlib_deflate(void *state, const void *in, size_t n, void *out, size_t cap)
{
	struct state *s = state;

	if (!s->out_open && deflateInit2(&s->out, s->level, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		die("out of memory");
	s->out_open = true;
	deflateReset(&s->out);
	s->out.next_in = (Bytef *)(uintptr_t)in;
	s->out.avail_in = (uInt)n;
	s->out.next_out = out;
	s->out.avail_out = (uInt)cap;
	return deflate(&s->out, Z_FINISH) == Z_STREAM_END ? cap - s->out.avail_out : 0;
}

static bool zlib_inflate(void *state, const void *in, size_t n, size_t *used, void *out, size_t cap, size_t *out_len)
{
	struct state *s = state;

	if (!s->in_open && inflateInit2(&s->in, 15 + 16) != Z_OK)
		die("out of memory");
	s->in_open = true;
	inflateReset(&s->in);
	s->in.next_in = (Bytef *)(uintptr_t)in;
	s->in.avail_in = (uInt)n;
	s->in.next_out = out;
	s->in.avail_out = (uInt)cap;
	if (inflate(&s->in, Z_FINISH) != Z_STREAM_END)
		return false;
	*used = n - s->in.avail_in;
	*out_len = cap - s->in.avail_out;
	return true;
}

const struct gzip_engine gzip_zlib = {.open = zlib_open, .close = zlib_close, .deflate = zlib_deflate, .inflate = zlib_inflate};
