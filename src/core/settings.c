#include "core/settings.h"

#include <ctype.h>

/* One parsed value of any type, before it moves into a params struct. */
union value {
	bool boolean;
	int64_t integer;
	uint64_t size;
	struct duration duration;
	struct instant time;
	char *string; /* owned */
	int choice;
	struct room room;
};

const char *setting_name(const struct setting *row) { return row->key ? row->key : row->flag; }

bool setting_group_fits(const struct setting_group *g, const char *url)
{
	if (!url || !g->schemes)
		return true;
	for (const char *const *s = g->schemes; *s; s++) {
		size_t n = strlen(*s);

		if (!strncasecmp(url, *s, n) && url[n] == ':')
			return true;
	}
	return false;
}

const struct setting *setting_find(const struct setting *rows, enum setting_scope scope, const char *key, enum secret_form *form)
{
	static const struct {
		const char *ending;
		enum secret_form form;
	} forms[] = {{"", SECRET_VALUE}, {"_file", SECRET_FILE}, {"_command", SECRET_COMMAND}};

	for (const struct setting *r = rows; !setting_is_end(r); r++) {
		size_t n = r->key ? strlen(r->key) : 0;

		if (r->scope != scope || !n || strncmp(r->key, key, n))
			continue;
		for (size_t i = 0; i < (r->type == SET_SECRET ? ARRAY_LEN(forms) : 1); i++)
			if (!strcmp(key + n, forms[i].ending)) {
				if (form)
					*form = forms[i].form;
				return r;
			}
	}
	return NULL;
}

static enum status parse_bool(const char *text, bool *to, struct error *err)
{
	static const char *const yes[] = {"true", "yes", "on", "1"}, *const no[] = {"false", "no", "off", "0"};

	for (size_t i = 0; i < ARRAY_LEN(yes); i++)
		if (!strcasecmp(text, yes[i]) || !strcasecmp(text, no[i])) {
			*to = !strcasecmp(text, yes[i]);
			return ST_OK;
		}
	return error_set(err, ST_CONFIG, "\"%s\" is neither true nor false", text);
}

static enum status parse_int(const struct setting *row, const char *text, int64_t *to, struct error *err)
{
	const char *s = text + (*text == '-');
	int64_t n = 0;
	bool ok = isdigit((unsigned char)*s);

	for (; ok && isdigit((unsigned char)*s); s++)
		ok = !__builtin_mul_overflow(n, 10, &n) && !__builtin_add_overflow(n, *s - '0', &n);
	if (!ok || *s)
		return error_set(err, ST_CONFIG, "not a number: \"%s\"", text);
	if (*text == '-')
		n = -n;
	if ((row->min || row->max) && (n < row->min || n > row->max))
		return error_set(err, ST_CONFIG, "%" PRId64 " is not between %" PRId64 " and %" PRId64, n, row->min, row->max);
	*to = n;
	return ST_OK;
}

static enum status parse_choice(const struct setting *row, const char *text, int *to, struct error *err)
{
	CLEANUP(buf_release) struct buf known = BUF_INIT;

	for (int i = 0; row->choices && row->choices[i]; i++) {
		if (!strcmp(text, row->choices[i])) {
			*to = i;
			return ST_OK;
		}
		buf_printf(&known, "%s%s", i ? ", " : "", row->choices[i]);
	}
	return error_set(err, ST_CONFIG, "\"%s\" is none of %s", text, buf_str(&known));
}

static enum status parse_room(const char *text, struct room *to, struct error *err)
{
	size_t n = strlen(text);
	struct setting percent = {.type = SET_INT, .min = 0, .max = 100};
	int64_t number = 0;

	*to = (struct room){0};
	if (!n || text[n - 1] != '%')
		return size_parse(text, &to->bytes, err);
	char *digits = xstrndup(text, n - 1);
	enum status st = parse_int(&percent, digits, &number, err);

	free(digits);
	to->percent = (unsigned)number;
	return st;
}

static enum status parse_value(const struct setting *row, const char *text, union value *v, struct error *err)
{
	switch (row->type) {
	case SET_BOOL:
		return parse_bool(text, &v->boolean, err);
	case SET_INT:
		return parse_int(row, text, &v->integer, err);
	case SET_COUNT:
		if (parse_int(row, text, &v->integer, err))
			return err->code;
		if (v->integer < 0 || v->integer > UINT32_MAX)
			return error_set(err, ST_CONFIG, "%s is not between 0 and %" PRIu32, text, UINT32_MAX);
		return ST_OK;
	case SET_SIZE:
		if (size_parse(text, &v->size, err))
			return err->code;
		if ((row->min || row->max) && (v->size < (uint64_t)row->min || v->size > (uint64_t)row->max))
			return error_set(err, ST_CONFIG, "%s is not between %" PRId64 " and %" PRId64 " bytes", text, row->min,
					 row->max);
		return ST_OK;
	case SET_DURATION:
		return duration_parse(text, &v->duration, err);
	case SET_TIME:
		return instant_parse(text, &v->time, err);
	case SET_CHOICE:
		return parse_choice(row, text, &v->choice, err);
	case SET_ROOM:
		return parse_room(text, &v->room, err);
	case SET_STRING:
	case SET_SECRET:
	case SET_LIST:
		v->string = xstrdup(text);
		return ST_OK;
	}
	return error_set(err, ST_CONFIG, "a setting of an unknown type");
}

