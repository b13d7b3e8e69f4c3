#include "drivers/mysql/ranges.h"

#define BORDERS_MAX 9998 /* the archive numbers ranges with four digits */
#define DEPTH_MAX 60

/* Values of all columns of a key; NULL: none. */
struct key_row {
	struct my_key_value *v;
};
struct interval {
	struct key_row first;
	uint64_t rows; /* as the server estimates */
};
struct finding {
	const struct my_ranges_wish *w;
	size_t columns;       /* that can be compared by literals */
	uint64_t fine;        /* rows above which an interval is divided */
	struct interval *in;  /* in the order of the key */
	size_t n;
	struct my_conn *c;
};

void my_key_drop_columns(struct my_key *k)
{
	for (size_t i = 0; i < k->columns; i++) {
		free(k->column[i].name);
		free(k->column[i].charset);
	}
	free(k->column);
	k->column = NULL;
	k->columns = 0;
}

void my_key_release(struct my_key *k)
{
	my_key_drop_columns(k);
	cstr_release(&k->index);
}

void my_ranges_release(struct my_ranges *r)
{
	for (size_t i = 0; i < r->borders; i++) {
		free(r->from[i]);
		free(r->before[i]);
	}
	free(r->from);
	free(r->before);
	free(r->bytes);
	*r = (struct my_ranges){0};
}

static void key_row_free(struct key_row *r, size_t columns)
{
	for (size_t i = 0; r->v && i < columns; i++)
		free(r->v[i].p);
	free(r->v);
	r->v = NULL;
}

static void finding_release(struct finding *f)
{
	for (size_t i = 0; i < f->n; i++)
		key_row_free(&f->in[i].first, f->columns);
	free(f->in);
}

/* ---- conditions ---- */

static void put_value(struct buf *sql, const struct my_key_column *k, const struct my_key_value *v)
{
	if (k->kind == MY_KEY_TEXT) {
		if (strcmp(k->charset, "binary"))
			buf_printf(sql, "_%s ", k->charset);
		buf_puts(sql, "x'");
		buf_hex(sql, v->p, v->n);
		buf_putc(sql, '\'');
	} else if (k->kind == MY_KEY_TIME) {
		buf_printf(sql, "'%.*s'", (int)v->n, v->p);
	} else {
		buf_put(sql, v->p, v->n);
	}
}

/* The key is beyond the first n values, in the direction of op ("<", ">"), or equal to them where the last has another ("<=", ">="). As the
 * server's optimizer likes it: a > 1 OR (a = 1 AND (b > 2 OR (b = 2 AND c >= 3))). */
static void put_condition(struct buf *sql, const struct my_key *key, const struct my_key_value *v, size_t n, const char *op)
{
	const char strict[] = {op[0], 0};

	buf_putc(sql, '(');
	for (size_t i = 0; i < n; i++) {
		const struct my_key_column *k = &key->column[i];

		my_sql_ident(sql, k->name);
		buf_printf(sql, " %s ", i + 1 < n ? strict : op);
		put_value(sql, k, &v[i]);
		if (i + 1 == n)
			break;
		buf_puts(sql, " OR (");
		my_sql_ident(sql, k->name);
		buf_puts(sql, " = ");
		put_value(sql, k, &v[i]);
		buf_puts(sql, " AND (");
	}
	for (size_t i = 1; i < n; i++)
		buf_puts(sql, "))");
	buf_putc(sql, ')');
}

/* ---- questions ---- */

static void put_columns(struct buf *sql, const struct finding *f, const char *direction, bool hex)
{
	for (size_t i = 0; i < f->columns; i++) {
		const struct my_key_column *k = &f->w->key->column[i];
		bool as_hex = hex && k->kind == MY_KEY_TEXT;

		buf_puts(sql, i ? ", " : " ");
		buf_puts(sql, as_hex ? "HEX(" : "");
		my_sql_ident(sql, k->name);
		buf_puts(sql, as_hex ? ")" : direction);
	}
}

static int hex_digit(char c) { return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10; }

static struct my_key_value value_of(const struct my_key_column *k, const char *text)
{
	size_t n = strlen(text);
	struct buf b = BUF_INIT;

