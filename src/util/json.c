#include "util/json.h"
#include "util/utf8.h"

#define MAX_DEPTH 64

/* Looks for the place where nesting gets too deep, before anything recurses over the text. */
static bool too_deep(const char *p, size_t n, size_t *line, size_t *column)
{
	size_t depth = 0;
	bool in_string = false;

	*line = *column = 1;
	for (size_t i = 0; i < n; i++, (*column)++) {
		char c = p[i];

		if (c == '\n') {
			(*line)++;
			*column = 0;
		}
		if (in_string) {
			if (c == '\\')
				i++, (*column)++;
			else if (c == '"')
				in_string = false;
			continue;
		}
		in_string = c == '"';
		if ((c == '{' || c == '[') && ++depth > MAX_DEPTH)
			return true;
		if ((c == '}' || c == ']') && depth)
			depth--;
	}
	return false;
}

enum status js_parse(const void *p, size_t n, const char *what, json_t **root, struct error *err)
{
	json_error_t why;
	size_t line, column;

	if (too_deep(p, n, &line, &column))
		return error_set(err, ST_BAD, "%s:%zu:%zu: nested deeper than %d levels", what, line, column, MAX_DEPTH);
	json_t *j = json_loadb(n ? p : "", n, JSON_REJECT_DUPLICATES, &why);
	if (!j)
		return error_set(err, ST_BAD, "%s:%d:%d: %s", what, why.line, why.column, why.text);
	*root = j;
	return ST_OK;
}

void js_decref(json_t **j)
{
	json_decref(*j);
	*j = NULL;
}

static int put_piece(const char *p, size_t n, void *to)
{
	buf_put(to, p, n);
	return 0;
}

void js_write(const json_t *j, bool pretty, struct buf *to)
{
	if (json_dump_callback(j, put_piece, to, JSON_ENCODE_ANY | (pretty ? JSON_INDENT(2) : JSON_COMPACT)))
		die("a JSON value cannot be written");
}

/* The member, or NULL where it is absent or null. */
static json_t *member(const json_t *obj, const char *key)
{
	json_t *j = json_object_get(obj, key);

	return json_is_null(j) ? NULL : j;
}

static enum status required(const json_t *obj, const char *what, const char *key, json_t **to, struct error *err)
{
	*to = member(obj, key);
	return *to ? ST_OK : error_set(err, ST_BAD, "%s: \"%s\" is missing", what, key);
}

static enum status wrong_type(const char *what, const char *key, const char *expected, struct error *err)
{
	return error_set(err, ST_BAD, "%s: \"%s\" is not %s", what, key, expected);
}

enum status js_str(const json_t *obj, const char *what, const char *key, const char **to, struct error *err)
{
	json_t *j;

	if (required(obj, what, key, &j, err))
		return err->code;
	if (!json_is_string(j))
		return wrong_type(what, key, "a string", err);
	*to = json_string_value(j);
	return ST_OK;
}

static bool is_u64(const json_t *j) { return json_is_integer(j) && json_integer_value(j) >= 0; }

enum status js_u64(const json_t *obj, const char *what, const char *key, uint64_t *to, struct error *err)
{
	json_t *j;

	if (required(obj, what, key, &j, err))
		return err->code;
	if (!is_u64(j))
		return wrong_type(what, key, "a number from 0", err);
	*to = (uint64_t)json_integer_value(j);
	return ST_OK;
}

enum status js_bool(const json_t *obj, const char *what, const char *key, bool *to, struct error *err)
{
	json_t *j;

	if (required(obj, what, key, &j, err))
		return err->code;
	if (!json_is_boolean(j))
		return wrong_type(what, key, "true or false", err);
	*to = json_is_true(j);
	return ST_OK;
}

enum status js_time(const json_t *obj, const char *what, const char *key, struct instant *to, struct error *err)
{
	CLEANUP(error_release) struct error why = ERROR_INIT;
	const char *text;

	if (js_str(obj, what, key, &text, err))
		return err->code;
	if (instant_parse(text, to, &why))
		return error_set(err, ST_BAD, "%s: \"%s\": %s", what, key, error_text(&why));
	return ST_OK;
}

enum status js_arr(const json_t *obj, const char *what, const char *key, json_t **to, struct error *err)
{
	json_t *j;

	if (required(obj, what, key, &j, err))
		return err->code;
	if (!json_is_array(j))
		return wrong_type(what, key, "a list", err);
	*to = j;
	return ST_OK;
}

enum status js_obj(const json_t *obj, const char *what, const char *key, json_t **to, struct error *err)
{
	json_t *j;

