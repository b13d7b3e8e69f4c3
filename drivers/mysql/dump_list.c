/* What tables a database has, with columns and keys: three questions for all of them together. */
#include "drivers/mysql/dump.h"

struct listing_call {
	struct my_listing *l;
	struct strlist engines; /* those that know transactions */
	struct my_listed *at;   /* the table of the last row */
	bool mariadb;
};

static void call_release(struct listing_call *k) { strlist_release(&k->engines); }

void my_listing_release(struct my_listing *l)
{
	for (size_t i = 0; i < l->tables; i++) {
		free(l->table[i].name);
		free(l->table[i].engine);
		my_facts_release(&l->table[i].facts);
		my_key_release(&l->table[i].key);
		free(l->table[i].row_start);
		free(l->table[i].row_end);
	}
	free(l->table);
	*l = (struct my_listing)MY_LISTING_INIT;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct my_listed *)a)->name, ((const struct my_listed *)b)->name);
}

struct my_listed *my_listed_named(const struct my_listing *l, const char *name)
{
	const struct my_listed wanted = {.name = (char *)(uintptr_t)name};

	return l->tables ? bsearch(&wanted, l->table, l->tables, sizeof wanted, by_name) : NULL;
}

static void put_field(struct buf *to, const char *text)
{
	buf_puts(to, text ? text : "\\N");
	buf_putc(to, '\t');
}

static void add_state(struct hash128 *to, char *const *field, unsigned fields)
{
	CLEANUP(buf_release) struct buf b = BUF_INIT;

	for (unsigned i = 0; i < fields; i++)
		put_field(&b, field[i]);
	*to = hash128_add(*to, xxh128(b.data, b.len));
}

/* ---- tables ---- */

static enum status add_engine(void *ctx, char *const *field, const unsigned long *len UNUSED, unsigned fields UNUSED, struct error *err UNUSED)
{
	if (field[0])
		strlist_add(ctx, field[0]);
	return ST_OK;
}

