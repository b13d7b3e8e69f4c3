#include "tests/conformance/mongodb_log.h"

#include "tests/unit/mongodb/documents.h"

void mo_log_add(struct kept *k, const char *const *entry, size_t entries)
{
	struct kept_object o = {.scope = xstrdup("local"), .name = xstrdup("oplog.rs"), .facts = json_object(), .end = xcalloc(entries, sizeof *o.end)};
	CLEANUP(cstr_release) char *to = xasprintf("100:%zu", entries);

	js_set_str(o.facts, "format", "bson");
	js_set_str(o.facts, "type", "oplog");
	js_set_str(o.facts, "from", "100:1");
	js_set_str(o.facts, "to", to);
	for (size_t i = 0; i < entries; i++) {
		CLEANUP(cstr_release) char *text = xasprintf("{'ts': {'$timestamp': {'t': 100, 'i': %zu}}, 't': {'$numberLong': '1'}, 'v': 2, %s}", i + 1, entry[i]);
		CLEANUP(mo_bson_freep) bson_t *doc = document(text);

		buf_put(&o.row, bson_get_data(doc), doc->len);
		o.end[o.rows++] = o.row.len;
	}
	k->object = xrealloc(k->object, (k->objects + 1) * sizeof *k->object);
	k->object[k->objects++] = o;
}
