#include "drivers/mongodb/oplog_entry.h"

#include "drivers/mongodb/ejson.h"
#include "drivers/mongodb/look.h"
#include "drivers/mongodb/raw.h"

enum status mo_oplog_blame(const struct mo_oplog_entry *e, struct error *err)
{
	if (e->ns)
		return error_add(err, "oplog entry %" PRIu32 ":%" PRIu32 " (%s)", e->at.t, e->at.i, e->ns);
	return error_add(err, "oplog entry %" PRIu32 ":%" PRIu32, e->at.t, e->at.i);
}

/* ---- members ---- */

/* A text without a byte 0 inside; NULL: it is none. */
static const char *text_of(const bson_iter_t *it)
{
	uint32_t n;

	if (!BSON_ITER_HOLDS_UTF8(it))
		return NULL;
	const char *text = bson_iter_utf8(it, &n);
	return strlen(text) == n ? text : NULL;
}

static bool take_op(struct mo_oplog_entry *e, const bson_iter_t *it)
{
	static const struct {
		const char *text;
		enum mo_op op;
	} ops[] = {{"i", MO_OP_INSERT},	   {"u", MO_OP_UPDATE},	   {"d", MO_OP_DELETE},	   {"c", MO_OP_COMMAND},   {"n", MO_OP_NOTHING}, {"ci", MO_OP_INTERNAL},
		   {"cu", MO_OP_INTERNAL}, {"cd", MO_OP_INTERNAL}, {"km", MO_OP_INTERNAL}, {"xi", MO_OP_INTERNAL}, {"xd", MO_OP_INTERNAL}};
	const char *text = text_of(it);

	for (size_t i = 0; text && i < ARRAY_LEN(ops); i++)
		if (!strcmp(text, ops[i].text)) {
			e->op = ops[i].op;
			return true;
		}
	return false;
}

static bool take_ns(struct mo_oplog_entry *e, const bson_iter_t *it)
{
	const char *text = text_of(it);
	const size_t n = text ? strcspn(text, ".") : 0;

	if (!text || n >= sizeof e->database)
		return false;
	e->ns = text;
	memcpy(e->database, text, n);
	e->collection = text[n] ? text + n + 1 : text + n;
	return true;
}

static bool take_document(bson_t *to, const bson_iter_t *it)
{
	const struct mo_raw raw = mo_raw_of(it);

	return raw.type == BSON_TYPE_DOCUMENT && mo_raw_inside(&raw, to);
}

static bool take_o(struct mo_oplog_entry *e, const bson_iter_t *it) { return take_document(&e->o, it); }

static bool take_o2(struct mo_oplog_entry *e, const bson_iter_t *it)
{
	e->has_o2 = take_document(&e->o2, it);
	return e->has_o2;
}

static bool take_ui(struct mo_oplog_entry *e, const bson_iter_t *it)
{
	bson_subtype_t subtype;
	uint32_t n;

	if (!BSON_ITER_HOLDS_BINARY(it))
		return false;
	bson_iter_binary(it, &subtype, &n, &e->ui);
	return subtype == BSON_SUBTYPE_UUID && n == 16;
}

static bool take_b(struct mo_oplog_entry *e, const bson_iter_t *it)
{
	e->b = mo_look_holds(it);
	return BSON_ITER_HOLDS_BOOL(it);
}

static bool take_whole(int64_t *to, const bson_iter_t *it)
{
	*to = bson_iter_as_int64(it);
	return BSON_ITER_HOLDS_INT64(it) || BSON_ITER_HOLDS_INT32(it);
}

static bool take_term(struct mo_oplog_entry *e, const bson_iter_t *it) { return take_whole(&e->at.term, it); }

static bool take_ts(struct mo_oplog_entry *e, const bson_iter_t *it)
{
	if (!BSON_ITER_HOLDS_TIMESTAMP(it))
		return false;
	bson_iter_timestamp(it, &e->at.t, &e->at.i);
	return true;
}

