#include "util/fs.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <signal.h>
#include <unistd.h>

#include "tests/lib/test.h"

static char *in_dir(const char *name) { return path_join(test_dir(), name); }

static mode_t mode_of(const char *path)
{
	struct stat st;

	CHECK(!lstat(path, &st));
	return st.st_mode & 07777;
}

TEST("paths are joined with one slash")
{
	CLEANUP(cstr_release) char *a = path_join("/a", "b"), *b = path_join("/a/", "b"), *c = path_join("", "b");

	CHECK_STR(a, "/a/b");
	CHECK_STR(b, "/a/b");
	CHECK_STR(c, "b");
}

TEST("folders are made with their parents and existing ones keep their mode")
{
	CLEANUP(cstr_release) char *a = in_dir("a"), *deep = in_dir("a//b/c/"), *more = in_dir("a/b/c/d");
	struct error e = ERROR_INIT;

	CHECK(!mkdir(a, 0755));
	CHECK_OK(fs_mkdirs(deep, 0700, &e), e);
	CHECK_OK(fs_mkdirs(deep, 0700, &e), e);
	CHECK_OK(fs_mkdirs(more, 0700, &e), e);
	CHECK_INT(mode_of(a), 0755);
	CHECK_INT(mode_of(more), 0700);
	CHECK(fs_is_dir(deep));
}

TEST("a file in the way of a folder is an error that names it")
{
	CLEANUP(cstr_release) char *file = in_dir("file"), *under = in_dir("file/x");
	struct error e = ERROR_INIT;

	CHECK_OK(fs_write_file(file, 0600, "x", 1, &e), e);
	CHECK_ERR(fs_mkdirs(file, 0700, &e), e, ST_IO, "/file: Not a directory");
	CHECK_ERR(fs_mkdirs(under, 0700, &e), e, ST_IO, "/file: Not a directory");
}

TEST("a file is written whole with its mode and leaves no temporary file")
{
	CLEANUP(cstr_release) char *path = in_dir("f");
	CLEANUP(buf_release) struct buf b = BUF_INIT;
	CLEANUP(strlist_release) struct strlist names = STRLIST_INIT;
	struct error e = ERROR_INIT;

	umask(077);
	CHECK_OK(fs_write_file(path, 0644, "first", 5, &e), e);
	CHECK_INT(mode_of(path), 0644);
	CHECK_OK(fs_write_file(path, 0600, "second\0x", 8, &e), e);
	CHECK_INT(mode_of(path), 0600);
	CHECK_OK(fs_read_file(path, 8, &b, &e), e);
	CHECK_INT(b.len, 8);
	CHECK(!memcmp(b.data, "second\0x", 8));
	CHECK_OK(fs_list(test_dir(), &names, &e), e);
	CHECK_INT(names.len, 1);
}

TEST("a write that fails leaves the old file and no temporary one")
{
	CLEANUP(cstr_release) char *path = in_dir("f");
	CLEANUP(buf_release) struct buf b = BUF_INIT;
	CLEANUP(strlist_release) struct strlist names = STRLIST_INIT;
	struct error e = ERROR_INIT;
	struct rlimit small = {4, 4};
	char big[100] = "";

	CHECK_OK(fs_write_file(path, 0600, "old", 3, &e), e);
	signal(SIGXFSZ, SIG_IGN);
	CHECK(!setrlimit(RLIMIT_FSIZE, &small));
	CHECK_ERR(fs_write_file(path, 0600, big, sizeof big, &e), e, ST_IO, "cannot write");
	CHECK_OK(fs_read_file(path, 100, &b, &e), e);
	CHECK_STR(buf_str(&b), "old");
	CHECK_OK(fs_list(test_dir(), &names, &e), e);
	CHECK_INT(names.len, 1);
}

TEST("writing into an absent folder is an error that names the path")
{
	CLEANUP(cstr_release) char *path = in_dir("absent/f");
	struct error e = ERROR_INIT;

	CHECK_ERR(fs_write_file(path, 0600, "x", 1, &e), e, ST_NOT_FOUND, "absent/f");
}

TEST("reading appends, refuses what is too large, and leaves the buffer as it was then")
{
	CLEANUP(cstr_release) char *path = in_dir("f"), *absent = in_dir("absent");
	CLEANUP(buf_release) struct buf b = BUF_INIT;
	struct error e = ERROR_INIT;

	CHECK_OK(fs_write_file(path, 0600, "12345", 5, &e), e);
	buf_puts(&b, "a");
	CHECK_OK(fs_read_file(path, 5, &b, &e), e);
	CHECK_STR(buf_str(&b), "a12345");
	CHECK_ERR(fs_read_file(path, 4, &b, &e), e, ST_BAD, "larger than 4 bytes");
	CHECK_STR(buf_str(&b), "a12345");
	CHECK_ERR(fs_read_file(absent, 4, &b, &e), e, ST_NOT_FOUND, "absent");
	CHECK_ERR(fs_read_file(test_dir(), 4, &b, &e), e, ST_IO, "cannot read");
	CHECK_STR(buf_str(&b), "a12345");
}

