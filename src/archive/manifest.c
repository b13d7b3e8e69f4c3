/* The manifest as JSON: written within its limit, and believed only when its checksum, format and members are right. */
#include "archive/manifest.h"

#include "archive/path.h"

#define WHAT "the manifest"
#define TAIL_KEY "\"checksum\": \""
#define TAIL_END "\"\n}\n"
#define TAIL_LEN (sizeof TAIL_KEY - 1 + SHA256_HEX - 1 + sizeof TAIL_END - 1)
#define TEXT_CUT 400u
#define REPLICATION_MAX (MANIFEST_MAX / 4)

/* ---- writing ---- */

enum list { SHRINK, NOTES, NOT_CONTAINED, SCOPES, LISTS };
static const char *const list_key[LISTS] = {"shrink", "notes", "not_contained", "scopes"};

/* How much of each list and text is written. */
struct limits {
	size_t items[LISTS], text;
};

static size_t list_len(const struct manifest *m, enum list l)
{
	switch (l) {
	case SHRINK:
		return m->shrink ? json_object_size(m->shrink) : 0;
	case NOTES:
		return m->notes.len;
	case NOT_CONTAINED:
		return m->not_contained.len;
	default:
		return m->scopes;
	}
}

/* A text, cut where it is too long, never inside of a character. */
static json_t *text_of(const char *s, size_t max)
{
	CLEANUP(js_decref) json_t *holder = json_object();
	CLEANUP(buf_release) struct buf cut = BUF_INIT;
	size_t n = strnlen(s, max + 1);

	if (n > max) {
		for (n = max; n && ((unsigned char)s[n] & 0xc0) == 0x80;)
			n--;
		buf_put(&cut, s, n);
		buf_puts(&cut, "...");
		s = cut.data;
	}
	js_set_str(holder, "text", s);
	return json_incref(json_object_get(holder, "text"));
}

static void set_text(json_t *j, const char *key, const char *s, const struct limits *l)
{
	if (s)
		js_set_new(j, key, text_of(s, l->text));
}

static void set_list(json_t *j, const char *key, const struct strlist *list, size_t n, const struct limits *l)
{
	json_t *a = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(a, text_of(list->item[i], l->text));
	js_set_new(j, key, a);
}

static void set_scopes(json_t *j, const struct manifest *m, const struct limits *l)
{
	json_t *a = json_array();

	for (size_t i = 0; i < l->items[SCOPES]; i++) {
		const struct manifest_scope *s = &m->scope[i];
		json_t *o = json_object();

		set_text(o, "name", s->name, l);
		js_set_time(o, "snapshot", s->snapshot);
		set_text(o, "position", s->position, l);
		if (s->log)
			js_set_bool(o, "log", true);
		js_set_u64(o, "objects", s->objects);
		js_set_u64(o, "rows", s->rows);
		js_set_u64(o, "raw", s->raw);
		json_array_append_new(a, o);
	}
	js_set_new(j, list_key[SCOPES], a);
}

static void set_objects(json_t *j, const struct manifest *m)
{
	json_t *a = json_array();

	for (size_t i = 0; i < m->objects; i++) {
		json_t *o = json_object();

		js_set_str(o, "key", m->object[i].key);
		js_set_u64(o, "size", m->object[i].size);
		js_set_sha256(o, "sha256", m->object[i].sha256);
		if (m->recipients.len) {
			js_set_u64(o, "plain_size", m->object[i].plain_size);
			js_set_sha256(o, "plain_sha256", m->object[i].plain_sha256);
		}
		json_array_append_new(a, o);
	}
	js_set_new(j, "objects", a);
}

struct table_rows {
	const char *key;
	json_t *rows;
};

static int by_rows(const void *a, const void *b)
{
	const struct table_rows *x = a, *y = b;
	json_int_t n = json_integer_value(x->rows), m = json_integer_value(y->rows);

	return n != m ? (n < m) - (n > m) : strcmp(x->key, y->key);
}

/* The n tables with the most rows. */
static void set_shrink(json_t *j, const struct manifest *m, size_t n)
{
	json_t *to = json_object(), *rows;
	struct table_rows *all = xcalloc(json_object_size(m->shrink) + 1, sizeof *all);
	size_t found = 0;
	const char *key;

	json_object_foreach (m->shrink, key, rows)
		all[found++] = (struct table_rows){key, rows};
	qsort(all, found, sizeof *all, by_rows);
	for (size_t i = 0; i < found && i < n; i++)
		json_object_set(to, all[i].key, all[i].rows);
	free(all);
	js_set_new(j, list_key[SHRINK], to);
}

