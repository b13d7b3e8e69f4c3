#include "drivers/mysql/objects.h"

static const char *const kind_name[OBJECT_KINDS] = {"database", "sequence", "table", "function", "procedure", "package",
						    "package body", "view", "trigger", "event"};

const char *my_object_kind_name(enum object_kind k) { return kind_name[k]; }

/* Members of text, and their keys. */
static const struct {
	const char *key;
	size_t offset;
} member[] = {
	{"name", offsetof(struct my_object, name)},
	{"sql", offsetof(struct my_object, sql)},
	{"sql_mode", offsetof(struct my_object, sql_mode)},
	{"character_set_client", offsetof(struct my_object, charset)},
	{"collation_connection", offsetof(struct my_object, collation)},
	{"database_collation", offsetof(struct my_object, db_collation)},
	{"time_zone", offsetof(struct my_object, time_zone)},
	{"status", offsetof(struct my_object, status)},
	{"definer", offsetof(struct my_object, definer)},
	{"table", offsetof(struct my_object, table)},
	{"next", offsetof(struct my_object, next)},
};

static char **text_of(struct my_object *o, size_t i) { return (char **)(void *)((char *)o + member[i].offset); }

static const char *text_in(const struct my_object *o, size_t i)
{
	return *(const char *const *)(const void *)((const char *)o + member[i].offset);
}

void my_object_release(struct my_object *o)
{
	for (size_t i = 0; i < ARRAY_LEN(member); i++)
		cstr_release(text_of(o, i));
}

struct my_object my_object_copy(const struct my_object *o)
{
	struct my_object copy = *o;

	for (size_t i = 0; i < ARRAY_LEN(member); i++)
		*text_of(&copy, i) = text_in(o, i) ? xstrdup(text_in(o, i)) : NULL;
	return copy;
}

/* A text in no character set may be no UTF-8: then it is given as hex too. */
static void set_text(json_t *j, const char *key, const char *text)
{
	CLEANUP(buf_release) struct buf hex = BUF_INIT;
	CLEANUP(cstr_release) char *hex_key = xasprintf("%s_hex", key);

	if (!text || js_set_str(j, key, text))
		return;
	buf_hex(&hex, text, strlen(text));
	js_set_str(j, hex_key, buf_str(&hex));
}

json_t *my_object_json(const struct my_object *o)
{
	json_t *j = json_object();

	js_set_str(j, "kind", my_object_kind_name(o->kind));
	for (size_t i = 0; i < ARRAY_LEN(member); i++)
		set_text(j, member[i].key, text_in(o, i));
	if (o->invalid)
		js_set_bool(j, "invalid", true);
	return j;
}

static int digit(char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1; }

/* Owned; NULL where it is not one. */
static char *from_hex(const char *hex)
{
	size_t n = strlen(hex);
	char *text = n % 2 ? NULL : xmalloc(n / 2 + 1);

	for (size_t i = 0; text && i < n / 2; i++) {
		int high = digit(hex[2 * i]), low = digit(hex[2 * i + 1]);

		if (high < 0 || low < 0 || !(high | low)) {
			free(text);
			return NULL;
		}
		text[i] = (char)(high << 4 | low);
	}
	if (text)
		text[n / 2] = 0;
	return text;
}

enum status my_object_from_json(const json_t *j, struct my_object *o, struct error *err)
{
	const char *kind, *needed;

	*o = (struct my_object)MY_OBJECT_INIT;
	if (js_str(j, "object", "kind", &kind, err) || js_str(j, "object", "name", &needed, err) ||
	    js_str(j, "object", "sql", &needed, err))
		return err->code;
	while (o->kind < OBJECT_KINDS && strcmp(kind, my_object_kind_name(o->kind)))
		o->kind++;
	if (o->kind == OBJECT_KINDS)
		return error_set(err, ST_UNSUPPORTED, "object %s is a %s, which this drtool does not know", js_opt_str(j, "name", ""), kind);
	o->invalid = js_opt_bool(j, "invalid", false);
	for (size_t i = 0; i < ARRAY_LEN(member); i++) {
		CLEANUP(cstr_release) char *hex_key = xasprintf("%s_hex", member[i].key);
		const char *text = js_opt_str(j, member[i].key, NULL), *hex = js_opt_str(j, hex_key, NULL);

		*text_of(o, i) = hex ? from_hex(hex) : text ? xstrdup(text) : NULL;
		if (hex && !*text_of(o, i)) {
			my_object_release(o);
			return error_set(err, ST_BAD, "object: %s is no hex", hex_key);
		}
	}
	return ST_OK;
}

static enum status parse_line(const char *line, size_t n, my_object_fn *fn, void *ctx, struct error *err)
{
	CLEANUP(js_decref) json_t *j = NULL;
	CLEANUP(my_object_release) struct my_object o = MY_OBJECT_INIT;

	if (js_parse(line, n, OBJECTS_PATH, &j, err) || my_object_from_json(j, &o, err))
		return err->code;
	return fn(ctx, &o, err);
}

enum status my_objects_parse(const char *text, size_t n, my_object_fn *fn, void *ctx, struct error *err)
{
	for (const char *p = text, *end = text + n; p < end;) {
		const char *stop = memchr(p, '\n', (size_t)(end - p));
		size_t len = stop ? (size_t)(stop - p) : (size_t)(end - p);

		if (len && parse_line(p, len, fn, ctx, err))
			return err->code;
		p += len + (stop != NULL);
	}
	return ST_OK;
}
