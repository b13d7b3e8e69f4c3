/* A database that is not there, an archive in memory: what the tests of the pipeline run against. */
#ifndef TESTS_PIPELINE_FAKE_H
#define TESTS_PIPELINE_FAKE_H

#include <stdatomic.h>

#include "pipeline/dump.h"
#include "pipeline/load.h"

/* Rows of a table are made from their number alone. */
struct fake_table {
	const char *name;
	uint32_t ranges;
	uint64_t rows;    /* per range */
	size_t length;    /* of a usual row */
	uint64_t large_every; /* 0: never; else every nth row has large_length */
	size_t large_length;
	uint64_t insert_at;   /* a row of 100 bytes before this one, in range 0; 0: none */
	bool noise;       /* bytes that do not compress */
};

struct fake_db {
	const struct fake_table *table;
	size_t tables;
	/* Faults of the dump: the unit of this table fails (once the other one blocks), blocks until it is interrupted, or fires the token,
	 * at this row. */
	const char *fail_table, *block_table, *cancel_table;
	uint64_t at_row;
	struct cancel *cancel;
	unsigned refuse_worker; /* the nth opened fails */
	atomic_uint asked, opened, closed, interrupts;
	atomic_bool blocked, interrupted;
};
struct dump_calls fake_calls(struct fake_db *db);
/* Gives all objects and units to the sink. */
void fake_objects(const struct fake_db *db, const struct object_sink *to);
/* The bytes of one row; to grows. */
void fake_row(const struct fake_table *t, uint32_t range, uint64_t i, struct buf *to);
/* Rows of a range, the inserted one among them. */
uint64_t fake_rows(const struct fake_table *t, uint32_t range);

struct fake_archive {
	struct buf bytes;   /* the one volume */
	bool discard;       /* counts only */
	int fd;             /* above 0: the volume is this file */
	uint64_t written, fail_after; /* fail_after 0: never */
	struct duration slow; /* per write */
	struct archive_writer *writer;
	atomic_uint reads;
	atomic_int inside;  /* calls at work in the sink: never more than one */
};
#define FAKE_ARCHIVE_INIT {0}
void fake_archive_open(struct fake_archive *a, uint32_t chunk_size);
void fake_archive_finish(struct fake_archive *a);
struct archive_reader *fake_archive_read(struct fake_archive *a);
void fake_archive_release(struct fake_archive *a);

/* A budget of the given numbers with buffers for the chunk size. */
struct budget fake_budget(uint32_t chunk_size, unsigned jobs, unsigned compressors, bool load);
/* Dumps the database to the archive. */
enum status fake_dump(struct run *run, struct fake_db *db, struct fake_archive *a, uint32_t chunk_size, unsigned jobs, struct error *err);
/* The members of tables, one a line, in the order of path, range, part: what must not depend on jobs. */
void fake_members(struct fake_archive *a, struct strlist *to);

#endif
