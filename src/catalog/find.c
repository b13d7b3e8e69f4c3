/* Choosing a backup by what a person says. */
#include "catalog/catalog.h"

/* "k" is met by "k" and "k=v", "k=v" only by itself. */
static bool has_tag(const struct strlist *tags, const char *wanted)
{
	size_t n = strlen(wanted);

	for (size_t i = 0; i < tags->len; i++)
		if (!strncmp(tags->item[i], wanted, n) && (!tags->item[i][n] || (tags->item[i][n] == '=' && !strchr(wanted, '='))))
			return true;
	return false;
}

bool catalog_tags_match(const struct strlist *tags, const struct strlist *wanted)
{
	for (size_t i = 0; wanted && i < wanted->len; i++)
		if (!has_tag(tags, wanted->item[i]))
			return false;
	return true;
}

static enum status nothing_there(const struct catalog *c, struct error *err)
{
	if (!c->backups && c->unreadables)
		return error_set(err, ST_NOT_FOUND, "there is no readable backup (%zu cannot be read)", c->unreadables);
	return error_set(err, ST_NOT_FOUND, "there is no backup");
}

/* What there is, for who asked for something else. */
static void hint_ids(const struct catalog *c, struct error *err)
{
	CLEANUP(buf_release) struct buf b = BUF_INIT;

	for (size_t i = c->backups; i-- && i + 5 >= c->backups;)
		buf_printf(&b, "%s%s", b.len ? ", " : "", c->backup[i].manifest.id);
	error_hint(err, "The newest are %s.", buf_str(&b));
}

static enum status find_newest(const struct catalog *c, const struct catalog_query *q, size_t *index, size_t *passed_over,
			       struct error *err)
{
	bool proven = q->which && !strcmp(q->which, "latest-proven");
	size_t tagged = 0, usable = 0;

	*passed_over = 0;
	for (size_t i = c->backups; i--;) {
		const struct catalog_backup *b = &c->backup[i];

		if (!catalog_tags_match(&b->manifest.tags, q->tags))
			continue;
		tagged++;
		if (b->bad || b->suspect) {
			++*passed_over;
			continue;
		}
		usable++;
		if (proven && b->level < PROOF_READ)
			continue;
		*index = i;
		return ST_OK;
	}
	if (!c->backups)
		return nothing_there(c, err);
	if (!tagged)
		error_set(err, ST_NOT_FOUND, "none of the %zu backups has these tags", c->backups);
	else if (!usable)
		error_set(err, ST_NOT_FOUND, "no good backup: %zu are bad or suspect", tagged);
	else
		error_set(err, ST_NOT_FOUND, "none of the %zu good backups is proven (drtool verify)", usable);
	hint_ids(c, err);
	return err->code;
}

enum status catalog_find(const struct catalog *c, const struct catalog_query *q, size_t *index, size_t *passed_over,
			 struct error *err)
{
	size_t found = 0, n = q->which ? strlen(q->which) : 0;

	*passed_over = 0;
	if (!q->which || !strcmp(q->which, "latest") || !strcmp(q->which, "latest-proven"))
		return find_newest(c, q, index, passed_over, err);
	if (!c->backups)
		return nothing_there(c, err);
	for (size_t i = 0; i < c->backups; i++) {
		const char *id = c->backup[i].manifest.id;
		bool end = n == 4 && !strcmp(id + BACKUP_ID_LEN - 4, q->which);

		if (!n || (strncmp(id, q->which, n) && !end) || !catalog_tags_match(&c->backup[i].manifest.tags, q->tags))
			continue;
		found++;
		*index = i;
	}
	if (found == 1)
		return ST_OK;
	if (found)
		error_set(err, ST_NOT_FOUND, "'%s' fits %zu backups", q->which, found);
	else
		error_set(err, ST_NOT_FOUND, "no backup has the id '%s'%s", q->which,
			  q->tags && q->tags->len ? " and these tags" : "");
	hint_ids(c, err);
	return err->code;
}