/* Rows of these are on other servers or in other tables, or cannot be written. */
static bool is_definition_only(const char *engine)
{
	static const char *const names[] = {"S3", "CONNECT", "SPIDER", "FEDERATED", "MRG_MYISAM", "BLACKHOLE", "SPHINX", "OQGRAPH"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (!strcasecmp(engine, names[i]))
			return true;
	return false;
}

enum { TABLE_NAME, TABLE_TYPE, TABLE_ENGINE, TABLE_TIME, TABLE_OPTIONS, TABLE_STATE_FIELDS, TABLE_BYTES = TABLE_STATE_FIELDS, TABLE_ROWS, TABLE_COMMENT, TABLE_YOUNG };

static enum status add_table(void *ctx, char *const *field, const unsigned long *len UNUSED, unsigned fields UNUSED, struct error *err)
{
	struct listing_call *k = ctx;
	struct my_listing *l = k->l;

	if (!field[TABLE_ENGINE]) /* then the comment says why */
		return error_set(err, ST_SERVER, "table %s cannot be read: %s", field[TABLE_NAME], field[TABLE_COMMENT] ? field[TABLE_COMMENT] : "");
	if ((l->tables & (l->tables - 1)) == 0)
		l->table = xrealloc(l->table, (l->tables ? l->tables * 2 : 1) * sizeof *l->table);
	struct my_listed *t = &l->table[l->tables++];
	*t = (struct my_listed){
		.name = xstrdup(field[TABLE_NAME]),
		.engine = xstrdup(field[TABLE_ENGINE]),
		.definition_only = is_definition_only(field[TABLE_ENGINE]),
		.transactional = strlist_has(&k->engines, field[TABLE_ENGINE]),
		.versioned = !strcmp(field[TABLE_TYPE], "SYSTEM VERSIONED"),
		.partitioned = field[TABLE_OPTIONS] && strstr(field[TABLE_OPTIONS], "partitioned"),
		.bytes = my_field_u64(field[TABLE_BYTES]),
		.rows = my_field_u64(field[TABLE_ROWS]),
	};
	add_state(&t->state, field, TABLE_STATE_FIELDS);
	l->state = hash128_add(l->state, t->state);
	l->young = l->young || my_field_u64(field[TABLE_YOUNG]);
	return ST_OK;
}

/* " WHERE TABLE_SCHEMA = 'shop'" */
static void put_where(struct buf *sql, const char *database)
{
	buf_puts(sql, " WHERE TABLE_SCHEMA = ");
	my_sql_literal(sql, database);
}

enum status my_list_tables(struct run *run, struct my_conn *c, const char *database, struct my_listing *l, struct error *err)
{
	CLEANUP(call_release) struct listing_call k = {.l = l};
	CLEANUP(buf_release) struct buf sql = BUF_INIT;

	my_listing_release(l);
	/* CREATE_TIME has whole seconds, by a clock of the file system that may be some milliseconds late. */
	buf_puts(&sql, "SELECT TABLE_NAME, TABLE_TYPE, ENGINE, CREATE_TIME, CREATE_OPTIONS, DATA_LENGTH, TABLE_ROWS, TABLE_COMMENT,"
		       " COALESCE(CREATE_TIME > NOW(6) - INTERVAL 1020000 MICROSECOND AND CREATE_TIME <= NOW(6), 0)"
		       " FROM information_schema.TABLES");
	put_where(&sql, database);
	buf_puts(&sql, " AND TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED')");
	if (my_conn_each(run, c, "SELECT ENGINE FROM information_schema.ENGINES WHERE TRANSACTIONS = 'YES'", add_engine, &k.engines, err) ||
	    my_conn_each(run, c, buf_str(&sql), add_table, &k, err))
		return error_add(err, "the tables of database %s", database);
	if (l->tables)
		qsort(l->table, l->tables, sizeof *l->table, by_name);
	return ST_OK;
}


static struct my_listed *table_of(struct listing_call *k, const char *name)
{
	if (!k->at || strcmp(k->at->name, name))
		k->at = my_listed_named(k->l, name);
	return k->at;
}

/* " WHERE TABLE_SCHEMA = 'shop' ORDER BY BINARY TABLE_NAME, ..." */
static void put_order(struct buf *sql, const char *database, const char *then)
{
	put_where(sql, database);
	buf_printf(sql, " ORDER BY CAST(TABLE_NAME AS BINARY), %s", then);
}

/* ---- keys ---- */

enum { KEY_TABLE, KEY_INDEX, KEY_COLUMN, KEY_NULLABLE, KEY_PART, KEY_DIRECTION, KEY_KIND, KEY_HIDDEN };

/* Rows come index by index, in the order of their columns: the primary key, or the only other one that is unique. */
static enum status add_key(void *ctx, char *const *field, const unsigned long *len UNUSED, unsigned fields UNUSED, struct error *err UNUSED)
{
	struct listing_call *k = ctx;
	struct my_listed *t = table_of(k, field[KEY_TABLE]);

	if (!t || (t->key.index && !strcmp(t->key.index, "PRIMARY") && strcmp(field[KEY_INDEX], "PRIMARY")))
		return ST_OK;
	if (t->key.index && strcmp(t->key.index, field[KEY_INDEX]))
		my_key_drop_columns(&t->key); /* nobody tells which of several holds the rows */
	else if (t->key.index && !t->key.columns)
		return ST_OK; /* an earlier column of it was of no use */
	else if (!t->key.index)
		t->key.index = xstrdup(field[KEY_INDEX]);
	if (strcmp(t->key.index, field[KEY_INDEX]))
		return ST_OK;
	if (!field[KEY_COLUMN] || my_field_bool(field[KEY_NULLABLE]) || field[KEY_PART] || !field[KEY_DIRECTION] ||
	    strcmp(field[KEY_DIRECTION], "A") || strcmp(field[KEY_KIND], "BTREE") || my_field_bool(field[KEY_HIDDEN])) {
		my_key_drop_columns(&t->key);
		return ST_OK;
	}
	t->key.column = xrealloc(t->key.column, (t->key.columns + 1) * sizeof *t->key.column);
	t->key.column[t->key.columns++] = (struct my_key_column){.name = xstrdup(field[KEY_COLUMN])};
	return ST_OK;
}

static const char *hidden_column(const struct my_conn *c)
{
	if (c->mariadb)
		return c->version >= 100600 ? "IGNORED" : "'NO'";
	return c->version >= 80000 ? "IF(IS_VISIBLE = 'YES', 'NO', 'YES')" : "'NO'";
}

enum status my_list_keys(struct run *run, struct my_conn *c, const char *database, struct my_listing *l, struct error *err)
{
	CLEANUP(call_release) struct listing_call k = {.l = l};
	CLEANUP(buf_release) struct buf sql = BUF_INIT;

	buf_printf(&sql, "SELECT TABLE_NAME, INDEX_NAME, COLUMN_NAME, NULLABLE, SUB_PART, COLLATION, INDEX_TYPE, %s"
			 " FROM information_schema.STATISTICS", hidden_column(c));
	put_where(&sql, database);
	buf_puts(&sql, " AND NON_UNIQUE = 0 ORDER BY CAST(TABLE_NAME AS BINARY), INDEX_NAME <> 'PRIMARY', CAST(INDEX_NAME AS BINARY), SEQ_IN_INDEX");
	return my_conn_each(run, c, buf_str(&sql), add_key, &k, err) ? error_add(err, "the keys of database %s", database) : ST_OK;
}

/* ---- columns ---- */

enum { COL_TABLE, COL_NAME, COL_DATA_TYPE, COL_TYPE, COL_EXPRESSION, COL_EXTRA, COL_PRECISION, COL_SCALE, COL_CHARSET, COL_COLLATION, COL_FIELDS };

/* CHAR without padding MariaDB sorts with its blanks and compares without them: what sorts below a blank ('a\t' beside 'a') would be in no
 * range. */
static bool is_unpadded(const struct listing_call *k, char *const *field)
{
	const char *collation = field[COL_COLLATION];

	return k->mariadb && !strcmp(field[COL_DATA_TYPE], "char") && collation && (strstr(collation, "_nopad_") || strstr(collation, "_0900_"));
}

static enum my_key_kind kind_of(const char *type, const char *charset)
{
	static const struct {
		const char *type;
		enum my_key_kind kind;
	} kinds[] = {
		{"tinyint", MY_KEY_NUMBER}, {"smallint", MY_KEY_NUMBER}, {"mediumint", MY_KEY_NUMBER}, {"int", MY_KEY_NUMBER}, {"bigint", MY_KEY_NUMBER},
		{"date", MY_KEY_TIME}, {"datetime", MY_KEY_TIME}, {"timestamp", MY_KEY_TIME}, {"binary", MY_KEY_TEXT}, {"varbinary", MY_KEY_TEXT},
		{"decimal", MY_KEY_OTHER}, {"year", MY_KEY_OTHER},
	};

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (!strcmp(type, kinds[i].type))
			return kinds[i].kind;
	/* Numbers compare with ENUM and SET as keys do, texts do not; both are rare. */
	return charset && strcmp(type, "enum") && strcmp(type, "set") ? MY_KEY_TEXT : MY_KEY_NOT;
}

static bool is_binary(const char *collation)
{
	size_t n = collation ? strlen(collation) : 0;

	return n < 4 || !strcmp(collation + n - 4, "_bin");
}

static void complete_key(const struct listing_call *k, struct my_key *key, char *const *field)
{
	for (size_t i = 0; i < key->columns; i++) {
		struct my_key_column *c = &key->column[i];

		if (strcmp(c->name, field[COL_NAME]) || c->charset)
			continue;
		c->kind = is_unpadded(k, field) ? MY_KEY_NOT : kind_of(field[COL_DATA_TYPE], field[COL_CHARSET]);
		c->charset = xstrdup(field[COL_CHARSET] ? field[COL_CHARSET] : "binary");
		c->folds = !is_binary(field[COL_COLLATION]);
	}
}

static struct my_facts_column *more_columns(struct my_facts_table *t)
{
	if ((t->columns & (t->columns - 1)) == 0)
		t->column = xrealloc(t->column, (t->columns ? t->columns * 2 : 1) * sizeof *t->column);
	t->column[t->columns] = (struct my_facts_column){0};
	return &t->column[t->columns++];
}

static enum status add_column(void *ctx, char *const *field, const unsigned long *len UNUSED, unsigned fields UNUSED, struct error *err UNUSED)
{
	struct listing_call *k = ctx;
	struct my_listed *t = table_of(k, field[COL_TABLE]);
	const char *expression = field[COL_EXPRESSION] ? field[COL_EXPRESSION] : "";
	const struct my_column_type type = {field[COL_NAME], field[COL_DATA_TYPE], field[COL_TYPE], field[COL_PRECISION], field[COL_SCALE]};

	if (!t)
		return ST_OK; /* of a view or a sequence; or of a new table, which the list of tables will show at the end */
	add_state(&t->state, field, COL_FIELDS);
	complete_key(k, &t->key, field);
	if (t->versioned && (!strcmp(expression, "ROW START") || !strcmp(expression, "ROW END"))) {
		char **border = strcmp(expression, "ROW END") ? &t->row_start : &t->row_end;

		free(*border);
		*border = xstrdup(field[COL_NAME]);
		if (strcmp(field[COL_DATA_TYPE], "timestamp"))
			t->history = MY_HISTORY_NUMBERS;
	} else if (!*expression) {
		my_column_facts(&type, more_columns(&t->facts));
	}
	return ST_OK;
}

/* The borders of a row's time become the last two columns. */
static void add_history(const struct my_conn *c, bool wanted, struct my_listed *t)
{
	if (t->history == MY_HISTORY_TAKEN && !wanted)
		t->history = MY_HISTORY_NOT_ASKED;
	if (t->history == MY_HISTORY_TAKEN && c->version < 101100)
		t->history = MY_HISTORY_OLD;
	if (t->history != MY_HISTORY_TAKEN)
		return;
	more_columns(&t->facts)->name = xstrdup(t->row_start ? t->row_start : "row_start");
	my_column_row_end(t->row_end ? t->row_end : "row_end", more_columns(&t->facts));
	t->facts.history = true;
}

enum status my_list_columns(struct run *run, struct my_conn *c, const char *database, bool history, struct my_listing *l, struct error *err)
{
	CLEANUP(call_release) struct listing_call k = {.l = l, .mariadb = c->mariadb};
	CLEANUP(buf_release) struct buf sql = BUF_INIT;

	/* MariaDB says "DEFAULT_GENERATED" of none, MySQL of columns that are not generated: the expression tells. */
	buf_puts(&sql, "SELECT TABLE_NAME, COLUMN_NAME, DATA_TYPE, COLUMN_TYPE, GENERATION_EXPRESSION, EXTRA, NUMERIC_PRECISION, NUMERIC_SCALE,"
		       " CHARACTER_SET_NAME, COLLATION_NAME, ORDINAL_POSITION FROM information_schema.COLUMNS");
	put_order(&sql, database, "ORDINAL_POSITION");
	if (my_conn_each(run, c, buf_str(&sql), add_column, &k, err))
		return error_add(err, "the columns of database %s", database);
	for (size_t i = 0; i < l->tables; i++) {
		struct my_listed *t = &l->table[i];

		t->facts.table = xstrdup(t->name);
		t->facts.transactional = t->transactional;
		if (t->versioned)
			add_history(c, history, t);
	}
	return ST_OK;
}
