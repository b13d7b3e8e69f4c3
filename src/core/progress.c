#include "core/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include "core/log.h"
#include "util/thread.h"

/* How many ticks the rate looks back. */
enum { HISTORY = 25, LINE_MAX_WIDTH = 200 };
#define TICK DURATION_MS(200)
#define MINUTE DURATION_SECONDS(60)

struct progress_display {
	struct progress *progress; /* borrowed */
	struct run run;            /* the caller's, with a cancel token of this display */
	struct cancel *cancel;
	struct thread thread;
	bool bar;
	/* Of the thread that shows. */
	uint64_t done[HISTORY];
	struct instant at[HISTORY];
	size_t ticks;
	const char *phase;
	pthread_mutex_t mutex;         /* guards all below; taken inside the log's */
	char line[LINE_MAX_WIDTH * 4]; /* the bar as it was last written */
	size_t len;
	bool shown, paused;            /* paused: a log line is being written */
};

static void put(const char *p, size_t n)
{
	ssize_t ignored = write(STDERR_FILENO, p, n);

	(void)ignored;
}

static void bar_clear(void *ctx)
{
	struct progress_display *d = ctx;

	mutex_lock(&d->mutex);
	if (d->shown)
		put("\r\033[K", 4);
	d->shown = false;
	d->paused = true;
	mutex_unlock(&d->mutex);
}

/* Bytes a second over the last ticks; 0: not known. */
static uint64_t rate_of(const struct progress_display *d)
{
	size_t last = (d->ticks - 1) % HISTORY, first = d->ticks > HISTORY ? d->ticks % HISTORY : 0;
	int64_t us = instant_diff(d->at[last], d->at[first]).us;
	uint64_t moved = d->done[last] - min_u64(d->done[first], d->done[last]);

	return us > 0 ? (uint64_t)((double)moved * 1e6 / (double)us) : 0;
}

static void remember(struct progress_display *d, uint64_t done, const char *phase)
{
	/* A new phase counts from the beginning: the rate of the one before says nothing about it. */
	if (phase != d->phase) {
		d->phase = phase;
		d->ticks = 0;
	}
	d->done[d->ticks % HISTORY] = done;
	d->at[d->ticks % HISTORY] = run_mono(&d->run);
	d->ticks++;
}

static void describe(struct progress_display *d, struct buf *b, unsigned bar_width)
{
	uint64_t done = atomic_load(&d->progress->done), total = atomic_load(&d->progress->total);
	const char *phase = atomic_load(&d->progress->phase);

	remember(d, done, phase);
	uint64_t rate = rate_of(d), whole = max_u64(total, done);

	buf_puts(b, phase);
	if (total) {
		unsigned percent = whole ? (unsigned)((double)done * 100 / (double)whole) : 0;

		if (bar_width) {
			buf_puts(b, " [");
			for (unsigned i = 0; i < bar_width; i++)
				buf_putc(b, i < percent * bar_width / 100 ? '#' : '-');
			buf_putc(b, ']');
		}
		buf_printf(b, " %u%%", percent);
	}
	buf_putc(b, ' ');
	size_print(done, b);
	if (total) {
		buf_puts(b, " of ");
		size_print(whole, b);
	}
	if (rate) {
		buf_puts(b, ", ");
		size_print(rate, b);
		buf_puts(b, "/s");
	}
	if (rate && total > done) {
		buf_puts(b, ", ");
		duration_print(DURATION_SECONDS((total - done) / rate), b);
		buf_puts(b, " left");
	}
}

static unsigned width(void)
{
	struct winsize w = {0};

	return ioctl(STDERR_FILENO, TIOCGWINSZ, &w) || w.ws_col < 20 ? 80 : w.ws_col;
}

static void bar_draw(void *ctx)
{
	struct progress_display *d = ctx;

	mutex_lock(&d->mutex);
	put(d->line, d->len);
	d->shown = d->len > 0;
	d->paused = false;
	mutex_unlock(&d->mutex);
}

static void show_bar(struct progress_display *d)
{
	CLEANUP(buf_release) struct buf b = BUF_INIT;
	unsigned columns = width();

	describe(d, &b, columns > 100 ? 30 : columns > 70 ? 16 : 0);
	size_t n = min_size(min_size(b.len, columns - 1), LINE_MAX_WIDTH);

	mutex_lock(&d->mutex);
	d->len = (size_t)snprintf(d->line, sizeof(d->line), "\r%.*s\033[K", (int)n, b.data);
	if (!d->paused) {
		put(d->line, d->len);
		d->shown = true;
	}
	mutex_unlock(&d->mutex);
}

static void display(void *arg)
{
	struct progress_display *d = arg;
	CLEANUP(error_release) struct error err = ERROR_INIT;
	struct instant said = run_mono(&d->run);

	while (!run_sleep(&d->run, TICK, &err)) {
		if (!atomic_load(&d->progress->phase) || atomic_load(&d->progress->paused))
			continue;
		if (d->bar) {
			show_bar(d);
			continue;
		}
		struct instant now = run_mono(&d->run);

		if (atomic_load(&d->progress->phase) != d->phase)
			remember(d, atomic_load(&d->progress->done), atomic_load(&d->progress->phase));
		if (instant_diff(now, said).us < MINUTE.us)
			continue;
		CLEANUP(buf_release) struct buf b = BUF_INIT;

		describe(d, &b, 0);
		log_line(&d->run, LOG_INFO, "%s", buf_str(&b));
		said = now;
	}
}

struct progress_display *progress_show(struct run *run, struct progress *p, bool quiet)
{
	struct error err = ERROR_INIT;

	if (quiet || !log_enabled(LOG_INFO))
		return NULL;
	struct progress_display *d = xcalloc(1, sizeof(*d));

	d->progress = p;
	d->cancel = cancel_new(run->cancel);
	d->run = *run;
	d->run.cancel = d->cancel;
	d->run.deadline = INSTANT_NONE;
	d->bar = log_to_terminal() && log_format_now() == LOG_TEXT;
	mutex_init(&d->mutex);
	if (d->bar)
		log_set_hook(bar_clear, bar_draw, d);
	/* Without a display the work goes on. */
	if (thread_start(&d->thread, "progress", display, d, &err))
		error_release(&err);
	return d;
}

void progress_hide(struct progress_display **d)
{
	if (!*d)
		return;
	cancel_fire((*d)->cancel, 0);
	thread_join(&(*d)->thread);
	log_set_hook(NULL, NULL, NULL);
	bar_clear(*d);
	mutex_destroy(&(*d)->mutex);
	cancel_free((*d)->cancel);
	free(*d);
	*d = NULL;
}
