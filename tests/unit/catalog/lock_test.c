#include "tests/unit/catalog/fixture.h"

#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "storage/local/local.h"
#include "util/failpoint.h"

#define NOW "2026-11-20T12:00:00Z"
#define LOCK "shop/lock/backup.json"

static enum status take(struct fix *f, struct lock **l, struct error *err)
{
	const struct lock_spec spec = {.store = &f->store, .source = "shop", .role = "backup",
				       .what = "backup 20261120T020000Z-7f3a"};

	return lock_take(&f->run, &spec, l, err);
}

/* Makes the holder one of another machine, as far as anybody can tell. */
static void as_if_elsewhere(struct fix *f)
{
	CLEANUP(buf_release) struct buf b = BUF_INIT;
	CLEANUP(js_decref) json_t *root = NULL;
	struct error err = ERROR_INIT;

	CHECK_OK(storage_get_bytes(&f->run, &f->store.storage, LOCK, 100000, &b, NULL, &err), err);
	CHECK_OK(js_parse(b.data, b.len, LOCK, &root, &err), err);
	js_set_str(root, "boot", "another");
	js_set_str(root, "host", "elsewhere");
	js_set_str(root, "nonce", "another");
	buf_clear(&b);
	js_write(root, true, &b);
	fix_put(f, LOCK, b.data);
}

TEST("a lock keeps others out until it is released")
{
	CLEANUP(lock_release) struct lock *l = NULL, *other = NULL;
	CLEANUP(lock_info_release) struct lock_info i = {0}, none = {0};
	struct error err = ERROR_INIT;
	struct fix f;

	fix_open(&f, NOW, NULL);
	CHECK_OK(lock_read(&f.run, &f.store, "shop", "backup", &none, &err), err);
	CHECK(!none.held);
	CHECK_OK(take(&f, &l, &err), err);
	CHECK_OK(lock_still_held(&f.run, l, &err), err);
	CHECK_INT(take(&f, &other, &err), ST_LOCKED);
	CHECK_HAS(error_text(&err), "locked in store local by backup 20261120T020000Z-7f3a");
	CHECK_HAS(err.hint, "drtool unlock shop");
	error_release(&err);
	CHECK_OK(lock_read(&f.run, &f.store, "shop", "backup", &i, &err), err);
	CHECK(i.held && !i.stale && !i.same_process_gone);
	CHECK_INT(i.pid, getpid());
	CHECK(i.since.us && instant_diff(run_now(&f.run), i.since).us < 1000000);
	lock_release(&l);
	CHECK_OK(take(&f, &other, &err), err);
	lock_release(&other);
	fix_close(&f);
}

TEST("roles do not shut each other out")
{
	CLEANUP(lock_release) struct lock *l = NULL, *log = NULL;
	struct error err = ERROR_INIT;
	struct fix f;

	fix_open(&f, NOW, NULL);
	CHECK_OK(take(&f, &l, &err), err);
	const struct lock_spec spec = {.store = &f.store, .source = "shop", .role = "log", .what = "follow"};
	CHECK_OK(lock_take(&f.run, &spec, &log, &err), err);
	lock_release(&l);
	lock_release(&log);
	fix_close(&f);
}

TEST("the lock of a process that is gone is taken over at once")
{
	CLEANUP(lock_release) struct lock *l = NULL;
	CLEANUP(lock_info_release) struct lock_info i = {0};
	struct error err = ERROR_INIT;
	struct fix f;

	fix_open(&f, NOW, NULL);
	pid_t pid = fork();
	if (!pid) {
		if (!take(&f, &l, &err))
			raise(SIGKILL);
		_exit(1);
	}
	siginfo_t dead;
	waitid(P_PID, (id_t)pid, &dead, WEXITED | WNOWAIT); /* a zombie is gone too */
	CHECK_INT(dead.si_code, CLD_KILLED);
	CHECK_OK(lock_read(&f.run, &f.store, "shop", "backup", &i, &err), err);
	CHECK(i.held && i.stale && i.same_process_gone);
	CHECK_OK(take(&f, &l, &err), err);
	waitpid(pid, NULL, 0);
	lock_release(&l);
	fix_close(&f);
}

