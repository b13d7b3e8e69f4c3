#include "drivers/mongodb/oplog_diff.h"

#include "drivers/mongodb/oplog_entry.h"
#include "tests/lib/test.h"
#include "tests/unit/mongodb/documents.h"

typedef enum status apply_fn(const bson_t *pre, const bson_t *how, bson_t **post, struct error *err);

static void check_post(int line, apply_fn *apply, const char *pre, const char *how, const char *expected)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(mo_bson_freep) bson_t *before = document(pre), *change = document(how), *wanted = document(expected), *post = NULL;

	if (apply(before, change, &post, &err))
		test_fail(__FILE__, line, "failed: %s", error_text(&err));
	if (!bson_equal(post, wanted))
		test_fail(__FILE__, line, "is %s, expected %s", printed(post), expected);
}
#define CHECK_DIFF(pre, diff, expected) check_post(__LINE__, mo_diff_apply, pre, diff, expected)
#define CHECK_UPDATE(pre, o, expected) check_post(__LINE__, mo_update_apply, pre, o, expected)

static void check_refused(int line, apply_fn *apply, const char *pre, const char *how, const char *part)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(mo_bson_freep) bson_t *before = document(pre), *change = document(how), *post = NULL;
	const enum status st = apply(before, change, &post, &err);

	if (st != ST_BAD || post || !strstr(error_text(&err), part))
		test_fail(__FILE__, line, "gave %s \"%s\", expected BAD with \"%s\"", status_name(st), error_text(&err), part);
}
#define CHECK_DIFF_REFUSED(pre, diff, part) check_refused(__LINE__, mo_diff_apply, pre, diff, part)
#define CHECK_UPDATE_REFUSED(pre, o, part) check_refused(__LINE__, mo_update_apply, pre, o, part)

/* ---- {$v: 2, diff} ---- */

TEST("a diff drops fields, sets in place and moves what it adds to the end")
{
	CHECK_DIFF("{'_id': 1, 'a': 1, 'b': 2, 'c': 3}", "{'d': {'a': false, 'gone': false}, 'u': {'b': 'x', 'n': 9}, 'i': {'_x': 1, 'c': 4}}",
		   "{'_id': 1, 'b': 'x', 'n': 9, '_x': 1, 'c': 4}");
	CHECK_DIFF("{}", "{'i': {'': 1}}", "{'': 1}");
}

TEST("names of fields in a diff are literal: dots, dollars and the empty name")
{
	CHECK_DIFF("{'a.b': 1, 'a': {'b': 1}, '': {'x': 1}, '$c': 2}", "{'u': {'a.b': 2}, 's': {'u': {'x': 2}}, 's$c': {'u': {'x': 1}}}",
		   "{'a.b': 2, 'a': {'b': 1}, '': {'x': 2}, '$c': null}");
}

TEST("a diff goes inside documents and arrays")
{
	CHECK_DIFF("{'o': {'d': 0, 'i': 0, 'u': 0}, 'z': 0}", "{'so': {'d': {'d': false}, 'u': {'u': 2}, 'i': {'i': 1}}}",
		   "{'o': {'u': 2, 'i': 1}, 'z': 0}");
	CHECK_DIFF("{'a': [{'x': 1}, [1, 2], 3]}", "{'sa': {'a': true, 's0': {'u': {'x': 2}}, 's1': {'a': true, 'u1': 5}}}",
		   "{'a': [{'x': 2}, [1, 5], 3]}");
}

TEST("a diff of an array sets elements, cuts it and fills it with nulls")
{
	CHECK_DIFF("{'a': [9, 9, 9, 9]}", "{'sa': {'a': true, 'u1': 1, 'u4': 2}}", "{'a': [9, 1, 9, 9, 2]}");
	CHECK_DIFF("{'a': [9, 9, 9, 9]}", "{'sa': {'a': true, 'l': 3, 'u1': 1}}", "{'a': [9, 1, 9]}");
	CHECK_DIFF("{'a': [0]}", "{'sa': {'a': true, 'u3': 1}}", "{'a': [0, null, null, 1]}");
	CHECK_DIFF("{'a': [0]}", "{'sa': {'a': true, 'l': 3}}", "{'a': [0, null, null]}");
	CHECK_DIFF("{'a': [0]}", "{'sa': {'a': true, 'l': 0}}", "{'a': []}");
	CHECK_DIFF("{'a': [0, 1]}", "{'sa': {'a': true}}", "{'a': [0, 1]}");
}

