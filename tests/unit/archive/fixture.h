/* Archives in memory for the tests of this room: a sink that keeps volumes, a source that reads them, and small builders. */
#ifndef TESTS_ARCHIVE_FIXTURE_H
#define TESTS_ARCHIVE_FIXTURE_H

#include "archive/archive.h"
#include "archive/path.h"
#include "tests/lib/test.h"

#define VOLUMES_KEPT 200

struct volumes {
	struct buf volume[VOLUMES_KEPT];
	uint32_t volumes;
	struct sha256 sha256[VOLUMES_KEPT];
};
void volumes_release(struct volumes *s);
struct volume_sink volumes_sink(struct volumes *s);
struct range_source volumes_source(struct volumes *s);

/* One thread that makes members and appends them. */
struct maker {
	struct archive_writer *w;
	struct gzip *z;
	struct sha256_state *sha;
	unsigned char *chunk, *out; /* chunk: MEMBER_ROOM, payload, MEMBER_ROOM */
	size_t chunk_size, out_cap;
};
struct maker_spec {
	struct volumes *store;
	uint32_t chunk_size; /* 0: 64 KiB */
	uint64_t volume_size, volume_max;
	enum gzip_mode mode;
};
void maker_start(struct maker *m, const struct maker_spec *spec);
void maker_release(struct maker *m);
uint32_t maker_table(struct maker *m, const char *name, const char *path, const json_t *facts);
/* n bytes of generated rows as one part; the row counts and digests are made up from the numbers. */
struct part {
	uint32_t object, range, part;
	const char *path;
	size_t n;
	bool open;
};
void maker_part(struct maker *m, const struct part *p);
/* A file of generated text. */
uint32_t maker_file(struct maker *m, const char *path, size_t n);
void maker_finish(struct maker *m);

/* The bytes that maker_part and maker_file generate. */
void maker_fill(unsigned char *to, size_t n, uint64_t seed);

/* Files, tables, several ranges, odd sizes, an open row: what most tests look at. */
void maker_sample(struct volumes *s, enum gzip_mode mode, uint64_t volume_size);
struct archive_reader *volumes_open(struct volumes *s);
/* Runs the whole check; returns the number of damages, 0 where it succeeded. Fails the test where the check fails otherwise. */
size_t volumes_check(struct volumes *s);

#endif
