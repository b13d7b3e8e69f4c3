#include "drivers/mysql/object_settings.h"
#include "tests/lib/test.h"

static char text[][40] = {"e v",     "CREATE \"x\"\n\t'é'", "ANSI_QUOTES", "latin1", "latin1_bin", "utf8mb4_bin", "+05:00",
			  "ENABLED", "app@%",		   "t",	      "1, 0, 0"};

static struct my_object whole(enum object_kind kind)
{
	return (struct my_object){.kind = kind,
				  .name = text[0],
				  .sql = text[1],
				  .sql_mode = text[2],
				  .charset = text[3],
				  .collation = text[4],
				  .db_collation = text[5],
				  .time_zone = text[6],
				  .status = text[7],
				  .definer = text[8],
				  .table = text[9],
				  .next = text[10]};
}

static enum status put_again(void *ctx, const struct my_object *o, struct error *err)
{
	CLEANUP(js_decref) json_t *j = my_object_json(o);

	(void)err;
	js_write(j, false, ctx);
	buf_putc(ctx, '\n');
	return ST_OK;
}

TEST("objects of a MySQL database are read from their lines as they were written")
{
	struct error err = ERROR_INIT;
	CLEANUP(buf_release) struct buf lines = BUF_INIT, again = BUF_INIT;
	char bytes[] = "CREATE \xff\x01";

	for (int k = 0; k < OBJECT_KINDS; k++) {
		struct my_object o = whole((enum object_kind)k), bare = {.kind = o.kind, .name = text[0], .sql = bytes, .invalid = true};

		CHECK_OK(put_again(&lines, &o, &err), err);
		CHECK_OK(put_again(&lines, &bare, &err), err);
	}
	CHECK_OK(my_objects_parse(lines.data, lines.len, put_again, &again, &err), err);
	CHECK_STR(buf_str(&again), buf_str(&lines));
	CHECK_HAS(buf_str(&again), "\"sql_hex\":\"43524541544520ff01\"");
}

TEST("a line of a MySQL archive that is no object is refused")
{
	struct error err = ERROR_INIT;
	CLEANUP(buf_release) struct buf b = BUF_INIT;
	static const struct {
		const char *line, *part;
		enum status st;
	} row[] = {
		{"{", "objects.jsonl", ST_BAD},
		{"[]", "kind", ST_BAD},
		{"{\"kind\":\"table\",\"name\":\"t\"}", "sql", ST_BAD},
		{"{\"kind\":\"table\",\"name\":\"t\",\"sql\":\"x\",\"sql_hex\":\"4\"}", "sql_hex", ST_BAD},
		{"{\"kind\":\"table\",\"name\":\"t\",\"sql\":\"x\",\"sql_hex\":\"00\"}", "sql_hex", ST_BAD},
		{"{\"kind\":\"library\",\"name\":\"t\",\"sql\":\"x\"}", "library", ST_UNSUPPORTED},
	};

	for (size_t i = 0; i < ARRAY_LEN(row); i++)
		CHECK_ERR(my_objects_parse(row[i].line, strlen(row[i].line), put_again, &b, &err), err, row[i].st, row[i].part);
}

static const char *script(const struct my_object *o, const char *sql, const char *db_collation, struct buf *b)
{
	buf_clear(b);
	my_object_script_in(o, sql, db_collation, b);
	return buf_str(b);
}

TEST("a program in a file stands under its own settings, and its delimiter is no part of it")
{
	CLEANUP(buf_release) struct buf b = BUF_INIT;
	struct my_object o = whole(OBJECT_PROCEDURE), table = {.kind = OBJECT_TABLE, .name = text[0], .sql = text[1]};

	CHECK_STR(script(&table, NULL, "latin1_bin", &b), "CREATE \"x\"\n\t'é';\n");
	CHECK_HAS(script(&o, "CREATE ;; $$ x", NULL, &b),
		  "\nSET sql_mode = 'ANSI_QUOTES', character_set_client = 'latin1', collation_connection = 'latin1_bin', time_zone = '+05:00';\n"
		  "DELIMITER //\nCREATE ;; $$ x\n//\nDELIMITER ;\nSET sql_mode = @drtool_mode");
	CHECK_HAS(script(&o, NULL, NULL, &b), "character_set_client = 'utf8mb4'");
	CHECK_HAS(script(&o, ";; $$ // ||", NULL, &b), "DELIMITER $0$\n");
	CHECK_HAS(script(&o, "x", "latin1_bin", &b), "ALTER DATABASE COLLATE = `utf8mb4_bin`;\nDELIMITER ;;\nx\n;;\nDELIMITER ;\nALTER DATABASE "
						     "COLLATE = `latin1_bin`;\n");
	CHECK(!strstr(script(&o, "x", "utf8mb4_bin", &b), "ALTER"));
}

TEST("the status of an event comes back with its definer, and that of a disabled one needs nothing")
{
	CLEANUP(buf_release) struct buf b = BUF_INIT;
	struct my_object o = whole(OBJECT_EVENT);
	char disabled[] = "DISABLED", replica[] = "REPLICA_SIDE_DISABLED", role[] = "role";

	my_put_event_status(&o, false, &b);
	CHECK_STR(buf_str(&b), "ALTER DEFINER=`app`@`%` EVENT `e v` ENABLE");
	buf_clear(&b);
	o.definer = role;
	my_put_event_status(&o, false, &b);
	CHECK_STR(buf_str(&b), "ALTER DEFINER=`role` EVENT `e v` ENABLE");
	buf_clear(&b);
	o.definer = NULL;
	o.status = replica;
	my_put_event_status(&o, true, &b);
	CHECK_STR(buf_str(&b), "ALTER EVENT `e v` DISABLE ON REPLICA");
	buf_clear(&b);
	my_put_event_status(&o, false, &b);
	CHECK_STR(buf_str(&b), "ALTER EVENT `e v` DISABLE ON SLAVE");
	buf_clear(&b);
	o.status = disabled;
	my_put_event_status(&o, false, &b);
	CHECK_STR(buf_str(&b), "");
}

TEST("modes that MySQL has no more are left out for it alone")
{
	CLEANUP(buf_release) struct buf b = BUF_INIT;
	struct my_conn mysql = {.version = 90704}, mariadb = {.version = 101119, .mariadb = true};
	char mode[] = "NO_AUTO_CREATE_USER,ANSI_QUOTES,ORACLE";
	struct my_object o = {.kind = OBJECT_FUNCTION, .sql_mode = mode};

	my_put_settings(&mysql, &o, NULL, &b);
	CHECK_STR(buf_str(&b), "SET sql_mode = 'ANSI_QUOTES'");
	buf_clear(&b);
	my_put_settings(&mariadb, &o, NULL, &b);
	CHECK_STR(buf_str(&b), "SET sql_mode = 'NO_AUTO_CREATE_USER,ANSI_QUOTES,ORACLE'");
}
