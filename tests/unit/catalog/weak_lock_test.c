/* Locks in a store without atomic conditions: the wrapper passes none on, and says so. */
#include "tests/unit/catalog/fixture.h"

#include <poll.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/thread.h"

#ifdef DRTOOL_TEST

#define NOW "2026-11-20T12:00:00Z"
#define LOCK "shop/lock/backup.json"
#define WEAK "caps:1:none"
#define SPEED 20 /* the clock of these tests runs so many times faster than the real one, alike in all threads and processes */

static struct instant fast_mono(void *ctx UNUSED)
{
	return (struct instant){clock_real.mono(NULL).us * SPEED};
}

static struct instant fast_now(void *ctx UNUSED) { return (struct instant){clock_real.now(NULL).us}; }

static void fast_wait(void *ctx UNUSED, int fd, struct duration d)
{
	clock_real.wait(NULL, fd, (struct duration){d.us / SPEED});
}

static const struct clock fast = {.now = fast_now, .mono = fast_mono, .wait = fast_wait};

static void open_weak(struct fix *f)
{
	fix_open(f, NOW, WEAK);
	f->run.clock = &fast;
}

static enum status take(struct fix *f, struct lock **l, struct error *err)
{
	const struct lock_spec spec = {.store = &f->store, .source = "shop", .role = "backup", .what = "backup"};

	return lock_take(&f->run, &spec, l, err);
}

TEST("without conditions a lock is taken after two pauses in which nobody else wrote it, and keeps others out")
{
	CLEANUP(lock_release) struct lock *l = NULL, *other = NULL;
	struct error err = ERROR_INIT;
	struct fix f;

	open_weak(&f);
	struct instant before = run_mono(&f.run);
	CHECK_OK(take(&f, &l, &err), err);
	CHECK(instant_diff(run_mono(&f.run), before).us >= DURATION_SECONDS(20).us);
	CHECK_OK(lock_still_held(&f.run, l, &err), err);
	CHECK_ERR(take(&f, &other, &err), err, ST_LOCKED, "locked in store");
	lock_release(&l);
	fix_close(&f);
}

TEST("without conditions a lock that somebody wrote over is lost, also before its heartbeat sees it")
{
	CLEANUP(lock_release) struct lock *l = NULL;
	struct error err = ERROR_INIT;
	struct fix f;

	open_weak(&f);
	CHECK_OK(take(&f, &l, &err), err);
	fix_put(&f, LOCK, "{\"format\": 1, \"state\": \"held\", \"nonce\": \"another\"}");
	CHECK_ERR(lock_still_held(&f.run, l, &err), err, ST_LOCKED, "taken over");
	lock_release(&l);
	CLEANUP(buf_release) struct buf b = BUF_INIT;
	CHECK_OK(storage_get_bytes(&f.run, &f.store.storage, LOCK, 10000, &b, NULL, &err), err);
	CHECK_HAS(buf_str(&b), "another"); /* its release left the new holder alone */
	fix_close(&f);
}

struct racer {
	struct fix *f;
	pthread_barrier_t *start, *end;
	atomic_int *inside, *most, *winners, *late;
};

static void race(void *arg)
{
	struct racer *r = arg;
	CLEANUP(lock_release) struct lock *l = NULL;
	CLEANUP(error_release) struct error err = ERROR_INIT;

	pthread_barrier_wait(r->start);
	enum status st = take(r->f, &l, &err);
	atomic_fetch_add(r->late, st == ST_DEADLINE);
	if (!st) {
		int now = atomic_fetch_add(r->inside, 1) + 1;

		if (now > atomic_load(r->most))
			atomic_store(r->most, now);
		atomic_fetch_add(r->winners, 1);
	} else if (st != ST_LOCKED && st != ST_DEADLINE) { /* a machine that stands still loses, too */
		fprintf(stderr, "%s\n", error_text(&err));
		atomic_store(r->most, 99);
	}
	pthread_barrier_wait(r->end);
	lock_release(&l);
}