static bool take_wall(struct mo_oplog_entry *e, const bson_iter_t *it)
{
	if (!BSON_ITER_HOLDS_DATE_TIME(it))
		return false;
	e->wall = bson_iter_date_time(it);
	return true;
}

static bool take_lsid(struct mo_oplog_entry *e, const bson_iter_t *it)
{
	const struct mo_raw raw = mo_raw_of(it);

	e->lsid = raw.value;
	e->lsid_len = raw.n;
	return raw.type == BSON_TYPE_DOCUMENT;
}

static bool take_txn_number(struct mo_oplog_entry *e, const bson_iter_t *it)
{
	e->has_txn_number = true;
	return take_whole(&e->txn_number, it);
}

static bool take_prev(struct mo_oplog_entry *e, const bson_iter_t *it)
{
	bson_iter_t member;
	bson_t b;

	if (!take_document(&b, it) || !bson_iter_init_find(&member, &b, "ts") || !BSON_ITER_HOLDS_TIMESTAMP(&member))
		return false;
	bson_iter_timestamp(&member, &e->prev.t, &e->prev.i);
	e->has_prev = true;
	return bson_iter_init_find(&member, &b, "t") && take_whole(&e->prev.term, &member);
}

static bool take_multi(struct mo_oplog_entry *e, const bson_iter_t *it)
{
	int64_t kind;

	if (!take_whole(&kind, it) || kind < 0 || kind > 1)
		return false;
	e->transaction = kind == 0;
	return true;
}

static const struct member {
	const char *key;
	bool (*take)(struct mo_oplog_entry *e, const bson_iter_t *it);
	bool of_entry; /* operations inside an entry have none of their own, and what old tools wrote there is passed over */
} members[] = {
	{"ts", take_ts, true},		    {"t", take_term, true},	 {"op", take_op, false},
	{"ns", take_ns, false},		    {"ui", take_ui, false},	 {"o", take_o, false},
	{"o2", take_o2, false},		    {"b", take_b, false},	 {"wall", take_wall, true},
	{"lsid", take_lsid, true},	    {"txnNumber", take_txn_number, true}, {"prevOpTime", take_prev, true},
	{"multiOpType", take_multi, true},
};

static unsigned bit_of(const char *key)
{
	for (size_t i = 0; i < ARRAY_LEN(members); i++)
		if (!strcmp(members[i].key, key))
			return 1u << i;
	return 0;
}

static enum status take_member(struct mo_oplog_entry *e, bool inside, unsigned *seen, const bson_iter_t *it, struct error *err)
{
	const char *key = bson_iter_key(it);

	for (size_t i = 0; i < ARRAY_LEN(members); i++) {
		if (strcmp(members[i].key, key) || (inside && members[i].of_entry))
			continue;
		if (*seen & 1u << i)
			return error_set(err, ST_BAD, "%s is there twice", key);
		*seen |= 1u << i;
		if (members[i].take(e, it))
			return ST_OK;
		if (members[i].take == take_op && text_of(it))
			return error_set(err, ST_BAD, "op \"%s\" is none that drtool knows", text_of(it));
		return error_set(err, ST_BAD, "%s is of another form than it has in the oplog", key);
	}
	return ST_OK; /* of a later version, or of no use here */
}

/* ---- what they mean together ---- */

static enum status look_at_command(struct mo_oplog_entry *e, struct error *err)
{
	const bool numbered = e->lsid && e->has_txn_number;
	bson_iter_t it;

	if (!bson_iter_init(&it, &e->o) || !bson_iter_next(&it))
		return error_set(err, ST_BAD, "a command without a name");
	e->command = bson_iter_key(&it);
	e->apply_ops = !strcmp(e->command, "applyOps");
	if (e->apply_ops && !BSON_ITER_HOLDS_ARRAY(&it))
		return error_set(err, ST_BAD, "applyOps is no array");
	if (!strcmp(e->command, "commitTransaction") || !strcmp(e->command, "abortTransaction")) {
		e->transaction = true;
		return numbered ? ST_OK : error_set(err, ST_BAD, "%s without lsid and txnNumber", e->command);
	}
	e->transaction = e->transaction && e->apply_ops && numbered;
	e->partial_txn = e->transaction && mo_look_true(&e->o, "partialTxn");
	e->prepare = e->transaction && mo_look_true(&e->o, "prepare");
	return ST_OK;
}