static void *field(const struct setting *row, void *params) { return (char *)params + row->offset; }

static void wipe_string(char **s, bool secret)
{
	if (*s && secret)
		secure_zero(*s, strlen(*s));
	cstr_release(s);
}

void setting_clear(const struct setting *row, void *params)
{
	switch (row->type) {
	case SET_STRING:
		wipe_string(field(row, params), row->secret);
		break;
	case SET_SECRET:
		secret_release(field(row, params));
		break;
	case SET_LIST:
		strlist_release(field(row, params));
		break;
	default:
		break;
	}
}

static void store_secret(enum secret_form form, char *text, struct secret *to)
{
	secret_release(to);
	if (form == SECRET_VALUE)
		to->value = text;
	else if (form == SECRET_FILE)
		to->file = text;
	else
		to->command = text;
}

static void store_value(const struct setting *row, enum secret_form form, union value v, void *params)
{
	void *to = field(row, params);

	switch (row->type) {
	case SET_BOOL:
		*(bool *)to = v.boolean;
		break;
	case SET_INT:
		*(int64_t *)to = v.integer;
		break;
	case SET_COUNT:
		*(uint32_t *)to = (uint32_t)v.integer;
		break;
	case SET_SIZE:
		*(uint64_t *)to = v.size;
		break;
	case SET_DURATION:
		*(struct duration *)to = v.duration;
		break;
	case SET_TIME:
		*(struct instant *)to = v.time;
		break;
	case SET_CHOICE:
		*(int *)to = v.choice;
		break;
	case SET_ROOM:
		*(struct room *)to = v.room;
		break;
	case SET_STRING:
		setting_clear(row, params);
		*(char **)to = v.string;
		break;
	case SET_SECRET:
		store_secret(form, v.string, to);
		break;
	case SET_LIST:
		strlist_take(to, v.string);
		break;
	}
}

enum status setting_store(const struct setting *row, enum secret_form form, const char *value, void *params, struct error *err)
{
	union value v = {0};

	if (parse_value(row, value, &v, err)) {
		err->code = ST_CONFIG;
		return ST_CONFIG;
	}
	store_value(row, form, v, params);
	return ST_OK;
}

enum status setting_parse(const struct setting *row, const char *value, void *params, struct error *err)
{
	if (setting_store(row, SECRET_VALUE, value, params, err))
		return error_add(err, "%s", setting_name(row));
	return ST_OK;
}

enum status setting_check(const struct setting *row, const char *value, struct error *err)
{
	union value v = {0};

	if (parse_value(row, value, &v, err)) {
		err->code = ST_CONFIG;
		return ST_CONFIG;
	}
	if (row->type == SET_STRING || row->type == SET_SECRET || row->type == SET_LIST)
		wipe_string(&v.string, true);
	return ST_OK;
}

enum status settings_defaults(const struct setting *rows, void *params, struct error *err)
{
	for (const struct setting *r = rows; !setting_is_end(r); r++)
		if (r->def && setting_parse(r, r->def, params, err))
			return err->code;
	return ST_OK;
}

void settings_release(const struct setting *rows, void *params)
{
	for (const struct setting *r = rows; !setting_is_end(r); r++)
		setting_clear(r, params);
}

/* Optimal string alignment: insertions, deletions, changes, and two neighbours that swapped places, one each. Names are short. */
enum { NAME_MAX_LEN = 64 };

static unsigned distance(const char *a, size_t n, const char *b, size_t m)
{
	unsigned row[3][NAME_MAX_LEN + 1];
	unsigned *before = row[0], *above = row[1], *now = row[2];

	for (size_t j = 0; j <= m; j++)
		above[j] = (unsigned)j;
	for (size_t i = 1; i <= n; i++) {
		unsigned *spare = before;

		now[0] = (unsigned)i;
		for (size_t j = 1; j <= m; j++) {
			unsigned d = above[j - 1] + (a[i - 1] != b[j - 1]);

			d = above[j] + 1 < d ? above[j] + 1 : d;
			d = now[j - 1] + 1 < d ? now[j - 1] + 1 : d;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && before[j - 2] + 1 < d)
				d = before[j - 2] + 1;
			now[j] = d;
		}
		before = above;
		above = now;
		now = spare;
	}
	return above[m];
}

const char *nearest_name(const char *wrong, const char *const *names, size_t n)
{
	size_t len = strlen(wrong);
	/* A third of the letters may be wrong, and at least one. */
	unsigned best = (unsigned)(len / 3 > 1 ? len / 3 : 1) + 1;
	const char *found = NULL;

	if (len > NAME_MAX_LEN || len < 2)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		size_t m = strlen(names[i]);

		if (m > NAME_MAX_LEN)
			continue;
		unsigned d = distance(wrong, len, names[i], m);

		/* A beginning that was typed no further is near too. */
		if (m > len && len >= 3 && !strncmp(wrong, names[i], len) && d >= best)
			d = best - 1;
		if (d < best) {
			best = d;
			found = names[i];
		}
	}
	return found;
}
