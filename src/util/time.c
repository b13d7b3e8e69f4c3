#include "util/time.h"

#include <ctype.h>

#define SECOND INT64_C(1000000)
#define DAY (86400 * SECOND)

struct civil {
	int64_t year;
	int month, day, hour, minute, second;
	int64_t us;
};

/* Days since 1970-01-01 of a date in the proleptic Gregorian calendar. Years are counted from March, so that the leap day is the
 * last of its year and the lengths of the months before it follow one formula. */
static int64_t days_of(int64_t year, int month, int day)
{
	int64_t y = month <= 2 ? year - 1 : year;
	int64_t era = (y >= 0 ? y : y - 399) / 400, in_era = y - era * 400;
	int64_t in_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

	return era * 146097 + in_era * 365 + in_era / 4 - in_era / 100 + in_year - 719468;
}

static struct civil civil_of(struct instant t)
{
	int64_t rest = t.us % DAY, days = t.us / DAY - (rest < 0), us = rest < 0 ? rest + DAY : rest;
	int64_t z = days + 719468, era = (z >= 0 ? z : z - 146096) / 146097, in_era = z - era * 146097;
	int64_t y = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
	int64_t in_year = in_era - (365 * y + y / 4 - y / 100), mp = (5 * in_year + 2) / 153;
	struct civil c = {.day = (int)(in_year - (153 * mp + 2) / 5 + 1), .month = (int)(mp < 10 ? mp + 3 : mp - 9)};

	c.year = y + era * 400 + (c.month <= 2);
	c.hour = (int)(us / (3600 * SECOND));
	c.minute = (int)(us / (60 * SECOND) % 60);
	c.second = (int)(us / SECOND % 60);
	c.us = us % SECOND;
	return c;
}

const char *instant_iso(struct instant t, char *to)
{
	struct civil c = civil_of(t);

	/* The year of any int64 of microseconds has at most seven characters. */
	snprintf(to, INSTANT_TEXT, "%04d-%02d-%02dT%02d:%02d:%02dZ", (int)c.year, c.month, c.day, c.hour, c.minute, c.second);
	return to;
}

const char *instant_compact(struct instant t, char *to)
{
	struct civil c = civil_of(t);

	snprintf(to, INSTANT_TEXT, "%04d%02d%02dT%02d%02d%02dZ", (int)c.year, c.month, c.day, c.hour, c.minute, c.second);
	return to;
}

/* Exactly n digits. */
static bool take_digits(const char **s, int n, int *to)
{
	int v = 0;

	for (int i = 0; i < n; i++, (*s)++) {
		if (!isdigit((unsigned char)**s))
			return false;
		v = v * 10 + (**s - '0');
	}
	*to = v;
	return true;
}

static bool take_char(const char **s, char c)
{
	if (**s != c)
		return false;
	(*s)++;
	return true;
}

static bool take_year(const char **s, struct civil *c)
{
	int year = 0;
	bool ok = take_digits(s, 4, &year);

	c->year = year;
	return ok;
}

/* The digits after the point, one to six of them. */
static bool take_fraction(const char **s, struct civil *c)
{
	int64_t unit = SECOND;
	const char *start = *s;

	for (; isdigit((unsigned char)**s); (*s)++) {
		if (unit == 1)
			return false;
		unit /= 10;
		c->us += (**s - '0') * unit;
	}
	return *s > start;
}

/* "Z", "+hh", "+hh:mm", "-hh..." or nothing, which is UTC. */
static bool take_zone(const char **s, int *minutes)
{
	int sign = **s == '-' ? -1 : 1, h = 0, m = 0;

	if (!**s || take_char(s, 'Z'))
		return true;
	if (!take_char(s, '+') && !take_char(s, '-'))
		return false;
	if (!take_digits(s, 2, &h) || (take_char(s, ':') && !take_digits(s, 2, &m)) || h > 15 || m > 59)
		return false;
	*minutes = sign * (h * 60 + m);
	return true;
}

static bool take_compact(const char **s, struct civil *c)
{
	return take_year(s, c) && take_digits(s, 2, &c->month) && take_digits(s, 2, &c->day) && take_char(s, 'T') &&
	       take_digits(s, 2, &c->hour) && take_digits(s, 2, &c->minute) && take_digits(s, 2, &c->second) && take_char(s, 'Z');
}

static bool take_spaced(const char **s, struct civil *c, int *zone)
{
	if (!take_year(s, c) || !take_char(s, '-') || !take_digits(s, 2, &c->month))
		return false;
	if (!take_char(s, '-') || !take_digits(s, 2, &c->day))
		return false;
	if (!**s)
		return true;
	if (!take_char(s, 'T') && !take_char(s, ' '))
		return false;
	if (!take_digits(s, 2, &c->hour) || !take_char(s, ':') || !take_digits(s, 2, &c->minute))
		return false;
	if (take_char(s, ':')) {
		if (!take_digits(s, 2, &c->second))
			return false;
		if (take_char(s, '.') && !take_fraction(s, c))
			return false;
	}
	return take_zone(s, zone);
}

