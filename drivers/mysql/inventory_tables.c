#include "drivers/mysql/inventory_ask.h"

#define COLUMNS                                                                                                                      \
	"TABLE_NAME, COLUMN_NAME, ORDINAL_POSITION, COLUMN_TYPE, CHARACTER_SET_NAME, COLLATION_NAME, IF(IS_NULLABLE = 'NO', 'yes', NULL)," \
	" COLUMN_DEFAULT, EXTRA, GENERATION_EXPRESSION, COLUMN_COMMENT"
#define COLUMN_LABELS "at,type,,collation,not null,default,extra,as,comment"

/* An index in one row: its columns in order. */
#define INDEX(column, hidden)                                                                                                          \
	"TABLE_NAME, INDEX_NAME, GROUP_CONCAT(" column ", IFNULL(CONCAT('(', SUB_PART, ')'), ''), IF(COLLATION = 'D', ' desc', '')"       \
	" ORDER BY SEQ_IN_INDEX SEPARATOR ', '), IF(MAX(NON_UNIQUE) = 0, 'yes', NULL), MAX(INDEX_TYPE), MAX(INDEX_COMMENT), " hidden
#define INDEX_ROWS .parts = 2, .table = "STATISTICS", .schema = "TABLE_SCHEMA", .more = "GROUP BY TABLE_NAME, INDEX_NAME"
#define INDEX_LABELS "on,unique,type,comment,not used"

#define CHECK_ROWS .table = "CHECK_CONSTRAINTS", .schema = "CONSTRAINT_SCHEMA", .more = "", .label = "check"

/* Behind the facts of a table stands its counter. */
#define COUNTER 6

static enum status seen_table(struct my_taking *t, const char *name, char *const *field, struct error *err)
{
	t->partitioned |= field[4] && strstr(field[4], "partitioned");
	if (!my_inventory_has(&t->counted, field[0]))
		return ST_OK;
	return my_inventory_grows(t, "auto increment", name, field[COUNTER], 1, err);
}

static enum status seen_foreign(struct my_taking *t, const char *name UNUSED, char *const *field UNUSED, struct error *err UNUSED)
{
	t->foreign = true;
	return ST_OK;
}

static bool has_foreign(const struct my_taking *t) { return t->foreign; }
static bool has_partitions(const struct my_taking *t) { return t->partitioned; }

