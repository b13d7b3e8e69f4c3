#include <fcntl.h>
#include <unistd.h>

#include "tests/lib/test.h"
#include "util/fs.h"

static void check_content(struct spool *s, const char *expected)
{
	CLEANUP(buf_release) struct buf b = BUF_INIT;
	struct error e = ERROR_INIT;
	size_t n = strlen(expected);

	CHECK_INT(spool_size(s), n);
	buf_reserve(&b, n);
	CHECK_OK(spool_read_at(s, 0, b.data, n, &e), e);
	b.data[n] = 0;
	CHECK_STR(b.data, expected);
}

static bool is_memory(const struct spool *s)
{
	CLEANUP(cstr_release) char *link = xasprintf("/proc/self/fd/%d", spool_fd(s));
	char target[512] = "";

	CHECK(readlink(link, target, sizeof target - 1) > 0);
	return strstr(target, "memfd:") != NULL;
}

TEST("a spool stays in memory up to its limit and moves to a nameless file beyond it")
{
	CLEANUP(spool_freep) struct spool *s = spool_new(test_dir(), 10);
	CLEANUP(strlist_release) struct strlist names = STRLIST_INIT;
	struct error e = ERROR_INIT;
	struct byte_sink sink = spool_sink(s);
	struct stat st;

	CHECK_OK(spool_write(s, "01234", 5, &e), e);
	CHECK_OK(sink.write(sink.ctx, "56789", 5, &e), e);
	check_content(s, "0123456789");
	CHECK(is_memory(s));
	CHECK_OK(spool_write(s, "ab", 2, &e), e);
	CHECK_OK(spool_write(s, "cd", 2, &e), e);
	check_content(s, "0123456789abcd");
	CHECK(!is_memory(s));
	CHECK(!fstat(spool_fd(s), &st));
	CHECK_INT(st.st_mode & 07777, 0600);
	CHECK_INT(st.st_nlink, 0);
	CHECK_OK(fs_list(test_dir(), &names, &e), e);
	CHECK_INT(names.len, 0);
}

TEST("a spool whose first write is beyond the limit never takes memory")
{
	CLEANUP(spool_freep) struct spool *s = spool_new(test_dir(), 0);
	struct error e = ERROR_INIT;

	CHECK_OK(spool_write(s, "x", 1, &e), e);
	CHECK(!is_memory(s));
	check_content(s, "x");
}

TEST("a sealed spool takes no byte more, by nobody")
{
	CLEANUP(spool_freep) struct spool *s = spool_new(test_dir(), 100);
	struct error e = ERROR_INIT;

	CHECK_OK(spool_write(s, "abc", 3, &e), e);
	CHECK_OK(spool_seal(s, &e), e);
	CHECK_ERR(spool_write(s, "d", 1, &e), e, ST_FAILED, "sealed");
	CHECK(pwrite(spool_fd(s), "x", 1, 0) < 0);
	CHECK(ftruncate(spool_fd(s), 0) < 0);
	check_content(s, "abc");
}

TEST("a sealed spool can be opened again by its path in /proc, with a position of its own")
{
	CLEANUP(spool_freep) struct spool *s = spool_new(test_dir(), 100);
	struct error e = ERROR_INIT;
	char text[4] = "";

	CHECK_OK(spool_write(s, "abc", 3, &e), e);
	CHECK_OK(spool_seal(s, &e), e);
	CLEANUP(cstr_release) char *path = xasprintf("/proc/self/fd/%d", spool_fd(s));
	CLEANUP(fd_release) int fd = open(path, O_RDONLY | O_CLOEXEC);
	CHECK_INT(read(fd, text, 3), 3);
	CHECK_STR(text, "abc");
}

TEST("an empty spool can be sealed and read")
{
	CLEANUP(spool_freep) struct spool *s = spool_new("/absent", 100);
	struct error e = ERROR_INIT;
	char c;

	CHECK_OK(spool_seal(s, &e), e);
	CHECK(spool_fd(s) >= 0);
	CHECK_INT(spool_size(s), 0);
	CHECK_ERR(spool_read_at(s, 0, &c, 1, &e), e, ST_BAD, "the spool ends at byte 0");
}

TEST("a spool that needs a folder which is absent names it")
{
	CLEANUP(spool_freep) struct spool *s = spool_new("/absent/folder", 2);
	struct error e = ERROR_INIT;

	CHECK_OK(spool_write(s, "ab", 2, &e), e);
	CHECK_ERR(spool_write(s, "c", 1, &e), e, ST_NOT_FOUND, "/absent/folder");
	check_content(s, "ab");
}

TEST("a large spool keeps every byte when it moves")
{
	CLEANUP(spool_freep) struct spool *s = spool_new(test_dir(), 100000);
	struct error e = ERROR_INIT;
	unsigned char piece[7001], back[7001];

	for (size_t i = 0; i < 30; i++) {
		memset(piece, (int)i, sizeof piece);
		CHECK_OK(spool_write(s, piece, sizeof piece, &e), e);
	}
	CHECK_INT(spool_size(s), 30 * sizeof piece);
	for (size_t i = 0; i < 30; i++) {
		memset(piece, (int)i, sizeof piece);
		CHECK_OK(spool_read_at(s, i * sizeof piece, back, sizeof back, &e), e);
		CHECK(!memcmp(piece, back, sizeof back));
	}
}
