/* The parts of a CREATE TABLE as SHOW CREATE TABLE prints it, so that rows can come before secondary indexes and foreign keys, and the few
 * words of other statements that a restore must change. The text is divided at commas outside of quotes and parentheses, never searched by
 * pattern; the parts are the server's own words. */
#ifndef DRIVERS_MYSQL_DDL_H
#define DRIVERS_MYSQL_DDL_H

#include "util/error.h"
#include "util/buf.h"

/* Only InnoDB is divided, all else is base. What remains in base: the one key that an AUTO_INCREMENT needs, the key by which a table without
 * primary key is stored, and those before them, so that the order of the keys stays. */
struct my_ddl_table {
	char *base;             /* CREATE TABLE with columns, primary key, checks, options, partitions, and the keys above */
	struct strlist keys;    /* "ADD KEY ..." for one ALTER TABLE */
	struct strlist foreign; /* "ADD CONSTRAINT ... FOREIGN KEY ..." */
};
#define MY_DDL_TABLE_INIT {0}
/* ST_BAD where the text is not of this form: then it is used as a whole. */
enum status my_ddl_split(const char *create, struct my_ddl_table *t, struct error *err) MUST_CHECK;
void my_ddl_release(struct my_ddl_table *t);
/* create with another name in place of the one after CREATE TABLE, SEQUENCE or DATABASE; owned by the caller. NULL where the text is not of this form. */
char *my_ddl_renamed(const char *create, const char *name);
/* ALTER DATABASE name out of a CREATE DATABASE; owned. NULL where the text is not of this form. */
char *my_ddl_alter_database(const char *create, const char *name);
/* For comparisons: create without its AUTO_INCREMENT=n, without CHARACTER SET where COLLATE says the same, and without the character sets of
 * texts in expressions, since MySQL prints these otherwise when a table was made by such a text; owned. */
char *my_ddl_without_counter(const char *create);

/* ---- other statements; the results are owned, and equal to the text where there is nothing to change ---- */

/* CREATE TABLE or VIEW without the database's own name before functions, sequences and columns, which the server leaves there. */
char *my_ddl_unqualified(const char *create, const char *database);
/* CREATE TRIGGER without names of databases before it and its table, and without FOLLOWS or PRECEDES. */
char *my_ddl_trigger(const char *create, const char *sql_mode);
/* CREATE EVENT as DISABLED. */
char *my_ddl_event_disabled(const char *create, const char *sql_mode);
/* CREATE FUNCTION, PROCEDURE, PACKAGE or EVENT with its comment as this sql_mode reads it (ddl_comment.c). */
char *my_ddl_comment(const char *create, const char *sql_mode);
/* With this account in place of its definer; name NULL: without DEFINER = account. host "": a role of MariaDB. */
char *my_ddl_with_definer(const char *create, const char *sql_mode, const char *name, const char *host);
/* "`app`@`%`"; host "": a role. */
void my_put_account(const char *name, const char *host, struct buf *to);
/* "DEFINER=`app`@`%` ". */
void my_put_definer(const char *name, const char *host, struct buf *to);
/* "app@%"; "app" of a role; NULL where there is none. */
char *my_ddl_definer(const char *create, const char *sql_mode);

#endif
