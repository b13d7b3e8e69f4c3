/* Messages of a server: lengths that disagree are found, wherever the pieces of a stream end. */
#include "drivers/mongodb/frame.h"

#include "tests/lib/test.h"
#include "util/buf.h"

static void put_number(struct buf *to, uint32_t n)
{
	const uint8_t b[] = {(uint8_t)n, (uint8_t)(n >> 8), (uint8_t)(n >> 16), (uint8_t)(n >> 24)};

	buf_put(to, b, sizeof b);
}

/* With a document that says it has `document` bytes, in a message that says it has `length`; `body` bytes follow the document's length. */
static void put_msg(struct buf *to, uint32_t length, uint32_t code, uint32_t flags, uint8_t kind, uint32_t document, size_t body)
{
	put_number(to, length);
	put_number(to, 7);
	put_number(to, 6);
	put_number(to, code);
	put_number(to, flags);
	buf_putc(to, (char)kind);
	put_number(to, document);
	for (size_t i = 0; i < body; i++)
		buf_putc(to, 'x');
}

static void put_reply(struct buf *to, uint32_t length, uint32_t documents, uint32_t document, size_t body)
{
	put_number(to, length);
	put_number(to, 7);
	put_number(to, 6);
	put_number(to, 1);
	for (int i = 0; i < 4; i++)
		put_number(to, 0);
	put_number(to, documents);
	put_number(to, document);
	for (size_t i = 0; i < body; i++)
		buf_putc(to, 'x');
}

static const char *take(const struct buf *b, size_t piece)
{
	struct mo_frame f = MO_FRAME_INIT;
	const char *why = NULL;

	for (size_t at = 0; at < b->len && !why; at += piece)
		why = mo_frame_take(&f, b->data + at, min_size(piece, b->len - at));
	return why;
}

TEST("MongoDB frames: messages of one document pass, one after the other, in pieces of any size")
{
	CLEANUP(buf_release) struct buf b = BUF_INIT;

	put_reply(&b, 36 + 50, 1, 50, 46);
	put_msg(&b, 21 + 5, 2013, 0, 0, 5, 1);
	put_msg(&b, 21 + 100 + 4, 2013, 1, 0, 100, 96 + 4);
	put_msg(&b, 21 + 3000, 2013, 0, 0, 3000, 2996);
	put_reply(&b, 36 + 5, 1, 5, 1);
	for (size_t piece = 1; piece <= b.len; piece++)
		CHECK(take(&b, piece) == NULL);
}

TEST("MongoDB frames: a message that is not just its document is refused")
{
	static const struct {
		uint32_t length, code, flags;
		uint8_t kind;
		uint32_t document;
		const char *why;
	} c[] = {
		{21 + 50, 2013, 0, 0, 49, "length"}, {21 + 50, 2013, 0, 0, 51, "length"}, {21 + 50, 2013, 1, 0, 50, "length"}, {21 + 4, 2013, 0, 0, 4, "length"},
		{21, 2013, 0, 0, 0, "length"}, {0, 2013, 0, 0, 50, "length"}, {21 + 50, 2013, 0, 0, UINT32_MAX, "length"}, {20, 2013, 0, 0, UINT32_MAX, "length"},
		{21 + 50, 2013, 0, 1, 50, "one document"}, {21 + 50, 2012, 0, 0, 50, "protocol"}, {21 + 50, 0, 0, 0, 50, "protocol"},
	};

	for (size_t i = 0; i < ARRAY_LEN(c); i++) {
		CLEANUP(buf_release) struct buf b = BUF_INIT;

		put_msg(&b, c[i].length, c[i].code, c[i].flags, c[i].kind, c[i].document, 100);
		for (size_t piece = 1; piece < 60; piece++)
			CHECK_HAS(take(&b, piece), c[i].why);
	}
	CLEANUP(buf_release) struct buf many = BUF_INIT, text = BUF_INIT, cut = BUF_INIT;
	put_msg(&cut, 21, 2013, 0, 0, 0, 0);
	cut.len = 16;
	CHECK_HAS(take(&cut, 16), "length");
	put_reply(&many, 36 + 50, 2, 50, 46);
	CHECK_HAS(take(&many, 7), "one document");
	buf_puts(&text, "HTTP/1.1 400 Bad Request\r\n\r\n");
	CHECK_HAS(take(&text, 5), "protocol");
}
