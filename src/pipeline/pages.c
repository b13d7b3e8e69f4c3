/* Pages of the index, a few of them kept: units in the order in which they were dumped find their members in the same few pages. */
#include "pipeline/load_internal.h"

#define PAGES_KEPT 16u

struct kept_page {
	uint32_t page;
	uint64_t used; /* 0: none */
	struct member_row *rows;
	size_t n;
};

struct pages {
	struct archive_reader *reader;
	pthread_mutex_t mutex; /* guards all below */
	struct kept_page kept[PAGES_KEPT];
	uint64_t clock;
};

struct pages *pages_new(struct archive_reader *r)
{
	struct pages *p = xcalloc(1, sizeof *p);

	p->reader = r;
	mutex_init(&p->mutex);
	return p;
}

void pages_freep(struct pages **p)
{
	if (!*p)
		return;
	for (unsigned i = 0; i < PAGES_KEPT; i++)
		free((*p)->kept[i].rows);
	mutex_destroy(&(*p)->mutex);
	free(*p);
	*p = NULL;
}

static struct kept_page *find_kept(struct pages *p, uint32_t page)
{
	for (unsigned i = 0; i < PAGES_KEPT; i++)
		if (p->kept[i].used && p->kept[i].page == page)
			return &p->kept[i];
	return NULL;
}

enum status pages_get(struct pages *p, uint32_t page, const struct member_row **rows, size_t *n, struct error *err)
{
	struct kept_page *k = find_kept(p, page), *oldest = &p->kept[0];

	if (!k) {
		for (unsigned i = 1; i < PAGES_KEPT; i++)
			oldest = p->kept[i].used < oldest->used ? &p->kept[i] : oldest;
		k = oldest;
		free(k->rows);
		*k = (struct kept_page){0};
		if (archive_read_page(p->reader, page, &k->rows, &k->n, err))
			return err->code;
		k->page = page;
	}
	k->used = ++p->clock;
	*rows = k->rows;
	*n = k->n;
	return ST_OK;
}

static bool is_of(const struct member_row *r, const struct load_plan_unit *u)
{
	return r->object == u->object && r->range == u->range && r->part >= u->first_part && r->part - u->first_part < u->parts;
}

static enum status find_rows(struct pages *p, const struct load_plan_unit *u, struct member_row *to, uint32_t *found,
			     struct error *err)
{
	const struct member_row *rows;
	size_t n;

	for (uint32_t page = u->first_page; page <= u->last_page && *found < u->parts; page++) {
		if (pages_get(p, page, &rows, &n, err))
			return err->code;
		for (size_t i = 0; i < n; i++) {
			if (!is_of(&rows[i], u))
				continue;
			struct member_row *r = &to[rows[i].part - u->first_part];
			*found += !r->length;
			*r = rows[i];
		}
	}
	return ST_OK;
}

enum status pages_unit(struct pages *p, const struct load_plan_unit *u, struct member_row *to, struct error *err)
{
	uint32_t found = 0;

	memset(to, 0, u->parts * sizeof *to);
	mutex_lock(&p->mutex);
	enum status st = find_rows(p, u, to, &found, err);
	mutex_unlock(&p->mutex);
	if (!st && found != u->parts)
		return error_set(err, ST_BAD, "the index changed while it was read");
	return st;
}
