#include "drivers/mongodb/oplog_entry.h"

#include "tests/lib/test.h"
#include "tests/unit/mongodb/documents.h"

#define TS "'ts': {'$timestamp': {'t': 1700000000, 'i': 7}}, 't': {'$numberLong': '3'}, 'v': 2, "
#define LSID "'lsid': {'id': {'$binary': {'base64': 'AAECAwQFBgcICQoLDA0ODw==', 'subType': '04'}}}, 'txnNumber': {'$numberLong': '5'}, "

static void check_refused(int line, const char *text, const char *part)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(mo_bson_freep) bson_t *doc = document(text);
	struct mo_oplog_entry e;
	const enum status st = mo_oplog_parse(doc, &e, &err);

	if (st != ST_BAD || !strstr(error_text(&err), part))
		test_fail(__FILE__, line, "gave %s \"%s\", expected BAD with \"%s\"", status_name(st), error_text(&err), part);
}
#define CHECK_REFUSED(text, part) check_refused(__LINE__, text, part)

/* The entry points into the document. */
static bson_t *parsed(const char *text, struct mo_oplog_entry *e)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	bson_t *doc = document(text);

	CHECK_OK(mo_oplog_parse(doc, e, &err), err);
	return doc;
}

TEST("an entry of the oplog is taken apart without a copy of its documents")
{
	struct mo_oplog_entry e;
	CLEANUP(mo_bson_freep) UNUSED bson_t *doc = parsed(
		"{" TS "'op': 'u', 'ns': 'shop.orders.2024', 'ui': {'$binary': {'base64': 'AAECAwQFBgcICQoLDA0ODw==', 'subType': '04'}}, " LSID
		"'prevOpTime': {'ts': {'$timestamp': {'t': 1699999999, 'i': 2}}, 't': {'$numberLong': '2'}}, 'stmtId': 0, "
		"'wall': {'$date': {'$numberLong': '1700000000123'}}, 'o': {'$v': 2, 'diff': {'u': {'a': 1}}}, 'o2': {'_id': 1}, 'b': true}",
		&e);

	CHECK(e.at.t == 1700000000 && e.at.i == 7 && e.at.term == 3);
	CHECK_INT(e.op, MO_OP_UPDATE);
	CHECK_STR(e.database, "shop");
	CHECK_STR(e.collection, "orders.2024");
	CHECK_STR(printed(&e.o2), "{'_id':{'$numberInt':'1'}}");
	CHECK(bson_has_field(&e.o, "diff") && e.has_o2 && e.b && e.ui && e.ui[15] == 15);
	CHECK_INT(e.wall, 1700000000123);
	CHECK(e.lsid && e.lsid_len == 5 + 4 + 21 && e.has_txn_number && e.txn_number == 5 && !e.transaction);
	CHECK(e.has_prev && e.prev.t == 1699999999 && e.prev.i == 2 && e.prev.term == 2);
	CHECK(e.lsid >= bson_get_data(doc) && e.lsid < bson_get_data(doc) + doc->len);
	CHECK(!e.command && !e.apply_ops);
}

TEST("an entry of an old server without term, wall or UUID is one")
{
	struct mo_oplog_entry e;
	CLEANUP(mo_bson_freep) UNUSED bson_t *doc = parsed("{'ts': {'$timestamp': {'t': 5, 'i': 1}}, 'h': {'$numberLong': '-7'}, 'v': 2, 'op': 'd', 'ns': 'a.b', 'o': {'_id': 1}}", &e);

	CHECK(e.at.t == 5 && e.at.term == -1 && !e.wall && !e.ui && !e.lsid && !e.has_o2);
	CHECK_INT(e.op, MO_OP_DELETE);
}

TEST("ops are known by their letters, those of the server's own files too, and an unknown one is refused")
{
	static const struct {
		const char *letters;
		enum mo_op op;
	} ops[] = {{"i", MO_OP_INSERT}, {"d", MO_OP_DELETE}, {"n", MO_OP_NOTHING}, {"ci", MO_OP_INTERNAL}, {"cu", MO_OP_INTERNAL}, {"cd", MO_OP_INTERNAL}, {"km", MO_OP_INTERNAL}};

	for (size_t i = 0; i < ARRAY_LEN(ops); i++) {
		CLEANUP(cstr_release) char *text = xasprintf("{" TS "'op': '%s', 'ns': '', 'o': {'_id': 1}}", ops[i].letters);
		struct mo_oplog_entry e;
		CLEANUP(mo_bson_freep) UNUSED bson_t *doc = parsed(text, &e);
		CHECK_INT(e.op, ops[i].op);
		CHECK_STR(e.database, "");
	}
	CHECK_REFUSED("{" TS "'op': 'zz', 'ns': 'a.b', 'o': {}}", "oplog entry 1700000000:7: op \"zz\" is none that drtool knows");
}

TEST("an entry of the server's own files needs no namespace and no object")
{
	struct mo_oplog_entry e;
	CLEANUP(mo_bson_freep) UNUSED bson_t *doc = parsed("{" TS "'op': 'km'}", &e);

	CHECK_STR(e.ns, "");
	CHECK_STR(e.collection, "");
}

