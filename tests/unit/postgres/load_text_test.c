#include "drivers/postgres/load.h"
#include "tests/lib/test.h"

/* ---- names ---- */

TEST("names of tables are split at dots outside double quotes")
{
	static const struct {
		const char *text, *database, *schema, *table;
	} rows[] = {
		{"shop", "shop", NULL, NULL},
		{"public.orders", NULL, "public", "orders"},
		{"shop.public.orders", "shop", "public", "orders"},
		{"\"a.b\".c", NULL, "a.b", "c"},
		{"a.\"b.c\"", NULL, "a", "b.c"},
		{"a.\"say \"\"hi\"\"\"", NULL, "a", "say \"hi\""},
		{"\"Sh\"op.x.y", "Shop", "x", "y"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct error err = ERROR_INIT;
		CLEANUP(object_name_release) struct object_name n = OBJECT_NAME_INIT;

		CHECK_OK(object_name_parse(rows[i].text, &n, &err), err);
		CHECK_STR(n.database ? n.database : "-", rows[i].database ? rows[i].database : "-");
		CHECK_STR(n.schema ? n.schema : "-", rows[i].schema ? rows[i].schema : "-");
		CHECK_STR(n.table ? n.table : "-", rows[i].table ? rows[i].table : "-");
	}
}

TEST("what is no name of a table is refused with the form that is")
{
	static const char *const wrong[] = {"", ".", "a.", ".b", "a..b", "a.b.c.d", "a.\"b", "\"\".b"};

	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		struct error err = ERROR_INIT;
		CLEANUP(object_name_release) struct object_name n = OBJECT_NAME_INIT;

		CHECK_ERR(object_name_parse(wrong[i], &n, &err), err, ST_USAGE, "is no name of a table");
	}
}

TEST("the name beside another is cut between characters to what the server allows")
{
	CLEANUP(cstr_release) char *plain = database_beside("shop", "_restore_", "0a1b2c");
	CLEANUP(cstr_release) char *cut = database_beside("äääääääääääääääääääääääääääääää", "_restore_", "0a1b2c");

	CHECK_STR(plain, "shop_restore_0a1b2c");
	CHECK_STR(cut, "ääääääääääääääääääääääää_restore_0a1b2c");
	CHECK_INT(strlen(cut), 63);
}

TEST("recorded rights become grants, odd names quoted")
{
	static const struct {
		const char *acl, *sql;
	} rows[] = {
		{"app=rw/app", "GRANT SELECT, UPDATE ON LARGE OBJECT 7 TO \"app\";"},
		{"=r/app", "GRANT SELECT ON LARGE OBJECT 7 TO PUBLIC;"},
		{"\"a\"\"=b\"=r*w/x",
		 "GRANT UPDATE ON LARGE OBJECT 7 TO \"a\"\"=b\";GRANT SELECT ON LARGE OBJECT 7 TO \"a\"\"=b\" WITH GRANT OPTION;"},
		{"app=/app", ""},
		{"nonsense", ""},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		CLEANUP(buf_release) struct buf sql = BUF_INIT;

		sql_grant(&sql, "LARGE OBJECT 7", rows[i].acl);
		CHECK_STR(buf_str(&sql), rows[i].sql);
	}
}

TEST("a list of names as an array keeps quotes and backslashes")
{
	const char *names[] = {"a", "b\"c", "d\\e", "f,{g}"};
	CLEANUP(buf_release) struct buf b = BUF_INIT;

	sql_array(&b, names, ARRAY_LEN(names));
	CHECK_STR(buf_str(&b), "{\"a\",\"b\\\"c\",\"d\\\\e\",\"f,{g}\"}");
}

/* ---- the table of contents ---- */

static void put_int(struct buf *b, int v)
{
	buf_putc(b, v < 0);
	for (unsigned n = (unsigned)abs(v), i = 0; i < 4; i++, n >>= 8)
		buf_putc(b, (char)(n & 255));
}

