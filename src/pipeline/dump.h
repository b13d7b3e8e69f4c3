/* The dump side: reader threads (one driver worker each) fill batches of chunks, compressor threads make members and append
 * them, one at a time, to the archive. Memory is the budget's buffers; back-pressure is waiting for an empty one. A border
 * depends on the data and chunk_size only, so any number of jobs makes the same set of members.
 *
 * Chunk rule: chunk_size is the greatest chunk; from a third of it on a chunk ends with the first row whose low 64 bits of
 * XXH3-128 are < 2^64 x min(1, row length / (chunk_size / 3)). A row that does not fit any more begins the next chunk. A row
 * larger than chunk_size has its chunks for itself: it is cut every chunk_size bytes, all but the last are `open`, its row is
 * counted in the first, its hash in the last. A range without rows has no chunk; an object without rows has none, and nothing
 * but its line in the index. */
#ifndef PIPELINE_DUMP_H
#define PIPELINE_DUMP_H

#include "archive/archive.h"
#include "archive/path.h"
#include "core/progress.h"
#include "pipeline/budget.h"
#include "pipeline/rows.h"

/* How the pipeline calls the driver, so that it need not see driver.h. Given by ops. */
struct dump_calls {
	enum status (*worker_open)(void *ctx, struct run *run, void **worker, struct error *err);
	enum status (*unit)(void *ctx, struct run *run, void *worker, const struct dump_unit *u, struct row_sink *rows,
			    struct error *err);
	void (*worker_close)(void *ctx, void *worker);
	void (*interrupt)(void *ctx, void *worker);
	void *ctx;
};

/* The objects and units of one scope, collected from scope_begin through an object_sink. */
struct dump_plan;
struct dump_plan *dump_plan_new(void);
void dump_plan_freep(struct dump_plan **p);
uint64_t dump_plan_estimate(const struct dump_plan *p); /* bytes */
size_t dump_plan_units(const struct dump_plan *p);

/* Sum of one object, for digests. */
struct object_sum {
	uint64_t rows, raw;
	struct hash128 digest;
};

struct dump_pipeline; /* compressors and buffers live for the whole archive, readers for a scope */
struct dump_pipeline_spec {
	const struct budget *budget;
	uint32_t chunk_size;
	enum gzip_mode mode;
	struct instant mtime;
	struct archive_writer *writer; /* used by one thread at a time, also by compressors; NULL: sums only (a digest) */
	struct progress *progress;     /* NULL: none */
};
/* run, the writer and progress outlive the pipeline. */
enum status dump_pipeline_new(struct run *run, const struct dump_pipeline_spec *spec, struct dump_pipeline **p,
			      struct error *err) MUST_CHECK;
void dump_pipeline_freep(struct dump_pipeline **p); /* stops and joins all threads */
/* The sinks that a driver's scope_begin fills: objects are registered in the writer (path db/<scope>/data/...), units go to the
 * plan, the ranges of an object in order. A sink is valid as long as pipeline and plan are. */
struct object_sink dump_object_sink(struct dump_pipeline *p, struct dump_plan *plan, const char *scope);
/* Entries of a scope (db/<scope>/<path>) or of none (scope NULL), appended in order. Not for a digest. */
struct entry_sink dump_entry_sink(struct dump_pipeline *p, const char *scope);
/* The folder of a scope in the archive, "db/shop": the one that its objects and entries will have. The pipeline's. */
const char *dump_scope_folder(struct dump_pipeline *p, const char *scope);
/* Runs all units of the plan, largest first, on budget->jobs workers; returns when every member is appended, and gives the
 * memory of the buffers back. The first error ends all: workers are interrupted, queues closed, threads joined; the pipeline is
 * of no use afterwards. One run at a time, entries before and after. */
enum status dump_pipeline_run(struct dump_pipeline *p, struct dump_plan *plan, const struct dump_calls *calls,
			      struct error *err) MUST_CHECK;
/* After run: sums by object number of the plan. */
struct object_sum dump_plan_sum(const struct dump_plan *p, uint32_t object);
/* The name of an object of the plan. */
const char *dump_plan_object_name(const struct dump_plan *p, uint32_t object);
size_t dump_plan_objects(const struct dump_plan *p);

#endif
