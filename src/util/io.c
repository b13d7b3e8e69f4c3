#include "util/io.h"
#include "util/buf.h"

static enum status memory_read(void *ctx, void *to, size_t cap, size_t *got, struct error *err)
{
	struct memory_bytes *m = ctx;

	(void)err;
	*got = min_size(cap, m->left);
	if (*got)
		memcpy(to, m->p, *got);
	m->p += *got;
	m->left -= *got;
	return ST_OK;
}

struct byte_source memory_source(struct memory_bytes *m)
{
	return (struct byte_source){.read = memory_read, .ctx = m};
}

static enum status buf_write(void *ctx, const void *p, size_t n, struct error *err)
{
	(void)err;
	buf_put(ctx, p, n);
	return ST_OK;
}

struct byte_sink buf_sink(struct buf *b)
{
	return (struct byte_sink){.write = buf_write, .ctx = b};
}
