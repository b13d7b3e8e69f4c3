#include "drivers/mysql/facts.h"
#include "tests/lib/test.h"

static struct my_facts_column columns[] = {
	{.name = (char *)(uintptr_t)"id"},
	{.name = (char *)(uintptr_t)"f`", .read = (char *)(uintptr_t)"`f``` * 1e0"},
	{.name = (char *)(uintptr_t)"e", .read = (char *)(uintptr_t)"CAST(`e` AS UNSIGNED)", .load = (char *)(uintptr_t)"IFNULL(@, CAST(@ AS UNSIGNED))"},
};

TEST("facts of a MySQL table come back from JSON as they were")
{
	const struct my_facts_table t = {.table = (char *)(uintptr_t)"t", .column = columns, .columns = 3, .history = true, .transactional = true};
	struct my_facts_table back;
	struct error err = ERROR_INIT;
	json_t *j = my_facts_json(&t);

	CHECK_OK(my_facts_read(j, &back, &err), err);
	CHECK_STR(back.table, "t");
	CHECK(back.columns == 3 && back.history && back.transactional);
	for (size_t i = 0; i < 3; i++) {
		CHECK_STR(back.column[i].name, columns[i].name);
		CHECK(!back.column[i].read == !columns[i].read && !back.column[i].load == !columns[i].load);
	}
	CHECK_STR(back.column[2].load, columns[2].load);
	my_facts_release(&back);
	json_object_set_new(j, "format", json_string("parquet"));
	CHECK_INT(my_facts_read(j, &back, &err), ST_UNSUPPORTED);
	error_release(&err);
	json_object_set_new(j, "format", json_string("tsv"));
	json_array_append_new(json_object_get(j, "columns"), json_integer(1));
	CHECK_INT(my_facts_read(j, &back, &err), ST_BAD);
	error_release(&err);
	json_decref(j);
}

TEST("the statements that read and load a MySQL table name its columns, and expressions take the field's text")
{
	struct my_facts_table t = {.table = (char *)(uintptr_t)"t", .column = columns, .columns = 3};
	CLEANUP(buf_release) struct buf b = BUF_INIT;

	my_facts_select(&t, "d`b", "t", &b);
	CHECK_STR(buf_str(&b), "SELECT `id`, `f``` * 1e0, CAST(`e` AS UNSIGNED) FROM `d``b`.`t`");
	buf_clear(&b);
	t.history = true;
	my_facts_select(&t, "d", "other", &b);
	CHECK_HAS(buf_str(&b), "FROM `d`.`other` FOR SYSTEM_TIME ALL");
	buf_clear(&b);
	my_facts_load(&t, NULL, "t", &b);
	CHECK_STR(buf_str(&b), "LOAD DATA LOCAL INFILE 'rows' INTO TABLE `t` CHARACTER SET binary (`id`, `f```, @v2)"
			       " SET `e` = IFNULL(@v2, CAST(@v2 AS UNSIGNED))");
	buf_clear(&b);
	t = (struct my_facts_table){.table = (char *)(uintptr_t)"t"};
	my_facts_select(&t, NULL, "t", &b);
	CHECK_STR(buf_str(&b), "SELECT NULL FROM `t`");
	buf_clear(&b);
	my_facts_load(&t, NULL, "t", &b);
	CHECK_STR(buf_str(&b), "LOAD DATA LOCAL INFILE 'rows' INTO TABLE `t` CHARACTER SET binary (@v)");
}