	if (required(obj, what, key, &j, err))
		return err->code;
	if (!json_is_object(j))
		return wrong_type(what, key, "an object", err);
	*to = j;
	return ST_OK;
}

const char *js_opt_str(const json_t *obj, const char *key, const char *otherwise)
{
	const char *s = json_string_value(member(obj, key));

	return s ? s : otherwise;
}

uint64_t js_opt_u64(const json_t *obj, const char *key, uint64_t otherwise)
{
	const json_t *j = member(obj, key);

	return is_u64(j) ? (uint64_t)json_integer_value(j) : otherwise;
}

bool js_opt_bool(const json_t *obj, const char *key, bool otherwise)
{
	const json_t *j = member(obj, key);

	return json_is_boolean(j) ? json_is_true(j) : otherwise;
}

struct instant js_opt_time(const json_t *obj, const char *key)
{
	CLEANUP(error_release) struct error ignored = ERROR_INIT;
	struct instant t = INSTANT_NONE;
	const char *text = js_opt_str(obj, key, NULL);

	return text && !instant_parse(text, &t, &ignored) ? t : INSTANT_NONE;
}

/* A JSON string of s; *valid tells whether s was UTF-8. */
static json_t *string_of(const char *s, bool *valid)
{
	CLEANUP(buf_release) struct buf clean = BUF_INIT;
	json_t *j = json_string(s);

	*valid = j;
	if (j)
		return j;
	while (*s) {
		size_t n = utf8_character(s, NULL);

		if (n)
			buf_put(&clean, s, n);
		else
			buf_puts(&clean, "\xef\xbf\xbd");
		s += n ? n : 1;
	}
	return json_string(buf_str(&clean));
}

void js_set_new(json_t *obj, const char *key, json_t *value)
{
	if (json_object_set_new(obj, key, value))
		die("a JSON member cannot be set");
}

bool js_set_str(json_t *obj, const char *key, const char *s)
{
	bool valid = true;

	if (s)
		js_set_new(obj, key, string_of(s, &valid));
	return valid;
}

void js_set_u64(json_t *obj, const char *key, uint64_t n)
{
	if (n > INT64_MAX)
		die("a number is too large for JSON");
	js_set_new(obj, key, json_integer((json_int_t)n));
}

void js_set_bool(json_t *obj, const char *key, bool b) { js_set_new(obj, key, json_boolean(b)); }

void js_set_time(json_t *obj, const char *key, struct instant t)
{
	char text[INSTANT_TEXT];

	if (t.us)
		js_set_new(obj, key, json_string(instant_iso(t, text)));
}

void js_set_sha256(json_t *obj, const char *key, struct sha256 h)
{
	char text[SHA256_HEX];

	js_set_new(obj, key, json_string(sha256_hex(h, text)));
}

void js_set_hash128(json_t *obj, const char *key, struct hash128 h)
{
	char text[HASH128_HEX];

	js_set_new(obj, key, json_string(hash128_hex(h, text)));
}

void js_add_str(json_t *array, const char *s)
{
	bool valid;

	if (json_array_append_new(array, string_of(s, &valid)))
		die("a JSON list cannot grow");
}

json_t *js_list(const struct strlist *l)
{
	json_t *array = json_array();

	for (size_t i = 0; i < l->len; i++)
		js_add_str(array, l->item[i]);
	return array;
}

/* The first word that is not known, "" for what is no word; NULL: all are. */
static const char *unknown_word(const json_t *requires, const char *const *known)
{
	for (size_t i = 0; i < json_array_size(requires); i++) {
		const char *word = json_string_value(json_array_get(requires, i));
		bool found = false;

		for (const char *const *k = known; word && k && *k && !found; k++)
			found = !strcmp(word, *k);
		if (!found)
			return word ? word : "";
	}
	return NULL;
}

enum status js_format(const json_t *obj, const char *what, const struct js_format *f, struct error *err)
{
	const char *format;
	uint64_t version;
	json_t *requires;

	if (js_str(obj, what, "format", &format, err) || js_u64(obj, what, "version", &version, err) || js_arr(obj, what, "requires", &requires, err))
		return err->code;
	if (strcmp(format, f->word))
		return error_set(err, ST_BAD, "%s: not of the format %s", what, f->word);
	const char *word = unknown_word(requires, f->words);

	if (version > f->newest || word) {
		error_set(err, ST_UNSUPPORTED, "%s has format %" PRIu64 "%s%s, this drtool reads format %" PRIu64, what, version,
			  word ? " and requires " : "", word ? word : "", f->newest);
		return error_hint(err, "%s", f->hint);
	}
	return ST_OK;
}
