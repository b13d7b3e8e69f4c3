/* One member: tar header, payload and padding to gzip and back. Stateless, for any thread. */
#include "archive/format.h"

size_t member_bound(const struct gzip *z, size_t raw_len) { return gzip_bound(z, raw_len + TAR_HEAD_MAX + TAR_BLOCK); }

enum status member_make(struct gzip *z, struct sha256_state *sha, const struct member_spec *spec, unsigned char *out, size_t cap,
			struct member *m, struct error *err)
{
	unsigned char *raw = (unsigned char *)(uintptr_t)spec->raw, head[TAR_HEAD_MAX];
	size_t head_len = 0, padding = 0, len = 0;
	uint64_t end = spec->row.at + spec->raw_len;

	*m = (struct member){.row = spec->row, .starts_entry = !spec->row.at, .ends_entry = end == spec->entry_size, .data = out};
	if (spec->raw_len > ARCHIVE_CHUNK_MAX || end > spec->entry_size || (spec->row.at && !spec->raw_len))
		return error_set(err, ST_FAILED, "%s: no member of %zu bytes at %" PRIu64 " of %" PRIu64, spec->path, spec->raw_len,
				 spec->row.at, spec->entry_size);
	if (m->starts_entry)
		head_len = tar_head(spec->path, spec->entry_size, spec->mtime, head);
	if (m->ends_entry)
		padding = tar_padding(spec->entry_size);
	memcpy(raw - head_len, head, head_len);
	memset(raw + spec->raw_len, 0, padding);
	m->row.head = (uint32_t)head_len;
	m->row.raw = (uint32_t)spec->raw_len;
	m->row.plain = (uint32_t)(head_len + spec->raw_len + padding);
	if (gzip_member(z, raw - head_len, m->row.plain, out, cap, &len, err))
		return error_add(err, "%s", spec->path);
	m->row.length = len;
	m->row.raw_hash = xxh128(raw, spec->raw_len);
	sha256_update(sha, out, len);
	m->row.sha256 = sha256_final(sha);
	return ST_OK;
}

enum status row_check(const struct member_row *row, const struct root_head *h, const uint64_t *volume_size, struct error *err)
{
	uint64_t padding = (uint64_t)row->plain - row->head - row->raw, end;

	if (row->object >= h->objects || row->range > RANGE_MAX || row->part > PART_MAX)
		return error_set(err, ST_BAD, "a row of the index names an object that cannot be");
	if (row->head > TAR_HEAD_MAX || row->head % TAR_BLOCK || !row->head != !!row->at || row->raw > h->chunk_size ||
	    padding >= TAR_BLOCK || row->rows > row->raw || (row->at && !row->raw) ||
	    __builtin_add_overflow(row->at, row->raw, &end))
		return error_set(err, ST_BAD, "a row of the index has impossible sizes");
	if (row->length < GZIP_LEAST || row->length > gzip_bound(NULL, row->plain) || row->volume >= h->volumes ||
	    __builtin_add_overflow(row->offset, row->length, &end) || end > volume_size[row->volume])
		return error_set(err, ST_BAD, "a row of the index points outside of its volume");
	return ST_OK;
}

/* The size of the entry, where this member shows it. */
static enum status check_head(const struct member_row *row, const struct entry *e, const unsigned char *plain, uint64_t *size,
			      struct error *err)
{
	*size = e->size;
	if (!row->head)
		return ST_OK;
	if (tar_head_check(plain, row->head, e->path, size, err))
		return err->code;
	if (*size < row->raw || (e->size != ENTRY_SIZE_ANY && *size != e->size))
		return error_set(err, ST_BAD, "%s: the tar header says %" PRIu64 " bytes", e->path, *size);
	return ST_OK;
}

enum status member_open(struct gzip *z, const struct member_row *row, const struct entry *e, const void *stored, void *plain,
			const void **raw, struct error *err)
{
	const unsigned char *p = plain, *payload = p + row->head, *end = p + row->plain;
	uint64_t size;

	if (gunzip_member(z, stored, row->length, plain, row->plain, err))
		return error_add(err, "%s", e->path);
	if (check_head(row, e, p, &size, err))
		return err->code;
	if (!hash128_equal(xxh128(payload, row->raw), row->raw_hash))
		return error_set(err, ST_BAD, "%s: the bytes are not those that were hashed when the backup was made", e->path);
	uint64_t padding = row->at + row->raw == size ? tar_padding(size) : 0;
	if (size != ENTRY_SIZE_ANY && row->plain != row->head + row->raw + padding)
		return error_set(err, ST_BAD, "%s: wrong padding", e->path);
	for (const unsigned char *c = payload + row->raw; c < end; c++)
		if (*c)
			return error_set(err, ST_BAD, "%s: padding that is not 0", e->path);
	*raw = payload;
	return ST_OK;
}

enum status archive_unpack(struct gzip *z, const struct member_row *row, const char *path, const void *stored, void *plain,
			   const void **raw, struct error *err)
{
	const struct entry e = {.path = path, .size = ENTRY_SIZE_ANY};

	return member_open(z, row, &e, stored, plain, raw, err);
}

void archive_part_path(const char *path, const char *ext, uint32_t range, uint32_t part, struct buf *to)
{
	buf_printf(to, "%s/%04" PRIu32 "-%08" PRIu32 ".%s", path, range, part, ext);
}
