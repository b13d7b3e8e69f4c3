/* The smallest stream contracts, so that rooms which handle bytes need not know where they come from or go to. */
#ifndef UTIL_IO_H
#define UTIL_IO_H

#include "util/error.h"

/* Takes all n bytes or fails. One thread at a time. */
struct byte_sink {
	enum status (*write)(void *ctx, const void *p, size_t n, struct error *err);
	void *ctx;
};

/* Gives up to cap bytes; *got 0 is the end. One thread at a time. */
struct byte_source {
	enum status (*read)(void *ctx, void *to, size_t cap, size_t *got, struct error *err);
	void *ctx;
};

/* Bytes in memory as a source; the struct lives as long as the source. */
struct memory_bytes {
	const char *p;
	size_t left;
};
struct byte_source memory_source(struct memory_bytes *m);
/* A sink that appends to a buffer (ctx is the struct buf). */
struct buf;
struct byte_sink buf_sink(struct buf *b);

/* Random access over the volumes (0, 1, ...) of one archive. Any thread, several at once. read_at gives exactly n bytes or fails
 * (ST_BAD where the object is shorter). size is that of the stored object. distrust, which may be NULL: what this thread read last does not
 * have its checksum; true: there is another copy, which is read from now on. keep and take, NULL or both there: keep is told of each range that had
 * its checksum; take gives one back that was kept, true where it does. */
struct range_source {
	enum status (*read_at)(void *ctx, uint32_t volume, uint64_t offset, void *to, size_t n, struct error *err);
	enum status (*size)(void *ctx, uint32_t volume, uint64_t *size, struct error *err);
	bool (*distrust)(void *ctx);
	void (*keep)(void *ctx, uint32_t volume, uint64_t offset, const void *p, size_t n);
	bool (*take)(void *ctx, uint32_t volume, uint64_t offset, void *to, size_t n);
	uint32_t volumes;
	void *ctx;
};

#endif
