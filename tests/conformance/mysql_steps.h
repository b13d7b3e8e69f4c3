/* A dump of a MariaDB or MySQL server step by step, whose objects, rows and files are kept. */
#ifndef TESTS_CONFORMANCE_MYSQL_STEPS_H
#define TESTS_CONFORMANCE_MYSQL_STEPS_H

#include "tests/conformance/mysql_server.h"

#include "drivers/mysql/mydriver.h"
#include "util/hash.h"

struct kept_object {
	char *name;
	json_t *facts;
	struct buf rows; /* of all its units, in their order */
	uint64_t count;
	size_t units;
};
struct kept_entry {
	char *path;
	struct buf bytes;
};
struct steps {
	struct my_test_server *s;
	void *dump, *worker;
	struct dump_info info;
	struct scope_info scope;
	struct kept_object object[200];
	size_t objects;
	struct dump_unit unit[2000];
	size_t units;
	struct kept_entry file[20];
	size_t files;
	struct row_sink sink;
	struct kept_object *at;
	const struct recorded *recorded;
	struct recorded_scope recorded_scope;
};
/* dump_open of one database on two connections. */
enum status steps_open(struct steps *t, struct my_test_server *s, const char *database, struct error *err);
/* dump_entries, scope_begin, and a worker. */
enum status steps_begin(struct steps *t, struct error *err);
/* Both. */
void steps_start(struct steps *t, struct my_test_server *s, const char *database);
/* Units of an object, or of all (NULL). */
enum status steps_read(struct steps *t, const char *name, struct error *err);
enum status steps_end(struct steps *t, struct error *err);
/* Of all rows, whatever their order. */
struct hash128 steps_digest(const struct kept_object *o);
struct kept_object *steps_object(struct steps *t, const char *name); /* fails the test where it is not there, as the next does */
const char *steps_file(const struct steps *t, const char *path);
void steps_release(struct steps *t);
/* All steps; the dump is closed then. */
void steps_all(struct steps *t, struct my_test_server *s, const char *database);
bool has_note(const struct my_test_server *s, const char *part);
bool has_part(const struct strlist *l, const char *part);
/* Statements one by one, each ended by ";;". */
void sql_lines(struct my_test_server *s, const char *database, const char *text);

#endif