TEST("more than ten elements of an array keep their order and their names")
{
	CHECK_DIFF("{'a': [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]}", "{'sa': {'a': true, 'u2': 'x', 'u10': 'y', 'u11': 'z'}}",
		   "{'a': [0, 1, 'x', 3, 4, 5, 6, 7, 8, 9, 'y', 'z']}");
}

TEST("a diff on a document that is of a later time writes nulls where types do not fit, and adds nothing for what is not there")
{
	static const char nested[] = "{'sf': {'sf': {'u': {'a': 1}}}}";
	static const char array[] = "{'d': {'dA': false, 'dB': false}, 'u': {'u': 999}, "
				    "'sarr': {'a': true, 's1': {'u': {'a': 1}}, 's2': {'u': {'b': 2}}, 's3': {'u': {'c': 3}}, 'u4': {'x': 1}}}";

	CHECK_DIFF("{'f': {'f': {'a': 0}}}", nested, "{'f': {'f': {'a': 1}}}");
	CHECK_DIFF("{'other': 1}", nested, "{'other': 1}");
	CHECK_DIFF("{'A': 1, 'f': 'scalar', 'C': 3}", nested, "{'A': 1, 'f': null, 'C': 3}");
	CHECK_DIFF("{'f': {'A': 1, 'f': 's', 'B': 2}, 'C': 3}", nested, "{'f': {'A': 1, 'f': null, 'B': 2}, 'C': 3}");
	CHECK_DIFF("{'u': 1, 'dA': 1, 'arr': [null, {'a': 0}, {'b': 0}, {'c': 0}], 'dB': 1}", array,
		   "{'u': 999, 'arr': [null, {'a': 1}, {'b': 2}, {'c': 3}, {'x': 1}]}");
	CHECK_DIFF("{'arr': [0, 0, 0, 0, {'x': 2}], 'u': 1}", array, "{'arr': [0, null, null, null, {'x': 1}], 'u': 999}");
	CHECK_DIFF("{'arr': [], 'u': 1}", array, "{'arr': [null, null, null, null, {'x': 1}], 'u': 999}");
	CHECK_DIFF("{'arr': [0, {}, {}, {}, 4, 5, 6], 'u': 1}", array, "{'arr': [0, {'a': 1}, {'b': 2}, {'c': 3}, {'x': 1}, 5, 6], 'u': 999}");
	CHECK_DIFF("{'A': 1, 'arr': {'foo': 1}, 'B': 1}", array, "{'A': 1, 'arr': null, 'B': 1, 'u': 999}");
}

TEST("bytes of a column are put behind what is before them, and a column that is shorter by now stays")
{
#define COLUMN(base64) "{'c': {'$binary': {'base64': '" base64 "', 'subType': '07'}}}"
#define BYTES(offset, base64) "{'b': {'c': {'o': " offset ", 'd': {'$binary': {'base64': '" base64 "', 'subType': '00'}}}}}"
	CHECK_DIFF(COLUMN("YWJj"), BYTES("3", "ZGVm"), COLUMN("YWJjZGVm"));
	CHECK_DIFF(COLUMN("YWJj"), BYTES("2", "ZGVm"), COLUMN("YWJkZWY="));
	CHECK_DIFF(COLUMN("YWJjZGVm"), BYTES("1", "eA=="), COLUMN("YXg="));
	CHECK_DIFF(COLUMN("YXg="), BYTES("3", "ZGVm"), COLUMN("YXg="));
	CHECK_DIFF(COLUMN("YXg="), BYTES("0", ""), COLUMN(""));
	CHECK_DIFF("{'c': 'text', 'd': 1}", BYTES("1", "eA=="), "{'c': 'text', 'd': 1}");
	CHECK_DIFF("{'d': 1}", BYTES("0", "eA=="), "{'d': 1}");
	CHECK_DIFF_REFUSED("{'c': 1}", "{'b': {'c': {'o': -1, 'd': {'$binary': {'base64': '', 'subType': '00'}}}}}", "of \"c\"");
	CHECK_DIFF_REFUSED("{'c': 1}", "{'b': {'c': {'o': 1, 'd': 'x'}}}", "of \"c\"");
}

