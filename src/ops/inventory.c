/* The inventory of a scope: recorded as lines `kind TAB name TAB grows TAB facts`, and compared without keeping either side in memory. */
#include "ops/internal.h"

/* What is kept of each recorded line: 40 bytes, whatever its length. */
struct known {
	struct hash128 key, facts;
	int64_t number; /* grows: the value */
	bool grows, seen;
};

static void put_field(struct buf *to, const char *s)
{
	for (; *s; s++)
		if (*s == '\t' || *s == '\n' || *s == '\r' || *s == '\\')
			buf_printf(to, "\\x%02x", (unsigned)(unsigned char)*s);
		else
			buf_putc(to, *s);
}

static void item_line(const struct inventory_item *i, struct buf *to)
{
	put_field(to, i->kind);
	buf_putc(to, '\t');
	put_field(to, i->name);
	buf_puts(to, !i->grows ? "\t=\t" : i->sign < 0 ? "\t-\t" : "\t+\t");
	put_field(to, i->facts);
	buf_putc(to, '\n');
}

struct taking {
	struct spool *to;
	struct buf line;
};

static enum status take_item(void *ctx, const struct inventory_item *i, struct error *err)
{
	struct taking *t = ctx;

	buf_clear(&t->line);
	item_line(i, &t->line);
	return spool_write(t->to, t->line.data, t->line.len, err);
}

enum status inventory_take(struct run *run, const struct driver *d, void *dump, struct spool *to, struct error *err)
{
	struct taking t = {.to = to, .line = BUF_INIT};
	struct inventory_sink sink = {.item = take_item, .ctx = &t};
	enum status st = d->inventory(run, dump, &sink, err);

	buf_release(&t.line);
	return st;
}

/* ---- comparing ---- */

struct field {
	const char *p;
	size_t n;
};

/* kind, name, grows, facts of one line; false where it is none. */
static bool split_line(const char *line, size_t n, struct field f[4])
{
	const char *end = line + n;

	for (int i = 0; i < 4; i++) {
		const char *tab = i < 3 ? memchr(line, '\t', (size_t)(end - line)) : end;

		if (!tab)
			return false;
		f[i] = (struct field){line, (size_t)(tab - line)};
		line = tab + 1;
	}
	return f[2].n == 1;
}

static struct hash128 key_of(const struct field f[4])
{
	return xxh128(f[0].p, (size_t)(f[1].p + f[1].n - f[0].p));
}

static int64_t number_of(const struct field *f)
{
	char text[24];

	if (!f->n || f->n >= sizeof text)
		return 0;
	memcpy(text, f->p, f->n);
	text[f->n] = 0;
	return strtoll(text, NULL, 10);
}

struct comparing {
	struct known *known; /* sorted by key */
	size_t n, cap;
	struct proof_result *result;
	struct buf line;
	const char *not_compared;
	struct strlist changed; /* kind TAB name of what differs, to be shown with what was recorded */
};

static int by_key(const void *a, const void *b)
{
	const struct known *x = a, *y = b;

	if (x->key.hi != y->key.hi)
		return x->key.hi < y->key.hi ? -1 : 1;
	return x->key.lo == y->key.lo ? 0 : x->key.lo < y->key.lo ? -1 : 1;
}

/* Calls fn for each line of the spool. */
static enum status each_line(struct spool *s, enum status (*fn)(void *ctx, const char *line, size_t n, struct error *err), void *ctx, struct error *err)
{
	CLEANUP(buf_release) struct buf held = BUF_INIT;
	uint64_t size = spool_size(s);
	char block[32768];

	for (uint64_t at = 0; at < size;) {
		size_t n = (size_t)min_u64(sizeof block, size - at), start = 0;

		if (spool_read_at(s, at, block, n, err))
			return err->code;
		at += n;
		for (const char *nl; (nl = memchr(block + start, '\n', n - start)); start = (size_t)(nl - block) + 1) {
			buf_put(&held, block + start, (size_t)(nl - block) - start);
			if (fn(ctx, buf_str(&held), held.len, err))
				return err->code;
			buf_clear(&held);
		}
		buf_put(&held, block + start, n - start);
	}
	return held.len ? error_set(err, ST_BAD, "the recorded inventory ends inside a line") : ST_OK;
}

