#include "ops/private.h"

#include "gzip/gzip.h"
#include "seal/text.h"

/* The manifest, compressed, sealed and as text. The volumes are in the visible part, which has no room for a second list of them. */
static enum status hide(struct run *run, const struct manifest *m, size_t max, const struct seal_recipients *to, struct buf *hidden,
			struct error *err)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT;
	CLEANUP(buf_release) struct buf sealed = BUF_INIT;
	CLEANUP(gzip_freep) struct gzip *z = gzip_new(GZIP_RATIO);
	struct manifest inner = *m;

	inner.object = NULL;
	inner.objects = 0;
	if (manifest_write_within(&inner, max, &text, err))
		return err->code;
	size_t cap = gzip_bound(z, text.len), n = 0;
	CLEANUP(cstr_release) char *small = xmalloc(cap);
	if (gzip_member(z, text.data, text.len, small, cap, &n, err) || seal_bytes(run, to, small, n, &sealed, err))
		return err->code;
	buf_clear(hidden);
	base64_put(hidden, sealed.data, sealed.len);
	return ST_OK;
}

/* Everything that a name could be in. Tags and the name of the source stay: retention needs them. */
static struct manifest without_names(const struct manifest *m, char *hidden)
{
	struct manifest shown = *m;

	shown.url = shown.suspect_because = NULL;
	shown.scope = NULL;
	shown.scopes = 0;
	shown.replication = shown.shrink = NULL;
	shown.notes = shown.not_contained = (struct strlist)STRLIST_INIT;
	shown.hidden = hidden;
	return shown;
}

enum status private_manifest_write(struct run *run, const struct manifest *m, const struct seal_recipients *to, struct buf *text,
				   struct error *err)
{
	CLEANUP(buf_release) struct buf hidden = BUF_INIT;
	char smaller[] = "smaller than the backup before";

	/* The sealed part gets what the visible one leaves: its lists are cut until both fit. */
	for (size_t max = MANIFEST_MAX;; max = max / 4 * 3) {
		error_release(err);
		if (hide(run, m, max, to, &hidden, err))
			return err->code;
		struct manifest shown = without_names(m, hidden.data);
		if (m->suspect)
			shown.suspect_because = smaller;
		buf_clear(text);
		if (!manifest_write(&shown, text, err))
			return ST_OK;
	}
}

static bool same_backup(const struct manifest *a, const struct manifest *b)
{
	return !b->hidden && !strcmp(a->id, b->id) && !strcmp(a->source, b->source) && !strcmp(a->driver, b->driver) && !strcmp(a->kind, b->kind) &&
	       !strcmp(a->identity, b->identity);
}

static enum status open_hidden(const struct seal_identities *ids, const struct manifest *m, struct manifest *whole, struct error *err)
{
	CLEANUP(buf_release) struct buf sealed = BUF_INIT;
	CLEANUP(buf_release) struct buf small = BUF_INIT;
	CLEANUP(gzip_freep) struct gzip *z = gzip_new(GZIP_FAST);
	CLEANUP(cstr_release) char *text = xmalloc(MANIFEST_MAX);
	size_t used, n;

	if (!base64_get(m->hidden, strlen(m->hidden), &sealed))
		return error_set(err, ST_BAD, "its private part is malformed");
	if (seal_open_bytes(ids, sealed.data, sealed.len, &small, err) ||
	    gunzip_next(z, small.data, small.len, &used, text, MANIFEST_MAX, &n, err) || manifest_read_hidden(text, n, whole, err))
		return err->code;
	if (!same_backup(m, whole))
		return error_set(err, ST_BAD, "its private part is that of another backup (%s of %s)", whole->id, whole->source);
	return ST_OK;
}

enum status private_manifest_open(const struct seal_identities *ids, struct manifest *m, struct error *err)
{
	CLEANUP(manifest_release) struct manifest whole = MANIFEST_INIT;

	if (!m->hidden)
		return ST_OK;
	if (open_hidden(ids, m, &whole, err))
		return error_add(err, "manifest of %s", m->id);
	/* Anybody can seal for a public key: what bytes are read, and who opens them, is never taken from there. */
	struct manifest was = *m;
	strlist_release(&whole.recipients);
	whole.object = was.object;
	whole.objects = was.objects;
	whole.recipients = was.recipients;
	was.object = NULL;
	was.objects = 0;
	was.recipients = (struct strlist)STRLIST_INIT;
	*m = whole;
	whole = was;
	return ST_OK;
}
