#include "tests/lib/fake_clock.h"

#include <poll.h>

static struct instant fake_now(void *ctx) { return (struct instant){((struct fake_clock *)ctx)->now}; }
static struct instant fake_mono(void *ctx) { return (struct instant){((struct fake_clock *)ctx)->mono}; }

static void fake_wait(void *ctx, int fd, struct duration d)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	if (poll(&p, 1, 0) == 0)
		fake_clock_advance(ctx, d);
}

void fake_clock_init(struct fake_clock *f, struct instant now)
{
	f->now = now.us;
	f->mono = 1000000;
	f->clock = (struct clock){.now = fake_now, .mono = fake_mono, .wait = fake_wait, .ctx = f};
}

void fake_clock_advance(struct fake_clock *f, struct duration d)
{
	f->now += d.us;
	f->mono += d.us;
}
