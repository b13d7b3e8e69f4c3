/* What only the local storage promises; what every storage does is in tests/conformance. */
#include "tests/lib/test.h"

#include <errno.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "storage/local/local.h"
#include "util/failpoint.h"
#include "util/fs.h"

static struct run run = RUN_INIT;

static void open_at(struct storage *s, const char *path, struct room min_free)
{
	CLEANUP(cstr_release) char *url = xasprintf("file://%s", path);
	const struct local_params params = {.min_free = min_free};
	struct error err = ERROR_INIT;

	CHECK_OK(storage_open(&run, &storage_local, url, &params, s, &err), err);
}

static enum status put(struct storage *s, const char *key, const void *p, size_t n, struct error *err)
{
	const struct put_spec spec = {.key = key, .condition = PUT_ABSENT};

	return storage_put_bytes(&run, s, &spec, p, n, NULL, err);
}

static size_t count(struct storage *s, bool unfinished)
{
	CLEANUP(storage_objects_release) struct storage_objects l = STORAGE_OBJECTS_INIT;
	struct error err = ERROR_INIT;

	if (unfinished)
		CHECK_OK(storage_uncommitted(&run, s, "", INSTANT_NONE, &l, &err), err);
	else
		CHECK_OK(storage_list(&run, s, "", NULL, &l, &err), err);
	return l.len;
}

static mode_t mode_of(const char *path)
{
	struct stat st;

	CHECK(!lstat(path, &st));
	return st.st_mode & 07777;
}

TEST("a local store makes private folders and files, and an existing folder keeps its mode")
{
	CLEANUP(storage_release) struct storage s = STORAGE_INIT, t = STORAGE_INIT;
	CLEANUP(cstr_release) char *made = path_join(test_dir(), "a/b"), *mine = path_join(test_dir(), "mine");
	CLEANUP(cstr_release) char *folder = path_join(made, "shop/backup"), *file = path_join(folder, "x.json");
	struct error err = ERROR_INIT;

	umask(0);
	open_at(&s, made, (struct room){0});
	CHECK(!fs_exists(made));
	CHECK_OK(put(&s, "shop/backup/x.json", "1", 1, &err), err);
	CHECK_INT(mode_of(made), 0700);
	CHECK_INT(mode_of(folder), 0700);
	CHECK_INT(mode_of(file), 0600);
	CHECK(!mkdir(mine, 0750));
	open_at(&t, mine, (struct room){0});
	CHECK_OK(put(&t, "x", "1", 1, &err), err);
	CHECK_INT(mode_of(mine), 0750);
}

TEST("links below the root of a local store are not followed, one on the way to it is")
{
	CLEANUP(storage_release) struct storage s = STORAGE_INIT, t = STORAGE_INIT;
	CLEANUP(cstr_release) char *root = path_join(test_dir(), "root"), *out = path_join(test_dir(), "out"),
		*alias = path_join(test_dir(), "alias");
	CLEANUP(cstr_release) char *link = path_join(root, "link"), *file = path_join(root, "file"),
		*secret = path_join(out, "secret");
	struct storage_object o;
	struct error err = ERROR_INIT;

	CHECK(!mkdir(root, 0700) && !mkdir(out, 0700) && !symlink(out, link) && !symlink(secret, file) && !symlink(root, alias));
	CHECK_OK(fs_write_file(secret, 0600, "s", 1, &err), err);
	open_at(&s, root, (struct room){0});
	CHECK_ERR(storage_stat(&run, &s, "link/secret", &o, &err), err, ST_IO, "symbolic link");
	CHECK_ERR(storage_stat(&run, &s, "file", &o, &err), err, ST_IO, "symbolic link");
	CHECK_ERR(put(&s, "link/new", "1", 1, &err), err, ST_IO, "symbolic link");
	CHECK_INT(count(&s, false), 0);
	open_at(&t, alias, (struct room){0});
	CHECK_OK(put(&t, "a/b", "1", 1, &err), err);
	CHECK_INT(count(&s, false), 1);
}

