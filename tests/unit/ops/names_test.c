#include "ops/names.h"
#include "tests/lib/test.h"

TEST("names are split at dots outside double quotes")
{
	CHECK_INT(name_parts("public.orders"), 2);
	CHECK_INT(name_parts("shop.\"a.b\".c"), 3);
	CHECK_STR(name_after_first_part("\"a.b\".\"c\""), "\"c\"");
	CHECK(!name_after_first_part("orders"));
	CLEANUP(cstr_release) char *first = name_first_part("\"a\"\"b.c\".d");
	CHECK_STR(first, "a\"b.c");
}

TEST("a rename is divided at the first = outside quotes, and both halves must be there")
{
	CLEANUP(error_release) struct error e = ERROR_INIT;
	CLEANUP(cstr_release) char *from = NULL;
	CLEANUP(cstr_release) char *to = NULL;

	CHECK_OK(name_pair("public.\"a=b\"=public.c", &from, &to, &e), e);
	CHECK_STR(from, "public.\"a=b\"");
	CHECK_STR(to, "public.c");
	char *none = NULL;
	CHECK_ERR(name_pair("a=", &none, &none, &e), e, ST_USAGE, "OLD=NEW");
	CHECK_ERR(name_pair("=b", &none, &none, &e), e, ST_USAGE, "OLD=NEW");
	CHECK_ERR(name_pair("ab", &none, &none, &e), e, ST_USAGE, "OLD=NEW");
}

TEST("a database that no source covers is told as such, unless its name says that a restore left it")
{
	static const char *const plain[] = {"crm", "crm_restore_", "crm_restore_12345", "_restore_12345a", "crm_restore_12345g", "crm-12345a"};

	for (size_t i = 0; i < ARRAY_LEN(plain); i++) {
		CLEANUP(cstr_release) char *text = uncovered_text(plain[i]);
		CHECK_HAS(text, "is in no source");
	}
	CLEANUP(cstr_release) char *copy = uncovered_text("crm_restore_12345a"), *aside = uncovered_text("crm_before_00ff00");
	CHECK_HAS(copy, "drtool exchange 12345a --drop");
	CHECK_HAS(aside, "drtool exchange 00ff00 --drop");
}
