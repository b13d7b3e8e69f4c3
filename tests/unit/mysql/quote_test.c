#include "drivers/mysql/server.h"
#include "tests/lib/test.h"

static const char *ident(struct buf *b, const char *name)
{
	buf_clear(b);
	my_sql_ident(b, name);
	return buf_str(b);
}

static const char *literal(struct buf *b, const char *text)
{
	buf_clear(b);
	my_sql_literal(b, text);
	return buf_str(b);
}

static const char *shown(struct buf *b, const char *name)
{
	buf_clear(b);
	my_sql_shown(b, name);
	return buf_str(b);
}

TEST("MySQL: names are quoted whatever is in them")
{
	CLEANUP(buf_release) struct buf b = BUF_INIT;

	CHECK_STR(ident(&b, "orders"), "`orders`");
	CHECK_STR(ident(&b, "we`ird\\"), "`we``ird\\`");
	CHECK_STR(ident(&b, ""), "``");
	buf_clear(&b);
	my_sql_name(&b, "a.b", "c`d");
	CHECK_STR(buf_str(&b), "`a.b`.`c``d`");
	buf_clear(&b);
	my_sql_name(&b, NULL, "t");
	CHECK_STR(buf_str(&b), "`t`");
}

TEST("MySQL: a literal means the same under every sql_mode, since no backslash stands in one")
{
	CLEANUP(buf_release) struct buf b = BUF_INIT;

	CHECK_STR(literal(&b, ""), "''");
	CHECK_STR(literal(&b, "it's \"so\""), "'it''s \"so\"'");
	CHECK_STR(literal(&b, "a\\"), "_utf8mb4 x'615c'");
	buf_clear(&b);
	my_sql_literal_n(&b, "a\0b", 3);
	CHECK_STR(buf_str(&b), "_utf8mb4 x'610062'");
	buf_clear(&b);
	my_sql_bytes(&b, "\xe9'", 2);
	CHECK_STR(buf_str(&b), "_binary '\xe9'''");
	buf_clear(&b);
	my_sql_bytes(&b, "\\\0", 2);
	CHECK_STR(buf_str(&b), "_binary x'5c00'");
	buf_clear(&b);
	my_sql_bytes(&b, NULL, 0);
	CHECK_STR(buf_str(&b), "_binary ''");
}

TEST("MySQL: a name is shown with quotes only where dots, blanks or quotes are in it")
{
	CLEANUP(buf_release) struct buf b = BUF_INIT;

	CHECK_STR(shown(&b, "Orders_2$"), "Orders_2$");
	CHECK_STR(shown(&b, "wp-posts"), "wp-posts");
	CHECK_STR(shown(&b, "b\xc3\xa4rte"), "b\xc3\xa4rte");
	CHECK_STR(shown(&b, "a.b"), "\"a.b\"");
	CHECK_STR(shown(&b, "a \"b\""), "\"a \"\"b\"\"\"");
	CHECK_STR(shown(&b, ""), "\"\"");
}

TEST("MySQL: fields of a row as numbers and truth")
{
	struct error err = {.native = "1412"};

	CHECK_INT(my_field_u64("18446744073709551615") == UINT64_MAX, 1);
	CHECK_INT(my_field_u64(NULL), 0);
	CHECK_INT(my_field_u64("x"), 0);
	CHECK(my_field_bool("ON") && my_field_bool("yes") && my_field_bool("1") && my_field_bool("Y"));
	CHECK(!my_field_bool("OFF") && !my_field_bool("0") && !my_field_bool(NULL) && !my_field_bool(""));
	CHECK_INT(my_conn_errno(&err), 1412);
}

static struct my_rights *rights(const char *const *line)
{
	struct my_rights *r = my_rights_new();

	for (; *line; line++)
		my_rights_line(r, *line);
	return r;
}

