/* What the archive records about the objects and files of a PostgreSQL dump: the JSON that the dump side writes and that the load
 * and digest sides read. Keys that a reader does not know are ignored; a key without need is left out.
 *
 * ---- objects (struct dump_object.facts) ----
 *   "class"      "table"          a relation with rows: table, partition leaf, inheritance member, configuration table of an
 * extension "large_objects"  all large objects of the database, rows as COPY text: oid, number of the page, bytes of the page
 * (bytea hex) "schema"     true name of the schema                               (table) "name"       true name of the table
 * (table) "columns"    array of true column names in dump order, without generated columns; may be empty (table) "encoding"   of
 * the bytes in the archive, as COPY's ENCODING option takes it: "UTF8", "LATIN1", "SQL_ASCII" "format"     "text": COPY's text
 * format with default delimiter and null "where"      clause that begins with WHERE: only these rows belong to the dump
 * (configuration table of an extension); else absent "extension"  name of the extension whose configuration table it is; else
 * absent. Its rows may be there when the extension was made. "persistence" "u" for an unlogged table; else absent "replace"    true
 * where rows of the restored object must be deleted before loading (configuration tables: those that "where" selects) "rls" true
 * where row level security is enabled; else absent "parent"     {"schema","name"} of the partitioned or inherited table it is a
 * part of, the topmost; else absent "ranges"     number of ranges it was read in; 1 where absent "page_rows"  large_objects only:
 * page size in bytes (2048 by default)
 *
 * ---- files of a scope (struct dump_entry) ----
 *   schema.dump          pg_dump -Fc --schema-only of the snapshot: made by the client in facts "client" ("15.20")
 *   schema-pre.sql, schema-post.sql   the same as readable SQL (before and after the data), settings newer than the server taken
 * out load.sh              exact stock commands for the tables' rows, used by RESTORE.txt sequences.jsonl      a line per sequence:
 * {"schema","name","last_value":"123","is_called":true,"persistence":"p"}, read after the data sequences.sql        the same as
 * setval statements large_objects.sql    creates them, with owner, rights and comment; absent where there are none
 *   large_objects.jsonl  a line per large object: {"oid":"16401","owner":"app","acl":["app=rw/app"],"comment":"..."}; acl absent:
 * default refresh.jsonl        a line per materialized view that was populated, in the order of dependency: {"schema","name"}
 *   refresh.sql          the same as statements
 *   database.json        struct facts_database below
 *   database.sql         the same as CREATE DATABASE and what follows, for psql with -v db=NAME
 * ---- files of no scope ----
 *   globals/roles.jsonl, roles.sql          see struct facts_role
 *   globals/tablespaces.jsonl, tablespaces.sql   {"name","owner","location","options":[..],"acl":[..],"comment"}
 */
#ifndef DRIVERS_POSTGRES_FACTS_H
#define DRIVERS_POSTGRES_FACTS_H

#include "util/json.h"

#define PG_ENTRY_SCHEMA "schema.dump"
#define PG_ENTRY_SCHEMA_PRE_SQL "schema-pre.sql"
#define PG_ENTRY_SCHEMA_POST_SQL "schema-post.sql"
#define PG_ENTRY_LOAD "load.sh"
#define PG_ENTRY_SEQUENCES "sequences.jsonl"
#define PG_ENTRY_SEQUENCES_SQL "sequences.sql"
#define PG_ENTRY_LARGE_OBJECTS "large_objects.jsonl"
#define PG_ENTRY_LARGE_OBJECTS_SQL "large_objects.sql"
#define PG_ENTRY_REFRESH "refresh.jsonl"
#define PG_ENTRY_REFRESH_SQL "refresh.sql"
#define PG_ENTRY_DATABASE "database.json"
#define PG_ENTRY_DATABASE_SQL "database.sql"
#define PG_ENTRY_ROLES "globals/roles.jsonl"
#define PG_ENTRY_ROLES_SQL "globals/roles.sql"
#define PG_ENTRY_TABLESPACES "globals/tablespaces.jsonl"
#define PG_ENTRY_TABLESPACES_SQL "globals/tablespaces.sql"

#define PG_CLASS_TABLE "table"
#define PG_CLASS_LARGE_OBJECTS "large_objects"

/* All strings are borrowed from the JSON. */
struct facts_table {
	bool large_objects;
	const char *schema, *name, *encoding;
	const json_t *columns;
	const char *where, *extension; /* NULL: none */
	bool unlogged, replace, rls;
	const char *parent_schema, *parent_name; /* NULL: none */
	uint64_t ranges;
};
/* ST_BAD where something needed is missing or of another kind. */
enum status facts_table(const json_t *facts, struct facts_table *t, struct error *err) MUST_CHECK;
/* Appends the column list: ("a", "b"), or nothing for a table without columns. */
void facts_columns(const struct facts_table *t, struct buf *to);

/* database.json */
struct facts_database {
	const char *name, *owner, *encoding, *collate, *ctype;
	const char *provider;          /* "c" libc, "i" icu, "b" builtin */
	const char *locale, *icu_rules; /* of the provider icu or builtin; NULL */
	const char *collation_version; /* NULL: not known */
	const char *tablespace;        /* name */
	int64_t connection_limit;      /* -1: none */
	bool allow_connections, is_template;
	const json_t *acl;             /* array of "grantee=rights/grantor"; NULL: the default */
	const char *comment;           /* NULL: none */
	const json_t *settings;        /* array of {"role": name or absent, "settings": ["name=value", ...]}: ALTER DATABASE/ROLE IN
					  DATABASE ... SET */
	const char *server_version;    /* "15.20" */
	uint64_t server_version_num;   /* 150020 */
	const json_t *extensions;      /* array of {"name","version","schema"} */
	const json_t *roles;           /* array of role names that objects of the database need */
	const json_t *large_objects;   /* number; NULL: none */
	bool public_schema; /* there is a schema public: a new database has one, and the dump says nothing where it was dropped */
};
enum status facts_database(const json_t *j, struct facts_database *d, struct error *err) MUST_CHECK;

/* A line of globals/roles.jsonl. */
struct facts_role {
	const char *name;
	bool superuser, inherit, createrole, createdb, canlogin, replication, bypassrls;
	int64_t connection_limit;
	const char *valid_until; /* NULL */
	const char *password;    /* hash; NULL: none or not readable */
	const char *comment;     /* NULL */
	const json_t *member_of; /* array of {"role","grantor","admin":bool,"inherit":bool,"set":bool} (the last two from 16 on) */
	const json_t *settings;  /* array of "name=value": ALTER ROLE ... SET */
};
enum status facts_role(const json_t *j, struct facts_role *r, struct error *err) MUST_CHECK;

#endif
