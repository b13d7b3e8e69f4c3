/* Tar headers of regular files, laid and checked here: their bytes depend on path, size and time only, never on the locale of the
 * process, so the same data gives the same members. Internal to the room. */
#ifndef ARCHIVE_TAR_H
#define ARCHIVE_TAR_H

#include "util/error.h"
#include "util/time.h"

#define TAR_BLOCK 512u
#define TAR_PATH_MAX 1000u
#define TAR_HEAD_MAX 4096u

/* The gzip member that holds the end of a tar: two blocks of zeros. Always these bytes. */
#define TAR_END_LEN 29u
extern const unsigned char tar_end[TAR_END_LEN];

/* The header of an entry; to has TAR_HEAD_MAX bytes. Returns its length, a multiple of TAR_BLOCK. path has at most TAR_PATH_MAX
 * bytes. */
size_t tar_head(const char *path, uint64_t size, struct instant mtime, unsigned char *to);
/* ST_BAD where head[0..n) is not exactly what tar_head makes of this path and some size and time; *size is that size. */
enum status tar_head_check(const unsigned char *head, size_t n, const char *path, uint64_t *size, struct error *err) MUST_CHECK;
/* Bytes of zeros after an entry of this size. */
static inline uint32_t tar_padding(uint64_t size) { return (uint32_t)(-size & (TAR_BLOCK - 1)); }

#endif
