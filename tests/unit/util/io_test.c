#include "util/buf.h"
#include "util/io.h"
#include "tests/lib/test.h"

TEST("bytes in memory are a source that ends, and a buffer is a sink that grows")
{
	CLEANUP(error_release) struct error e = ERROR_INIT;
	CLEANUP(buf_release) struct buf b = BUF_INIT;
	struct memory_bytes m = {"hello", 5};
	struct byte_source from = memory_source(&m);
	struct byte_sink to = buf_sink(&b);
	char part[3];
	size_t got = 0;

	do {
		CHECK_OK(from.read(from.ctx, part, sizeof part, &got, &e), e);
		CHECK_OK(to.write(to.ctx, part, got, &e), e);
	} while (got);
	CHECK_STR(buf_str(&b), "hello");
	CHECK_INT(m.left, 0);
}
