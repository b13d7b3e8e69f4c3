/* What a backup will not have of a database, or not as one would wish, in words for the manifest. */
#include "drivers/mongodb/dump.h"

#include "drivers/mongodb/look.h"

#define NAMES_SHOWN ((size_t)10)

static void add_sentence(const struct strlist *names, const char *database, const char *what, struct strlist *to)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT;

	if (!names->len)
		return;
	for (size_t i = 0; i < names->len && i < NAMES_SHOWN; i++)
		buf_printf(&text, "%s%s", i ? ", " : "", names->item[i]);
	if (names->len > NAMES_SHOWN)
		buf_printf(&text, " and %zu more", names->len - NAMES_SHOWN);
	strlist_take(to, xasprintf("database %s, %s: %s", database, buf_str(&text), what));
}

enum status mo_dump_find_later(struct run *run, struct mo_dump *d, struct mo_scope *s, struct error *err)
{
	for (size_t i = 0; d->moment.has && i < s->listing.items; i++) {
		const struct mo_listed *l = &s->listing.item[i];
		bool reads = true;

		if (mo_is_capped(l) && mo_moment_reads(run, d->c, &d->moment, s->where.database, l->collection, &reads, err))
			return err->code;
		if (!reads)
			strlist_add(&s->later, l->meta.name);
	}
	return ST_OK;
}

void mo_dump_limits(const struct mo_scope *s, bool log, struct strlist *to)
{
	CLEANUP(strlist_release) struct strlist encrypted = STRLIST_INIT;

	for (size_t i = 0; i < s->listing.items; i++) {
		const struct mo_listed *l = &s->listing.item[i];
		bson_t fields;

		if (mo_look_doc(l->meta.options, "encryptedFields", &fields))
			strlist_add(&encrypted, l->meta.name);
	}
	add_sentence(&s->listing.not_taken, s->name, "collections of the server itself", to);
	add_sentence(&s->listing.of_runs, s->name, "what restores made, set aside or keep their state in", to);
	add_sentence(&s->listing.unfinished, s->name,
		     log ? "indexes that were being built, which a restore makes only if that was done before the backup ended" : "indexes that were being built", to);
	add_sentence(&s->later, s->name, "capped collections, which this version cannot read at the moment of the backup, so that their documents are later ones", to);
	add_sentence(&encrypted, s->name, "encrypted fields (Queryable Encryption), which servers do not take back as such", to);
}
