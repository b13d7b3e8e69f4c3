/* The load side: loader threads pull chunks of their unit, each with a bounded prefetch window of its own: read by range, SHA-256,
 * inflate, tar header and raw hash checked before a byte reaches the server. */
#ifndef PIPELINE_LOAD_H
#define PIPELINE_LOAD_H

#include "archive/archive.h"
#include "core/progress.h"
#include "pipeline/budget.h"
#include "pipeline/rows.h"

/* A unit: consecutive chunks of one range of one object that begin and end at row borders, loaded in one transaction: about 64
 * MiB, so that several connections share a large table and a unit that failed is little work. Where the driver takes smaller ones, an
 * eighth of the object if that is less. Units depend on archive and driver only. */
struct load_plan_unit {
	uint32_t object, range, first_part, parts;
	uint64_t rows, raw;
	uint32_t first_page, last_page; /* of the index, between which its members are listed */
	bool done;    /* in the target: set before a run for what an earlier run loaded (resume), and by the run */
	bool begun;   /* by this run */
	bool unknown; /* the link broke at the commit */
};

struct load_calls {
	enum status (*worker_open)(void *ctx, struct run *run, void **worker, struct error *err);
	/* Loads a unit; state and rows as struct load_unit_result of the driver. */
	enum status (*unit)(void *ctx, struct run *run, void *worker, const struct recorded_object *o,
			    const struct load_plan_unit *u, struct chunk_source *chunks, bool *done, bool *unknown,
			    struct error *err);
	void (*worker_close)(void *ctx, void *worker);
	void (*interrupt)(void *ctx, void *worker);
	/* Called under a lock when a unit is in the target, for the journal. */
	enum status (*unit_done)(void *ctx, const struct load_plan_unit *u, struct error *err);
	void *ctx;
};

struct load_pipeline_spec {
	const struct budget *budget;
	struct archive_reader *reader;
	struct progress *progress; /* NULL: none */
	bool (*wants)(void *ctx, const struct recorded_object *o); /* objects to load */
	void *wants_ctx;
	uint64_t unit_least; /* bytes; 0: 64 MiB */
	bool salvage;   /* a damaged member is passed over and reported instead of ending the run */
	/* Salvage: a member whose rows are left out: a damaged one, or another part of a row that it belongs to. Under a lock. */
	void (*damaged)(void *ctx, const char *object, const struct member_row *row, const struct error *why);
	void *damaged_ctx;
};
struct load_pipeline;
/* Lists the units of a scope (largest objects first, those of one object together) after reading the needed index pages once.
 * ST_BAD where they disagree with the root. run, reader and progress outlive the pipeline; spec and budget are copied. */
enum status load_pipeline_new(struct run *run, const struct load_pipeline_spec *spec, const char *scope, struct load_pipeline **p,
			      struct error *err) MUST_CHECK;
void load_pipeline_freep(struct load_pipeline **p);
/* The units, to mark those done before (resume) and to report (done, partial, not begun). */
struct load_plan_unit *load_pipeline_units(struct load_pipeline *p, size_t *n);
/* Fetches the first and last member of each wanted object and checks them; before anything is changed. In a salvage nothing. */
enum status load_pipeline_preflight(struct load_pipeline *p, struct error *err) MUST_CHECK;
/* Loads all units that are not done. The first error ends all: workers are interrupted, threads joined. Once. */
enum status load_pipeline_run(struct load_pipeline *p, const struct load_calls *calls, struct error *err) MUST_CHECK;
/* The archive as what a driver reads of it: objects of a scope and files. Valid as long as the reader. */
struct recorded load_recorded(struct archive_reader *r);

#endif