TEST("a diff of another form than the oplog's is refused")
{
	CHECK_DIFF_REFUSED("{}", "{}", "empty");
	CHECK_DIFF_REFUSED("{}", "{'u': {'a': 1}, 'd': {'b': false}}", "section \"d\"");
	CHECK_DIFF_REFUSED("{}", "{'su': {'u': {}}, 'i': {}}", "section \"i\"");
	CHECK_DIFF_REFUSED("{}", "{'i': {}, 'i': {}}", "section \"i\"");
	CHECK_DIFF_REFUSED("{}", "{'a': true, 'u0': 1}", "section \"a\"");
	CHECK_DIFF_REFUSED("{}", "{'x': {}}", "section \"x\"");
	CHECK_DIFF_REFUSED("{}", "{'ux': {}}", "section \"ux\"");
	CHECK_DIFF_REFUSED("{}", "{'': {}}", "section \"\"");
	CHECK_DIFF_REFUSED("{}", "{'u': 1}", "no document");
	CHECK_DIFF_REFUSED("{}", "{'u': [1]}", "no document");
	CHECK_DIFF_REFUSED("{}", "{'u': {'a': 1}, 'i': {'a': 2}}", "\"a\" twice");
	CHECK_DIFF_REFUSED("{}", "{'d': {'a': false}, 'sa': {'u': {}}}", "\"a\" twice");
	CHECK_DIFF_REFUSED("{'a': {}}", "{'sa': {}}", "empty");
}

TEST("a diff of an array of another form than the oplog's is refused")
{
	CHECK_DIFF_REFUSED("{'a': []}", "{'sa': {'a': false}}", "a: true");
	CHECK_DIFF_REFUSED("{'a': []}", "{'sa': {'a': 1}}", "a: true");
	CHECK_DIFF_REFUSED("{'a': []}", "{'sa': {'a': true, 'l': -1}}", "length");
	CHECK_DIFF_REFUSED("{'a': []}", "{'sa': {'a': true, 'l': '1'}}", "length");
	CHECK_DIFF_REFUSED("{'a': []}", "{'sa': {'a': true, 'u1': 0, 'u0': 0}}", "\"u0\"");
	CHECK_DIFF_REFUSED("{'a': []}", "{'sa': {'a': true, 'u1': 0, 's1': {}}}", "\"s1\"");
	CHECK_DIFF_REFUSED("{'a': []}", "{'sa': {'a': true, 'u': 0}}", "\"u\"");
	CHECK_DIFF_REFUSED("{'a': []}", "{'sa': {'a': true, 'u-1': 0}}", "\"u-1\"");
	CHECK_DIFF_REFUSED("{'a': []}", "{'sa': {'a': true, 'u9999999999': 0}}", "\"u9999999999\"");
	CHECK_DIFF_REFUSED("{'a': []}", "{'sa': {'a': true, 'x1': 0}}", "\"x1\"");
	CHECK_DIFF_REFUSED("{'a': []}", "{'sa': {'a': true, 's1': 0}}", "\"s1\"");
	CHECK_DIFF_REFUSED("{'a': []}", "{'sa': {'a': true, 'l': 1, 'u1': 0}}", "element 1 of 1");
}

TEST("a diff that makes a document too large is refused before it is made")
{
	CHECK_DIFF_REFUSED("{'a': []}", "{'sa': {'a': true, 'l': 2147483647}}", "larger than");
	CHECK_DIFF_REFUSED("{'a': []}", "{'sa': {'a': true, 'u999999999': 1}}", "larger than");
	CHECK_UPDATE_REFUSED("{'a': []}", "{'$v': 1, '$set': {'a.999999999': 1}}", "larger than");
}

