#include "drivers/mysql/facts.h"
#include "tests/lib/test.h"

static void check_text(const char *const *field, const unsigned long *len, unsigned n, const char *expected)
{
	CLEANUP(buf_release) struct buf b = BUF_INIT;

	my_row_text(&b, (char *const *)(uintptr_t)field, len, n);
	CHECK_STR(buf_str(&b), expected);
	CHECK_INT(b.len, strlen(expected));
}

TEST("a MySQL row as text has tabs between its fields, escapes for four bytes, and \\N for null")
{
	check_text((const char *const[]){"1", NULL, ""}, (const unsigned long[]){1, 0, 0}, 3, "1\t\\N\t\n");
	check_text((const char *const[]){"a\tb\nc\\d\0e"}, (const unsigned long[]){9}, 1, "a\\tb\\nc\\\\d\\0e\n");
	check_text((const char *const[]){"\\N"}, (const unsigned long[]){2}, 1, "\\\\N\n");
	check_text((const char *const[]){"\r\x1a\xff\x80"}, (const unsigned long[]){4}, 1, "\r\x1a\xff\x80\n");
	check_text(NULL, NULL, 0, "\n");
}

/* Byte by byte, as one would write it without haste. */
static void slow_text(struct buf *to, const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const char *special = p[i] == '\t' ? "\\t" : p[i] == '\n' ? "\\n" : p[i] == '\\' ? "\\\\" : !p[i] ? "\\0" : NULL;

		if (special)
			buf_puts(to, special);
		else
			buf_putc(to, p[i]);
	}
}

TEST("MySQL rows of every length with a byte of every value at every place are written as byte by byte, and read back")
{
	char data[70];

	for (size_t n = 0; n < sizeof data - 2; n++) {
		for (size_t at = 0; at < n + !n; at++) {
			for (unsigned c = 0; c < 256; c += c < 16 || c == 0x5b || c == 0x5c ? 1 : 5) {
				CLEANUP(buf_release) struct buf b = BUF_INIT, slow = BUF_INIT, back = BUF_INIT;
				struct error err = ERROR_INIT;
				bool null = true;
				/* Memory of exactly this size, so that a sanitizer sees a byte too far. */
				char *exact = xmalloc(n + 1);

				memset(data, 'x', sizeof data);
				if (n)
					data[at] = (char)c;
				memcpy(exact, data, n);
				char *exactly = n ? xmemdup(exact, n) : exact;
				my_row_text(&b, (char *[]){exactly, exactly}, (const unsigned long[]){n, n}, 2);
				slow_text(&slow, data, n);
				buf_putc(&slow, '\t');
				slow_text(&slow, data, n);
				buf_putc(&slow, '\n');
				CHECK(b.len == slow.len && !memcmp(b.data, slow.data, b.len));
				struct my_row_reader r = {b.data, b.data + b.len, false};
				for (int i = 0; i < 2; i++) {
					CHECK(my_row_field(&r, &back, &null, &err) && !null && back.len == n);
					CHECK(!n || !memcmp(back.data, data, n));
				}
				CHECK(!my_row_field(&r, &back, &null, &err) && !err.code && r.at == r.end);
				if (exactly != exact)
					free(exactly);
				free(exact);
			}
		}
	}
}

static bool reads(const char *text)
{
	CLEANUP(buf_release) struct buf b = BUF_INIT;
	CLEANUP(error_release) struct error err = ERROR_INIT;
	struct my_row_reader r = {text, text + strlen(text), false};
	bool null;

	while (my_row_field(&r, &b, &null, &err))
		;
	return !err.code;
}

TEST("reading a MySQL row refuses what is never written")
{
	CHECK(reads("\n") && reads("a\t\\N\t\\\\N\n"));
	CHECK(!reads("") && !reads("a") && !reads("a\t") && !reads("\\") && !reads("a\\\n") && !reads("a\\x\n") && !reads("\\Nx\n") && !reads("x\\N\n"));
}