TEST("a command is known by its first key")
{
	struct mo_oplog_entry e;
	CLEANUP(mo_bson_freep) UNUSED bson_t *doc = parsed("{" TS "'op': 'c', 'ns': 'shop.$cmd', 'o': {'drop': 'orders'}, 'o2': {'numRecords': 1}}", &e);

	CHECK_STR(e.command, "drop");
	CHECK_STR(e.collection, "$cmd");
	CHECK_REFUSED("{" TS "'op': 'c', 'ns': 'shop.$cmd', 'o': {}}", "(shop.$cmd): a command without a name");
}

TEST("applyOps with session and number is of a transaction, and not where its operations are single ones")
{
	struct mo_oplog_entry e;
	CLEANUP(mo_bson_freep) UNUSED bson_t *whole = parsed("{" TS LSID "'op': 'c', 'ns': 'admin.$cmd', 'o': {'applyOps': [], 'prepare': true}}", &e);
	CHECK(e.apply_ops && e.transaction && e.prepare && !e.partial_txn);
	CLEANUP(mo_bson_freep) UNUSED bson_t *part = parsed("{'multiOpType': 0, " TS LSID "'op': 'c', 'ns': 'admin.$cmd', 'o': {'applyOps': [], 'partialTxn': true}}", &e);
	CHECK(e.transaction && !e.prepare && e.partial_txn);
	CLEANUP(mo_bson_freep) UNUSED bson_t *batch = parsed("{" TS LSID "'op': 'c', 'multiOpType': 1, 'ns': 'admin.$cmd', 'o': {'applyOps': []}}", &e);
	CHECK(e.apply_ops && !e.transaction);
	CLEANUP(mo_bson_freep) UNUSED bson_t *plain = parsed("{" TS "'op': 'c', 'ns': 'admin.$cmd', 'o': {'applyOps': [], 'prepare': true}}", &e);
	CHECK(e.apply_ops && !e.transaction && !e.prepare);
	CLEANUP(mo_bson_freep) UNUSED bson_t *commit = parsed("{" TS LSID "'op': 'c', 'ns': 'admin.$cmd', 'o': {'commitTransaction': 1}}", &e);
	CHECK(e.transaction && !e.apply_ops);
	CHECK_REFUSED("{" TS "'op': 'c', 'ns': 'admin.$cmd', 'o': {'abortTransaction': 1}}", "without lsid");
	CHECK_REFUSED("{" TS "'op': 'c', 'ns': 'admin.$cmd', 'o': {'applyOps': 1}}", "applyOps is no array");
}

TEST("members of another type, missing or there twice are refused with the time of the entry")
{
	CHECK_REFUSED("{'op': 'i', 'ns': 'a.b', 'o': {}}", "oplog entry 0:0 (a.b): ts is missing");
	CHECK_REFUSED("{'ts': 1, 'op': 'i', 'ns': 'a.b', 'o': {}}", "ts is of another form");
	CHECK_REFUSED("{" TS "'ns': 'a.b', 'o': {}}", "oplog entry 1700000000:7 (a.b): op is missing");
	CHECK_REFUSED("{" TS "'op': 'i', 'o': {}}", "ns is missing");
	CHECK_REFUSED("{" TS "'op': 'i', 'ns': 'a.b'}", "o is missing");
	CHECK_REFUSED("{" TS "'op': 'u', 'ns': 'a.b', 'o': {}}", "an update without o2");
	CHECK_REFUSED("{" TS "'op': 'i', 'ns': 'a.b', 'o': {}, 'o': {}}", "o is there twice");
	CHECK_REFUSED("{" TS "'op': 'i', 'ns': 'a.b', 'o': []}", "o is of another form");
	CHECK_REFUSED("{" TS "'op': 'i', 'ns': 5, 'o': {}}", "ns is of another form");
	CHECK_REFUSED("{" TS "'op': 'i', 'ns': 'a\\u0000.b', 'o': {}}", "ns is of another form");
	CHECK_REFUSED("{" TS "'op': 'i', 'ns': 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.b', 'o': {}}", "ns is of another form");
	CHECK_REFUSED("{" TS "'op': 'i', 'ns': 'a.b', 'o': {}, 'ui': 1}", "ui is of another form");
	CHECK_REFUSED("{" TS "'op': 'i', 'ns': 'a.b', 'o': {}, 'ui': {'$binary': {'base64': 'AAEC', 'subType': '04'}}}", "ui is of another form");
	CHECK_REFUSED("{" TS "'op': 'i', 'ns': 'a.b', 'o': {}, 'b': 1}", "b is of another form");
	CHECK_REFUSED("{" TS "'op': 'i', 'ns': 'a.b', 'o': {}, 'wall': 1}", "wall is of another form");
	CHECK_REFUSED("{" TS "'op': 'i', 'ns': 'a.b', 'o': {}, 'lsid': 1}", "lsid is of another form");
	CHECK_REFUSED("{" TS "'op': 'i', 'ns': 'a.b', 'o': {}, 'txnNumber': 1.5}", "txnNumber is of another form");
	CHECK_REFUSED("{" TS "'op': 'i', 'ns': 'a.b', 'o': {}, 'prevOpTime': {'t': 1}}", "prevOpTime is of another form");
	CHECK_REFUSED("{" TS "'op': 'i', 'ns': 'a.b', 'o': {}, 'multiOpType': 2}", "multiOpType is of another form");
}

