#include "drivers/mongodb/oplog_known.h"

#include "drivers/mongodb/ejson.h"
#include "drivers/mongodb/oplog_names.h"

static void item_release(struct mo_known_item *it)
{
	free(it->database);
	free(it->name);
}

void mo_known_release(struct mo_known *k)
{
	for (size_t i = 0; i < k->items; i++)
		item_release(&k->item[i]);
	free(k->item);
	*k = (struct mo_known)MO_KNOWN_INIT;
}

static struct mo_known_item *by_name(const struct mo_known *k, const char *database, const char *collection)
{
	const char *series = mo_buckets_of(collection);
	const char *name = series ? series : collection;

	for (size_t i = 0; i < k->items; i++)
		if (!strcmp(k->item[i].name, name) && !strcmp(k->item[i].database, database))
			return &k->item[i];
	return NULL;
}

static struct mo_known_item *by_uuid(const struct mo_known *k, const uint8_t *uuid)
{
	for (size_t i = 0; uuid && i < k->items; i++)
		if (k->item[i].has_uuid && !memcmp(k->item[i].uuid, uuid, sizeof k->item[i].uuid))
			return &k->item[i];
	return NULL;
}

static struct mo_known_item *add(struct mo_known *k, const char *database, const char *collection)
{
	const char *series = mo_buckets_of(collection);

	if ((k->items & (k->items - 1)) == 0)
		k->item = xrealloc(k->item, (k->items ? k->items * 2 : 1) * sizeof *k->item);
	struct mo_known_item *it = &k->item[k->items++];
	*it = (struct mo_known_item){.database = xstrdup(database), .name = xstrdup(series ? series : collection)};
	return it;
}

static void set_uuid(struct mo_known_item *it, const uint8_t *uuid)
{
	it->has_uuid = uuid != NULL;
	if (uuid)
		memcpy(it->uuid, uuid, sizeof it->uuid);
}

static void take_out(struct mo_known *k, struct mo_known_item *it)
{
	if (!it)
		return;
	item_release(it);
	*it = k->item[--k->items];
}

static int digit_of(char c)
{
	const char *digits = "0123456789abcdef", *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -1;
}

void mo_known_add(struct mo_known *k, const char *database, const char *name, const char *uuid)
{
	uint8_t bytes[16];
	bool whole = strlen(uuid) == 2 * sizeof bytes;

	for (size_t i = 0; whole && i < sizeof bytes; i++) {
		const int high = digit_of(uuid[2 * i]), low = digit_of(uuid[2 * i + 1]);

		whole = high >= 0 && low >= 0;
		bytes[i] = (uint8_t)(high * 16 + low);
	}
	set_uuid(add(k, database, name), whole ? bytes : NULL);
}

bool mo_known_holds(const struct mo_known *k, const char *database, const char *name) { return by_name(k, database, name); }

/* ---- operations ---- */

/* As the log names it; NULL: it is about none. */
static const char *subject_of(const struct mo_oplog_entry *op)
{
	struct mo_name n;

	if (op->op != MO_OP_COMMAND)
		return op->collection;
	const char *text = mo_bson_text_at(&op->o, op->command);
	if (text && !strcmp(op->command, "renameCollection"))
		return mo_name_of(text, &n) ? n.collection : NULL;
	return text;
}

static bool is_create(const struct mo_oplog_entry *op) { return op->command && !strcmp(op->command, "create"); }

static const char *name_of(const struct mo_known_item *it, const char *subject)
{
	const char *series = mo_buckets_of(subject);

	return strcmp(it->name, series ? series : subject) ? it->name : subject;
}

const char *mo_known_name(const struct mo_known *k, const struct mo_oplog_entry *op)
{
	const char *subject = subject_of(op);

	if (!subject || !*subject)
		return "";
	if (!strcmp(subject, "system.views"))
		return subject;
	const struct mo_known_item *same = by_uuid(k, op->ui), *held = by_name(k, op->database, subject);
	/* What was dumped is not made again: it has what was put into it since. */
	if (is_create(op))
		return same || held ? NULL : subject;
	if (same)
		return strcmp(same->database, op->database) ? NULL : name_of(same, subject);
	if (op->ui && (!held || held->has_uuid))
		return NULL;
	return subject;
}

static void apply_rename(struct mo_known *k, const struct mo_oplog_entry *op)
{
	CLEANUP(error_release) struct error ignored = ERROR_INIT;
	struct mo_renaming r;

	if (mo_renaming_of(op, &r, &ignored))
		return;
	take_out(k, by_name(k, r.to.database, r.to.collection));
	take_out(k, by_name(k, r.from.database, r.from.collection));
	set_uuid(add(k, r.to.database, r.to.collection), op->ui);
}

void mo_known_apply(struct mo_known *k, const struct mo_oplog_entry *op)
{
	const char *subject = op->op == MO_OP_COMMAND ? subject_of(op) : NULL;
	const char *name = subject ? mo_known_name(k, op) : NULL;

	if (!name || strcmp(name, subject) || !*name)
		return;
	if (is_create(op))
		set_uuid(add(k, op->database, subject), op->ui);
	else if (!strcmp(op->command, "drop"))
		take_out(k, by_name(k, op->database, subject));
	else if (!strcmp(op->command, "renameCollection"))
		apply_rename(k, op);
}
