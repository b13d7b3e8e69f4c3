#include "drivers/mysql/ddl.h"

#include "drivers/mysql/ddl_lex.h"
#include "tests/lib/test.h"

/* Parts as one text: base | keys | foreign keys. */
static char *parts_of(const char *create)
{
	struct error err = ERROR_INIT;
	CLEANUP(my_ddl_release) struct my_ddl_table t = MY_DDL_TABLE_INIT;
	struct buf b = BUF_INIT;

	CHECK_OK(my_ddl_split(create, &t, &err), err);
	buf_puts(&b, t.base);
	for (size_t i = 0; i < t.keys.len; i++)
		buf_printf(&b, "|%s", t.keys.item[i]);
	for (size_t i = 0; i < t.foreign.len; i++)
		buf_printf(&b, "||%s", t.foreign.item[i]);
	return buf_detach(&b);
}

static void check_parts(int line, const char *create, const char *expected)
{
	CLEANUP(cstr_release) char *got = parts_of(create);

	if (strcmp(got, expected))
		test_fail(__FILE__, line, "parts are \"%s\", expected \"%s\"", got, expected);
}

#define CHECK_PARTS(create, expected) check_parts(__LINE__, create, expected)

TEST("secondary keys and foreign keys leave a CREATE TABLE, and quotes, comments and parentheses divide nothing")
{
	CHECK_PARTS("CREATE TABLE `t` (\n"
		    "  `id` int(11) NOT NULL COMMENT 'a, (b) `c` ''q'' FOREIGN KEY (\\')',\n"
		    "  `o``dd, (x` varchar(20) DEFAULT 'x, `y` \\\\',\n"
		    "  `e` enum('a,b','c''d)') DEFAULT NULL CHECK (`e` in ('a,b')),\n"
		    "  PRIMARY KEY (`id`),\n"
		    "  UNIQUE KEY `u1` (`e`),\n"
		    "  KEY `k1` (`o``dd, (x`(5)) COMMENT 'c,) d',\n"
		    "  SPATIAL KEY `sp` (`geo`),\n"
		    "  FULLTEXT KEY `ft` (`txt`),\n"
		    "  CONSTRAINT `KEY` FOREIGN KEY (`fk`) REFERENCES `par` (`id`) ON DELETE CASCADE,\n"
		    "  CONSTRAINT `FOREIGN` CHECK (`d` > 0 or `e` = 'a,b')\n"
		    ") ENGINE=InnoDB DEFAULT CHARSET=latin1 COMMENT='a) ENGINE=x'\n"
		    " PARTITION BY RANGE (to_days(`d`))\n(PARTITION `p0` VALUES LESS THAN (100) ENGINE = InnoDB)",
		    "CREATE TABLE `t` (\n"
		    "  `id` int(11) NOT NULL COMMENT 'a, (b) `c` ''q'' FOREIGN KEY (\\')',\n"
		    "  `o``dd, (x` varchar(20) DEFAULT 'x, `y` \\\\',\n"
		    "  `e` enum('a,b','c''d)') DEFAULT NULL CHECK (`e` in ('a,b')),\n"
		    "  PRIMARY KEY (`id`),\n"
		    "  CONSTRAINT `FOREIGN` CHECK (`d` > 0 or `e` = 'a,b')\n"
		    ") ENGINE=InnoDB DEFAULT CHARSET=latin1 COMMENT='a) ENGINE=x'\n"
		    " PARTITION BY RANGE (to_days(`d`))\n(PARTITION `p0` VALUES LESS THAN (100) ENGINE = InnoDB)"
		    "|ADD UNIQUE KEY `u1` (`e`)"
		    "|ADD KEY `k1` (`o``dd, (x`(5)) COMMENT 'c,) d'"
		    "|ADD SPATIAL KEY `sp` (`geo`)"
		    "|ADD FULLTEXT KEY `ft` (`txt`)"
		    "||ADD CONSTRAINT `KEY` FOREIGN KEY (`fk`) REFERENCES `par` (`id`) ON DELETE CASCADE");
}

