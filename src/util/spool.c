#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "util/fs.h"

struct spool {
	char *dir;
	size_t memory_limit;
	uint64_t size;
	uint64_t at; /* of the source */
	int fd; /* -1 until the first use */
	bool in_file, sealed;
};

struct spool *spool_new(const char *dir, size_t memory_limit)
{
	struct spool *s = xcalloc(1, sizeof *s);

	s->dir = xstrdup(dir);
	s->memory_limit = memory_limit;
	s->fd = -1;
	return s;
}

/* A file without a name: where the file system cannot make one, it is unlinked at once. */
static int open_unnamed(const char *dir)
{
	int fd = open(dir, O_TMPFILE | O_EXCL | O_RDWR | O_CLOEXEC, 0600);

	if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL))
		return fd;
	CLEANUP(cstr_release) char *path = path_join(dir, "spool-XXXXXX");
	fd = mkostemp(path, O_CLOEXEC);
	if (fd >= 0)
		unlink(path);
	return fd;
}

static enum status open_memory(struct spool *s, struct error *err)
{
	if (s->fd >= 0)
		return ST_OK;
	s->fd = memfd_create("drtool-spool", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	return s->fd < 0 ? error_errno(err, errno, "cannot make a memory file") : ST_OK;
}

static enum status write_at(int fd, uint64_t offset, const void *p, size_t n, struct error *err)
{
	const char *at = p;

	while (n) {
		ssize_t w = pwrite(fd, at, n, (off_t)offset);

		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0)
			return error_errno(err, w < 0 ? errno : EIO, "cannot write the spool");
		at += w;
		offset += (uint64_t)w;
		n -= (size_t)w;
	}
	return ST_OK;
}

static enum status move_to_file(struct spool *s, struct error *err)
{
	CLEANUP(fd_release) int file = open_unnamed(s->dir);
	char piece[16384];

	if (file < 0)
		return error_errno(err, errno, "cannot make a spool file in %s", s->dir);
	for (uint64_t done = 0; done < s->size;) {
		size_t n = (size_t)min_u64(sizeof piece, s->size - done);

		if (fs_read_at(s->fd, done, piece, n, "the spool", err) || write_at(file, done, piece, n, err))
			return err->code;
		done += n;
	}
	fd_release(&s->fd);
	s->fd = file;
	file = -1;
	s->in_file = true;
	return ST_OK;
}

enum status spool_write(struct spool *s, const void *p, size_t n, struct error *err)
{
	if (s->sealed)
		return error_set(err, ST_FAILED, "the spool is sealed");
	if (!s->in_file && s->size + n > s->memory_limit && move_to_file(s, err))
		return err->code;
	if (open_memory(s, err) || write_at(s->fd, s->size, p, n, err))
		return err->code;
	s->size += n;
	return ST_OK;
}

static enum status sink_write(void *ctx, const void *p, size_t n, struct error *err) { return spool_write(ctx, p, n, err); }

struct byte_sink spool_sink(struct spool *s) { return (struct byte_sink){.write = sink_write, .ctx = s}; }
uint64_t spool_size(const struct spool *s) { return s->size; }

enum status spool_read_at(struct spool *s, uint64_t offset, void *to, size_t n, struct error *err)
{
	return open_memory(s, err) ? err->code : fs_read_at(s->fd, offset, to, n, "the spool", err);
}

enum status spool_seal(struct spool *s, struct error *err)
{
	if (open_memory(s, err))
		return err->code;
	if (!s->in_file && fcntl(s->fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
		return error_errno(err, errno, "cannot seal the spool");
	s->sealed = true;
	return ST_OK;
}

int spool_fd(const struct spool *s) { return s->fd; }

void spool_freep(struct spool **s)
{
	if (!*s)
		return;
	fd_release(&(*s)->fd);
	free((*s)->dir);
	free(*s);
	*s = NULL;
}

static enum status source_read(void *ctx, void *to, size_t cap, size_t *got, struct error *err)
{
	struct spool *s = ctx;
	size_t n = (size_t)min_u64(cap, s->size - s->at);

	if (n && spool_read_at(s, s->at, to, n, err))
		return err->code;
	s->at += n;
	*got = n;
	return ST_OK;
}

struct byte_source spool_source(struct spool *s)
{
	s->at = 0;
	return (struct byte_source){.read = source_read, .ctx = s};
}