const struct my_question my_inventory_tables[] = {
	{"database", .product = MY_MARIADB, .from = 100500, .columns = "DEFAULT_COLLATION_NAME, SCHEMA_COMMENT", .table = "SCHEMATA",
	 .schema = "SCHEMA_NAME", .more = "", .label = "collation,comment"},
	{"database", .product = MY_MYSQL, .columns = "DEFAULT_COLLATION_NAME", .table = "SCHEMATA", .schema = "SCHEMA_NAME", .more = "",
	 .label = "collation"},
	/* SHOW CREATE prints the default page_checksum=1, so that a copy has it in writing. */
	{"table", .parts = 1,
	 .columns = "TABLE_NAME, NULLIF(TABLE_TYPE, 'BASE TABLE'), ENGINE, TABLE_COLLATION,"
		    " TRIM(REPLACE(REPLACE(CREATE_OPTIONS, 'page_checksum=1', ''), '  ', ' ')), TABLE_COMMENT,"
		    " LEAST(IFNULL(AUTO_INCREMENT, 1), 9223372036854775807)",
	 .table = "TABLES", .schema = "TABLE_SCHEMA", .more = "AND TABLE_TYPE NOT IN ('VIEW', 'TEMPORARY')",
	 .label = "type,engine,collation,options,comment", .seen = seen_table},
	{"column", .product = MY_MARIADB, .parts = 2, .tables_only = true, .columns = COLUMNS, .table = "COLUMNS", .schema = "TABLE_SCHEMA",
	 .more = "", .label = COLUMN_LABELS},
	{"column", .product = MY_MYSQL, .before = 80000, .parts = 2, .tables_only = true, .columns = COLUMNS, .table = "COLUMNS",
	 .schema = "TABLE_SCHEMA", .more = "", .label = COLUMN_LABELS},
	{"column", .product = MY_MYSQL, .from = 80000, .parts = 2, .tables_only = true, .columns = COLUMNS ", SRS_ID", .table = "COLUMNS",
	 .schema = "TABLE_SCHEMA", .more = "", .label = COLUMN_LABELS ",srs"},
	{"index", .product = MY_MARIADB, .before = 100600, .columns = INDEX("COLUMN_NAME", "NULL"), INDEX_ROWS, .label = INDEX_LABELS},
	{"index", .product = MY_MARIADB, .from = 100600, .columns = INDEX("COLUMN_NAME", "NULLIF(MAX(IGNORED), 'NO')"), INDEX_ROWS,
	 .label = INDEX_LABELS},
	{"index", .product = MY_MYSQL, .before = 80000, .columns = INDEX("COLUMN_NAME", "NULL"), INDEX_ROWS, .label = INDEX_LABELS},
	{"index", .product = MY_MYSQL, .from = 80000, .before = 80013, .columns = INDEX("COLUMN_NAME", "IF(MAX(IS_VISIBLE) = 'NO', 'YES', NULL)"),
	 INDEX_ROWS, .label = INDEX_LABELS},
	{"index", .product = MY_MYSQL, .from = 80013,
	 .columns = INDEX("IFNULL(COLUMN_NAME, CONCAT('(', EXPRESSION, ')'))", "IF(MAX(IS_VISIBLE) = 'NO', 'YES', NULL)"), INDEX_ROWS,
	 .label = INDEX_LABELS},
	/* Which index of the parent serves is the server's choice. */
	{"foreign key", .parts = 2,
	 .columns = "TABLE_NAME, CONSTRAINT_NAME, UNIQUE_CONSTRAINT_SCHEMA, REFERENCED_TABLE_NAME, MATCH_OPTION, REPLACE(UPDATE_RULE, 'NO ACTION',"
		    " 'RESTRICT'), REPLACE(DELETE_RULE, 'NO ACTION', 'RESTRICT')",
	 .table = "REFERENTIAL_CONSTRAINTS", .schema = "CONSTRAINT_SCHEMA", .more = "", .label = "schema,to,match,on update,on delete",
	 .seen = seen_foreign},
	{"foreign key columns", .parts = 2,
	 .columns = "TABLE_NAME, CONSTRAINT_NAME, GROUP_CONCAT(COLUMN_NAME ORDER BY ORDINAL_POSITION SEPARATOR ', '),"
		    " GROUP_CONCAT(REFERENCED_COLUMN_NAME ORDER BY ORDINAL_POSITION SEPARATOR ', ')",
	 .table = "KEY_COLUMN_USAGE", .schema = "TABLE_SCHEMA",
	 .more = "AND REFERENCED_TABLE_NAME IS NOT NULL GROUP BY TABLE_NAME, CONSTRAINT_NAME", .label = "from,to", .needed = has_foreign},
	{"check", .product = MY_MARIADB, .before = 100510, .parts = 2, .columns = "TABLE_NAME, CONSTRAINT_NAME, CHECK_CLAUSE", CHECK_ROWS},
	/* A column's own check and one of the table may have the same name. */
	{"check", .product = MY_MARIADB, .from = 100510, .parts = 3,
	 .columns = "TABLE_NAME, CONSTRAINT_NAME, IF(LEVEL = 'Column', 'column', NULL), CHECK_CLAUSE", CHECK_ROWS},
	{"check", .product = MY_MYSQL, .from = 80016, .parts = 1, .columns = "CONSTRAINT_NAME, CHECK_CLAUSE", CHECK_ROWS},
	{"check of a table", .product = MY_MYSQL, .from = 80016, .parts = 2, .columns = "TABLE_NAME, CONSTRAINT_NAME, ENFORCED",
	 .table = "TABLE_CONSTRAINTS", .schema = "TABLE_SCHEMA", .more = "AND CONSTRAINT_TYPE = 'CHECK'", .label = "enforced"},
	{"partition", .parts = 3,
	 .columns = "TABLE_NAME, PARTITION_NAME, SUBPARTITION_NAME, PARTITION_ORDINAL_POSITION, PARTITION_METHOD, PARTITION_EXPRESSION,"
		    " PARTITION_DESCRIPTION, SUBPARTITION_METHOD, SUBPARTITION_EXPRESSION, PARTITION_COMMENT",
	 .table = "PARTITIONS", .schema = "TABLE_SCHEMA", .more = "AND PARTITION_NAME IS NOT NULL",
	 .label = "at,by,of,values,parts by,parts of,comment", .needed = has_partitions},
	{.kind = NULL},
};