TEST("what stands in versioned comments belongs to the part it stands in")
{
	CHECK_PARTS("CREATE TABLE `t` (\n  `my_row_id` bigint unsigned NOT NULL AUTO_INCREMENT /*!80023 INVISIBLE */,\n"
		    "  `a` varchar(9) /*M!100301 COMPRESSED*/ DEFAULT NULL,\n  PRIMARY KEY (`my_row_id`),\n"
		    "  KEY `f` ((lower(`a`))) /*!80000 INVISIBLE */,\n"
		    "  FULLTEXT KEY `t` (`a`) /*!50100 WITH PARSER `ngram` */ ,\n"
		    "  CONSTRAINT `c` CHECK ((`a` > 0)) /*!80016 NOT ENFORCED */\n"
		    ") ENGINE=InnoDB\n/*!50100 PARTITION BY HASH (`a`)\nPARTITIONS 4 */",
		    "CREATE TABLE `t` (\n  `my_row_id` bigint unsigned NOT NULL AUTO_INCREMENT /*!80023 INVISIBLE */,\n"
		    "  `a` varchar(9) /*M!100301 COMPRESSED*/ DEFAULT NULL,\n  PRIMARY KEY (`my_row_id`),\n"
		    "  CONSTRAINT `c` CHECK ((`a` > 0)) /*!80016 NOT ENFORCED */\n"
		    ") ENGINE=InnoDB\n/*!50100 PARTITION BY HASH (`a`)\nPARTITIONS 4 */"
		    "|ADD KEY `f` ((lower(`a`))) /*!80000 INVISIBLE */"
		    "|ADD FULLTEXT KEY `t` (`a`) /*!50100 WITH PARSER `ngram` */");
}

#define TABLE(items) "CREATE TABLE `t` (\n  `a` int NOT NULL AUTO_INCREMENT,\n  `b` int NOT NULL,\n  `c` int" items "\n) ENGINE=InnoDB"

TEST("the key of an AUTO_INCREMENT stays with its table, and those before it that must stay before it")
{
	CHECK_PARTS(TABLE(",\n  PRIMARY KEY (`a`,`b`),\n  KEY `k` (`a`)"), TABLE(",\n  PRIMARY KEY (`a`,`b`)") "|ADD KEY `k` (`a`)");
	CHECK_PARTS(TABLE(",\n  PRIMARY KEY (`b`,`a`),\n  UNIQUE KEY `u` (`c`),\n  KEY `k` (`b`),\n  KEY `n` (`a`),\n  KEY `m` (`a`,`b`)"),
		    TABLE(",\n  PRIMARY KEY (`b`,`a`),\n  KEY `k` (`b`),\n  KEY `n` (`a`)") "|ADD UNIQUE KEY `u` (`c`)|ADD KEY `m` (`a`,`b`)");
	CHECK_PARTS(TABLE(",\n  PRIMARY KEY (`b`),\n  UNIQUE KEY `u` (`a`)"), TABLE(",\n  PRIMARY KEY (`b`),\n  UNIQUE KEY `u` (`a`)"));
}

TEST("a table without a primary key keeps the unique key by which it is stored")
{
	CHECK_PARTS(TABLE(",\n  UNIQUE KEY `n` (`c`),\n  UNIQUE KEY `p` (`a`(3)),\n  UNIQUE KEY `u` (`a`,`b`),\n  UNIQUE KEY `v` (`a`),\n  KEY `k` (`a`)"),
		    TABLE(",\n  UNIQUE KEY `n` (`c`),\n  UNIQUE KEY `p` (`a`(3)),\n  UNIQUE KEY `u` (`a`,`b`)")
		    "|ADD UNIQUE KEY `v` (`a`)|ADD KEY `k` (`a`)");
	CHECK_PARTS("CREATE TABLE `t` (\n  `c` int,\n  UNIQUE KEY `n` (`c`)\n) ENGINE=InnoDB",
		    "CREATE TABLE `t` (\n  `c` int\n) ENGINE=InnoDB|ADD UNIQUE KEY `n` (`c`)");
}

TEST("of several FULLTEXT keys only the last is added later, since MySQL adds one at a time")
{
	CHECK_PARTS("CREATE TABLE `t` (\n  `c` text,\n  KEY `k` (`c`(3)),\n  FULLTEXT KEY `x` (`c`),\n  FULLTEXT KEY `y` (`c`)\n) ENGINE=InnoDB",
		    "CREATE TABLE `t` (\n  `c` text,\n  FULLTEXT KEY `x` (`c`)\n) ENGINE=InnoDB|ADD KEY `k` (`c`(3))|ADD FULLTEXT KEY `y` (`c`)");
}

TEST("tables of other engines stay whole")
{
	static const char aria[] = "CREATE TABLE `t` (\n  `a` int COMMENT 'ENGINE=InnoDB',\n  KEY `k` (`a`)\n) ENGINE=Aria COMMENT='ENGINE=InnoDB'";
	static const char none[] = "CREATE TABLE `t` (\n  `a` int,\n  KEY `k` (`a`)\n)";

	CHECK_PARTS(aria, aria);
	CHECK_PARTS(none, none);
}