static bool in_calendar(const struct civil *c)
{
	static const int length[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (c->year % 4 == 0 && c->year % 100 != 0) || c->year % 400 == 0;

	return c->year >= 1970 && c->month >= 1 && c->month <= 12 && c->day >= 1 && c->day <= length[c->month - 1] &&
	       (c->month != 2 || c->day < 29 || leap) && c->hour <= 23 && c->minute <= 59 && c->second <= 59;
}

enum status instant_parse(const char *text, struct instant *t, struct error *err)
{
	struct civil c = {0};
	const char *s = text;
	int zone = 0;
	bool compact = strspn(text, "0123456789") == 8;

	if (!(compact ? take_compact(&s, &c) : take_spaced(&s, &c, &zone)) || *s) {
		error_set(err, ST_USAGE, "not a time: \"%s\"", text);
		return error_hint(err, "A time looks like 2026-11-20T02:00:00Z, \"2026-11-20 03:00+01:00\" or 2026-11-20 (UTC).");
	}
	if (!in_calendar(&c))
		return error_set(err, ST_USAGE, "no such time: \"%s\"", text);
	t->us = days_of(c.year, c.month, c.day) * DAY + ((c.hour * 60 + c.minute - zone) * 60 + c.second) * SECOND + c.us;
	return ST_OK;
}

/* From the largest to the smallest: the parts of a sum come in this order. */
static const struct unit {
	const char *name;
	int64_t us;
} units[] = {{"y", 365 * DAY}, {"w", 7 * DAY},  {"d", DAY},         {"h", 3600 * SECOND},
	     {"m", 60 * SECOND}, {"s", SECOND}, {"ms", SECOND / 1000}};

static bool take_unit(const char **s, size_t *at)
{
	size_t len = strspn(*s, "abcdefghijklmnopqrstuvwxyz");

	for (; *at < ARRAY_LEN(units); (*at)++)
		if (strlen(units[*at].name) == len && !memcmp(units[*at].name, *s, len)) {
			*s += len;
			return true;
		}
	return false;
}

enum status duration_parse(const char *text, struct duration *d, struct error *err)
{
	const char *s = text;
	int64_t sum = 0;
	size_t at = 0;

	do {
		int64_t n = 0;
		bool ok = isdigit((unsigned char)*s);

		for (; ok && isdigit((unsigned char)*s); s++)
			ok = !__builtin_mul_overflow(n, 10, &n) && !__builtin_add_overflow(n, *s - '0', &n);
		ok = ok && take_unit(&s, &at) && !__builtin_mul_overflow(n, units[at].us, &n);
		ok = ok && !__builtin_add_overflow(sum, n, &sum);
		if (!ok) {
			error_set(err, ST_USAGE, "not a duration: \"%s\"", text);
			return error_hint(err, "A duration looks like 500ms, 45s, 2m, 26h, 30d, 1w, 1y or 1d12h.");
		}
		at++;
	} while (*s);
	d->us = sum;
	return ST_OK;
}

void duration_print(struct duration d, struct buf *to)
{
	static const size_t shown[] = {2, 3, 4, 5}; /* d h m s */
	uint64_t us = d.us < 0 ? -(uint64_t)d.us : (uint64_t)d.us;

	if (d.us < 0)
		buf_putc(to, '-');
	if (us && us < SECOND / 10) {
		buf_printf(to, "%" PRIu64 "ms", us / 1000);
		return;
	}
	if (us < 10 * SECOND && us % SECOND >= SECOND / 10) {
		buf_printf(to, "%" PRIu64 ".%" PRIu64 "s", us / SECOND, us % SECOND * 10 / SECOND);
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(shown); i++) {
		const struct unit *u = &units[shown[i]];
		uint64_t n = us / (uint64_t)u->us;

		if (!n && i + 1 < ARRAY_LEN(shown))
			continue;
		buf_printf(to, "%" PRIu64 "%s", n, u->name);
		if (i + 1 < ARRAY_LEN(shown)) {
			uint64_t next = us % (uint64_t)u->us / (uint64_t)units[shown[i + 1]].us;

			if (next)
				buf_printf(to, " %" PRIu64 "%s", next, units[shown[i + 1]].name);
		}
		return;
	}
}

void size_print(uint64_t bytes, struct buf *to)
{
	static const char *const name[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	size_t i = 0;
	uint64_t unit = 1, tenths;

	/* A number that would round to 1024 of a unit is one of the next. */
	while (i + 1 < ARRAY_LEN(name) && bytes / unit + (bytes % unit >= (unit + 1) / 2 && unit > 1) >= 1024) {
		i++;
		unit *= 1024;
	}
	tenths = bytes / unit * 10 + (bytes % unit * 10 + unit / 2) / unit;
	if (tenths < 100 && tenths % 10)
		buf_printf(to, "%" PRIu64 ".%" PRIu64 " %s", tenths / 10, tenths % 10, name[i]);
	else
		buf_printf(to, "%" PRIu64 " %s", (tenths + 5) / 10, name[i]);
}

enum status size_parse(const char *text, uint64_t *bytes, struct error *err)
{
	static const char letters[] = "kmgtpe";
	const char *s = text;
	uint64_t n = 0;
	bool ok = isdigit((unsigned char)*s);

	for (; ok && isdigit((unsigned char)*s); s++)
		ok = !__builtin_mul_overflow(n, UINT64_C(10), &n) && !__builtin_add_overflow(n, (uint64_t)(*s - '0'), &n);
	const char *letter = *s ? strchr(letters, tolower((unsigned char)*s)) : NULL;
	if (letter) {
		ok = ok && !__builtin_mul_overflow(n, UINT64_C(1) << (10 * (letter - letters + 1)), &n);
		s++;
		if (tolower((unsigned char)*s) == 'i' && tolower((unsigned char)s[1]) == 'b')
			s++;
	}
	if (tolower((unsigned char)*s) == 'b')
		s++;
	if (!ok || *s) {
		error_set(err, ST_USAGE, "not a size: \"%s\"", text);
		return error_hint(err, "A size is a number of bytes, or looks like 4k, 64MiB or 1g; units are powers of 1024.");
	}
	*bytes = n;
	return ST_OK;
}