/* A GTID set that was cut would be another one: it is there whole, or not at all. */
static bool has_replication(const struct manifest *m, const struct limits *l)
{
	return m->replication && (l->text > MANIFEST_MAX || json_dumpb(m->replication, NULL, 0, JSON_COMPACT) <= REPLICATION_MAX);
}

static void set_origin(json_t *j, const struct manifest *m, const struct limits *l)
{
	json_t *requires = json_array();

	js_set_str(j, "format", "drtool-backup");
	js_set_u64(j, "version", MANIFEST_FORMAT);
	if (m->recipients.len)
		js_add_str(requires, "age");
	js_set_new(j, "requires", requires);
	js_set_str(j, "id", m->id);
	set_text(j, "source", m->source, l);
	set_text(j, "driver", m->driver, l);
	set_text(j, "kind", m->kind, l);
	set_text(j, "url", m->url, l);
	set_text(j, "identity", m->identity, l);
	set_text(j, "server_version", m->server_version, l);
	set_text(j, "server_role", m->server_role, l);
	set_text(j, "tool_version", m->tool_version, l);
	set_list(j, "client_tools", &m->client_tools, m->client_tools.len, l);
	set_text(j, "oldest_client", m->oldest_client, l);
	js_set_time(j, "started", m->started);
	js_set_time(j, "finished", m->finished);
	js_set_time(j, "data_time", m->data_time);
	if (has_replication(m, l))
		json_object_set(j, "replication", m->replication);
}

/* How many items of which lists are not there. */
static void set_cut(json_t *j, const struct manifest *m, const struct limits *l)
{
	json_t *cut = json_object();

	for (enum list i = 0; i < LISTS; i++)
		if (l->items[i] < list_len(m, i))
			js_set_u64(cut, list_key[i], list_len(m, i) - l->items[i]);
	if (m->replication && !has_replication(m, l))
		js_set_u64(cut, "replication", 1);
	if (json_object_size(cut) || m->truncated)
		js_set_new(j, "cut", cut);
	else
		json_decref(cut);
}

static json_t *make_json(const struct manifest *m, const struct limits *l)
{
	json_t *j = json_object();

	set_origin(j, m, l);
	set_scopes(j, m, l);
	if (m->objects)
		set_objects(j, m);
	js_set_u64(j, "tables", m->tables);
	js_set_u64(j, "nonempty_tables", m->nonempty_tables);
	js_set_u64(j, "rows", m->rows);
	js_set_u64(j, "raw", m->raw);
	js_set_u64(j, "stored", m->stored);
	js_set_u64(j, "members", m->members);
	js_set_u64(j, "chunk_size", m->chunk_size);
	set_text(j, "compression", m->compression, l);
	if (m->shrink)
		set_shrink(j, m, l->items[SHRINK]);
	if (m->recipients.len)
		js_set_new(j, "recipients", js_list(&m->recipients));
	if (m->hidden)
		js_set_str(j, "private", m->hidden);
	set_list(j, "tags", &m->tags, m->tags.len, l);
	if (m->proofs.len)
		set_list(j, "proofs", &m->proofs, m->proofs.len, l);
	set_list(j, list_key[NOTES], &m->notes, l->items[NOTES], l);
	set_list(j, list_key[NOT_CONTAINED], &m->not_contained, l->items[NOT_CONTAINED], l);
	js_set_bool(j, "has_password_hashes", m->has_password_hashes);
	js_set_bool(j, "many_moments", m->many_moments);
	js_set_bool(j, "suspect", m->suspect);
	set_text(j, "suspect_because", m->suspect_because, l);
	set_cut(j, m, l);
	return j;
}

static struct limits no_limits(const struct manifest *m)
{
	struct limits l = {.text = MANIFEST_MAX};

	for (enum list i = 0; i < LISTS; i++)
		l.items[i] = list_len(m, i);
	return l;
}

json_t *manifest_json(const struct manifest *m)
{
	struct limits l = no_limits(m);

	l.text = SIZE_MAX - 1;
	return make_json(m, &l);
}