TEST("without conditions exactly one of four threads that race gets the lock")
{
	struct fix f;
	struct thread thread[4] = {THREAD_INIT};
	atomic_int inside = 0, most = 0, winners = 0, late = 0;
	pthread_barrier_t start, end;
	struct racer r = {&f, &start, &end, &inside, &most, &winners, &late};
	struct error err = ERROR_INIT;

	open_weak(&f);
	pthread_barrier_init(&start, NULL, 4);
	pthread_barrier_init(&end, NULL, 4);
	for (int i = 0; i < 4; i++)
		CHECK_OK(thread_start(&thread[i], "racer", race, &r, &err), err);
	for (int i = 0; i < 4; i++)
		thread_join(&thread[i]);
	CHECK(winners == 1 || (!winners && late));
	CHECK(most <= 1);
	pthread_barrier_destroy(&start);
	pthread_barrier_destroy(&end);
	fix_close(&f);
}

TEST("without conditions exactly one of three processes that race gets the lock")
{
	int go[2], answer[2], keep[2];
	char got[3];
	struct fix f;

	open_weak(&f);
	CHECK(!pipe(go) && !pipe(answer) && !pipe(keep));
	for (int i = 0; i < 3; i++)
		if (!fork()) {
			struct lock *l = NULL;
			struct error err = ERROR_INIT;
			char c;

			close(go[1]);
			close(keep[1]);
			if (read(go[0], &c, 1) < 0) /* its end lets all begin at once */
				_exit(1);
			c = !take(&f, &l, &err) ? 'w' : err.code == ST_LOCKED ? 'l' : err.code == ST_DEADLINE ? 'd' : 'e';
			if (c == 'e')
				fprintf(stderr, "%s\n", error_text(&err));
			if (write(answer[1], &c, 1) != 1 || read(keep[0], &c, 1) < 0)
				_exit(1);
			lock_release(&l);
			_exit(0);
		}
	close(go[1]);
	for (int i = 0; i < 3; i++)
		CHECK(read(answer[0], &got[i], 1) == 1);
	int won = 0, lost = 0, late = 0;
	for (int i = 0; i < 3; i++) {
		won += got[i] == 'w';
		lost += got[i] == 'l';
		late += got[i] == 'd';
	}
	CHECK(won == 1 || (!won && late));
	CHECK_INT(won + lost + late, 3);
	close(keep[1]);
	while (wait(NULL) > 0)
		;
	fix_close(&f);
}

TEST("without conditions a lock is broken by hand only while it is as it was seen")
{
	CLEANUP(lock_release) struct lock *l = NULL;
	CLEANUP(lock_info_release) struct lock_info seen = {0};
	struct error err = ERROR_INIT;
	struct fix f;

	open_weak(&f);
	CHECK_OK(take(&f, &l, &err), err);
	CHECK_OK(lock_read(&f.run, &f.store, "shop", "backup", &seen, &err), err);
	CHECK_OK(lock_break(&f.run, &f.store, "shop", "backup", &seen, &err), err);
	CHECK_ERR(lock_break(&f.run, &f.store, "shop", "backup", &seen, &err), err, ST_LOCKED, "changed");
	CHECK_ERR(lock_still_held(&f.run, l, &err), err, ST_LOCKED, "");
	lock_release(&l);
	fix_close(&f);
}

TEST("a lease needs no conditions and no pause")
{
	CLEANUP(lease_release) struct lease *l = NULL;
	struct error err = ERROR_INIT;
	struct fix f;

	fix_open(&f, NOW, WEAK); /* time passes by waiting only */
	struct instant before = run_mono(&f.run);
	CHECK_OK(lease_take(&f.run, &f.store, "shop", "20261120T020000Z-7f3a", &l, &err), err);
	CHECK(instant_diff(run_mono(&f.run), before).us < DURATION_SECONDS(20).us);
	lease_release(&l);
	fix_close(&f);
}
#endif
