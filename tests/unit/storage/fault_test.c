#include "tests/lib/test.h"

#include <sys/wait.h>
#include <unistd.h>

#include "storage/local/local.h"

#ifdef DRTOOL_TEST

static struct run run = RUN_INIT;

static void open_faulty(struct storage *s, const char *rules)
{
	CLEANUP(cstr_release) char *url = xasprintf("file://%s/offsite", test_dir());
	const struct local_params params = {0};
	struct error err = ERROR_INIT;

	setenv("DRTOOL_STORE_FAULT", rules, 1);
	CHECK_OK(storage_open(&run, &storage_local, url, &params, s, &err), err);
	unsetenv("DRTOOL_STORE_FAULT");
}

static enum status put(struct storage *s, const char *key, const char *text, struct error *err)
{
	const struct put_spec spec = {.key = key};

	return storage_put_bytes(&run, s, &spec, text, strlen(text), NULL, err);
}

TEST("the fault wrapper fails a write at a byte, and from then on")
{
	CLEANUP(storage_release) struct storage s = STORAGE_INIT;
	struct error err = ERROR_INIT;

	open_faulty(&s, "write:8:ENOSPC");
	CHECK_OK(put(&s, "a", "12345678", &err), err);
	CHECK_ERR(put(&s, "b", "1", &err), err, ST_NO_SPACE, "injected fault at write");
	CHECK_ERR(put(&s, "c", "1", &err), err, ST_NO_SPACE, "");
}

TEST("the fault wrapper fails the nth call once, for keys that contain a text, in the store that is named")
{
	CLEANUP(storage_release) struct storage s = STORAGE_INIT, other = STORAGE_INIT;
	struct storage_object o;
	struct error err = ERROR_INIT;

	open_faulty(&s, "finish[.tar]:2:EIO:once,offsite@stat:1:unreachable,elsewhere@stat:1:EIO,list:1:EACCES,delete:1:retained");
	CHECK_OK(put(&s, "a.tar", "1", &err), err);
	CHECK_OK(put(&s, "a.json", "1", &err), err);
	CHECK_ERR(put(&s, "b.tar", "1", &err), err, ST_IO, "finish");
	CHECK_OK(put(&s, "b.tar", "1", &err), err);
	CHECK_INT(storage_stat(&run, &s, "a.tar", &o, &err), ST_UNREACHABLE);
	CHECK(err.retry);
	error_release(&err);
	struct storage_objects l = STORAGE_OBJECTS_INIT;
	CHECK_ERR(storage_list(&run, &s, "", NULL, &l, &err), err, ST_DENIED, "list");
	CHECK_ERR(storage_delete(&run, &s, "a.tar", NULL, &err), err, ST_RETAINED, "retained until");
	open_faulty(&other, "elsewhere@stat:1:EIO");
	CHECK_OK(storage_stat(&run, &other, "a.tar", &o, &err), err);
}

TEST("the fault wrapper flips and cuts what is read and written")
{
	CLEANUP(storage_release) struct storage s = STORAGE_INIT, t = STORAGE_INIT;
	struct storage_object o;
	struct error err = ERROR_INIT;
	char got[5] = "";

	open_faulty(&s, "get:1:flip:once,get:2:short:once,write:4:short");
	CHECK_OK(put(&s, "a", "abcd", &err), err);
	CHECK_OK(storage_get(&run, &s, "a", 0, got, 4, &err), err);
	CHECK_STR(got, "abbd");
	CHECK_ERR(storage_get(&run, &s, "a", 0, got, 4, &err), err, ST_BAD, "cut");
	CHECK_OK(storage_get(&run, &s, "a", 0, got, 4, &err), err);
	CHECK_STR(got, "abcd");
	CHECK_OK(put(&s, "b", "efgh", &err), err);
	CHECK_OK(storage_stat(&run, &s, "b", &o, &err), err);
	CHECK_INT(o.size, 0);
	open_faulty(&t, "write:0:flip:once");
	CHECK_OK(put(&t, "c", "abcd", &err), err);
	CHECK_OK(storage_get(&run, &t, "c", 0, got, 4, &err), err);
	CHECK_STR(got, "abbd");
}

TEST("a stall of the fault wrapper ends by the deadline")
{
	CLEANUP(storage_release) struct storage s = STORAGE_INIT;
	struct run soon = run_within(&run, DURATION_MS(50));
	const struct put_spec spec = {.key = "a"};
	struct error err = ERROR_INIT;

	open_faulty(&s, "open:1:stall");
	CHECK_ERR(storage_put_bytes(&soon, &s, &spec, "1", 1, NULL, &err), err, ST_DEADLINE, "");
}

TEST("a rule of DRTOOL_STORE_FAULT that is none ends the process with its text")
{
	static const char *const bad[] = {"write", "write:x:EIO", "nothing:1:EIO", "write:1:EFOO", "get:1:EIO:twice", "get::EIO"};

	test_dir(); /* made here, not in the children */
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		int wstatus;
		pid_t pid = fork();

		if (!pid) {
			struct storage s;

			fclose(stderr);
			open_faulty(&s, bad[i]);
			_exit(0);
		}
		waitpid(pid, &wstatus, 0);
		CHECK_INT(WEXITSTATUS(wstatus), 2);
	}
}

#endif
