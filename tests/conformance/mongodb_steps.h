/* A dump of a server that speaks MongoDB's protocol step by step, whose objects, documents and files are kept. */
#ifndef TESTS_CONFORMANCE_MONGODB_STEPS_H
#define TESTS_CONFORMANCE_MONGODB_STEPS_H

#include "tests/conformance/mongodb_server.h"

#include "drivers/mongodb/modriver.h"
#include "util/hash.h"

struct mo_kept_object {
	char *name;
	json_t *facts;
	struct buf rows; /* of all its units, in the order in which they were read */
	uint64_t count;
	struct hash128 digest;
	size_t units;
};
struct mo_kept_entry {
	char *path;
	struct buf bytes;
};
struct mo_steps {
	struct mo_test_server *s;
	void *dump, *worker;
	struct dump_info info;
	struct scope_info scope;
	struct mo_kept_object object[100];
	size_t objects;
	struct dump_unit unit[2000];
	size_t units;
	struct mo_kept_entry file[200];
	size_t files;
	struct buf items; /* of the inventory, a line each: "kind name = facts" */
	struct row_sink sink;
	struct mo_kept_object *at;
	const struct recorded *recorded; /* these three may be set before a step */
	struct recorded_scope recorded_scope;
	struct duration max_lag;
};
/* dump_open of one database ("": that of the URL, else all) on two connections. */
enum status mo_steps_open(struct mo_steps *t, struct mo_test_server *s, const char *database, struct error *err);
/* dump_entries, scope_begin of the first scope, and a worker. */
enum status mo_steps_begin(struct mo_steps *t, struct error *err);
void mo_steps_start(struct mo_steps *t, struct mo_test_server *s, const char *database); /* both */
/* Units of an object, or of all (NULL). */
enum status mo_steps_read(struct mo_steps *t, const char *name, struct error *err);
enum status mo_steps_inventory(struct mo_steps *t, struct error *err);
enum status mo_steps_end(struct mo_steps *t, struct error *err);
/* Reads all, to the end: what was changed after mo_steps_start ends the dump, which says this and may be tried again. */
void mo_steps_ended(struct mo_steps *t, const char *said);
/* All steps; the dump is closed then. */
void mo_steps_all(struct mo_steps *t, struct mo_test_server *s, const char *database);
void mo_steps_release(struct mo_steps *t);
struct mo_kept_object *mo_steps_object(struct mo_steps *t, const char *name); /* fails the test where it is not there, as the next does */
const char *mo_steps_file(const struct mo_steps *t, const char *path);
bool mo_steps_has(const struct strlist *l, const char *part);
/* The objects that were kept as those of an archive. */
struct recorded mo_steps_recorded(struct mo_steps *t);

#endif
