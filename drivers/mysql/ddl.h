/* The parts of a CREATE TABLE as SHOW CREATE TABLE prints it, so that rows can come before secondary indexes and foreign keys. The text is
 * divided at commas outside of quotes and parentheses, never searched by pattern; the parts are the server's own words. */
#ifndef DRIVERS_MYSQL_DDL_H
#define DRIVERS_MYSQL_DDL_H

#include "util/error.h"
#include "util/buf.h"

struct my_ddl_table {
	char *base;             /* CREATE TABLE with columns, primary key, checks, options, partitions, and the one key an AUTO_INCREMENT needs */
	struct strlist keys;    /* "ADD KEY ..." for one ALTER TABLE */
	struct strlist foreign; /* "ADD CONSTRAINT ... FOREIGN KEY ..." */
};
#define MY_DDL_TABLE_INIT {0}
/* ST_BAD where the text is not of this form: then it is used as a whole. */
enum status my_ddl_split(const char *create, struct my_ddl_table *t, struct error *err) MUST_CHECK;
void my_ddl_release(struct my_ddl_table *t);
/* create with another name in place of the one after CREATE TABLE; owned by the caller. NULL where the text is not of this form. */
char *my_ddl_renamed(const char *create, const char *name);
/* create without its AUTO_INCREMENT=n; owned. For comparisons. */
char *my_ddl_without_counter(const char *create);

#endif
