/* The archive of one backup: volumes of gzip members that are a pax tar, with an index in two levels and a trailer.
 * docs/format.md describes the bytes. Over io.h: it knows no store, no seal and no driver.
 *
 * Objects are what an archive holds: a table (rows in chunks, spread over ranges) or a file (schema dump, RESTORE.txt ...). Object
 * numbers are given in the order of archive_add_object. Every member of an object has one row in an index page, which names it. */
#ifndef ARCHIVE_ARCHIVE_H
#define ARCHIVE_ARCHIVE_H

#include "gzip/gzip.h"
#include "util/hash.h"
#include "util/io.h"
#include "util/json.h"
#include "util/run.h"

#define ARCHIVE_FORMAT 1
#define ARCHIVE_SLACK (64u * 1024) /* a member inflates to at most chunk_size + this */
#define ARCHIVE_CHUNK_MIN (4u * 1024)
#define ARCHIVE_CHUNK_DEFAULT (6u * 1024 * 1024)
#define ARCHIVE_CHUNK_MAX (64u * 1024 * 1024)

/* One stored gzip member: a row of an index page. */
struct member_row {
	uint32_t object;
	uint32_t range, part;    /* table: the entry <range:4>-<part:8>; file: 0, number of the member in the entry */
	uint64_t at;             /* file: offset of its first byte in the entry; table: 0 */
	uint32_t volume;         /* from 0 */
	uint64_t offset, length; /* stored bytes of the member */
	uint32_t head;           /* plain bytes before the payload (tar headers), 0 for a later member of a file */
	uint32_t raw;            /* payload bytes */
	uint32_t plain;          /* all plain bytes: head + raw + padding */
	uint64_t rows;           /* rows that begin in this chunk */
	bool open;               /* the last row goes on in the next part */
	struct hash128 raw_hash; /* XXH3-128 of the payload */
	struct sha256 sha256;    /* of the stored bytes */
	struct hash128 digest;   /* sum of the hashes of the rows that end in this chunk */
};

/* ---- writing ---- */

/* A compressed member on its way; made by any thread, appended by one. */
struct member {
	struct member_row row; /* volume, offset are set by the append */
	bool starts_entry, ends_entry;
	unsigned char *data; /* stored bytes, row.length of them; borrowed from the maker's buffer */
};

/* What one member is made of. */
struct member_spec {
	const char *path;    /* whole entry path */
	uint64_t entry_size; /* bytes of the entry; table chunk: raw_len */
	const void *raw; /* payload, never NULL; MEMBER_ROOM bytes before it and after it are writable room of the same buffer */
	size_t raw_len;
	struct instant mtime;
	struct member_row row; /* object, range, part, at, rows, open, digest filled by the caller */
};
/* Room that a chunk buffer keeps before and after the payload: tar headers and padding are laid around it without a copy. */
#define MEMBER_ROOM (ARCHIVE_SLACK / 2)
/* Lays headers and padding around the payload, compresses, hashes. out has cap >= member_bound(). Any thread, with a gzip and a sha
 * of its own. */
enum status member_make(struct gzip *z, struct sha256_state *sha, const struct member_spec *spec, unsigned char *out, size_t cap,
			struct member *m, struct error *err) MUST_CHECK;
size_t member_bound(const struct gzip *z, size_t raw_len);

/* Where volumes go. begin is called before the first byte of each volume, end after its last. One thread. */
struct volume_sink {
	enum status (*begin)(void *ctx, uint32_t volume, struct error *err);
	enum status (*write)(void *ctx, const void *p, size_t n, struct error *err);
	enum status (*end)(void *ctx, uint32_t volume, uint64_t size, struct sha256 sha256, struct error *err);
	void *ctx;
};

struct archive_spec {
	uint32_t chunk_size;
	uint64_t volume_size; /* a volume ends at the first entry border at or after this; doubled after 64 volumes, then after each 16 */
	uint64_t volume_max;  /* but never beyond this; 0: no limit */
	enum gzip_mode mode;
	struct instant mtime;
	const char *spool_dir; /* for object lines beyond a few MiB; copied */
	struct volume_sink sink;
};

struct archive_object_spec {
	const char *kind;    /* "table" or "file" */
	const char *scope;   /* database; "" for what belongs to none */
	const char *name;    /* as people write it; any bytes */
	const char *path;    /* file: entry path; table: folder of its parts */
	const char *ext;     /* table: extension of the parts, "copy"; file: NULL */
	const json_t *facts; /* the driver's facts, an object; borrowed; may be NULL */
};

struct archive_writer;
enum status archive_writer_new(struct archive_writer **w, const struct archive_spec *spec, struct error *err) MUST_CHECK;
/* Registers an object; its line reaches the root at the end. Any thread. Facts are copied out to the spool. */
enum status archive_add_object(struct archive_writer *w, const struct archive_object_spec *o, uint32_t *id,
			       struct error *err) MUST_CHECK;
/* Path of a table's part: "<path>/<range:4>-<part:8>.<ext>". */
void archive_part_path(const char *path, const char *ext, uint32_t range, uint32_t part, struct buf *to);
/* Gives the member its place, writes it, adds its row. One thread (the appender). Members of a file in order, nothing between. */
enum status archive_append(struct archive_writer *w, const struct member *m, struct error *err) MUST_CHECK;
/* A whole file entry of known size from a source; compresses on the calling thread (the appender). Registers and appends. */
enum status archive_add_file(struct archive_writer *w, const struct archive_object_spec *o, uint64_t size, struct byte_source src,
			     struct error *err) MUST_CHECK;
