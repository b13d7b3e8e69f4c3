#include "util/error.h"

#include <errno.h>

#include "tests/lib/test.h"

TEST("an error collects context, a hint and a native code on its way up")
{
	CLEANUP(error_release) struct error e = ERROR_INIT;

	CHECK_INT(error_set(&e, ST_SERVER, "query %d failed", 3), ST_SERVER);
	error_native(&e, "42P01");
	CHECK_INT(error_hint(&e, "Look at %s.", "it"), ST_SERVER);
	CHECK_INT(error_add(&e, "table %s", "t"), ST_SERVER);
	CHECK_STR(error_text(&e), "table t: query 3 failed");
	CHECK_STR(e.hint, "Look at it.");
	CHECK_STR(e.native, "42P01");
	error_set(&e, ST_IO, "other");
	CHECK(!e.hint && !*e.native);
	CHECK_STR(error_text(&e), "other");
}

TEST("an errno becomes a code, a text and a native name")
{
	static const struct {
		int errnum;
		enum status code;
		const char *name;
	} rows[] = {{ENOSPC, ST_NO_SPACE, "ENOSPC"}, {EDQUOT, ST_NO_SPACE, "EDQUOT"}, {EACCES, ST_DENIED, "EACCES"},
		    {EPERM, ST_DENIED, "EPERM"},
		    {EROFS, ST_DENIED, "EROFS"},     {ENOENT, ST_NOT_FOUND, "ENOENT"}, {EIO, ST_IO, "EIO"}};
	struct error e = ERROR_INIT;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		CHECK_INT(error_errno(&e, rows[i].errnum, "cannot write %s", "x"), rows[i].code);
		CHECK_STR(e.native, rows[i].name);
		CHECK_HAS(error_text(&e), "cannot write x: ");
		error_release(&e);
	}
	CHECK_ERR(error_errno(&e, 99999, "x"), e, ST_IO, "x: unknown error");
}

TEST("moving an error leaves the old place empty")
{
	CLEANUP(error_release) struct error to = ERROR_INIT;
	struct error from = ERROR_INIT;

	error_set(&to, ST_IO, "old");
	error_set(&from, ST_BAD, "new");
	CHECK_INT(error_move(&to, &from), ST_BAD);
	CHECK_STR(error_text(&to), "new");
	CHECK(!from.code && !from.text);
	CHECK_INT(error_move(&to, &to), ST_BAD);
}

TEST("the first error that is not an interruption is kept")
{
	CLEANUP(error_release) struct error kept = ERROR_INIT;
	struct error e = ERROR_INIT;

	error_set(&e, ST_CANCELLED, "interrupted");
	error_keep_first(&kept, &e);
	CHECK_INT(kept.code, ST_CANCELLED);
	error_keep_first(&kept, &e);
	CHECK_INT(kept.code, ST_CANCELLED);
	error_set(&e, ST_NO_SPACE, "full");
	error_keep_first(&kept, &e);
	error_set(&e, ST_CANCELLED, "interrupted");
	error_keep_first(&kept, &e);
	error_set(&e, ST_IO, "later");
	error_keep_first(&kept, &e);
	CHECK_STR(error_text(&kept), "full");
	CHECK(!e.text);
}

TEST("every status has a name, a text and an exit status")
{
	CHECK_STR(status_name(ST_OK), "OK");
	CHECK_STR(status_name(ST_UNSUPPORTED), "UNSUPPORTED");
	CHECK_INT(status_exit(ST_OK), 0);
	CHECK_INT(status_exit(ST_REFUSED), 7);
	for (enum status s = ST_OK; s <= ST_UNSUPPORTED; s++) {
		CHECK(*status_name(s) && *status_text(s));
		CHECK(!status_exit(s) == (s == ST_OK));
	}
}