TEST("a text that is no CREATE TABLE of the server is refused and not divided")
{
	static const char *const text[] = {
		"", "CREATE", "CREATE TABLE", "CREATE TABLE `t`", "CREATE TABLE `t` (", "CREATE TABLE `t` ()", "CREATE TABLE `t` (`a` int",
		"CREATE TABLE `t` (`a` int,)", "CREATE TABLE `t` (`a` int, , `b` int)", "CREATE TABLE `t` (`a` int DEFAULT 'x)",
		"CREATE TABLE `t` (`a` int) COMMENT='x", "CREATE TABLE `t` LIKE `u`", "CREATE VIEW `v` AS select 1", "DROP TABLE `t`",
		"CREATE TABLE `t` (`a` int /*!80000 , `b` int */) ENGINE=InnoDB", "CREATE TABLE `t` (`a` int /* x"};

	for (size_t i = 0; i < ARRAY_LEN(text); i++) {
		struct error err = ERROR_INIT;
		CLEANUP(my_ddl_release) struct my_ddl_table t = MY_DDL_TABLE_INIT;

		CHECK_ERR(my_ddl_split(text[i], &t, &err), err, ST_BAD, "CREATE TABLE");
		CHECK(!t.base && !t.keys.len);
	}
}

#define CHECK_TEXT(call, expected)                              \
	do {                                                    \
		CLEANUP(cstr_release) char *text_ = call;       \
		CHECK_STR(text_, expected);                     \
	} while (0)

TEST("tables, sequences and databases get other names")
{
	CHECK_TEXT(my_ddl_renamed("CREATE TABLE `a``b.c` (`x` int)", "n`1"), "CREATE TABLE `n``1` (`x` int)");
	CHECK_TEXT(my_ddl_renamed("CREATE TABLE IF NOT EXISTS `d`.`t` (`x` int)", "n"), "CREATE TABLE IF NOT EXISTS `n` (`x` int)");
	CHECK_TEXT(my_ddl_renamed("CREATE SEQUENCE `s` start with 1", "n"), "CREATE SEQUENCE `n` start with 1");
	CHECK_TEXT(my_ddl_renamed("CREATE DATABASE `s` /*!40100 DEFAULT CHARACTER SET latin1 */", "n"),
		   "CREATE DATABASE `n` /*!40100 DEFAULT CHARACTER SET latin1 */");
	CHECK_TEXT(my_ddl_alter_database("CREATE DATABASE `s` /*!40100 DEFAULT CHARACTER SET latin1 */ COMMENT 'x'", "n"),
		   "ALTER DATABASE `n` /*!40100 DEFAULT CHARACTER SET latin1 */ COMMENT 'x'");
	CHECK(!my_ddl_renamed("CREATE VIEW `v` AS select 1", "n") && !my_ddl_renamed("", "n") && !my_ddl_alter_database("CREATE TABLE `t` (", "n"));
}

TEST("for comparisons the counter of a table goes, and texts that look like it stay")
{
	CHECK_TEXT(my_ddl_without_counter("CREATE TABLE `t` (\n  `a` int AUTO_INCREMENT COMMENT 'AUTO_INCREMENT=5'\n) ENGINE=InnoDB "
					  "AUTO_INCREMENT=17 COMMENT=' AUTO_INCREMENT=6'"),
		   "CREATE TABLE `t` (\n  `a` int AUTO_INCREMENT COMMENT 'AUTO_INCREMENT=5'\n) ENGINE=InnoDB "
		   "COMMENT=' AUTO_INCREMENT=6'");
	CHECK_TEXT(my_ddl_without_counter("CREATE TABLE `t` (\n  `a` int\n) ENGINE=InnoDB"), "CREATE TABLE `t` (\n  `a` int\n) ENGINE=InnoDB");
	CHECK_TEXT(my_ddl_without_counter("no table"), "no table");
	CHECK_TEXT(my_ddl_without_counter("CREATE TABLE `t` (\n  `a` text CHARACTER SET latin1 COLLATE latin1_bin COMMENT 'CHARACTER SET x COLLATE y',\n"
					  "  `b` text CHARACTER SET latin1 CHECK ((`b` = _latin1'_x''y'))\n)"),
		   "CREATE TABLE `t` (\n  `a` text COLLATE latin1_bin COMMENT 'CHARACTER SET x COLLATE y',\n  `b` text CHARACTER SET latin1 CHECK ((`b` = '_x''y'))\n)");
}