static void put_text(struct buf *b, const char *s)
{
	put_int(b, s ? (int)strlen(s) : -1);
	if (s)
		buf_puts(b, s);
}

struct written {
	int id, section;
	const char *desc, *schema, *tag;
	const char *deps[3];
};

/* As pg_dump writes it: version 12 to 15 (14), 16 (15), 17 and 18 (16). */
static void put_toc(struct buf *b, int minor, const struct written *w, size_t n)
{
	buf_puts(b, "PGDMP");
	buf_putc(b, 1);
	buf_putc(b, (char)minor);
	buf_put(b, "\0\4\10\1", 4); /* revision, size of int, of an offset, format */
	if (minor >= 15)
		buf_putc(b, 1);
	else
		put_int(b, -1);
	for (int i = 0; i < 7; i++)
		put_int(b, i);
	put_text(b, "shop");
	put_text(b, "15.20");
	put_text(b, "15.20 (Debian)");
	put_int(b, (int)n);
	for (size_t i = 0; i < n; i++) {
		put_int(b, w[i].id);
		put_int(b, 0);
		put_text(b, "1259");
		put_text(b, "16384");
		put_text(b, w[i].tag);
		put_text(b, w[i].desc);
		put_int(b, w[i].section);
		put_text(b, "CREATE ...");
		put_text(b, "DROP ...");
		put_text(b, NULL);
		put_text(b, w[i].schema);
		put_text(b, "fast");
		put_text(b, "heap");
		if (minor >= 16)
			put_int(b, 'r');
		put_text(b, "app");
		put_text(b, "false");
		for (size_t k = 0; k < ARRAY_LEN(w[i].deps) && w[i].deps[k]; k++)
			put_text(b, w[i].deps[k]);
		put_text(b, NULL);
		buf_put(b, "\3\0\0\0\0\0\0\0\0", 9);
	}
}

static const struct written shop[] = {
	{2, 2, "TABLE", "public", "orders", {NULL}},
	{9, 1, "COMMENT", "public", "TABLE orders", {"2", NULL}},
	{3, 2, "TABLE", "public", "log", {NULL}},
	{5, 4, "INDEX", "public", "orders_note", {"2", NULL}},
	{6, 4, "FK CONSTRAINT", "public", "orders orders_log_fkey", {"2", "3", "7777", }},
	{8, 1, "COMMENT", "public", "INDEX orders_note", {"5", NULL}},
};

static enum status read_bytes(const void *p, size_t n, struct toc *t, struct error *err)
{
	CLEANUP(spool_freep) struct spool *s = spool_new(test_dir(), 1 << 20);

	if (spool_write(s, p, n, err) || spool_seal(s, err))
		return err->code;
	return toc_read(s, t, err);
}

TEST("the contents of a schema dump of each format are read, and remarks go where their object goes")
{
	for (int minor = 14; minor <= 16; minor++) {
		struct error err = ERROR_INIT;
		CLEANUP(buf_release) struct buf b = BUF_INIT;
		CLEANUP(toc_release) struct toc t = TOC_INIT;

		put_toc(&b, minor, shop, ARRAY_LEN(shop));
		CHECK_OK(read_bytes(b.data, b.len, &t, &err), err);
		CHECK_INT(t.entries, ARRAY_LEN(shop));
		CHECK_STR(t.client, "15.20 (Debian)");
		CHECK_INT(toc_oldest_client(&t), minor == 14 ? 12 : minor + 1);
		CHECK_STR(t.entry[0].tag, "orders");
		CHECK_STR(t.entry[0].owner, "app");
		CHECK_STR(t.entry[0].tablespace, "fast");
		CHECK_INT(t.entry[1].part, TOC_PRE);
		CHECK_INT(t.entry[5].part, TOC_POST);
		CHECK_INT(t.entry[4].deps, 3);
		CHECK(toc_by_id(&t, 5) == &t.entry[3]);
		CHECK(!toc_by_id(&t, 7777));
		CHECK(toc_find(&t, "TABLE", "public", "log") == &t.entry[2]);
	}
}

