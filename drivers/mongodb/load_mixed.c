#include "drivers/mongodb/load.h"

#include "drivers/mongodb/look.h"
#include "drivers/mongodb/oplog_names.h"

bool mo_refuses_mixed(const bson_t *reply)
{
	bson_t errors, one;
	bson_iter_t at;

	if (!mo_look_doc(reply, "writeErrors", &errors) || !bson_iter_init(&at, &errors))
		return false;
	while (bson_iter_next(&at))
		if (mo_look_doc(&errors, bson_iter_key(&at), &one) && mo_look_num(&one, "code", 0) == MO_MIXED_SCHEMA)
			return true;
	return false;
}

enum status mo_allow_mixed(struct run *run, struct mo_conn *c, const char *database, const char *collection, struct error *err)
{
	CLEANUP(mo_doc_release) bson_t command = BSON_INITIALIZER;
	const char *series = mo_buckets_of(collection);

	BSON_APPEND_UTF8(&command, "collMod", series ? series : collection);
	BSON_APPEND_BOOL(&command, "timeseriesBucketsMayHaveMixedSchemaData", true);
	return mo_change(run, c, database, &command, err) ? error_add(err, "letting %s.%s have buckets of mixed schema", database, series ? series : collection)
							  : ST_OK;
}
