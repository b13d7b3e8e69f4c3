#include "ops/sealer.h"

struct sealer {
	struct run *run;
	const struct seal_recipients *to;
	struct byte_sink out;
	struct seal_stream *stream; /* of the file that is open */
	struct seal_work *work;
	struct sha256_state *sha;
	uint64_t chunk, size;       /* chunk: the next one; size: sealed bytes so far */
	size_t fill;                /* of plain */
	unsigned char plain[SEAL_CHUNK], sealed[SEAL_STORED_CHUNK];
};

struct sealer *sealer_new(struct run *run, const struct seal_recipients *to, struct byte_sink out)
{
	struct sealer *s = xcalloc(1, sizeof *s);

	s->run = run;
	s->to = to;
	s->out = out;
	s->work = seal_work_new();
	s->sha = sha256_new();
	return s;
}

void sealer_freep(struct sealer **s)
{
	if (!*s)
		return;
	seal_stream_freep(&(*s)->stream);
	seal_work_freep(&(*s)->work);
	sha256_freep(&(*s)->sha);
	free(*s);
	*s = NULL;
}

static enum status put(struct sealer *s, const void *p, size_t n, struct error *err)
{
	sha256_update(s->sha, p, n);
	s->size += n;
	return s->out.write(s->out.ctx, p, n, err);
}

enum status sealer_begin(struct sealer *s, struct error *err)
{
	CLEANUP(buf_release) struct buf header = BUF_INIT;

	if (seal_begin(s->run, s->to, &s->stream, &header, err))
		return err->code;
	s->chunk = s->size = 0;
	s->fill = 0;
	return put(s, header.data, header.len, err);
}

static enum status put_chunk(struct sealer *s, const void *p, size_t n, bool last, struct error *err)
{
	if (seal_chunk(s->work, s->stream, s->chunk++, last, p, n, s->sealed, err))
		return err->code;
	return put(s, s->sealed, n + SEAL_TAG, err);
}

/* The last chunk is marked as last, so that a full one is held back until more bytes come. */
enum status sealer_write(struct sealer *s, const void *p, size_t n, struct error *err)
{
	const unsigned char *at = p;

	while (n) {
		size_t part = min_size(n, SEAL_CHUNK - s->fill);

		if (s->fill == SEAL_CHUNK) {
			if (put_chunk(s, s->plain, SEAL_CHUNK, false, err))
				return err->code;
			s->fill = 0;
			continue;
		}
		if (!s->fill && n > SEAL_CHUNK) {
			if (put_chunk(s, at, SEAL_CHUNK, false, err))
				return err->code;
		} else {
			memcpy(s->plain + s->fill, at, part);
			s->fill += part;
		}
		at += part;
		n -= part;
	}
	return ST_OK;
}

enum status sealer_end(struct sealer *s, uint64_t *size, struct sha256 *sum, struct error *err)
{
	if (put_chunk(s, s->plain, s->fill, true, err))
		return err->code;
	seal_stream_freep(&s->stream);
	*size = s->size;
	*sum = sha256_final(s->sha);
	return ST_OK;
}