TEST("an entry whose document is damaged behind its ts is refused with that ts")
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(mo_bson_freep) bson_t *doc = document("{" TS "'op': 'i', 'ns': 'a.b', 'o': {'a': 'text'}}");
	CLEANUP(buf_release) struct buf bytes = BUF_INIT;
	struct mo_oplog_entry e;
	bson_t broken;

	buf_put(&bytes, bson_get_data(doc), doc->len);
	char *text = memmem(bytes.data, bytes.len, "text", 4);
	CHECK(text);
	text[-1] = 0x7f;
	CHECK(bson_init_static(&broken, (const uint8_t *)bytes.data, bytes.len));
	CHECK_ERR(mo_oplog_parse(&broken, &e, &err), err, ST_BAD, "oplog entry 1700000000:7: its document is damaged");
}

/* ---- applyOps ---- */

struct seen {
	struct buf text;
	unsigned n, stop;
};

static enum status note(void *ctx, const struct mo_oplog_entry *op, struct error *err)
{
	struct seen *s = ctx;

	buf_printf(&s->text, "%u:%u %s%s%s ", op->at.t, op->at.i, op->ns, op->command ? "/" : "", op->command ? op->command : "");
	if (op->lsid || op->transaction)
		buf_puts(&s->text, "(session) ");
	return ++s->n == s->stop ? error_set(err, ST_FAILED, "stopped") : ST_OK;
}

static void check_inner(int line, const char *text, unsigned stop, enum status expected, const char *seen)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	struct seen s = {.stop = stop};
	struct mo_oplog_entry e;
	CLEANUP(mo_bson_freep) UNUSED bson_t *doc = parsed(text, &e);
	const enum status st = mo_oplog_inner(&e, note, &s, &err);
	CLEANUP(cstr_release) char *got = buf_detach(&s.text);

	if (st != expected || strcmp(got, seen))
		test_fail(__FILE__, line, "gave %s \"%s\" (%s), expected %s \"%s\"", status_name(st), got, error_text(&err), status_name(expected), seen);
}

TEST("operations of an applyOps come in their order with the time of the entry, whatever times tools wrote into them")
{
	static const char entry[] = "{" TS LSID "'op': 'c', 'ns': 'admin.$cmd', 'o': {'applyOps': ["
				    "{'op': 'i', 'ns': 'a.b', 'o': {'_id': 1}, 'ts': 5, 'lsid': 5},"
				    "{'op': 'c', 'ns': 'a.$cmd', 'o': {'applyOps': [{'op': 'c', 'ns': 'a.$cmd', 'o': {'create': 'x'}}]}},"
				    "{'op': 'd', 'ns': 'a.c', 'o': {'_id': 1}}]}}";

	check_inner(__LINE__, entry, 0, ST_OK, "1700000000:7 a.b 1700000000:7 a.$cmd/create 1700000000:7 a.c ");
	check_inner(__LINE__, entry, 2, ST_FAILED, "1700000000:7 a.b 1700000000:7 a.$cmd/create ");
	check_inner(__LINE__, "{" TS "'op': 'i', 'ns': 'a.b', 'o': {'_id': 1}}", 0, ST_OK, "1700000000:7 a.b ");
}

TEST("an operation of an applyOps that is none is refused")
{
	check_inner(__LINE__, "{" TS "'op': 'c', 'ns': 'admin.$cmd', 'o': {'applyOps': [5]}}", 0, ST_BAD, "");
	check_inner(__LINE__, "{" TS "'op': 'c', 'ns': 'admin.$cmd', 'o': {'applyOps': [{'op': 'n', 'ns': '', 'o': {}}, {'op': 'i'}]}}", 0, ST_BAD, "1700000000:7  ");
}

TEST("applyOps deeper than a server takes it is refused")
{
	CLEANUP(buf_release) struct buf text = BUF_INIT;

	buf_puts(&text, "{'op': 'n', 'ns': '', 'o': {}}");
	for (unsigned i = 0; i < MO_APPLY_OPS_DEPTH; i++) {
		CLEANUP(cstr_release) char *inside = buf_detach(&text);
		buf_printf(&text, "{" TS "'op': 'c', 'ns': 'a.$cmd', 'o': {'applyOps': [%s]}}", inside);
	}
	check_inner(__LINE__, buf_str(&text), 0, ST_OK, "1700000000:7  ");
	CLEANUP(cstr_release) char *inside = buf_detach(&text);
	buf_printf(&text, "{" TS "'op': 'c', 'ns': 'a.$cmd', 'o': {'applyOps': [%s]}}", inside);
	check_inner(__LINE__, buf_str(&text), 0, ST_BAD, "");
}