/* The whole text. False: too long. */
static bool print(const json_t *j, bool pretty, size_t max, struct buf *to)
{
	char hex[SHA256_HEX];

	buf_clear(to);
	js_write(j, pretty, to);
	to->len -= pretty ? 2 : 1; /* the closing brace, and the line end before it */
	buf_puts(to, ",\n  ");
	struct sha256 sum = sha256_of(to->data, to->len);
	buf_printf(to, TAIL_KEY "%s" TAIL_END, sha256_hex(sum, hex));
	return to->len <= max;
}

/* Takes a quarter of the list that takes most room. False: there is none left. */
static bool cut_largest(const json_t *j, struct limits *l)
{
	size_t most = 0;
	enum list largest = LISTS;

	for (enum list i = 0; i < LISTS; i++) {
		CLEANUP(buf_release) struct buf text = BUF_INIT;
		const json_t *value = json_object_get(j, list_key[i]);

		if (!value || !l->items[i])
			continue;
		js_write(value, false, &text);
		if (text.len > most) {
			most = text.len;
			largest = i;
		}
	}
	if (largest == LISTS)
		return false;
	l->items[largest] -= l->items[largest] / 4 + 1;
	return true;
}

enum status manifest_write(const struct manifest *m, struct buf *to, struct error *err)
{
	return manifest_write_within(m, MANIFEST_MAX, to, err);
}

enum status manifest_write_within(const struct manifest *m, size_t max, struct buf *to, struct error *err)
{
	struct limits l = no_limits(m);
	bool fits = false, first = true;

	while (!fits) {
		CLEANUP(js_decref) json_t *j = make_json(m, &l);

		fits = (first && print(j, true, max, to)) || print(j, false, max, to);
		first = false;
		if (fits)
			break;
		/* Long texts first: a shortened note says more than none. */
		if (l.text > TEXT_CUT)
			l.text = TEXT_CUT;
		else if (!cut_largest(j, &l))
			return error_set(err, ST_FAILED, "the manifest does not fit into %zu bytes (%zu volumes)", max, m->objects);
	}
	return ST_OK;
}

/* ---- reading ---- */

static enum status check_sum(const char *p, size_t n, struct error *err)
{
	struct sha256 sum;

	if (n > MANIFEST_MAX)
		return error_set(err, ST_BAD, WHAT " has %zu bytes, more than %u", n, MANIFEST_MAX);
	if (n < TAIL_LEN)
		return error_set(err, ST_BAD, WHAT " is cut");
	const char *tail = p + n - TAIL_LEN, *hex = tail + sizeof TAIL_KEY - 1;
	if (memcmp(tail, TAIL_KEY, sizeof TAIL_KEY - 1) || memcmp(hex + SHA256_HEX - 1, TAIL_END, sizeof TAIL_END - 1) ||
	    !sha256_parse(hex, SHA256_HEX - 1, &sum))
		return error_set(err, ST_BAD, WHAT " is cut or damaged: it does not end with its checksum");
	if (!sha256_equal(sum, sha256_of(p, n - TAIL_LEN)))
		return error_set(err, ST_BAD, WHAT " is damaged: its checksum does not fit");
	return ST_OK;
}

static const char *const known_words[] = {"age", NULL};
static const struct js_format format = {"drtool-backup", MANIFEST_FORMAT, "Use a newer drtool for this backup.", known_words};

static char *opt_str(const json_t *j, const char *key)
{
	const char *s = js_opt_str(j, key, NULL);

	return s ? xstrdup(s) : NULL;
}

static enum status get_str(const json_t *j, const char *key, char **to, struct error *err)
{
	const char *s;

	if (js_str(j, WHAT, key, &s, err))
		return err->code;
	*to = xstrdup(s);
	return ST_OK;
}

static enum status get_list(const json_t *j, const char *key, struct strlist *to, struct error *err)
{
	const json_t *a = json_object_get(j, key);

	if (a && !json_is_array(a))
		return error_set(err, ST_BAD, WHAT ": \"%s\" is not a list", key);
	for (size_t i = 0; i < json_array_size(a); i++) {
		const char *s = json_string_value(json_array_get(a, i));

		if (!s)
			return error_set(err, ST_BAD, WHAT ": \"%s\" is not a list of strings", key);
		strlist_add(to, s);
	}
	return ST_OK;
}

