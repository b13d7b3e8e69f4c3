#include "drivers/mongodb/frame.h"

enum { OP_REPLY = 1, OP_MSG = 2013, CHECKSUM = 1 };
enum { START = 16, MSG_HEAD = 25, REPLY_HEAD = 40, DOCUMENT_LEAST = 5, CHECKSUM_BYTES = 4 };

static uint32_t number_at(const struct mo_frame *f, size_t at)
{
	const uint8_t *p = &f->head[at];

	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* Bytes up to and with the length of the document; 0: no such message. */
static size_t head_of(const struct mo_frame *f)
{
	switch (number_at(f, 12)) {
	case OP_MSG:
		return MSG_HEAD;
	case OP_REPLY:
		return REPLY_HEAD;
	default:
		return 0;
	}
}

static const char *const wrong_length = "the length of a message is not that of its document";

/* A message that ends before the length of its document would not come to check(). */
static const char *check_start(const struct mo_frame *f)
{
	const size_t head = head_of(f);

	if (!head)
		return "it is not MongoDB's protocol";
	return number_at(f, 0) < head - 4 + DOCUMENT_LEAST ? wrong_length : NULL;
}

static const char *check(struct mo_frame *f)
{
	const uint64_t length = number_at(f, 0), document = number_at(f, f->have - 4);
	const bool msg = f->have == MSG_HEAD;
	const uint64_t after = msg && number_at(f, 16) & CHECKSUM ? CHECKSUM_BYTES : 0;

	if (msg ? f->head[20] != 0 : number_at(f, 32) != 1)
		return "a message is not of one document";
	if (document < DOCUMENT_LEAST || f->have - 4 + document + after != length)
		return wrong_length;
	f->left = document - 4 + after;
	return NULL;
}

static size_t fill(struct mo_frame *f, size_t want, const uint8_t *p, size_t n)
{
	const size_t used = f->have < want ? min_size(want - f->have, n) : 0;

	memcpy(&f->head[f->have], p, used);
	f->have += used;
	return used;
}

const char *mo_frame_take(struct mo_frame *f, const void *bytes, size_t n)
{
	const uint8_t *p = bytes;

	while (n) {
		const char *why = NULL;
		size_t used;

		if (f->left) {
			used = f->left < n ? (size_t)f->left : n;
			f->left -= used;
			if (!f->left)
				f->have = 0;
		} else if (f->have < START) {
			used = fill(f, START, p, n);
			why = f->have == START ? check_start(f) : NULL;
		} else {
			used = fill(f, head_of(f), p, n);
			why = f->have == head_of(f) ? check(f) : NULL;
		}
		if (why)
			return why;
		p += used;
		n -= used;
	}
	return NULL;
}