TEST("the database's own name leaves functions, sequences and columns, but no alias of the same name")
{
	CHECK_TEXT(my_ddl_unqualified("select `x`.`f`(`x`.`a`),nextval(`x`.`s`),`x`.`t`.`c`,'`x`.`f`(',`y`.`g`(1),nextval(`y`.`s`),"
				      "`y`.`x`.`c` from `t` `x`",
				      "x"),
		   "select `f`(`x`.`a`),nextval(`s`),`t`.`c`,'`x`.`f`(',`y`.`g`(1),nextval(`y`.`s`),`y`.`x`.`c` from `t` `x`");
	CHECK_TEXT(my_ddl_unqualified("CREATE TABLE `x` (\n  `n` int DEFAULT nextval(`o``d`.`s`)\n)", "o`d"),
		   "CREATE TABLE `x` (\n  `n` int DEFAULT nextval(`s`)\n)");
}

TEST("a trigger loses the names of databases before its own and its table's, and its place among others")
{
	CHECK_TEXT(my_ddl_trigger("CREATE DEFINER=`trigger`@`%` trigger x.`t r` before insert on `x` . o for each row follows `a b` set new.b = x.f(1)", ""),
		   "CREATE DEFINER=`trigger`@`%` trigger `t r` before insert on o for each row  set new.b = x.f(1)");
	CHECK_TEXT(my_ddl_trigger("CREATE TRIGGER if not exists \"d\".\"t\" AFTER DELETE ON \"d\".\"o\" FOR EACH ROW PRECEDES q SET @a = 'ON x.y'", "ANSI_QUOTES"),
		   "CREATE TRIGGER if not exists \"t\" AFTER DELETE ON \"o\" FOR EACH ROW  SET @a = 'ON x.y'");
	CHECK_TEXT(my_ddl_trigger("CREATE TRIGGER t BEFORE UPDATE ON o FOR EACH ROW follows: BEGIN END", NULL),
		   "CREATE TRIGGER t BEFORE UPDATE ON o FOR EACH ROW follows: BEGIN END");
	CHECK_TEXT(my_ddl_trigger("CREATE TRIGGER", NULL), "CREATE TRIGGER");
}

TEST("an event is made disabled whatever it was")
{
	CHECK_TEXT(my_ddl_event_disabled("CREATE DEFINER=`a`@`b` EVENT `ENABLE` ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01 00:00:00' ON COMPLETION "
					 "NOT PRESERVE ENABLE COMMENT 'ENABLE' DO set @a = 'ENABLE'", ""),
		   "CREATE DEFINER=`a`@`b` EVENT `ENABLE` ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01 00:00:00' ON COMPLETION "
		   "NOT PRESERVE DISABLE COMMENT 'ENABLE' DO set @a = 'ENABLE'");
	CHECK_TEXT(my_ddl_event_disabled("CREATE EVENT `e` ON SCHEDULE AT '2030-01-01' ON COMPLETION PRESERVE DISABLE ON SLAVE DO select 1", ""),
		   "CREATE EVENT `e` ON SCHEDULE AT '2030-01-01' ON COMPLETION PRESERVE DISABLE DO select 1");
	CHECK_TEXT(my_ddl_event_disabled("CREATE EVENT `e` ON SCHEDULE AT '2030-01-01' ON COMPLETION PRESERVE DISABLE DO select 1", ""),
		   "CREATE EVENT `e` ON SCHEDULE AT '2030-01-01' ON COMPLETION PRESERVE DISABLE DO select 1");
}

TEST("a definer goes from every kind of object, and no word of the body")
{
	CHECK_TEXT(my_ddl_with_definer("CREATE ALGORITHM=MERGE DEFINER=`a b`@`%` SQL SECURITY DEFINER VIEW `v` AS select 1", NULL, NULL, NULL),
		   "CREATE ALGORITHM=MERGE SQL SECURITY DEFINER VIEW `v` AS select 1");
	CHECK_TEXT(my_ddl_with_definer("CREATE DEFINER=\"r\"@\"l\" PACKAGE \"p\" as end", "ORACLE,ANSI_QUOTES", NULL, NULL), "CREATE PACKAGE \"p\" as end");
	CHECK_TEXT(my_ddl_with_definer("CREATE DEFINER=`role` PROCEDURE `p`() select 1", NULL, NULL, NULL), "CREATE PROCEDURE `p`() select 1");
	CHECK_TEXT(my_ddl_with_definer("CREATE FUNCTION `p`() RETURNS int RETURN DEFINER=1", NULL, NULL, NULL),
		   "CREATE FUNCTION `p`() RETURNS int RETURN DEFINER=1");
}