TEST("min_free keeps room before and during a write, but not from small objects")
{
	CLEANUP(storage_release) struct storage s = STORAGE_INIT;
	CLEANUP(cstr_release) char *big = xcalloc(1, 3u << 20);
	const struct put_spec known = {.key = "k", .expected_size = 2u << 20}, unknown = {.key = "u"};
	struct storage_put *p;
	struct storage_object o;
	struct error err = ERROR_INIT;

	open_at(&s, test_dir(), (struct room){.percent = 100});
	CHECK_OK(put(&s, "lock.json", "{}", 2, &err), err);
	CHECK_ERR(s.ops->put_open(&run, s.priv, &known, &p, &err), err, ST_NO_SPACE, "min_free");
	CHECK_OK(s.ops->put_open(&run, s.priv, &unknown, &p, &err), err);
	CHECK_ERR(s.ops->put_write(&run, p, big, 3u << 20, &err), err, ST_NO_SPACE, "min_free");
	CHECK_ERR(s.ops->put_finish(&run, p, &o, &err), err, ST_IO, "earlier write");
	CHECK_INT(count(&s, false), 1);
	CHECK_INT(count(&s, true), 0);
}

TEST("a full disk is told as such, and the unfinished file is gone")
{
	CLEANUP(storage_release) struct storage s = STORAGE_INIT;
	CLEANUP(cstr_release) char *big = xcalloc(1, 3u << 20);
	struct error err = ERROR_INIT;

	if (mount("tmpfs", test_dir(), "tmpfs", 0, "size=2m"))
		test_skip("no right to mount a small tmpfs");
	open_at(&s, test_dir(), (struct room){0});
	const struct put_spec spec = {.key = "x"};
	struct storage_put *p;
	CHECK_OK(s.ops->put_open(&run, s.priv, &spec, &p, &err), err);
	enum status st = s.ops->put_write(&run, p, big, 3u << 20, &err);
	s.ops->put_abort(p);
	size_t left = count(&s, true), whole = count(&s, false);
	storage_release(&s);
	umount2(test_dir(), MNT_DETACH);
	CHECK_INT(st, ST_NO_SPACE);
	CHECK_HAS(error_text(&err), "x: cannot write: No space left");
	CHECK_INT(left + whole, 0);
	error_release(&err);
}

static const char *const points[] = {"local.part.made",    "local.write.before",  "local.sync.before",
				     "local.lock.taken",   "local.rename.before", "local.rename.after"};

/* Puts a large object in a child whose failpoint is armed; returns how it ended. */
static int put_in_child(struct storage *s, const char *point, const char *action)
{
	CLEANUP(cstr_release) char *spec = xasprintf("%s:1:%s", point, action), *big = xcalloc(1, 3u << 20);
	int wstatus;
	pid_t pid = fork();

	if (!pid) {
		struct error err = ERROR_INIT;

		setenv("DRTOOL_FAIL", spec, 1);
		failpoint_init();
		_exit(put(s, "shop/backup/x", big, 3u << 20, &err) == ST_IO ? 42 : 1);
	}
	waitpid(pid, &wstatus, 0);
	return WIFSIGNALED(wstatus) ? WTERMSIG(wstatus) : WEXITSTATUS(wstatus);
}

TEST("a process killed at any point of a put leaves nothing visible, or all of it")
{
	for (size_t i = 0; i < ARRAY_LEN(points); i++) {
		CLEANUP(storage_release) struct storage s = STORAGE_INIT;
		CLEANUP(cstr_release) char *root = path_join(test_dir(), points[i]);
		bool renamed = !strcmp(points[i], "local.rename.after");
		struct storage_object o = {0};
		struct error err = ERROR_INIT;

		open_at(&s, root, (struct room){0});
		CHECK_INT(put_in_child(&s, points[i], "kill"), SIGKILL);
		CHECK_INT(count(&s, false), renamed);
		CHECK_INT(count(&s, true), !renamed);
		if (renamed) {
			CHECK_OK(storage_stat(&run, &s, "shop/backup/x", &o, &err), err);
			CHECK_INT(o.size, 3u << 20);
			continue;
		}
		CHECK_OK(put(&s, "shop/backup/x", "again", 5, &err), err); /* what is left is in nobody's way */
	}
}