/* Sums so far. Any thread. */
struct archive_totals {
	uint64_t objects, tables, members, rows, raw, stored;
};
struct archive_totals archive_totals(struct archive_writer *w);
/* Writes drtool/manifest.json (head: its members other than "objects", which is streamed in), last page, root, end blocks, trailer;
 * ends the last volume. */
enum status archive_finish(struct archive_writer *w, const json_t *head, struct error *err) MUST_CHECK;
void archive_writer_freep(struct archive_writer **w);

/* ---- reading ---- */

/* One line of the root. */
struct archive_object {
	uint32_t id;
	const char *kind, *scope, *name, *path, *ext; /* borrowed from json; ext NULL for a file */
	uint32_t first_page, last_page;               /* pages that hold its members */
	uint64_t members, rows, raw;                  /* sums */
	uint32_t ranges;                              /* table: number of ranges */
	struct hash128 digest;                        /* table: sum over all rows */
	const json_t *facts;                          /* borrowed from json; NULL where none */
	json_t *json;                                 /* owned: the whole line */
	struct strlist bytes;                         /* owned: name and scope where they are no UTF-8 */
};
void archive_object_release(struct archive_object *o);

/* Trailer, root and pages are checked (SHA-256, bounds, order) before a byte of them is believed; wrong ones are ST_BAD, an unknown
 * word in "requires" or a later format is ST_UNSUPPORTED. */
struct archive_reader;
enum status archive_reader_open(struct run *run, const struct range_source *src, const char *spool_dir, struct archive_reader **r,
				struct error *err) MUST_CHECK;
void archive_reader_freep(struct archive_reader **r);
uint32_t archive_chunk_size(const struct archive_reader *r);
uint32_t archive_object_count(const struct archive_reader *r);
uint32_t archive_page_count(const struct archive_reader *r);
/* Calls fn for every object in order of number until it fails. The object is released after fn. Any thread (own position). */
enum status archive_each_object(struct archive_reader *r,
				enum status (*fn)(void *ctx, const struct archive_object *o, struct error *err), void *ctx,
				struct error *err) MUST_CHECK;
/* Finds one by number, owned by the caller. */
enum status archive_get_object(struct archive_reader *r, uint32_t id, struct archive_object *o, struct error *err) MUST_CHECK;
/* The rows of one page, checked. *rows is owned by the caller (free). */
enum status archive_read_page(struct archive_reader *r, uint32_t page, struct member_row **rows, size_t *n,
			      struct error *err) MUST_CHECK;
/* All rows of one object, sorted by range, part, at. Owned by the caller. */
enum status archive_member_rows(struct archive_reader *r, const struct archive_object *o, struct member_row **rows, size_t *n,
				struct error *err) MUST_CHECK;
/* The same rows one by one: 16 bytes each in memory, pages are read again as they are needed (in order, about once). The reader
 * outlives it. One thread. */
struct archive_rows;
enum status archive_rows_open(struct archive_reader *r, const struct archive_object *o, struct archive_rows **rows,
			      struct error *err) MUST_CHECK;
uint64_t archive_rows_count(const struct archive_rows *rows);
enum status archive_rows_get(struct archive_rows *rows, uint64_t i, struct member_row *row, struct error *err) MUST_CHECK;
void archive_rows_freep(struct archive_rows **rows);
/* Reads one stored member and checks its SHA-256 (stored has room for row->length). */
enum status archive_fetch(struct archive_reader *r, const struct member_row *row, void *stored, struct error *err) MUST_CHECK;
/* Inflates a fetched member (plain has room for row->plain), checks the tar header against path and the raw hash; *raw points at
 * the payload. */
enum status archive_unpack(struct gzip *z, const struct member_row *row, const char *path, const void *stored, void *plain,
			   const void **raw, struct error *err) MUST_CHECK;
/* A whole file object, in order, into a sink. */
enum status archive_read_file(struct archive_reader *r, const struct archive_object *o, struct byte_sink to,
			      struct error *err) MUST_CHECK;
/* Finds the one file object with this path (ST_NOT_FOUND). */
enum status archive_find_file(struct archive_reader *r, const char *path, struct archive_object *o, struct error *err) MUST_CHECK;

/* Every byte of every volume: members contiguous, each in the index with its place, sums and hashes, entries in the tar as the
 * index says, sums of rows and digests per object, end blocks, trailer; the SHA-256 of each volume is given to the caller. Every
 * difference is reported through `found`; ST_BAD at the end where there was one. Any function may be NULL. Memory: one member, and
 * sums for each object and each of its ranges. */
struct archive_check {
	void (*found)(void *ctx, const char *text);
	void (*progress)(void *ctx, uint64_t stored_bytes);
	void (*volume)(void *ctx, uint32_t volume, uint64_t size, struct sha256 sha256);
	void *ctx;
};
enum status archive_check_all(struct run *run, const struct range_source *src, const char *spool_dir, const struct archive_check *c,
			      struct error *err) MUST_CHECK;

#endif