TEST("MySQL: rights are read from SHOW GRANTS: on all, on a database, on those that fit a pattern")
{
	CLEANUP(my_rights_freep) struct my_rights *r = rights((const char *const[]){
		"GRANT SELECT, SHOW VIEW, INSERT (`a`, `ON x.*`), REPLICATION CLIENT ON *.* TO `u`@`%` IDENTIFIED BY PASSWORD '*12'",
		"GRANT EVENT, LOCK TABLES ON `shop\\_%`.* TO `u`@`%` WITH GRANT OPTION",
		"GRANT ALL PRIVILEGES ON `od``d`.* TO `u`@`%`",
		"GRANT UPDATE ON `shop_1`.`t` TO `u`@`%`",
		"GRANT EXECUTE ON PROCEDURE `shop_1`.`p` TO `u`@`%`",
		"GRANT `a role` TO `u`@`%`",
		"GRANT PROXY ON ''@'%' TO 'u'@'%'",
		"SET DEFAULT ROLE `a role` FOR `u`@`%`",
		"GRANT",
		"",
		NULL,
	});

	CHECK(my_rights_have(r, "SELECT", NULL) && my_rights_have(r, "SELECT", "x") && my_rights_have(r, "show view", NULL));
	CHECK(my_rights_have(r, "BINLOG MONITOR", NULL) && my_rights_have(r, "REPLICATION CLIENT", NULL));
	CHECK(!my_rights_have(r, "INSERT", NULL) && !my_rights_have(r, "RELOAD", NULL));
	CHECK(my_rights_have(r, "EVENT", "shop_1") && my_rights_have(r, "GRANT OPTION", "shop_"));
	CHECK(!my_rights_have(r, "EVENT", "shop1") && !my_rights_have(r, "EVENT", NULL));
	CHECK(my_rights_have(r, "DROP", "od`d") && !my_rights_have(r, "GRANT OPTION", "od`d"));
	CHECK(!my_rights_have(r, "UPDATE", "shop_1") && !my_rights_have(r, "EXECUTE", "shop_1"));
}

TEST("MySQL: of the patterns that an account's rights on a database stand under only the narrowest counts, and a new right goes there")
{
	CLEANUP(buf_release) struct buf b = BUF_INIT;
	CLEANUP(my_rights_freep) struct my_rights *r = rights((const char *const[]){
		"GRANT USAGE ON *.* TO `u`@`%`",
		"GRANT SELECT ON `shop_1`.* TO `u`@`%`",
		"GRANT EVENT ON `shop\\_1`.* TO `u`@`%`",
		"GRANT TRIGGER ON `s%`.* TO `u`@`%`",
		"GRANT SHOW VIEW ON `s%`.* TO `a role`",
		NULL,
	});

	CHECK(my_rights_have(r, "EVENT", "shop_1") && !my_rights_have(r, "SELECT", "shop_1") && !my_rights_have(r, "TRIGGER", "shop_1"));
	CHECK(!my_rights_have(r, "SELECT", "shop221") && my_rights_have(r, "SELECT", "shopx1"));
	CHECK(!my_rights_have(r, "TRIGGER", "shopx1") && my_rights_have(r, "TRIGGER", "salon") && my_rights_have(r, "SHOW VIEW", "shop_1"));
	my_rights_place(r, "salon", &b);
	CHECK_STR(buf_str(&b), "`s%`.*");
	buf_clear(&b);
	my_rights_place(r, "o_d`d", &b);
	CHECK_STR(buf_str(&b), "`o\\_d``d`.*");
}

TEST("MySQL: all privileges hold each, and a partial revoke takes one away from a database")
{
	CLEANUP(my_rights_freep) struct my_rights *r = rights((const char *const[]){
		"GRANT ALL PRIVILEGES ON *.* TO 'u'@'%' WITH GRANT OPTION",
		"GRANT BACKUP_ADMIN,CLONE_ADMIN ON *.* TO `u`@`%`",
		"REVOKE SELECT, EVENT ON `mysql`.* FROM `u`@`%`",
		NULL,
	});

	CHECK(my_rights_have(r, "BACKUP_ADMIN", NULL) && my_rights_have(r, "SUPER", NULL) && my_rights_have(r, "GRANT OPTION", NULL));
	CHECK(my_rights_have(r, "SELECT", NULL) && my_rights_have(r, "SELECT", "shop") && !my_rights_have(r, "SELECT", "mysql"));
}

TEST("MySQL: the databases of the server itself are known")
{
	CHECK(my_system_database("mysql") && my_system_database("INFORMATION_SCHEMA") && my_system_database("sys"));
	CHECK(!my_system_database("mysql2") && !my_system_database(""));
}
