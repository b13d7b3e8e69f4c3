/* ISA-L: the fastest engine in both directions. Its one-shot calls take whole buffers, as the others do. */
#include "gzip/engine.h"

#include <isa-l/igzip_lib.h>

struct state {
	struct isal_zstream *out; /* made at first use, as is its level buffer */
	unsigned char *level_buf;
	size_t level_buf_size;
	struct inflate_state *in;
	int level;
};

static void *isal_open(int level)
{
	struct state *s = xcalloc(1, sizeof *s);

	s->level = level;
	s->level_buf_size = ISAL_DEF_LVL3_DEFAULT;
	return s;
}

static void isal_close(void *state)
{
	struct state *s = state;

	free(s->out);
	free(s->level_buf);
	free(s->in);
	free(s);
}

static size_t isal_deflate_member(void *state, const void *in, size_t n, void *out, size_t cap)
{
	struct state *s = state;

	if (!s->out) {
		s->out = xcalloc(1, sizeof *s->out);
		s->level_buf = xcalloc(1, s->level_buf_size);
	}
	isal_deflate_stateless_init(s->out);
	s->out->level = (uint32_t)s->level;
	s->out->level_buf = s->level_buf;
	s->out->level_buf_size = (uint32_t)s->level_buf_size;
	s->out->gzip_flag = IGZIP_GZIP;
	s->out->end_of_stream = 1;
	s->out->flush = NO_FLUSH;
	s->out->next_in = (uint8_t *)(uintptr_t)in;
	s->out->avail_in = (uint32_t)n;
	s->out->next_out = out;
	s->out->avail_out = (uint32_t)cap;
	if (isal_deflate_stateless(s->out) != COMP_OK || s->out->avail_in)
		return 0;
	return s->out->total_out;
}

static bool isal_inflate_member(void *state, const void *in, size_t n, size_t *used, void *out, size_t cap, size_t *out_len)
{
	struct state *s = state;

	if (!s->in)
		s->in = xcalloc(1, sizeof *s->in);
	isal_inflate_init(s->in);
	s->in->crc_flag = ISAL_GZIP;
	s->in->next_in = (uint8_t *)(uintptr_t)in;
	s->in->avail_in = (uint32_t)n;
	s->in->next_out = out;
	s->in->avail_out = (uint32_t)cap;
	if (isal_inflate_stateless(s->in) != ISAL_DECOMP_OK || s->in->block_state != ISAL_BLOCK_FINISH)
		return false;
	*used = n - s->in->avail_in - (size_t)(s->in->read_in_length / 8);
	*out_len = s->in->total_out;
	return true;
}

const struct gzip_engine gzip_isal = {
	.open = isal_open, .close = isal_close, .deflate = isal_deflate_member, .inflate = isal_inflate_member};