/* In a process for which /proc does not show its parent: whether the lock looks like one of a process that is gone. */
static int looks_gone(struct fix *f)
{
	CLEANUP(cstr_release) char *folder = xasprintf("/proc/%d", (int)getppid());
	CLEANUP(lock_info_release) struct lock_info i = {0};
	struct error err = ERROR_INIT;

	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) || mount("none", folder, "tmpfs", 0, NULL))
		return 2;
	return lock_read(&f->run, &f->store, "shop", "backup", &i, &err) || !i.held || i.same_process_gone;
}

TEST("the lock of a process that /proc hides is not one of a process that is gone")
{
	CLEANUP(lock_release) struct lock *l = NULL;
	struct error err = ERROR_INIT;
	struct fix f;
	int status;

	fix_open(&f, NOW, NULL);
	CHECK_OK(take(&f, &l, &err), err);
	pid_t pid = fork();
	if (!pid)
		_exit(looks_gone(&f));
	CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
	lock_release(&l);
	fix_close(&f);
	if (WEXITSTATUS(status) == 2)
		test_skip("needs the right to mount");
	CHECK_INT(WEXITSTATUS(status), 0);
}

TEST("the lock of another machine is stale after five minutes of the store's clock, whatever the clock here says")
{
	CLEANUP(lock_release) struct lock *mine = NULL, *l = NULL;
	CLEANUP(lock_info_release) struct lock_info i = {0};
	struct error err = ERROR_INIT;
	struct fix f;

	fix_open(&f, NOW, NULL);
	CHECK_OK(take(&f, &mine, &err), err);
	as_if_elsewhere(&f);
	fix_move(&f, DURATION_SECONDS(3600)); /* this machine's clock proves nothing */
	fix_age(&f, LOCK, 280);
	CHECK_ERR(take(&f, &l, &err), err, ST_LOCKED, "on elsewhere");
	fix_age(&f, LOCK, 310);
	CHECK_OK(lock_read(&f.run, &f.store, "shop", "backup", &i, &err), err);
	CHECK(i.held && i.stale && !i.same_process_gone);
	CHECK_OK(take(&f, &l, &err), err);
	CHECK_OK(lock_still_held(&f.run, l, &err), err);
	/* The one that was taken over sees it, and its release changes nothing. */
	CHECK_ERR(lock_still_held(&f.run, mine, &err), err, ST_LOCKED, "taken over");
	lock_release(&mine);
	CHECK_OK(lock_still_held(&f.run, l, &err), err);
	lock_release(&l);
	fix_close(&f);
}

TEST("the heartbeat rewrites the lock every thirty seconds")
{
	CLEANUP(lock_release) struct lock *l = NULL;
	CLEANUP(lock_info_release) struct lock_info before = {0};
	struct error err = ERROR_INIT;
	struct fix f;

	fix_open(&f, NOW, NULL);
	CHECK_OK(take(&f, &l, &err), err);
	CHECK_OK(lock_read(&f.run, &f.store, "shop", "backup", &before, &err), err);
	for (int i = 0;; i++) {
		CLEANUP(lock_info_release) struct lock_info now = {0};

		fix_move(&f, DURATION_SECONDS(1));
		CHECK_OK(lock_read(&f.run, &f.store, "shop", "backup", &now, &err), err);
		if (strcmp(now.token, before.token))
			break;
		CHECK(i < 1000);
		usleep(5000);
	}
	CHECK_OK(lock_still_held(&f.run, l, &err), err);
	lock_release(&l);
	fix_close(&f);
}

