#include "util/failpoint.h"

#ifdef DRTOOL_TEST

#include <signal.h>
#include <stdatomic.h>

#include "util/buf.h"

#define DELAY_MS 3000

/* The linker makes these where at least one failpoint is linked. The section holds the names, each ended by at least one 0. */
extern const char names_start[] __asm__("__start_drtool_failpoints") __attribute__((weak, visibility("hidden")));
extern const char names_stop[] __asm__("__stop_drtool_failpoints") __attribute__((weak, visibility("hidden")));

/* Set by failpoint_init before the first thread; only the count changes later. */
static struct {
	char *spec; /* kept for the life of the process */
	const char *name; /* within spec */
	enum { KILL, FAIL, DELAY } action;
	long delay_ms;
	unsigned long at;
	atomic_ulong passed;
} armed;

enum status failpoint_pass(const char *name, struct error *err)
{
	if (!armed.name || strcmp(armed.name, name) || atomic_fetch_add(&armed.passed, 1) + 1 != armed.at)
		return ST_OK;
	if (armed.action == FAIL)
		return error_set(err, ST_IO, "injected failure at %s", name);
	if (armed.action == KILL)
		raise(SIGKILL);
	struct timespec left = {.tv_sec = armed.delay_ms / 1000, .tv_nsec = armed.delay_ms % 1000 * 1000000};
	while (nanosleep(&left, &left))
		;
	return ST_OK;
}

static void collect_names(struct strlist *to)
{
	const char *p = names_start, *end = names_stop;

	while (p && p < end) {
		size_t n = strnlen(p, (size_t)(end - p));

		if (n && !strlist_has(to, p))
			strlist_add(to, p);
		p += n + 1;
	}
	strlist_sort(to);
}

static bool parse_number(const char *s, long *to)
{
	char *end;

	*to = strtol(s, &end, 10);
	return *s >= '0' && *s <= '9' && !*end;
}

static bool parse_action(const char *s)
{
	armed.delay_ms = DELAY_MS;
	armed.action = *s == 'k' ? KILL : *s == 'e' ? FAIL : DELAY;
	return !strcmp(s, "kill") || !strcmp(s, "error") || !strcmp(s, "delay") ||
	       (!strncmp(s, "delay=", 6) && parse_number(s + 6, &armed.delay_ms));
}

/* Splits the text at its last two colons. */
static bool parse_spec(char *spec)
{
	char *action = strrchr(spec, ':'), *count;
	long n;

	if (!action)
		return false;
	*action++ = 0;
	count = strrchr(spec, ':');
	if (!count)
		return false;
	*count++ = 0;
	if (!parse_number(count, &n) || n < 1 || !parse_action(action))
		return false;
	armed.at = (unsigned long)n;
	armed.name = spec;
	return true;
}

void failpoint_init(void)
{
	CLEANUP(strlist_release) struct strlist names = STRLIST_INIT;
	const char *spec = getenv("DRTOOL_FAIL");

	if (!spec || !*spec)
		return;
	collect_names(&names);
	if (!strcmp(spec, "list")) {
		for (size_t i = 0; i < names.len; i++)
			puts(names.item[i]);
		strlist_release(&names);
		exit(0);
	}
	armed.spec = xstrdup(spec);
	if (!parse_spec(armed.spec)) {
		fprintf(stderr, "drtool: DRTOOL_FAIL is not name:n:kill|error|delay[=ms]: %s\n", spec);
		exit(2);
	}
	if (!strlist_has(&names, armed.name)) {
		fprintf(stderr, "drtool: DRTOOL_FAIL names no failpoint: %s\n", armed.name);
		exit(2);
	}
}

#endif