static enum status get_scopes(const json_t *j, struct manifest *m, struct error *err)
{
	json_t *a;

	if (js_arr(j, WHAT, "scopes", &a, err))
		return err->code;
	m->scope = xcalloc(json_array_size(a), sizeof *m->scope);
	for (; m->scopes < json_array_size(a); m->scopes++) {
		const json_t *o = json_array_get(a, m->scopes);
		struct manifest_scope *s = &m->scope[m->scopes];

		s->snapshot = js_opt_time(o, "snapshot");
		s->log = js_opt_bool(o, "log", false);
		s->objects = js_opt_u64(o, "objects", 0);
		s->rows = js_opt_u64(o, "rows", 0);
		s->raw = js_opt_u64(o, "raw", 0);
		if (get_str(o, "name", &s->name, err))
			return err->code;
		s->position = opt_str(o, "position");
	}
	return ST_OK;
}

static enum status get_plain(const json_t *o, bool sealed, struct manifest_object *to, struct error *err)
{
	const char *hex = js_opt_str(o, "plain_sha256", "");

	to->plain_size = to->size;
	to->plain_sha256 = to->sha256;
	if (!sealed)
		return ST_OK;
	if (js_u64(o, WHAT, "plain_size", &to->plain_size, err))
		return err->code;
	if (!sha256_parse(hex, strlen(hex), &to->plain_sha256))
		return error_set(err, ST_BAD, WHAT ": an object of it has no checksum of its plain bytes");
	return ST_OK;
}

static enum status get_objects(const json_t *j, struct manifest *m, struct error *err)
{
	json_t *a;
	const char *hex;

	if (js_arr(j, WHAT, "objects", &a, err))
		return err->code;
	m->object = xcalloc(json_array_size(a), sizeof *m->object);
	for (; m->objects < json_array_size(a); m->objects++) {
		const json_t *o = json_array_get(a, m->objects);
		struct manifest_object *to = &m->object[m->objects];

		if (js_u64(o, WHAT, "size", &to->size, err) || js_str(o, WHAT, "sha256", &hex, err) ||
		    get_str(o, "key", &to->key, err))
			return err->code;
		if (!sha256_parse(hex, strlen(hex), &to->sha256) || !path_is_safe(to->key) || strchr(to->key, '/')) {
			cstr_release(&to->key);
			return error_set(err, ST_BAD, WHAT ": an object of it is malformed");
		}
		if (get_plain(o, m->recipients.len, to, err))
			return err->code;
	}
	return m->objects ? ST_OK : error_set(err, ST_BAD, WHAT " names no objects");
}

static enum status get_numbers(const json_t *j, struct manifest *m, struct error *err)
{
	uint64_t chunk_size = js_opt_u64(j, "chunk_size", 0);

	m->tables = js_opt_u64(j, "tables", 0);
	m->nonempty_tables = js_opt_u64(j, "nonempty_tables", 0);
	m->rows = js_opt_u64(j, "rows", 0);
	m->raw = js_opt_u64(j, "raw", 0);
	m->stored = js_opt_u64(j, "stored", 0);
	m->members = js_opt_u64(j, "members", 0);
	m->chunk_size = (uint32_t)min_u64(chunk_size, UINT32_MAX);
	m->has_password_hashes = js_opt_bool(j, "has_password_hashes", false);
	m->many_moments = js_opt_bool(j, "many_moments", false);
	m->suspect = js_opt_bool(j, "suspect", false);
	m->truncated = json_object_get(j, "cut");
	m->data_time = js_opt_time(j, "data_time");
	if (js_time(j, WHAT, "started", &m->started, err) || js_time(j, WHAT, "finished", &m->finished, err))
		return err->code;
	return ST_OK;
}

static enum status get_all(const json_t *j, bool hidden, struct manifest *m, struct error *err)
{
	const char *id;

