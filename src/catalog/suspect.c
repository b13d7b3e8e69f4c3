/* Whether a backup is so much smaller than the one before that somebody should look before anything is deleted. */
#include "catalog/retention.h"

/* now is less than `limit` percent below before. */
static bool fell(uint64_t before, uint64_t now, unsigned limit)
{
	return limit < 100 && now < before && (double)now * 100.0 < (double)before * (100.0 - (double)limit);
}

static char *fell_text(const char *what, uint64_t before, uint64_t now)
{
	double percent = 100.0 * (1.0 - (double)now / (double)before);

	return xasprintf("%s fell by %.0f %%, from %" PRIu64 " to %" PRIu64, what, percent, before, now);
}

/* Of the tables that had rows, how many have none now. The lists hold the largest tables only: one that is in no list may just have
 * become smaller, so absence counts only where the list of now is whole. */
static char *emptied(const struct manifest *now, const struct manifest *before)
{
	bool whole = json_object_size(now->shrink) >= now->nonempty_tables;
	CLEANUP(cstr_release) char *first = NULL;
	size_t n = 0;
	const char *name;
	json_t *rows;

	json_object_foreach(before->shrink, name, rows) {
		const json_t *then = json_object_get(now->shrink, name);

		if (json_integer_value(rows) <= 0 || (then ? json_integer_value(then) > 0 : !whole))
			continue;
		if (!n++)
			first = xstrdup(name);
	}
	if (n) {
		char *tab = strchr(first, '\t');

		if (tab)
			*tab = '.';
		return n == 1 ? xasprintf("table %s had rows and is empty or gone", first)
			      : xasprintf("%zu tables had rows and are empty or gone, among them %s", n, first);
	}
	if (now->nonempty_tables < before->nonempty_tables && (!whole || !now->shrink || !before->shrink))
		return xasprintf("%" PRIu64 " tables have rows, %" PRIu64 " had", now->nonempty_tables, before->nonempty_tables);
	return NULL;
}

char *retention_suspect(const struct manifest *now, const struct manifest *before, unsigned shrink_limit)
{
	if (fell(before->rows, now->rows, shrink_limit))
		return fell_text("the number of rows", before->rows, now->rows);
	if (fell(before->raw, now->raw, shrink_limit))
		return fell_text("the number of bytes", before->raw, now->raw);
	return emptied(now, before);
}
