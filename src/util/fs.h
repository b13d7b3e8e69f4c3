/* Files and folders, with full error texts. Paths are whole; nothing changes the working directory. */
#ifndef UTIL_FS_H
#define UTIL_FS_H

#include <sys/stat.h>

#include "util/buf.h"
#include "util/error.h"
#include "util/io.h"

char *path_join(const char *a, const char *b); /* owned by the caller */
enum status fs_mkdirs(const char *path, mode_t mode, struct error *err) MUST_CHECK; /* existing folders keep their mode */
/* Appends the whole file, at most max bytes (more is ST_BAD). */
enum status fs_read_file(const char *path, size_t max, struct buf *to, struct error *err) MUST_CHECK;
/* Writes a temporary neighbour with the mode, fsync, rename, fsync of the folder. */
enum status fs_write_file(const char *path, mode_t mode, const void *p, size_t n, struct error *err) MUST_CHECK;
/* A 0600 file that is not there yet, durably, or none. ST_REFUSED: it is there, and stays as it is. */
enum status fs_write_new(const char *path, const void *p, size_t n, struct error *err) MUST_CHECK;
enum status fs_write_all(int fd, const void *p, size_t n, const char *name, struct error *err) MUST_CHECK;
/* Exactly n bytes; a file that ends before is ST_BAD. */
enum status fs_read_at(int fd, uint64_t offset, void *to, size_t n, const char *name, struct error *err) MUST_CHECK;
enum status fs_sync_dir(const char *path, struct error *err) MUST_CHECK;
enum status fs_sync_parent(const char *path, struct error *err) MUST_CHECK; /* the folder that path is in */
/* Names in a folder except . and .., byte order. */
enum status fs_list(const char *path, struct strlist *to, struct error *err) MUST_CHECK;
enum status fs_remove_tree(const char *path, struct error *err) MUST_CHECK; /* absent is fine; never follows links */
bool fs_exists(const char *path);
bool fs_is_dir(const char *path);
/* Bytes free to an unprivileged user, and the size of the whole file system (either may be NULL). */
enum status fs_free_space(const char *path, uint64_t *free_bytes, uint64_t *total, struct error *err) MUST_CHECK;

/* A private 0700 folder under $TMPDIR or /tmp, removed with all it holds by tmpdir_release. */
struct tmpdir {
	char *path;
};
#define TMPDIR_INIT {0}
enum status tmpdir_make(struct tmpdir *t, const char *prefix, struct error *err) MUST_CHECK;
void tmpdir_release(struct tmpdir *t);

/* Bytes whose number is not known before: a memfd up to a limit, beyond it an unlinked 0600 file in `dir`. */
struct spool;
struct spool *spool_new(const char *dir, size_t memory_limit); /* dir: copied; used only beyond the limit */
enum status spool_write(struct spool *s, const void *p, size_t n, struct error *err) MUST_CHECK;
struct byte_sink spool_sink(struct spool *s);
struct byte_source spool_source(struct spool *s); /* from its start; one at a time */
uint64_t spool_size(const struct spool *s);
enum status spool_read_at(struct spool *s, uint64_t offset, void *to, size_t n, struct error *err) MUST_CHECK;
/* Seals a memfd against writing; no write may follow. */
enum status spool_seal(struct spool *s, struct error *err) MUST_CHECK;
int spool_fd(const struct spool *s); /* borrowed, known once written or sealed; a child opens it as /proc/self/fd/N */
void spool_freep(struct spool **s);

#endif
