/* The state of a writer, shared by its two halves: append (members, pages, volumes) and finish (files, manifest, root, trailer).
 * Internal to the room. */
#ifndef ARCHIVE_WRITER_H
#define ARCHIVE_WRITER_H

#include "archive/format.h"
#include "util/fs.h"
#include "util/thread.h"

/* What is kept in memory for each object: small and of fixed size, because there may be a million. */
struct object_state {
	struct object_sums sums;
	uint64_t line_at; /* text and facts in the spool */
	uint32_t text_len, facts_len;
	bool table;
};

/* A full page that waits in the spool because the entry being written has not ended. */
struct held_page {
	size_t len;
	uint32_t rows;
};

struct archive_writer {
	struct archive_spec spec;
	char *spool_dir;

	pthread_mutex_t lock; /* guards object, objects, object_cap, lines, totals */
	struct object_state *object;
	uint32_t objects, object_cap;
	struct spool *lines;
	struct archive_totals totals;

	/* All below belongs to the appender. */
	struct gzip *z;
	struct sha256_state *sha, *volume_sha, *root_sha;
	unsigned char *chunk, *out; /* payload with its room, and the stored member */
	size_t chunk_len, out_cap;
	uint32_t volume;
	uint64_t volume_bytes;
	bool volume_open, finished;
	struct buf page; /* TAR_HEAD_MAX bytes of room, then the text */
	size_t page_limit;
	uint32_t page_rows, page_number;
	struct page_ref *pages; /* those written */
	uint32_t page_count, page_cap;
	struct spool *held_text;
	struct held_page *held;
	size_t helds, held_cap;
	bool in_entry; /* a file whose next member must follow */
	uint32_t entry_object;
	uint64_t entry_at;
};

/* Writes stored bytes; at the start of an entry a full volume is ended first. */
enum status writer_store(struct archive_writer *w, const void *p, size_t n, bool starts_entry, uint32_t *volume, uint64_t *offset,
			 struct error *err) MUST_CHECK;
/* Ends a full volume and sees that one is open. Does nothing more when called again. */
enum status writer_border(struct archive_writer *w, struct error *err) MUST_CHECK;
enum status writer_end_volume(struct archive_writer *w, const void *trailer, size_t n, struct error *err) MUST_CHECK;
/* Writes the page that is being filled, where it has rows. */
enum status writer_flush_page(struct archive_writer *w, struct error *err) MUST_CHECK;
/* The line of an object as it is now, without its end. */
enum status writer_object_line(struct archive_writer *w, uint32_t id, struct buf *to, struct error *err) MUST_CHECK;

#endif
