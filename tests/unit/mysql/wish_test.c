#include "drivers/mysql/load.h"
#include "tests/lib/test.h"

/* ---- an archive in memory: a table `orders` with rows, one without, a sequence, a trigger ---- */

static const char objects[] =
	"{\"kind\":\"database\",\"name\":\"shop\",\"sql\":\"CREATE DATABASE `shop` /*!40100 DEFAULT CHARACTER SET utf8mb4 */\"}\n"
	"{\"kind\":\"sequence\",\"name\":\"s\",\"sql\":\"CREATE SEQUENCE `s`\",\"next\":\"1, 0, 0\"}\n"
	"{\"kind\":\"sequence\",\"name\":\"other\",\"sql\":\"CREATE SEQUENCE `other`\",\"next\":\"1, 0, 0\"}\n"
	"{\"kind\":\"table\",\"name\":\"orders\",\"sql\":\"CREATE TABLE `orders` (\\n  `id` bigint(20) NOT NULL DEFAULT nextval(`s`)\\n)"
	" ENGINE=InnoDB\"}\n"
	"{\"kind\":\"table\",\"name\":\"a.b\",\"sql\":\"CREATE TABLE `a.b` (\\n  `id` int(11) DEFAULT NULL COMMENT 'nextval(`other`)'\\n)"
	" ENGINE=InnoDB\"}\n"
	"{\"kind\":\"table\",\"name\":\"remote\",\"sql\":\"CREATE TABLE `remote` (\\n  `id` int(11)\\n) ENGINE=FEDERATED\"}\n"
	"{\"kind\":\"view\",\"name\":\"v\",\"sql\":\"CREATE VIEW `v` AS select 1\",\"definer\":\"app@%\"}\n"
	"{\"kind\":\"trigger\",\"name\":\"touch\",\"sql\":\"CREATE TRIGGER touch BEFORE INSERT ON orders FOR EACH ROW SET @a=1\","
	"\"table\":\"orders\",\"definer\":\"app@%\"}\n";
static const char *const rows_of[] = {"orders", "a.b"};

static enum status each(void *ctx UNUSED, const char *scope, enum status (*fn)(void *arg, const struct recorded_object *o, struct error *err),
			void *arg, struct error *err)
{
	for (size_t i = 0; i < ARRAY_LEN(rows_of); i++) {
		struct my_facts_column column = {.name = xstrdup("id")};
		const struct my_facts_table f = {.table = xstrdup(rows_of[i]), .column = &column, .columns = 1, .transactional = true};
		CLEANUP(js_decref) json_t *facts = my_facts_json(&f);
		CLEANUP(buf_release) struct buf shown = BUF_INIT;

		my_sql_shown(&shown, f.table);
		const struct recorded_object o = {.id = (uint32_t)i, .scope = scope, .name = buf_str(&shown), .facts = facts, .rows = 10, .raw = 100};
		free(f.table);
		free(column.name);
		if (fn(arg, &o, err))
			return err->code;
	}
	return ST_OK;
}

static enum status file(void *ctx UNUSED, const char *scope UNUSED, const char *path, struct byte_sink to, struct error *err)
{
	if (strcmp(path, OBJECTS_PATH))
		return error_set(err, ST_NOT_FOUND, "no file %s", path);
	return to.write(to.ctx, objects, sizeof objects - 1, err);
}

static const struct recorded recorded = {each, file, NULL};

struct asked {
	struct load_request q;
	struct strlist scopes, tables, exclude;
	struct my_load_wish w;
};

static void ask(struct asked *a)
{
	*a = (struct asked){.q = {.recorded = &recorded, .run = "0a1b2c"}};
	strlist_add(&a->scopes, "shop");
	a->q.scopes = &a->scopes;
	a->q.tables = &a->tables;
	a->q.exclude_tables = &a->exclude;
}

static void forget(struct asked *a)
{
	strlist_release(&a->scopes);
	strlist_release(&a->tables);
	strlist_release(&a->exclude);
	my_load_wish_release(&a->w);
}

