/* The end of an archive, and the files that the writer compresses itself. */
#include "archive/writer.h"

#include "util/failpoint.h"

/* ---- an entry of known size, in consecutive members ---- */

struct file_out {
	struct archive_writer *w;
	const char *path;
	uint64_t size, at; /* at: payload bytes already in members */
	size_t fill;       /* in w->chunk */
	uint32_t object, part;
	bool is_root; /* has no row in any page; its stored bytes are hashed for the trailer */
	struct trailer *place;
};

static enum status flush(struct file_out *f, struct error *err)
{
	struct archive_writer *w = f->w;
	struct member m;
	const struct member_spec spec = {.path = f->path,
					 .entry_size = f->size,
					 .raw = w->chunk + TAR_HEAD_MAX,
					 .raw_len = f->fill,
					 .mtime = w->spec.mtime,
					 .row = {.object = f->object, .part = f->part++, .at = f->at}};

	if (member_make(w->z, w->sha, &spec, w->out, w->out_cap, &m, err))
		return err->code;
	f->at += f->fill;
	f->fill = 0;
	if (!f->is_root)
		return archive_append(w, &m, err);
	if (writer_store(w, m.data, m.row.length, m.starts_entry, &m.row.volume, &m.row.offset, err))
		return err->code;
	sha256_update(w->root_sha, m.data, m.row.length);
	if (m.starts_entry) {
		f->place->volume = m.row.volume;
		f->place->offset = m.row.offset;
	}
	f->place->length += m.row.length;
	return ST_OK;
}

static enum status file_write(void *ctx, const void *p, size_t n, struct error *err)
{
	struct file_out *f = ctx;
	const unsigned char *from = p;

	while (n) {
		size_t take = min_size(n, f->w->chunk_len - f->fill);

		memcpy(f->w->chunk + TAR_HEAD_MAX + f->fill, from, take);
		f->fill += take;
		from += take;
		n -= take;
		if (f->fill == f->w->chunk_len && flush(f, err))
			return err->code;
	}
	return ST_OK;
}

static enum status file_end(struct file_out *f, struct error *err)
{
	if ((f->fill || !f->size) && flush(f, err))
		return err->code;
	if (f->at != f->size)
		return error_set(err, ST_FAILED, "%s has %" PRIu64 " bytes, %" PRIu64 " were announced", f->path, f->at, f->size);
	return ST_OK;
}

enum status archive_add_file(struct archive_writer *w, const struct archive_object_spec *o, uint64_t size, struct byte_source src,
			     struct error *err)
{
	struct file_out f = {.w = w, .path = o->path, .size = size};
	unsigned char *chunk = w->chunk + TAR_HEAD_MAX;
	size_t got = 0;

	if (archive_add_object(w, o, &f.object, err))
		return err->code;
	do {
		if (src.read(src.ctx, chunk + f.fill, w->chunk_len - f.fill, &got, err))
			return error_add(err, "%s", o->path);
		f.fill += got;
		if (f.at + f.fill > size)
			return error_set(err, ST_FAILED, "%s has more than the %" PRIu64 " bytes that were announced", o->path,
					 size);
		if (f.fill == w->chunk_len && flush(&f, err))
			return err->code;
	} while (got);
	return file_end(&f, err);
}

/* ---- drtool/manifest.json and the root: streamed twice, first to learn their size ---- */

static enum status count_write(void *ctx, const void *p, size_t n, struct error *err)
{
	uint64_t *size = ctx;

	(void)p;
	(void)err;
	*size += n;
	return ST_OK;
}

struct text {
	enum status (*print)(struct archive_writer *w, const void *arg, struct byte_sink to, struct error *err);
	const void *arg;
};

static enum status write_text(struct file_out *f, const struct text *t, struct error *err)
{
	if (t->print(f->w, t->arg, (struct byte_sink){.write = count_write, .ctx = &f->size}, err))
		return err->code;
	if (f->is_root && f->size > ROOT_PLAIN_MAX)
		return error_set(err, ST_FAILED, "what is to be recorded of all objects takes %" PRIu64 " bytes", f->size);
	if (t->print(f->w, t->arg, (struct byte_sink){.write = file_write, .ctx = f}, err))
		return err->code;
	return file_end(f, err);
}

