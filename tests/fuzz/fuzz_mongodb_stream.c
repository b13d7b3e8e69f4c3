/* Any bytes as what a server of MongoDB sends, and as the documents of an archive: what is found does not depend on where the pieces end. */
#include "drivers/mongodb/frame.h"
#include "drivers/mongodb/load.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *frames(const uint8_t *data, size_t size, size_t piece)
{
	struct mo_frame f = MO_FRAME_INIT;
	const char *why = NULL;

	for (size_t at = 0; at < size && !why; at += piece)
		why = mo_frame_take(&f, data + at, min_size(piece, size - at));
	return why;
}

static enum status count(void *ctx, const bson_t *doc, struct error *err)
{
	(void)err;
	if (doc->len < 5)
		die("a document that is none");
	++*(size_t *)ctx;
	return ST_OK;
}

static size_t documents(const uint8_t *data, size_t size, size_t piece)
{
	CLEANUP(buf_release) struct buf part = BUF_INIT;
	CLEANUP(error_release) struct error err = ERROR_INIT;
	size_t n = 0;

	for (size_t at = 0; at < size; at += piece)
		if (mo_split(&part, data + at, min_size(piece, size - at), count, &n, &err))
			break;
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	const size_t piece = data[0] + 1u;
	if (frames(data + 1, size - 1, piece) != frames(data + 1, size - 1, size))
		die("a verdict on frames that depends on the pieces");
	if (documents(data + 1, size - 1, piece) != documents(data + 1, size - 1, size))
		die("documents that depend on the pieces");
	return 0;
}