static bool makes(const struct asked *a, enum object_kind kind, const char *name)
{
	const struct my_object *o = my_load_wish_object(&a->w, kind, name);

	CHECK(o != NULL);
	return my_load_wish_makes(&a->w, o);
}

TEST("MySQL: a name of a table is TABLE or DATABASE.TABLE, with quotes where a part has a dot")
{
	CLEANUP(my_table_name_release) struct my_table_name n = MY_TABLE_NAME_INIT;
	struct error err = ERROR_INIT;

	CHECK_OK(my_table_name_parse("orders", &n, &err), err);
	CHECK(!n.database);
	CHECK_STR(n.table, "orders");
	CHECK_OK(my_table_name_parse("shop.\"a.\"\"b\"", &n, &err), err);
	CHECK_STR(n.database, "shop");
	CHECK_STR(n.table, "a.\"b");
	CHECK_ERR(my_table_name_parse("a.b.c", &n, &err), err, ST_USAGE, "is no name of a table");
	CHECK_ERR(my_table_name_parse("a.", &n, &err), err, ST_USAGE, "is no name of a table");
	CHECK_ERR(my_table_name_parse("\"a", &n, &err), err, ST_USAGE, "is no name of a table");
}

TEST("MySQL: without --table all is made and loaded, excluded tables come without rows")
{
	struct asked a;
	struct error err = ERROR_INIT;

	ask(&a);
	strlist_add(&a.exclude, "\"a.b\"");
	CHECK_OK(my_load_wish_make(&a.q, "shop", &a.w, &err), err);
	CHECK_INT(a.w.mode, MY_LOAD_DATABASE);
	CHECK_INT(a.w.tables, 1);
	CHECK_STR(a.w.excluded.item[0], "a.b");
	CHECK(makes(&a, OBJECT_TABLE, "a.b") && makes(&a, OBJECT_TABLE, "remote") && makes(&a, OBJECT_VIEW, "v"));
	forget(&a);
}

TEST("MySQL: a single table comes with the sequence that it draws from and its triggers, and nothing else")
{
	struct asked a;
	struct error err = ERROR_INIT;

	ask(&a);
	strlist_add(&a.tables, "orders");
	CHECK_OK(my_load_wish_make(&a.q, "shop", &a.w, &err), err);
	CHECK_INT(a.w.mode, MY_LOAD_TABLES);
	CHECK_INT(a.w.tables, 1);
	CHECK_STR(a.w.table[0].columns.item[0], "id");
	CHECK(makes(&a, OBJECT_TABLE, "orders") && makes(&a, OBJECT_SEQUENCE, "s") && makes(&a, OBJECT_TRIGGER, "touch"));
	CHECK(!makes(&a, OBJECT_SEQUENCE, "other") && !makes(&a, OBJECT_TABLE, "a.b") && !makes(&a, OBJECT_VIEW, "v"));
	CHECK(my_load_wish_table(&a.w, 0) && !my_load_wish_table(&a.w, 1));
	forget(&a);

	ask(&a);
	strlist_add(&a.tables, "shop.\"a.b\"");
	CHECK_OK(my_load_wish_make(&a.q, "shop", &a.w, &err), err);
	CHECK_STR(a.w.table[0].name, "a.b");
	CHECK(!makes(&a, OBJECT_SEQUENCE, "other") && !makes(&a, OBJECT_SEQUENCE, "s"));
	forget(&a);

	ask(&a);
	strlist_add(&a.tables, "nothing");
	CHECK_ERR(my_load_wish_make(&a.q, "shop", &a.w, &err), err, ST_NOT_FOUND, "has no table nothing");
	forget(&a);
}