TEST("a file whose size the kernel does not tell is read whole")
{
	CLEANUP(buf_release) struct buf b = BUF_INIT;
	struct error e = ERROR_INIT;

	CHECK_OK(fs_read_file("/proc/self/status", SIZE_MAX, &b, &e), e);
	CHECK_HAS(buf_str(&b), "VmRSS");
}

TEST("reading at an offset gives exactly the bytes or says where the file ends")
{
	CLEANUP(cstr_release) char *path = in_dir("f");
	struct error e = ERROR_INIT;
	char piece[4] = "";

	CHECK_OK(fs_write_file(path, 0600, "abcdef", 6, &e), e);
	CLEANUP(fd_release) int fd = open(path, O_RDONLY | O_CLOEXEC);
	CHECK_OK(fs_read_at(fd, 3, piece, 3, "f", &e), e);
	CHECK_STR(piece, "def");
	CHECK_OK(fs_read_at(fd, 100, piece, 0, "f", &e), e);
	CHECK_ERR(fs_read_at(fd, 4, piece, 3, "f", &e), e, ST_BAD, "f ends at byte 6");
	CHECK_ERR(fs_read_at(fd, UINT64_MAX, piece, 3, "f", &e), e, ST_BAD, "f has no byte");
}

TEST("names are listed in byte order without dot and dot-dot")
{
	CLEANUP(cstr_release) char *a = in_dir("b"), *b = in_dir("B"), *c = in_dir(".hidden"), *absent = in_dir("absent");
	CLEANUP(strlist_release) struct strlist names = STRLIST_INIT;
	struct error e = ERROR_INIT;

	CHECK(!mkdir(a, 0700) && !mkdir(b, 0700) && !mkdir(c, 0700));
	CHECK_OK(fs_list(test_dir(), &names, &e), e);
	CHECK_INT(names.len, 3);
	CHECK_STR(names.item[0], ".hidden");
	CHECK_STR(names.item[1], "B");
	CHECK_STR(names.item[2], "b");
	CHECK_ERR(fs_list(absent, &names, &e), e, ST_NOT_FOUND, "absent");
}

TEST("removing a tree removes links and not what they point to")
{
	CLEANUP(cstr_release) char *tree = in_dir("tree"), *deep = in_dir("tree/a/b"), *link = in_dir("tree/a/link");
	CLEANUP(cstr_release) char *kept = in_dir("kept"), *inner = in_dir("kept/file"), *file = in_dir("tree/a/b/file");
	struct error e = ERROR_INIT;

	CHECK_OK(fs_mkdirs(deep, 0700, &e), e);
	CHECK_OK(fs_mkdirs(kept, 0700, &e), e);
	CHECK_OK(fs_write_file(inner, 0600, "x", 1, &e), e);
	CHECK_OK(fs_write_file(file, 0400, "x", 1, &e), e);
	CHECK(!symlink(kept, link));
	CHECK_OK(fs_remove_tree(tree, &e), e);
	CHECK(!fs_exists(tree) && fs_exists(inner));
	CHECK_OK(fs_remove_tree(tree, &e), e);
	CHECK(!symlink(kept, tree));
	CHECK_OK(fs_remove_tree(tree, &e), e);
	CHECK(!fs_exists(tree) && fs_exists(inner));
}

TEST("the room of a file system is told")
{
	struct error e = ERROR_INIT;
	uint64_t free_bytes = 0, total = 0;

	CHECK_OK(fs_free_space(test_dir(), &free_bytes, &total, &e), e);
	CHECK(total > 0 && free_bytes <= total);
	CHECK_OK(fs_free_space(test_dir(), NULL, NULL, &e), e);
	CHECK_ERR(fs_free_space("/absent/x", &free_bytes, NULL, &e), e, ST_NOT_FOUND, "/absent/x");
}

TEST("a temporary folder is private and goes with all it holds")
{
	struct tmpdir t = TMPDIR_INIT;
	struct error e = ERROR_INIT;

	setenv("TMPDIR", test_dir(), 1);
	CHECK_OK(tmpdir_make(&t, "work", &e), e);
	CHECK_INT(mode_of(t.path), 0700);
	CHECK(!strncmp(t.path, test_dir(), strlen(test_dir())));
	CLEANUP(cstr_release) char *path = xstrdup(t.path), *deep = path_join(t.path, "a/b");
	CHECK_OK(fs_mkdirs(deep, 0700, &e), e);
	tmpdir_release(&t);
	CHECK(!fs_exists(path) && !t.path);
	tmpdir_release(&t);
	setenv("TMPDIR", "/absent", 1);
	CHECK_ERR(tmpdir_make(&t, "work", &e), e, ST_IO, "temporary folder /absent/work-");
}

TEST("a new file is written whole and private, and one that is there stays as it is")
{
	CLEANUP(cstr_release) char *path = path_join(test_dir(), "new");
	CLEANUP(buf_release) struct buf b = BUF_INIT;
	struct error err = ERROR_INIT;
	struct stat st;

	CHECK_OK(fs_write_new(path, "first", 5, &err), err);
	CHECK(!stat(path, &st) && (st.st_mode & 07777) == 0600);
	CHECK_ERR(fs_write_new(path, "other", 5, &err), err, ST_REFUSED, "is there already");
	CHECK_OK(fs_read_file(path, 100, &b, &err), err);
	CHECK_STR(buf_str(&b), "first");
}