TEST("another definer takes the place of the one that is there, and only of it")
{
	CHECK_TEXT(my_ddl_with_definer("CREATE ALGORITHM=MERGE DEFINER=`a b`@`%` SQL SECURITY DEFINER VIEW `v` AS select 1", NULL, "n`w", "10.%"),
		   "CREATE ALGORITHM=MERGE DEFINER=`n``w`@`10.%` SQL SECURITY DEFINER VIEW `v` AS select 1");
	CHECK_TEXT(my_ddl_with_definer("CREATE DEFINER=\"r\"@\"l\" PACKAGE \"p\" as end", "ORACLE,ANSI_QUOTES", "role", ""),
		   "CREATE DEFINER=`role` PACKAGE \"p\" as end");
	CHECK_TEXT(my_ddl_with_definer("CREATE FUNCTION `p`() RETURNS int RETURN DEFINER=1", NULL, "a", "b"),
		   "CREATE FUNCTION `p`() RETURNS int RETURN DEFINER=1");
}

TEST("a comment that SHOW CREATE escapes comes back the same under NO_BACKSLASH_ESCAPES, and no word of the body changes")
{
	static const char mode[] = "NO_BACKSLASH_ESCAPES,ANSI_QUOTES";

	CHECK_TEXT(my_ddl_comment("CREATE DEFINER=\"a\"@\"%\" PROCEDURE \"p\"(comment int, b enum('x\\','y'))\n    SQL SECURITY INVOKER\n    COMMENT "
				  "'a\\\\b ''q'' \\n \\r'\nalter table t comment 'x\\\\y'", mode),
		   "CREATE DEFINER=\"a\"@\"%\" PROCEDURE \"p\"(comment int, b enum('x\\','y'))\n    SQL SECURITY INVOKER\n    COMMENT "
		   "'a\\b ''q'' \n \r'\nalter table t comment 'x\\\\y'");
	CHECK_TEXT(my_ddl_comment("CREATE FUNCTION f(a int) RETURNS varchar(9) CHARSET utf8mb4 COLLATE utf8mb4_bin\n DETERMINISTIC COMMENT 'a\\\\' RETURN 1", mode),
		   "CREATE FUNCTION f(a int) RETURNS varchar(9) CHARSET utf8mb4 COLLATE utf8mb4_bin\n DETERMINISTIC COMMENT 'a\\' RETURN 1");
	CHECK_TEXT(my_ddl_comment("CREATE EVENT e ON SCHEDULE EVERY 1 DAY ON COMPLETION PRESERVE ENABLE COMMENT '\\\\' DO set @a = '\\\\'", mode),
		   "CREATE EVENT e ON SCHEDULE EVERY 1 DAY ON COMPLETION PRESERVE ENABLE COMMENT '\\' DO set @a = '\\\\'");
	static const char *const same[] = {"CREATE PROCEDURE p() alter table t comment 'x\\\\y'",
					   "CREATE FUNCTION f() RETURNS int RETURN comment + 'x\\\\y'",
					   "CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO alter table t comment 'x\\\\y'", "CREATE PROCEDURE p(", "CREATE"};
	for (size_t i = 0; i < ARRAY_LEN(same); i++)
		CHECK_TEXT(my_ddl_comment(same[i], mode), same[i]);
	CHECK_TEXT(my_ddl_comment("CREATE PROCEDURE p() COMMENT 'a\\\\' select 1", ""), "CREATE PROCEDURE p() COMMENT 'a\\\\' select 1");
}

TEST("words end where the rules of their sql_mode end them")
{
	struct my_lex l = my_lex_of("'a\\' \"b\" -- c\n#d\n- -1/*x*/ y--z", "ANSI_QUOTES,NO_BACKSLASH_ESCAPES");
	static const enum my_word kind[] = {MY_WORD_TEXT, MY_WORD_NAME, MY_WORD_SIGN, MY_WORD_SIGN, MY_WORD_PLAIN, MY_WORD_PLAIN,
					    MY_WORD_SIGN, MY_WORD_SIGN, MY_WORD_PLAIN, MY_WORD_END, MY_WORD_END};

	for (size_t i = 0; i < ARRAY_LEN(kind); i++) {
		my_lex_next(&l);
		CHECK_INT(l.kind, kind[i]);
	}
	l = my_lex_of("'a\\'", "ANSI_QUOTES");
	my_lex_next(&l);
	CHECK_INT(l.kind, MY_WORD_BAD);
}