TEST("a lock that was broken by hand is no longer held, and one that changed is not broken")
{
	CLEANUP(lock_release) struct lock *l = NULL, *other = NULL;
	CLEANUP(lock_info_release) struct lock_info seen = {0};
	struct error err = ERROR_INIT;
	struct fix f;

	fix_open(&f, NOW, NULL);
	CHECK_OK(take(&f, &l, &err), err);
	CHECK_OK(lock_read(&f.run, &f.store, "shop", "backup", &seen, &err), err);
	CHECK_OK(lock_break(&f.run, &f.store, "shop", "backup", &seen, &err), err);
	CHECK_ERR(lock_break(&f.run, &f.store, "shop", "backup", &seen, &err), err, ST_LOCKED, "changed");
	CHECK_ERR(lock_still_held(&f.run, l, &err), err, ST_LOCKED, "");
	CHECK_OK(take(&f, &other, &err), err);
	lock_release(&l);
	lock_release(&other);
	fix_close(&f);
}

TEST("a damaged lock is one until it grows old")
{
	CLEANUP(lock_release) struct lock *l = NULL;
	struct error err = ERROR_INIT;
	struct fix f;

	fix_open(&f, NOW, NULL);
	fix_put(&f, LOCK, "{\"half");
	CHECK_ERR(take(&f, &l, &err), err, ST_LOCKED, "damaged");
	fix_age(&f, LOCK, 400);
	CHECK_OK(take(&f, &l, &err), err);
	lock_release(&l);
	fix_close(&f);
}

/* Takes the lock when the byte comes; answers what it got: 'w', 'l' or 'e'. */
static void racer(struct fix *f, int in, int answer)
{
	for (char c; read(in, &c, 1) == 1;) {
		struct lock *l = NULL;
		struct error err = ERROR_INIT;
		char got = !take(f, &l, &err) ? 'w' : err.code == ST_LOCKED ? 'l' : 'e';

		if (got == 'e')
			fprintf(stderr, "%s\n", error_text(&err));
		error_release(&err);
		if (write(answer, &got, 1) != 1 || read(in, &c, 1) != 1) /* keeps it until both have answered */
			break;
		lock_release(&l);
		if (write(answer, "r", 1) != 1)
			break;
	}
	_exit(0);
}

TEST("of two processes that race for a lock exactly one wins, 200 times")
{
	int in[2][2], answer[2][2];
	struct fix f;

	fix_open(&f, NOW, NULL);
	f.run.clock = NULL; /* waiting for one another takes real time */
	for (int i = 0; i < 2; i++) {
		CHECK(!pipe(in[i]) && !pipe(answer[i]));
		if (!fork()) {
			close(in[i][1]);
			if (i)
				close(in[0][1]);
			racer(&f, in[i][0], answer[i][1]);
		}
	}
	for (int round = 0; round < 200; round++) {
		char got[2], released;

		for (int i = 0; i < 2; i++)
			CHECK(write(in[i][1], "g", 1) == 1);
		for (int i = 0; i < 2; i++)
			CHECK(read(answer[i][0], &got[i], 1) == 1);
		if (!((got[0] == 'w' && got[1] == 'l') || (got[0] == 'l' && got[1] == 'w')))
			test_fail(__FILE__, __LINE__, "round %d: %c%c", round, got[0], got[1]);
		for (int i = 0; i < 2; i++)
			CHECK(write(in[i][1], "r", 1) == 1 && read(answer[i][0], &released, 1) == 1);
	}
	fix_close(&f);
}

#ifdef DRTOOL_TEST
TEST("a process killed at any point of taking or releasing a lock keeps nobody out")
{
	static const char *const points[] = {"lock.take.before:1",    "lock.heartbeat.before:1", "lock.take.after:1",
					     "local.part.made:1",
					     "local.rename.before:1", "local.rename.after:1",	"local.part.made:2",
						"local.rename.after:2"};

	for (size_t i = 0; i < ARRAY_LEN(points); i++) {
		CLEANUP(cstr_release) char *spec = xasprintf("%s:kill", points[i]);
		CLEANUP(lock_release) struct lock *l = NULL;
		struct error err = ERROR_INIT;
		struct fix f;
		int wstatus;

		fix_open(&f, NOW, NULL);
		pid_t pid = fork();
		if (!pid) {
			setenv("DRTOOL_FAIL", spec, 1);
			failpoint_init();
			if (!take(&f, &l, &err))
				lock_release(&l);
			_exit(1);
		}
		waitpid(pid, &wstatus, 0);
		CHECK(WIFSIGNALED(wstatus));
		CHECK_OK(take(&f, &l, &err), err);
		lock_release(&l);
		fix_close(&f);
	}
}