TEST("a diff and a document that are damaged inside are refused, and so is a result that is too deep")
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(mo_bson_freep) bson_t *pre = document("{'a': {'b': 'text'}}"), *diff = document("{'u': {'c': 'text'}}"), *post = NULL;
	CLEANUP(buf_release) struct buf deep = BUF_INIT, o = BUF_INIT;

	/* The length of the text inside. */
	bson_t broken;
	uint8_t bytes[64];
	memcpy(bytes, bson_get_data(pre), pre->len);
	bytes[15] = 0x7f;
	CHECK(bson_init_static(&broken, bytes, pre->len));
	CHECK_ERR(mo_diff_apply(&broken, diff, &post, &err), err, ST_BAD, "the document to update is damaged");
	memcpy(bytes, bson_get_data(diff), diff->len);
	bytes[15] = 0x7f;
	CHECK(bson_init_static(&broken, bytes, diff->len));
	CHECK_ERR(mo_diff_apply(pre, &broken, &post, &err), err, ST_BAD, "the diff is damaged");

	buf_puts(&deep, "1");
	for (int i = 0; i < 200; i++) {
		CLEANUP(cstr_release) char *inside = buf_detach(&deep);
		buf_printf(&deep, "{'a': %s}", inside);
	}
	for (int i = 0; i < 100; i++)
		buf_puts(&o, i ? ".a" : "{'$set': {'b");
	buf_printf(&o, "': %s}}", buf_str(&deep));
	CHECK_UPDATE_REFUSED("{}", buf_str(&o), "deeper than 256 levels");
}

TEST("values pass through a diff byte for byte, those that libbson writes otherwise too")
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(mo_bson_freep) bson_t *diff = document("{'sd': {'u': {'n': 1}}}"), *post = NULL;
	/* {d: {r: /x/ with the options "xmi", o: old binary, n: 0}, r: ...}. */
	static const uint8_t inside[] = "\x22\0\0\0\x0br\0x\0xmi\0\x05o\0\x05\0\0\0\x02\x01\0\0\0a\x10n\0\0\0\0\0\0";
	CLEANUP(buf_release) struct buf bytes = BUF_INIT;
	bson_t pre;

	buf_put(&bytes, "\0\0\0\0\x03" "d\0", 7);
	buf_put(&bytes, inside, sizeof inside - 1);
	buf_put(&bytes, "\x0br\0x\0xmi\0", 9);
	buf_putc(&bytes, 0);
	bytes.data[0] = (char)bytes.len;
	CHECK_INT(inside[0], sizeof inside - 1);
	CHECK(bson_init_static(&pre, (const uint8_t *)bytes.data, bytes.len));
	CHECK_OK(mo_diff_apply(&pre, diff, &post, &err), err);
	CHECK_INT(post->len, pre.len);
	CHECK(!memcmp(bson_get_data(post), bytes.data, 7 + 29));
	CHECK_INT(bson_get_data(post)[7 + 29], 1);
	CHECK(!memcmp(bson_get_data(post) + 7 + 33, bytes.data + 7 + 33, bytes.len - 7 - 33));
}

/* ---- the forms of an update ---- */

TEST("an update is a replacement, a diff or modifiers by its first field")
{
	CLEANUP(mo_bson_freep) bson_t *replacement = document("{'_id': 1, '$set': 1}"), *empty = document("{}"), *old = document("{'$set': {}}"),
					   *diff = document("{'$v': 2, 'diff': {'u': {}}}");

	CHECK(mo_update_is_replacement(replacement) && mo_update_is_replacement(empty));
	CHECK(!mo_update_is_replacement(old) && !mo_update_is_replacement(diff));
	CHECK_UPDATE("{'_id': 1, 'a': 1}", "{'_id': 1, '$set': 1}", "{'_id': 1, '$set': 1}");
	CHECK_UPDATE("{'_id': 1, 'a': 1}", "{'$v': 2, 'diff': {'u': {'a': 2}}}", "{'_id': 1, 'a': 2}");
	CHECK_UPDATE("{'_id': 1, 'a': 1}", "{'$set': {'a': 2}}", "{'_id': 1, 'a': 2}");
	CHECK_UPDATE("{'_id': 1, 'a': 1}", "{'$v': 1, '$set': {}}", "{'_id': 1, 'a': 1}");
}

TEST("an update of a document that is not there is a replacement or an error")
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(mo_bson_freep) bson_t *replacement = document("{'_id': 1}"), *set = document("{'$set': {'a': 1}}"), *post = NULL;

	CHECK_ERR(mo_update_apply(NULL, set, &post, &err), err, ST_BAD, "not there");
	CHECK_OK(mo_update_apply(NULL, replacement, &post, &err), err);
	CHECK(bson_equal(post, replacement));
}