static enum status remember(void *ctx, const char *line, size_t n, struct error *err)
{
	struct comparing *c = ctx;
	struct field f[4];

	if (!split_line(line, n, f))
		return error_set(err, ST_BAD, "the recorded inventory has a line that is none");
	if (c->n == c->cap) {
		c->cap = c->cap ? c->cap * 2 : 1024;
		c->known = xrealloc(c->known, c->cap * sizeof *c->known);
	}
	c->known[c->n++] = (struct known){
		.key = key_of(f),
		.facts = xxh128(f[3].p, f[3].n),
		.grows = *f[2].p != '=',
		.number = *f[2].p != '=' ? number_of(&f[3]) : 0,
	};
	return ST_OK;
}

static bool is_left_out(const struct comparing *c, const char *kind) { return c->not_compared && !strncmp(kind, c->not_compared, strlen(c->not_compared)); }

static bool same(const struct known *k, const struct field f[4])
{
	int64_t now = number_of(&f[3]);

	if (k->grows != (*f[2].p != '='))
		return false;
	if (k->grows)
		return *f[2].p == '-' ? now <= k->number : now >= k->number;
	return hash128_equal(k->facts, xxh128(f[3].p, f[3].n));
}

static enum status compare_item(void *ctx, const struct inventory_item *i, struct error *err)
{
	struct comparing *c = ctx;
	struct field f[4];

	if (is_left_out(c, i->kind))
		return ST_OK;
	buf_clear(&c->line);
	item_line(i, &c->line);
	if (!split_line(buf_str(&c->line), c->line.len - 1, f))
		return error_set(err, ST_FAILED, "the inventory of %s gave a line that is none", i->kind);
	struct known wanted = {.key = key_of(f)};
	struct known *k = c->n ? bsearch(&wanted, c->known, c->n, sizeof *c->known, by_key) : NULL;
	if (!k && (c->result->by_name || i->perhaps))
		return ST_OK;
	if (!k) {
		proof_difference(c->result, "%s %s: is there but was not in the source", i->kind, i->name);
		return ST_OK;
	}
	k->seen = true;
	if (!same(k, f) && (k->grows || !c->result->by_name)) {
		proof_difference(c->result, "%s %s: differs: now %.400s", i->kind, i->name, i->facts);
		strlist_take(&c->changed, xstrndup(f[0].p, (size_t)(f[1].p + f[1].n - f[0].p)));
	}
	return ST_OK;
}

/* Second pass over the recorded lines: what was not seen, and the recorded facts of what differs. */
static enum status report_missing(void *ctx, const char *line, size_t n, struct error *err)
{
	struct comparing *c = ctx;
	struct field f[4];

	if (!split_line(line, n, f))
		return error_set(err, ST_BAD, "the recorded inventory has a line that is none");
	if (is_left_out(c, line))
		return ST_OK;
	struct known wanted = {.key = key_of(f)};
	const struct known *k = bsearch(&wanted, c->known, c->n, sizeof *c->known, by_key);
	if (k && !k->seen)
		proof_difference(c->result, "%.*s %.*s: is missing", (int)f[0].n, f[0].p, (int)f[1].n, f[1].p);
	for (size_t i = 0; i < c->changed.len && i < 100; i++)
		if (strlen(c->changed.item[i]) == f[0].n + 1 + f[1].n && !memcmp(c->changed.item[i], line, f[0].n + 1 + f[1].n))
			proof_difference(c->result, "%.*s %.*s: was %.*s", (int)f[0].n, f[0].p, (int)f[1].n, f[1].p, (int)min_size(f[3].n, 400), f[3].p);
	return ST_OK;
}

enum status inventory_compare(struct run *run, const struct inventory_side *now, struct spool *recorded, struct proof_result *r, struct error *err)
{
	struct comparing c = {.result = r, .not_compared = now->not_compared};
	struct inventory_sink sink = {.item = compare_item, .ctx = &c};
	enum status st = each_line(recorded, remember, &c, err);

	if (!st) {
		if (c.n)
			qsort(c.known, c.n, sizeof *c.known, by_key);
		st = now->driver->inventory(run, now->dump, &sink, err);
	}
	if (!st)
		st = each_line(recorded, report_missing, &c, err);
	free(c.known);
	buf_release(&c.line);
	strlist_release(&c.changed);
	return st;
}