TEST("a schema dump that is cut or newer than known is refused")
{
	struct error err = ERROR_INIT;
	CLEANUP(buf_release) struct buf b = BUF_INIT;

	put_toc(&b, 16, shop, ARRAY_LEN(shop));
	for (size_t n = 0; n < b.len; n++) {
		CLEANUP(toc_release) struct toc t = TOC_INIT;

		CHECK_ERR(read_bytes(b.data, n, &t, &err), err, ST_BAD, "the schema dump cannot be read");
	}
	b.data[6] = 17;
	CLEANUP(toc_release) struct toc t = TOC_INIT;
	CHECK_ERR(read_bytes(b.data, b.len, &t, &err), err, ST_UNSUPPORTED, "format 1.17");
}

TEST("a schema dump with any byte changed is read or refused, never more")
{
	CLEANUP(buf_release) struct buf b = BUF_INIT;

	put_toc(&b, 15, shop, ARRAY_LEN(shop));
	for (size_t i = 0; i < b.len; i++)
		for (int bit = 0; bit < 8; bit++) {
			CLEANUP(error_release) struct error err = ERROR_INIT;
			CLEANUP(toc_release) struct toc t = TOC_INIT;

			b.data[i] = (char)(b.data[i] ^ (1 << bit));
			enum status st = read_bytes(b.data, b.len, &t, &err);
			b.data[i] = (char)(b.data[i] ^ (1 << bit));
			CHECK(st == ST_OK || st == ST_BAD || st == ST_UNSUPPORTED);
		}
}

TEST("a foreign key to a table that comes without rows is left out and said")
{
	struct error err = ERROR_INIT;
	CLEANUP(buf_release) struct buf b = BUF_INIT;
	CLEANUP(toc_release) struct toc t = TOC_INIT;
	CLEANUP(load_selection_release) struct load_selection s = LOAD_SELECTION_INIT;
	struct load_wish w = {.mode = LOAD_DATABASE};
	struct run run = RUN_INIT;

	put_toc(&b, 14, shop, ARRAY_LEN(shop));
	CHECK_OK(read_bytes(b.data, b.len, &t, &err), err);
	strlist_add(&w.excluded, "public\001log");
	CHECK_OK(load_select(&run, NULL, &w, &t, &s, &err), err);
	CHECK(s.pick[0] && s.pick[2] && s.pick[3] && !s.pick[4]);
	CHECK_INT(s.left_out.len, 1);
	CHECK_HAS(s.left_out.item[0], "its table public.log comes without rows");
	strlist_release(&w.excluded);
}

TEST("a table alone brings what belongs to it, and not a key to a table that is not there")
{
	struct error err = ERROR_INIT;
	CLEANUP(buf_release) struct buf b = BUF_INIT;
	CLEANUP(toc_release) struct toc t = TOC_INIT;
	CLEANUP(load_selection_release) struct load_selection s = LOAD_SELECTION_INIT;
	struct object_name asked = {NULL, (char[]){"public"}, (char[]){"orders"}};
	bool found = false;
	const struct load_wish w = {.mode = LOAD_TABLES, .scope = "shop", .asked = &asked, .asked_found = &found, .asks = 1};
	struct run run = RUN_INIT;

	put_toc(&b, 14, shop, ARRAY_LEN(shop));
	CHECK_OK(read_bytes(b.data, b.len, &t, &err), err);
	CHECK_OK(load_select(&run, NULL, &w, &t, &s, &err), err);
	CHECK(s.pick[0] && s.pick[1] && !s.pick[2] && s.pick[3] && !s.pick[4] && s.pick[5]);
	CHECK_HAS(s.left_out.item[0], "its table public.log is not there");
	asked.table[0] = 'O';
	found = false;
	CLEANUP(load_selection_release) struct load_selection none = LOAD_SELECTION_INIT;
	CHECK_ERR(load_select(&run, NULL, &w, &t, &none, &err), err, ST_NOT_FOUND, "has no table public.Orders");
}