TEST("an update of a form that the oplog does not have is refused")
{
	CHECK_UPDATE_REFUSED("{}", "{'$v': 3, 'diff': {'u': {}}}", "version 3");
	CHECK_UPDATE_REFUSED("{}", "{'$v': 2}", "version 2");
	CHECK_UPDATE_REFUSED("{}", "{'$v': 1, 'diff': {'u': {}}}", "version 1");
	CHECK_UPDATE_REFUSED("{}", "{'$v': 2, 'diff': {'u': {}}, '$set': {'a': 1}}", "version 2");
	CHECK_UPDATE_REFUSED("{}", "{'$v': '2', 'diff': {'u': {}}}", "\"$v\"");
	CHECK_UPDATE_REFUSED("{}", "{'$v': 2, 'diff': 1}", "\"diff\"");
	CHECK_UPDATE_REFUSED("{}", "{'$inc': {'a': 1}}", "\"$inc\"");
	CHECK_UPDATE_REFUSED("{}", "{'$set': 1}", "$set of the update");
}

/* ---- {$v: 1, $set, $unset} ---- */

TEST("$set changes in place, adds new fields in the order of their names and makes the documents of a path")
{
	CHECK_UPDATE("{'_id': 1, 'b': 1, 'a': {'y': 1}}", "{'$v': 1, '$set': {'z': 1, 'c.d.e': 2, 'a.z': 3, 'a.x': 4, 'b': 5}}",
		     "{'_id': 1, 'b': 5, 'a': {'y': 1, 'x': 4, 'z': 3}, 'c': {'d': {'e': 2}}, 'z': 1}");
	CHECK_UPDATE("{}", "{'$set': {'a-b': 1, 'a.b': 2, 'a0': 3}}", "{'a': {'b': 2}, 'a-b': 1, 'a0': 3}");
	CHECK_UPDATE("{}", "{'$set': {'a.0': 1, '10': 1, '9': 2}}", "{'10': 1, '9': 2, 'a': {'0': 1}}");
}

TEST("$unset drops fields, makes elements of arrays null and passes over what is not there")
{
	CHECK_UPDATE("{'a': 1, 'b': {'c': 1, 'd': 2}, 'e': [1, 2], 'f': 3}", "{'$v': 1, '$unset': {'a': true, 'b.c': true, 'e.0': true, 'e.7': true, 'g.h': true, 'f.x': true}}",
		     "{'b': {'d': 2}, 'e': [null, 2], 'f': 3}");
	CHECK_UPDATE("{'a': {'b': 1}, 'c': 1}", "{'$v': 1, '$set': {'a.c': 2}, '$unset': {'a.b': '', 'c': ''}}", "{'a': {'c': 2}}");
}

TEST("$set of an element of an array sets it, goes through it, and fills what is between with nulls")
{
	CHECK_UPDATE("{'a': [1, {'b': 1}, 3]}", "{'$set': {'a.1.b': 2, 'a.2': 'x'}}", "{'a': [1, {'b': 2}, 'x']}");
	CHECK_UPDATE("{'a': [1]}", "{'$set': {'a.10': 'y', 'a.3.b': 2}}",
		     "{'a': [1, null, null, {'b': 2}, null, null, null, null, null, null, 'y']}");
	CHECK_UPDATE("{'a': [[1, 2]]}", "{'$set': {'a.0.1': 5}}", "{'a': [[1, 5]]}");
}

TEST("a path that leads nowhere in a document of a later time changes nothing, and the others of the update still count")
{
	CHECK_UPDATE("{'a': 0}", "{'$set': {'a.b': 0, 'c': 1}}", "{'a': 0, 'c': 1}");
	CHECK_UPDATE("{'a': [1]}", "{'$set': {'a.b': 0, 'c': 1}}", "{'a': [1], 'c': 1}");
}

TEST("an update that changes a field and what is inside of it is refused")
{
	CHECK_UPDATE_REFUSED("{}", "{'$set': {'a': 1, 'a.b': 1}}", "\"a\" and \"a.b\"");
	CHECK_UPDATE_REFUSED("{}", "{'$set': {'a': 1}, '$unset': {'a': 1}}", "\"a\" and \"a\"");
	CHECK_UPDATE_REFUSED("{'a': []}", "{'$set': {'a.1': 1, 'a.01': 1}}", "element 1");
}