	if (js_str(j, WHAT, "id", &id, err))
		return err->code;
	if (!backup_id_valid(id))
		return error_set(err, ST_BAD, WHAT ": \"id\" is not that of a backup");
	memcpy(m->id, id, sizeof m->id);
	m->url = opt_str(j, "url");
	m->server_version = opt_str(j, "server_version");
	m->server_role = opt_str(j, "server_role");
	m->tool_version = opt_str(j, "tool_version");
	m->oldest_client = opt_str(j, "oldest_client");
	m->compression = opt_str(j, "compression");
	m->suspect_because = opt_str(j, "suspect_because");
	m->hidden = opt_str(j, "private");
	json_t *shrink = json_object_get(j, "shrink");
	m->shrink = json_is_object(shrink) ? json_incref(shrink) : NULL;
	json_t *replication = json_object_get(j, "replication");
	m->replication = json_is_object(replication) ? json_incref(replication) : NULL;
	if (get_str(j, "source", &m->source, err) || get_str(j, "driver", &m->driver, err) || get_str(j, "kind", &m->kind, err) ||
	    get_str(j, "identity", &m->identity, err) || get_list(j, "client_tools", &m->client_tools, err) ||
	    get_list(j, "recipients", &m->recipients, err) || get_list(j, "tags", &m->tags, err) ||
	    get_list(j, "proofs", &m->proofs, err) || get_list(j, "notes", &m->notes, err) ||
	    get_list(j, "not_contained", &m->not_contained, err) || get_scopes(j, m, err) ||
	    (!hidden && get_objects(j, m, err)) || get_numbers(j, m, err))
		return err->code;
	return ST_OK;
}

static enum status read_text(const void *p, size_t n, bool hidden, struct manifest *m, struct error *err)
{
	CLEANUP(js_decref) json_t *j = NULL;
	CLEANUP(manifest_release) struct manifest made = MANIFEST_INIT;

	if (check_sum(p, n, err) || js_parse(p, n, WHAT, &j, err) || js_format(j, WHAT, &format, err) ||
	    get_all(j, hidden, &made, err))
		return err->code;
	*m = made;
	made = (struct manifest)MANIFEST_INIT;
	return ST_OK;
}

enum status manifest_read(const void *p, size_t n, struct manifest *m, struct error *err) { return read_text(p, n, false, m, err); }

enum status manifest_read_hidden(const void *p, size_t n, struct manifest *m, struct error *err) { return read_text(p, n, true, m, err); }

void manifest_release(struct manifest *m)
{
	char **const text[] = {&m->source,        &m->driver,         &m->kind,           &m->url,
			       &m->identity,      &m->server_version, &m->server_role,    &m->tool_version,
			       &m->oldest_client, &m->compression,    &m->suspect_because, &m->hidden};

	for (size_t i = 0; i < ARRAY_LEN(text); i++)
		cstr_release(text[i]);
	for (size_t i = 0; m->scope && i < m->scopes; i++) {
		cstr_release(&m->scope[i].name);
		cstr_release(&m->scope[i].position);
	}
	for (size_t i = 0; m->object && i < m->objects; i++)
		cstr_release(&m->object[i].key);
	free(m->scope);
	free(m->object);
	strlist_release(&m->client_tools);
	strlist_release(&m->recipients);
	strlist_release(&m->tags);
	strlist_release(&m->proofs);
	strlist_release(&m->notes);
	strlist_release(&m->not_contained);
	js_decref(&m->shrink);
	js_decref(&m->replication);
	*m = (struct manifest)MANIFEST_INIT;
}

/* ---- ids ---- */

bool backup_id_valid(const char *id)
{
	static const char form[] = "########T######Z-xxxx";

	if (strnlen(id, BACKUP_ID_LEN + 1) != BACKUP_ID_LEN)
		return false;
	for (size_t i = 0; i < BACKUP_ID_LEN; i++) {
		bool digit = id[i] >= '0' && id[i] <= '9', hex = digit || (id[i] >= 'a' && id[i] <= 'f');

		if (form[i] == '#' ? !digit : form[i] == 'x' ? !hex : id[i] != form[i])
			return false;
	}
	return backup_id_time(id).us != 0;
}

void backup_id_make(struct instant start, uint16_t random, char *to)
{
	char compact[INSTANT_TEXT];

	snprintf(to, BACKUP_ID_LEN + 1, "%.16s-%04x", instant_compact(start, compact), random);
}

struct instant backup_id_time(const char *id)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	CLEANUP(cstr_release) char *text = xstrndup(id, BACKUP_ID_LEN - 5);
	struct instant t = INSTANT_NONE;

	return instant_parse(text, &t, &err) ? INSTANT_NONE : t;
}
