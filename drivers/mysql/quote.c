#include "drivers/mysql/conn.h"

void my_sql_ident(struct buf *to, const char *name)
{
	buf_putc(to, '`');
	for (; *name; name++) {
		if (*name == '`')
			buf_putc(to, '`');
		buf_putc(to, *name);
	}
	buf_putc(to, '`');
}

void my_sql_name(struct buf *to, const char *database, const char *name)
{
	if (database) {
		my_sql_ident(to, database);
		buf_putc(to, '.');
	}
	my_sql_ident(to, name);
}

static void put_literal(struct buf *to, const char *introducer, const char *p, size_t n)
{
	buf_puts(to, introducer);
	if (n && (memchr(p, '\\', n) || memchr(p, 0, n))) {
		buf_puts(to, *introducer ? "x'" : "_utf8mb4 x'");
		buf_hex(to, p, n);
	} else {
		buf_putc(to, '\'');
		for (size_t i = 0; i < n; i++) {
			if (p[i] == '\'')
				buf_putc(to, '\'');
			buf_putc(to, p[i]);
		}
	}
	buf_putc(to, '\'');
}

void my_sql_literal(struct buf *to, const char *text) { put_literal(to, "", text, strlen(text)); }

void my_sql_literal_n(struct buf *to, const void *p, size_t n) { put_literal(to, "", p, n); }

void my_sql_bytes(struct buf *to, const void *p, size_t n) { put_literal(to, "_binary ", p, n); }

static bool is_plain(const char *name)
{
	const char *p = name;

	while ((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') || *p == '_' || *p == '$' ||
	       *p == '-' || (unsigned char)*p >= 0x80)
		p++;
	return p > name && !*p;
}

void my_sql_shown(struct buf *to, const char *name)
{
	if (is_plain(name)) {
		buf_puts(to, name);
		return;
	}
	buf_putc(to, '"');
	for (; *name; name++) {
		if (*name == '"')
			buf_putc(to, '"');
		buf_putc(to, *name);
	}
	buf_putc(to, '"');
}

/* ---- fields ---- */

uint64_t my_field_u64(const char *text) { return text && *text >= '0' && *text <= '9' ? strtoull(text, NULL, 10) : 0; }

bool my_field_bool(const char *text)
{
	static const char *const yes[] = {"1", "YES", "ON", "Y", "TRUE"};

	for (size_t i = 0; text && i < ARRAY_LEN(yes); i++)
		if (!strcasecmp(text, yes[i]))
			return true;
	return false;
}

unsigned my_conn_errno(const struct error *err)
{
	uint64_t n = my_field_u64(err->native);

	return n < 100000 ? (unsigned)n : 0;
}

bool my_conn_lost(const struct error *err) { return err->code && !my_conn_errno(err); }

void my_put_names(struct buf *to, const struct strlist *names)
{
	enum { SHOWN = 20 };

	for (size_t i = 0; i < names->len && i < SHOWN; i++)
		buf_printf(to, "%s%s", i ? ", " : "", names->item[i]);
	buf_puts(to, !names->len ? "none" : names->len > SHOWN ? ", ..." : "");
}