	if (k->kind != MY_KEY_TEXT)
		return (struct my_key_value){xstrdup(text), n};
	for (size_t i = 0; i + 1 < n; i += 2)
		buf_putc(&b, (char)(hex_digit(text[i]) << 4 | hex_digit(text[i + 1])));
	n = b.len;
	return (struct my_key_value){buf_detach(&b), n};
}

/* The first key of a condition in a direction ("" or " DESC"); row->v NULL: there is none. */
static enum status ask_key(struct run *run, struct finding *f, const char *condition, const char *direction, struct key_row *row, struct error *err)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;
	CLEANUP(my_conn_result_free) MYSQL_RES *r = NULL;

	buf_puts(&sql, "SELECT");
	put_columns(&sql, f, "", true);
	buf_printf(&sql, " FROM %s%s ORDER BY", f->w->from, condition);
	put_columns(&sql, f, direction, false);
	buf_puts(&sql, " LIMIT 1");
	if (my_conn_query(run, f->c, buf_str(&sql), &r, err))
		return err->code;
	MYSQL_ROW got = mysql_fetch_row(r);
	if (!got)
		return ST_OK;
	row->v = xcalloc(f->columns, sizeof *row->v);
	for (size_t i = 0; i < f->columns; i++)
		row->v[i] = value_of(&f->w->key->column[i], got[i] ? got[i] : "");
	return ST_OK;
}

/* Rows between two keys, both included, as the server estimates out of its index. */
static enum status ask_rows(struct run *run, struct finding *f, const struct key_row *a, const struct key_row *z, uint64_t *rows, struct error *err)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;
	CLEANUP(my_conn_result_free) MYSQL_RES *r = NULL;

	buf_printf(&sql, "EXPLAIN %sSELECT 1 FROM %s WHERE ", f->c->mariadb ? "" : "FORMAT=TRADITIONAL ", f->w->from);
	put_condition(&sql, f->w->key, a->v, f->columns, ">=");
	buf_puts(&sql, " AND ");
	put_condition(&sql, f->w->key, z->v, f->columns, "<=");
	if (my_conn_query(run, f->c, buf_str(&sql), &r, err))
		return err->code;
	MYSQL_ROW got = mysql_fetch_row(r);
	const MYSQL_FIELD *field = mysql_fetch_fields(r);
	*rows = 0;
	for (unsigned i = 0; got && i < mysql_num_fields(r); i++)
		if (!strcmp(field[i].name, "rows"))
			*rows = my_field_u64(got[i]);
	return ST_OK;
}

/* ---- dividing ---- */

static bool same_value(const struct my_key_value *a, const struct my_key_value *b) { return a->n == b->n && !memcmp(a->p, b->p, a->n); }

/* A key m of a row within (a, z], and the last key l before it: the two halves are [a, l] and [m, z]. m->v NULL: none was found. */
static enum status ask_middle(struct run *run, struct finding *f, const struct key_row *a, const struct key_row *z, struct key_row *l,
			      struct key_row *m, struct error *err)
{
	static const unsigned part[] = {2, 1, 3}; /* of 4 */
	const struct my_key *key = f->w->key;
	size_t at = 0;

	while (at < f->columns && same_value(&a->v[at], &z->v[at]))
		at++;
	for (size_t i = 0; at < f->columns && i < ARRAY_LEN(part) && !m->v; i++) {
		CLEANUP(buf_release) struct buf where = BUF_INIT;
		struct my_key_value mid = {0}, own = a->v[at];

		if (!my_key_between(&key->column[at], &a->v[at], &z->v[at], part[i], 4, &mid))
			return ST_OK;
		buf_puts(&where, " WHERE ");
		put_condition(&where, key, a->v, f->columns, ">");
		buf_puts(&where, " AND ");
		a->v[at] = mid; /* what both have in common, and the middle */
		put_condition(&where, key, a->v, at + 1, ">=");
		a->v[at] = own;
		free(mid.p);
		buf_puts(&where, " AND ");
		put_condition(&where, key, z->v, f->columns, "<=");
		if (ask_key(run, f, buf_str(&where), "", m, err))
			return err->code;
	}
	if (!m->v)
		return ST_OK;
	CLEANUP(buf_release) struct buf before = BUF_INIT;
	buf_puts(&before, " WHERE ");
	put_condition(&before, key, m->v, f->columns, "<");
	return ask_key(run, f, buf_str(&before), " DESC", l, err);
}