static enum status take_members(const bson_t *doc, bool inside, struct mo_oplog_entry *e, struct error *err)
{
	unsigned seen = 0;
	bson_iter_t it;

	if (!bson_iter_init(&it, doc))
		return error_set(err, ST_BAD, "its document is damaged");
	while (bson_iter_next(&it))
		if (take_member(e, inside, &seen, &it, err))
			return err->code;
	if (e->op == MO_OP_INTERNAL && !e->ns)
		e->ns = e->collection = "";
	const unsigned needed = bit_of("op") | (inside ? 0 : bit_of("ts")) | (e->op == MO_OP_INTERNAL ? 0 : bit_of("ns") | bit_of("o"));
	for (size_t i = 0; i < ARRAY_LEN(members); i++)
		if (needed & ~seen & 1u << i)
			return error_set(err, ST_BAD, "%s is missing", members[i].key);
	if (e->op == MO_OP_UPDATE && !e->has_o2)
		return error_set(err, ST_BAD, "an update without o2");
	return e->op == MO_OP_COMMAND ? look_at_command(e, err) : ST_OK;
}

/* Documents are sound. */
static enum status parse(const bson_t *doc, const struct mo_optime *at, int64_t wall, bool inside, struct mo_oplog_entry *e, struct error *err)
{
	*e = (struct mo_oplog_entry){.at = *at, .wall = wall, .transaction = !inside};
	if (take_members(doc, inside, e, err))
		return mo_oplog_blame(e, err);
	if (e->op != MO_OP_COMMAND)
		e->transaction = false;
	return ST_OK;
}

enum status mo_oplog_parse(const bson_t *doc, struct mo_oplog_entry *e, struct error *err)
{
	struct mo_optime at = {.term = -1};

	/* ts is the first member, and can mostly be read where something behind it is damaged. */
	(void)mo_look_timestamp(doc, "ts", &at.t, &at.i);
	*e = (struct mo_oplog_entry){.at = at};
	if (doc->len > MO_OPLOG_ENTRY_MOST) {
		(void)error_set(err, ST_BAD, "it is %" PRIu32 " bytes long, more than %u", doc->len, MO_OPLOG_ENTRY_MOST);
		return mo_oplog_blame(e, err);
	}
	if (!mo_bson_is_sound(doc)) {
		(void)error_set(err, ST_BAD, "its document is damaged");
		return mo_oplog_blame(e, err);
	}
	return parse(doc, &at, 0, false, e, err);
}

/* ---- applyOps ---- */

static enum status inner(const struct mo_oplog_entry *e, unsigned depth, mo_oplog_fn *fn, void *ctx, struct error *err)
{
	struct mo_oplog_entry op;
	bson_iter_t it, element;
	bson_t doc;

	if (!e->apply_ops)
		return fn(ctx, e, err);
	if (depth > MO_APPLY_OPS_DEPTH) {
		(void)error_set(err, ST_BAD, "applyOps more than %u deep", MO_APPLY_OPS_DEPTH);
		return mo_oplog_blame(e, err);
	}
	if (!bson_iter_init(&it, &e->o) || !bson_iter_next(&it) || !bson_iter_recurse(&it, &element))
		return ST_OK;
	while (bson_iter_next(&element)) {
		if (!take_document(&doc, &element)) {
			(void)error_set(err, ST_BAD, "an operation of applyOps is no document");
			return mo_oplog_blame(e, err);
		}
		if (parse(&doc, &e->at, e->wall, true, &op, err) || inner(&op, depth + 1, fn, ctx, err))
			return err->code;
	}
	return ST_OK;
}

enum status mo_oplog_inner(const struct mo_oplog_entry *e, mo_oplog_fn *fn, void *ctx, struct error *err)
{
	return inner(e, 1, fn, ctx, err);
}