TEST("a put that fails at any point leaves nothing at all")
{
	for (size_t i = 0; i < ARRAY_LEN(points); i++) {
		CLEANUP(storage_release) struct storage s = STORAGE_INIT;
		CLEANUP(cstr_release) char *root = path_join(test_dir(), points[i]);

		open_at(&s, root, (struct room){0});
		CHECK_INT(put_in_child(&s, points[i], "error"), 42);
		CHECK_INT(count(&s, false), 0);
		CHECK_INT(count(&s, true), 0);
	}
}

TEST("files of the storage itself are no objects and cannot be written as such")
{
	CLEANUP(storage_release) struct storage s = STORAGE_INIT;
	CLEANUP(cstr_release) char *fifo = path_join(test_dir(), "fifo"), *found = path_join(test_dir(), "lost+found"),
		*odd = path_join(test_dir(), "a\nb");
	struct storage_object o;
	struct error err = ERROR_INIT;

	open_at(&s, test_dir(), (struct room){0});
	CHECK_OK(put(&s, "x", "1", 1, &err), err);
	CHECK(!mkfifo(fifo, 0600) && !mkdir(found, 0700));
	CHECK_OK(fs_write_file(odd, 0600, "1", 1, &err), err);
	CHECK_INT(count(&s, false), 1);
	CHECK_ERR(put(&s, ".drtool-lock", "1", 1, &err), err, ST_IO, "reserved");
	CHECK_ERR(put(&s, ".part~0123456789abcdef~x", "1", 1, &err), err, ST_IO, "reserved");
	CHECK_ERR(storage_stat(&run, &s, "fifo", &o, &err), err, ST_IO, "no regular file");
	CHECK_ERR(storage_stat(&run, &s, "lost+found", &o, &err), err, ST_NOT_FOUND, "folder");
}

TEST("URLs of a local store have three slashes, or are a path")
{
	static const char *const good[] = {"file:///tmp/x", "file:///tmp/x/", "/tmp/x", "file://localhost/tmp/x"};
	static const char *const bad[] = {"file://host/tmp/x", "file:tmp", "tmp/x", "s5://bucket"};
	const struct local_params params = {0};
	const struct storage_ops *ops;
	struct error err = ERROR_INIT;

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		CLEANUP(storage_release) struct storage s = STORAGE_INIT;

		CHECK_OK(storage_for_url(good[i], &ops, &err), err);
		CHECK_OK(storage_open(&run, ops, good[i], &params, &s, &err), err);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		CLEANUP(storage_release) struct storage s = STORAGE_INIT;

		if (!storage_for_url(bad[i], &ops, &err))
			(void)!storage_open(&run, ops, bad[i], &params, &s, &err);
		CHECK_INT(err.code, ST_CONFIG);
		CHECK(err.hint != NULL);
		error_release(&err);
	}
}

TEST("an unreadable folder is denied, not absent")
{
	CLEANUP(storage_release) struct storage s = STORAGE_INIT;
	CLEANUP(cstr_release) char *folder = path_join(test_dir(), "closed");
	struct storage_object o;
	struct error err = ERROR_INIT;

	open_at(&s, test_dir(), (struct room){0});
	CHECK_OK(put(&s, "closed/x", "1", 1, &err), err);
	CHECK(!chmod(folder, 0));
	CHECK(!chmod(test_dir(), 0755));
	if (getuid() == 0 && seteuid(65534))
		test_skip("cannot act as another user");
	enum status listed, got;
	CLEANUP(storage_objects_release) struct storage_objects l = STORAGE_OBJECTS_INIT;
	struct error list_err = ERROR_INIT;
	got = storage_stat(&run, &s, "closed/x", &o, &err);
	listed = storage_list(&run, &s, "", NULL, &l, &list_err);
	CHECK(getuid() != 0 || !seteuid(0));
	chmod(folder, 0700);
	CHECK_INT(got, ST_DENIED);
	CHECK_INT(listed, ST_DENIED);
	error_release(&err);
	error_release(&list_err);
}