static void add_interval(struct finding *f, struct key_row *first, uint64_t rows)
{
	if ((f->n & (f->n - 1)) == 0)
		f->in = xrealloc(f->in, (f->n ? f->n * 2 : 1) * sizeof *f->in);
	f->in[f->n++] = (struct interval){*first, rows};
	first->v = NULL;
}

/* Takes a. */
static enum status divide(struct run *run, struct finding *f, struct key_row *a, const struct key_row *z, unsigned depth, struct error *err)
{
	struct key_row l = {0}, m = {0};
	uint64_t rows = 0;
	enum status st = ask_rows(run, f, a, z, &rows, err);

	if (!st && rows > f->fine && depth < DEPTH_MAX && f->n < 4 * (size_t)BORDERS_MAX)
		st = ask_middle(run, f, a, z, &l, &m, err);
	if (!st && l.v && m.v)
		st = divide(run, f, a, &l, depth + 1, err) || divide(run, f, &m, z, depth + 1, err) ? err->code : ST_OK;
	else if (!st)
		add_interval(f, a, rows);
	key_row_free(a, f->columns);
	key_row_free(&l, f->columns);
	key_row_free(&m, f->columns);
	return st;
}

/* ---- borders ---- */

static char *condition_text(const struct finding *f, const struct key_row *at, const char *op)
{
	struct buf b = BUF_INIT;

	put_condition(&b, f->w->key, at->v, f->columns, op);
	return buf_detach(&b);
}

/* Neighbours become one range as long as they are small together. */
static void join(const struct finding *f, uint64_t target, struct my_ranges *r)
{
	uint64_t total = 0, own = 0;
	size_t ranges = 0;

	for (size_t i = 0; i < f->n; i++)
		total += f->in[i].rows;
	r->from = xcalloc(f->n, sizeof *r->from);
	r->before = xcalloc(f->n, sizeof *r->before);
	r->bytes = xcalloc(f->n + 1, sizeof *r->bytes);
	for (size_t i = 0; i < f->n; i++) {
		if (i && own + f->in[i].rows > target + target / 8 && r->borders < BORDERS_MAX) {
			r->from[r->borders] = condition_text(f, &f->in[i].first, ">=");
			r->before[r->borders++] = condition_text(f, &f->in[i].first, "<");
			ranges++;
			own = 0;
		}
		own += f->in[i].rows;
		r->bytes[ranges] = total ? (uint64_t)((double)own / (double)total * (double)f->w->bytes) : 0;
	}
}

enum status my_ranges_find(struct run *run, struct my_conn *c, const struct my_ranges_wish *w, struct my_ranges *r, struct error *err)
{
	CLEANUP(finding_release) struct finding f = {.w = w, .c = c};
	uint64_t piece = max_u64(w->piece, w->bytes / (BORDERS_MAX / 2) + 1);
	uint64_t target = (uint64_t)((double)w->rows * (double)piece / (double)max_u64(w->bytes, 1));
	struct key_row a = {0}, z = {0};

	*r = (struct my_ranges){0};
	while (f.columns < w->key->columns && w->key->column[f.columns].kind != MY_KEY_NOT)
		f.columns++;
	f.fine = target / 2;
	if (!f.columns || !f.fine)
		return ST_OK;
	enum status st = ask_key(run, &f, "", "", &a, err) || ask_key(run, &f, "", " DESC", &z, err) ? err->code : ST_OK;
	if (!st && a.v && z.v)
		st = divide(run, &f, &a, &z, 0, err);
	key_row_free(&a, f.columns);
	key_row_free(&z, f.columns);
	if (!st && f.n > 1)
		join(&f, target, r);
	return st;
}

void my_ranges_where(const struct my_ranges *r, uint32_t range, struct buf *to)
{
	if (range)
		buf_printf(to, " WHERE %s", r->from[range - 1]);
	if (range < r->borders)
		buf_printf(to, "%s%s", range ? " AND " : " WHERE ", r->before[range]);
}