static struct instant offset_now(void *ctx)
{
	return instant_add(clock_real.mono(NULL), (struct duration){((struct fix *)ctx)->us});
}

TEST("a lock whose last heartbeat was written though the answer was lost is released all the same")
{
	CLEANUP(lock_release) struct lock *l = NULL, *other = NULL;
	struct error err = ERROR_INIT;
	struct fix f;

	fix_open(&f, NOW, "finish[lock/backup]:2:lost:once");
	f.clock.now = f.clock.mono = offset_now;
	CHECK_OK(take(&f, &l, &err), err);
	fix_move(&f, DURATION_SECONDS(31));
	CHECK_ERR(lock_still_held(&f.run, l, &err), err, ST_UNREACHABLE, "the answer is lost"); /* which is a heartbeat when one is due */
	lock_release(&l);
	CHECK_OK(take(&f, &other, &err), err);
	lock_release(&other);
	fix_close(&f);
}

TEST("a lock in a store that hangs is given up, and the run ends")
{
	CLEANUP(lock_release) struct lock *l = NULL;
	struct error err = ERROR_INIT;
	struct fix f;

	fix_open(&f, NOW, "finish[lock/backup]:2:hang");
	f.clock.now = f.clock.mono = offset_now;
	CHECK_OK(take(&f, &l, &err), err);
	for (int i = 0; i < 60; i++) { /* the heartbeat runs into it */
		usleep(5000);
		fix_move(&f, DURATION_SECONDS(1));
	}
	struct run soon = {.clock = NULL};
	soon = run_within(&soon, DURATION_MS(200));
	CHECK_ERR(lock_still_held(&soon, l, &err), err, ST_DEADLINE, "");
	lock_release(&l);
	CHECK(f.store.storage.stuck);
	fix_close(&f);
}
#endif

TEST("leases name the backups that are read, until their reader is gone")
{
	CLEANUP(strlist_release) struct strlist ids = STRLIST_INIT, later = STRLIST_INIT, old = STRLIST_INIT;
	CLEANUP(lease_release) struct lease *a = NULL, *b = NULL;
	CLEANUP(storage_objects_release) struct storage_objects l = STORAGE_OBJECTS_INIT;
	struct error err = ERROR_INIT;
	struct fix f;

	fix_open(&f, NOW, NULL);
	pid_t pid = fork();
	if (!pid) {
		struct lease *c;

		_exit(lease_take(&f.run, &f.store, "shop", "20261118T020000Z-7f3a", &c, &err) != ST_OK);
	}
	waitpid(pid, NULL, 0);
	CHECK_OK(lease_take(&f.run, &f.store, "shop", "20261120T020000Z-7f3a", &a, &err), err);
	CHECK_OK(lease_take(&f.run, &f.store, "shop", "20261119T020000Z-7f3a", &b, &err), err);
	CHECK_OK(lease_list(&f.run, &f.store, "shop", &ids, &err), err);
	CHECK_INT(ids.len, 2);
	lease_release(&b);
	CHECK_OK(lease_list(&f.run, &f.store, "shop", &later, &err), err);
	CHECK_INT(later.len, 1);
	CHECK_STR(later.item[0], "20261120T020000Z-7f3a");
	/* One that was damaged minutes ago cannot be passed over. */
	fix_put(&f, "shop/lease/x.json", "{");
	CHECK_ERR(lease_list(&f.run, &f.store, "shop", &old, &err), err, ST_BAD, "damaged");
	fix_age(&f, "shop/lease/x.json", 400);
	CHECK_OK(lease_list(&f.run, &f.store, "shop", &old, &err), err);
	CHECK_INT(old.len, 1);
	lease_release(&a);
	CHECK_OK(storage_list(&f.run, &f.store.storage, "shop/lease/", NULL, &l, &err), err);
	CHECK_INT(l.len, 2); /* the dead one and the damaged one wait for prune */
	fix_close(&f);
}