struct manifest_arg {
	const json_t *head;
	uint32_t objects;
};

static enum status print_manifest(struct archive_writer *w, const void *arg, struct byte_sink to, struct error *err)
{
	const struct manifest_arg *m = arg;
	CLEANUP(buf_release) struct buf b = BUF_INIT;
	CLEANUP(js_decref) json_t *head = json_copy((json_t *)(uintptr_t)m->head);

	json_object_del(head, "objects");
	js_write(head, false, &b);
	b.len--;
	buf_puts(&b, json_object_size(head) ? ",\n\"objects\":[" : "\"objects\":[");
	for (uint32_t i = 0; i < m->objects; i++) {
		buf_puts(&b, i ? ",\n" : "\n");
		if (writer_object_line(w, i, &b, err) || to.write(to.ctx, b.data, b.len, err))
			return err->code;
		buf_clear(&b);
	}
	buf_puts(&b, "\n]}\n");
	return to.write(to.ctx, b.data, b.len, err);
}

static enum status print_root(struct archive_writer *w, const void *arg, struct byte_sink to, struct error *err)
{
	CLEANUP(buf_release) struct buf b = BUF_INIT;

	root_put_head(&b, arg);
	for (uint32_t i = 0; i < w->page_count; i++) {
		root_put_page(&b, i, &w->pages[i]);
		if (to.write(to.ctx, b.data, b.len, err))
			return err->code;
		buf_clear(&b);
	}
	for (uint32_t i = 0; i < w->objects; i++) {
		if (writer_object_line(w, i, &b, err))
			return err->code;
		buf_putc(&b, '\n');
		if (to.write(to.ctx, b.data, b.len, err))
			return err->code;
		buf_clear(&b);
	}
	return b.len ? to.write(to.ctx, b.data, b.len, err) : ST_OK;
}

static enum status write_manifest(struct archive_writer *w, const json_t *head, struct error *err)
{
	const struct archive_object_spec o = {.kind = "file", .scope = "", .name = MANIFEST_PATH, .path = MANIFEST_PATH};
	const struct manifest_arg arg = {.head = head, .objects = w->objects};
	struct file_out f = {.w = w, .path = MANIFEST_PATH};

	if (archive_add_object(w, &o, &f.object, err))
		return err->code;
	return write_text(&f, &(struct text){.print = print_manifest, .arg = &arg}, err);
}

static enum status write_root(struct archive_writer *w, struct trailer *t, struct error *err)
{
	struct file_out f = {.w = w, .path = ROOT_PATH, .is_root = true, .place = t};
	struct root_head head = {.chunk_size = w->spec.chunk_size,
				 .objects = w->objects,
				 .pages = w->page_count,
				 .members = w->totals.members,
				 .rows = w->totals.rows,
				 .raw = w->totals.raw};

	/* The root's own entry may be the one that begins a new volume, which its first line has to know. */
	if (writer_border(w, err))
		return err->code;
	head.volumes = w->volume + 1;
	if (write_text(&f, &(struct text){.print = print_root, .arg = &head}, err))
		return err->code;
	t->sha256 = sha256_final(w->root_sha);
	return ST_OK;
}

enum status archive_finish(struct archive_writer *w, const json_t *head, struct error *err)
{
	struct trailer t = {0};
	unsigned char stored[TRAILER_LEN];

	if (w->in_entry || w->finished)
		return error_set(err, ST_FAILED, "the archive cannot end here");
	if (write_manifest(w, head, err) || writer_flush_page(w, err))
		return err->code;
	w->finished = true;
	if (failpoint("archive.root.before", err) || write_root(w, &t, err))
		return err->code;
	trailer_write(&t, stored);
	if (failpoint("archive.trailer.before", err))
		return err->code;
	return writer_end_volume(w, stored, sizeof stored, err);
}
