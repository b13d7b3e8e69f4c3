/* Instants and durations. Both are microseconds, in types that do not mix. */
#ifndef UTIL_TIME_H
#define UTIL_TIME_H

#include "util/buf.h"
#include "util/error.h"

struct instant {
	int64_t us; /* since 1970-01-01 UTC; 0 is "none" */
};
struct duration {
	int64_t us;
};

#define DURATION_SECONDS(n) ((struct duration){(int64_t)(n) * 1000000})
#define DURATION_MS(n) ((struct duration){(int64_t)(n) * 1000})
#define INSTANT_NONE ((struct instant){0})

static inline struct instant instant_add(struct instant t, struct duration d) { return (struct instant){t.us + d.us}; }
static inline struct duration instant_diff(struct instant later, struct instant earlier)
{
	return (struct duration){later.us - earlier.us};
}

#define INSTANT_TEXT 32
/* "2026-11-20T02:00:00Z"; to is at least INSTANT_TEXT bytes. Returns to. */
const char *instant_iso(struct instant t, char *to);
/* "20261120T020000Z" */
const char *instant_compact(struct instant t, char *to);
/* Reads both forms above, "2026-11-20 02:00[:00[.ffffff]][Z|+hh[:mm]]" and "2026-11-20" (midnight UTC). */
enum status instant_parse(const char *text, struct instant *t, struct error *err) MUST_CHECK;
/* "26h", "30d", "2m", "45s", "500ms", "1w", "1y" (365 d), sums such as "1d12h"; a bare number is refused. */
enum status duration_parse(const char *text, struct duration *d, struct error *err) MUST_CHECK;
/* Two largest units, for people: "1d 4h", "3m 20s", "0.4s". */
void duration_print(struct duration d, struct buf *to);
/* "1.5 GiB", "12 MiB", "830 B", for people. */
void size_print(uint64_t bytes, struct buf *to);
/* "64MiB", "6m", "4k", "1g", "100": powers of 1024. */
enum status size_parse(const char *text, uint64_t *bytes, struct error *err) MUST_CHECK;

#endif
