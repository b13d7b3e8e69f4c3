/* The state of a reader: what the root says, with the lines of objects in a spool. Immutable once open, so any thread may read.
 * Internal to the room. */
#ifndef ARCHIVE_READER_H
#define ARCHIVE_READER_H

#include "archive/format.h"
#include "util/fs.h"

struct archive_reader {
	struct range_source src;
	uint64_t *volume_size;
	struct trailer trailer;
	struct root_head head;
	struct page_ref *pages;
	struct spool *root; /* plain lines */
	uint64_t *line;     /* objects + 1 offsets of lines in the spool */
};

/* The trailer alone, which says where the root is; sizes of all volumes. */
enum status reader_find_root(struct archive_reader *r, struct error *err) MUST_CHECK;
/* Reads, checks and parses the root. */
enum status reader_load_root(struct run *run, struct archive_reader *r, const char *spool_dir, struct error *err) MUST_CHECK;

static inline bool is_before(uint32_t volume_a, uint64_t offset_a, uint32_t volume_b, uint64_t offset_b)
{
	return volume_a < volume_b || (volume_a == volume_b && offset_a < offset_b);
}

#endif