TEST("MySQL: --rename is of a table where its name is no database or is asked for by --table")
{
	struct asked a;
	struct error err = ERROR_INIT;
	const struct load_name table = {"orders", "\"old orders\""}, database = {"shop", "shop2"}, whole = {"shop.orders", "shop2.o"};
	const struct load_name both[] = {database, whole}, elsewhere = {"shop.orders", "elsewhere.o"}, unknown = {"shop.nothing", "n"};
	char *to = NULL;

	ask(&a);
	a.q.rename = &table;
	a.q.renames = 1;
	CHECK_OK(my_load_wish_make(&a.q, "shop", &a.w, &err), err);
	CHECK_STR(a.w.table[0].to_name, "old orders");
	CHECK(!a.w.table[0].direct);
	CHECK_OK(my_load_wish_rename(&a.q, "shop", &to, &err), err);
	CHECK(!to);
	forget(&a);

	ask(&a);
	a.q.rename = both;
	a.q.renames = 2;
	CHECK_OK(my_load_wish_make(&a.q, "shop", &a.w, &err), err);
	CHECK_STR(a.w.table[0].to_name, "o");
	CHECK_OK(my_load_wish_rename(&a.q, "shop", &to, &err), err);
	CHECK_STR(to, "shop2");
	free(to);
	forget(&a);

	ask(&a);
	a.q.renames = 1;
	a.q.rename = &elsewhere;
	CHECK_ERR(my_load_wish_make(&a.q, "shop", &a.w, &err), err, ST_USAGE, "goes into the database shop with its own");
	my_load_wish_release(&a.w);
	a.q.rename = &unknown;
	CHECK_ERR(my_load_wish_make(&a.q, "shop", &a.w, &err), err, ST_NOT_FOUND, "no rows of a table nothing");
	my_load_wish_release(&a.w);
	a.q.rename = &database;
	a.q.into_database = "shop3";
	CHECK_ERR(my_load_wish_rename(&a.q, "shop", &to, &err), err, ST_USAGE, "--into names the database shop3");
	forget(&a);
}

TEST("MySQL: a database beside has at most 64 characters and is cut between them")
{
	CLEANUP(cstr_release) char *shop = my_database_beside("shop", "_restore_", "0a1b2c");
	CLEANUP(buf_release) struct buf name = BUF_INIT;

	CHECK_STR(shop, "shop_restore_0a1b2c");
	for (int i = 0; i < 64; i++)
		buf_puts(&name, "ü");
	CLEANUP(cstr_release) char *cut = my_database_beside(buf_str(&name), "_before_", "0a1b2c");
	CHECK_INT(strlen(cut), 2 * (64 - 14) + 14);
	CHECK_HAS(cut, "ü_before_0a1b2c");
}

TEST("MySQL: words of recorded statements are found outside of quotes only")
{
	char *database, *table;
	CLEANUP(cstr_release) char *engine = my_text_engine("CREATE TABLE `t` (\n  `a` int COMMENT ' ENGINE=X'\n) ENGINE=Aria DEFAULT CHARSET=latin1");
	CLEANUP(cstr_release) char *name = NULL, *host = NULL;

	CHECK_STR(engine, "Aria");
	CHECK(my_text_references("ADD CONSTRAINT `REFERENCES ``x``` FOREIGN KEY (`a`) REFERENCES `p``q` (`id`)", &database, &table));
	CHECK(!database);
	CHECK_STR(table, "p`q");
	free(table);
	CHECK(my_text_references("ADD CONSTRAINT `c` FOREIGN KEY (`a`) REFERENCES `d`.`p` (`id`)", &database, &table));
	CHECK_STR(database, "d");
	CHECK_STR(table, "p");
	free(database);
	free(table);
	CHECK(my_text_uses_sequence("`a` int DEFAULT nextval(`shop`.`s`)", "shop", "s"));
	CHECK(!my_text_uses_sequence("`a` int DEFAULT nextval(`other`.`s`)", "shop", "s"));
	CHECK(!my_text_uses_sequence("`a` text DEFAULT 'nextval(`s`)'", "shop", "s"));
	CLEANUP(cstr_release) char *nameless = my_text_nameless_checks("(`a` int COMMENT 'CONSTRAINT `x` CHECK', CONSTRAINT `c` CHECK ((`a` > 0)), CONSTRAINT"
								     " `f` FOREIGN KEY (`a`))");
	CHECK_STR(nameless, "(`a` int COMMENT 'CONSTRAINT `x` CHECK', CHECK ((`a` > 0)), CONSTRAINT `f` FOREIGN KEY (`a`))");
	my_text_account("a@b@%", &name, &host);
	CHECK_STR(name, "a@b");
	CHECK_STR(host, "%");
}
