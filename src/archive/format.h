/* The parts of an archive as writer, reader and check share them: pages, root and trailer. docs/format.md describes the bytes.
 * Internal to the room. */
#ifndef ARCHIVE_FORMAT_H
#define ARCHIVE_FORMAT_H

#include "archive/archive.h"
#include "archive/tar.h"

#define PAGE_ROWS 1024u
#define PAGE_TEXT_MAX (512u * 1024) /* a page of the longest rows is smaller */
#define META_CHUNK (1024u * 1024)   /* members of the root and of files that the writer compresses itself hold at most this much */
#define ROOT_PLAIN_MAX ((uint64_t)4 << 30)
#define ROOT_LINE_MAX (16u * 1024 * 1024)
#define GZIP_LEAST 18u /* bytes of the shortest member that can be */
#define RANGE_MAX 9999u
#define PART_MAX 99999999u
#define VOLUMES_MAX 100000u
#define ROOT_PATH "drtool/index/root.jsonl"
#define MANIFEST_PATH "drtool/manifest.json"

/* Where a page lies. Pages are entries of one member each. */
struct page_ref {
	uint64_t offset, length;
	uint32_t volume, plain, rows;
	struct sha256 sha256; /* of the stored bytes */
};
#define PAGE_PATH_LEN 32
void page_path(uint32_t page, char *to); /* PAGE_PATH_LEN bytes */

/* The text of one page. */
void page_begin(struct buf *to);
void page_add(struct buf *to, const struct member_row *row);
/* All rows of a page; at most PAGE_ROWS. Syntax only. *rows is owned by the caller. */
enum status page_parse(const char *text, size_t n, struct member_row **rows, size_t *count, struct error *err) MUST_CHECK;

/* What the root says of the whole. */
struct root_head {
	uint32_t chunk_size, volumes, objects, pages;
	uint64_t members, rows, raw;
};
void root_put_head(struct buf *to, const struct root_head *h);
void root_put_page(struct buf *to, uint32_t number, const struct page_ref *p);
enum status root_parse_head(const char *line, size_t n, struct root_head *h, struct error *err) MUST_CHECK;
enum status root_parse_page(const char *line, size_t n, uint32_t number, struct page_ref *p, struct error *err) MUST_CHECK;

/* What is known of an object only at the end. */
struct object_sums {
	uint64_t members, rows, raw;
	uint32_t first_page, last_page, ranges;
	struct hash128 digest;
};
/* The first part of an object's line, without the braces: kind, scope, name, path, ext. */
void root_put_object_text(struct buf *to, const struct archive_object_spec *o);
/* The whole line without its end; text and facts are what root_put_object_text and jansson made. */
void root_put_object(struct buf *to, uint32_t id, const char *text, const char *facts, const struct object_sums *s);
/* The rules for kind, path and ext, for what is written and what is read. */
bool object_names_valid(const char *kind, const char *path, const char *ext);
enum status root_parse_object(const char *line, size_t n, const struct root_head *h, uint32_t id, struct archive_object *o,
			      struct error *err) MUST_CHECK;

/* The last bytes of the last volume. */
struct trailer {
	uint32_t volume;
	uint64_t offset, length; /* of the stored root */
	struct sha256 sha256;
};
#define TRAILER_LEN 86u
void trailer_write(const struct trailer *t, unsigned char *to); /* TRAILER_LEN bytes */
enum status trailer_parse(const unsigned char *p, struct trailer *t, struct error *err) MUST_CHECK;

/* An entry that a member belongs to. */
struct entry {
	const char *path;
	uint64_t size; /* ENTRY_SIZE_ANY: what its header says */
};
#define ENTRY_SIZE_ANY UINT64_MAX
/* Inflates, and checks header, payload hash and padding. */
enum status member_open(struct gzip *z, const struct member_row *row, const struct entry *e, const void *stored, void *plain,
			const void **raw, struct error *err) MUST_CHECK;
/* ST_BAD where the numbers of a row cannot be those of a member of this archive. */
enum status row_check(const struct member_row *row, const struct root_head *h, const uint64_t *volume_size,
		      struct error *err) MUST_CHECK;

#endif
