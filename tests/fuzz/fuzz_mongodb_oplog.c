/* Any two documents as an entry of an oplog and the document that it is about: what is taken apart stays inside the entry, what an update makes is
 * a document, and a diff that is applied once more changes nothing. */
#include "drivers/mongodb/ejson.h"
#include "drivers/mongodb/oplog_diff.h"
#include "drivers/mongodb/oplog_index.h"
#include "drivers/mongodb/oplog_names.h"
#include "drivers/mongodb/oplog_txn.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The bytes between the length and the end of a document. */
static bool wrap(const uint8_t *data, size_t size, struct buf *to, bson_t *b)
{
	const uint32_t n = BSON_UINT32_TO_LE((uint32_t)size + 5);

	buf_put(to, &n, sizeof n);
	if (size)
		buf_put(to, data, size);
	buf_putc(to, 0);
	return bson_init_static(b, (const uint8_t *)to->data, to->len);
}

static void check_result(const bson_t *post)
{
	if (!post || !mo_bson_is_sound(post) || post->len > MO_OPLOG_ENTRY_MOST)
		die("a result that is no document");
}

static void diff(const bson_t *pre, const bson_t *how)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(mo_bson_freep) bson_t *post = NULL, *again = NULL;

	if (mo_diff_apply(pre, how, &post, &err))
		return;
	check_result(post);
	if (post->len > 1u << 20)
		return; /* Nulls without end: slow, and nothing new. */
	if (mo_diff_apply(post, how, &again, &err) || !bson_equal(post, again))
		die("a diff that does something else the second time");
}

static void update(const bson_t *pre, const bson_t *how)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(mo_bson_freep) bson_t *post = NULL;

	if (!mo_update_apply(pre, how, &post, &err))
		check_result(post);
}

struct replay {
	struct mo_routes routes;
	struct mo_known known;
	struct mo_indexes indexes;
	const bson_t *pre;
};

static enum status take_operation(void *ctx, const struct mo_oplog_entry *op, struct error *err)
{
	CLEANUP(mo_replay_release) struct mo_replay to = MO_REPLAY_INIT;
	CLEANUP(error_release) struct error why = ERROR_INIT;
	struct replay *r = ctx;

	(void)err;
	if (op->op == MO_OP_UPDATE)
		update(r->pre, &op->o);
	if (mo_indexes_apply(&r->indexes, op, &why))
		error_release(&why);
	if (!mo_replay_make(&r->routes, op, &to, &why) && to.kind == MO_REPLAY_COMMAND && !mo_bson_is_sound(to.command))
		die("a command that is no document");
	mo_known_apply(&r->known, op);
	return ST_OK;
}

static void entry(const bson_t *doc, const bson_t *pre)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(mo_txns_freep) struct mo_txns *txns = mo_txns_new("/tmp", 1u << 20);
	char database[] = "copy", suffix[] = "";
	const struct mo_where where = {database, suffix};
	const struct mo_route route = {.database = "a", .where = &where};
	struct replay r = {.known = MO_KNOWN_INIT, .indexes = MO_INDEXES_INIT, .pre = pre};
	enum mo_txn_state state = MO_TXN_NONE;
	struct mo_oplog_entry e;

	if (mo_oplog_parse(doc, &e, &err))
		return;
	r.routes = (struct mo_routes){&route, 1, &r.known};
	mo_known_add(&r.known, "a", "a", "61616161616161616161616161616161");
	/* Twice: what is open the first time is gone on with. */
	for (int i = 0; i < 2; i++)
		if (mo_txns_take(txns, doc, &e, &state, &err) ||
		    (state == MO_TXN_NONE ? mo_oplog_inner(&e, take_operation, &r, &err) : mo_txns_each(txns, take_operation, &r, &err)))
			break;
	mo_indexes_release(&r.indexes);
	mo_known_release(&r.known);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(buf_release) struct buf first = BUF_INIT, second = BUF_INIT;
	bson_t a, b;

	if (size < 2)
		return 0;
	const size_t n = min_size(data[0] | (size_t)data[1] << 8, size - 2);
	if (!wrap(data + 2, n, &first, &a) || !wrap(data + 2 + n, size - 2 - n, &second, &b))
		return 0;
	entry(&a, &b);
	diff(&b, &a);
	update(&b, &a);
	return 0;
}
