/* The parts of the dump side. Internal to the room. */
#ifndef PIPELINE_DUMP_INTERNAL_H
#define PIPELINE_DUMP_INTERNAL_H

#include "pipeline/batch.h"
#include "pipeline/chunker.h"
#include "pipeline/crew.h"
#include "pipeline/dump.h"

struct plan_object {
	char *name, *path, *ext;
	uint32_t id; /* in the archive */
	uint32_t ranges;
	struct object_sum sum; /* under the plan's mutex while readers run */
};

struct dump_plan {
	struct plan_object **object;
	size_t objects, object_cap;
	struct dump_unit *unit;
	size_t units, unit_cap;
	pthread_mutex_t mutex; /* guards the sums */
};
void plan_add_sum(struct dump_plan *p, uint32_t object, const struct object_sum *sum);
/* Largest first; equal ones in the order of object and range. */
void plan_sort(struct dump_plan *p);

/* What a sink of the pipeline needs to know; kept until the pipeline is freed. */
struct sink_ctx {
	struct sink_ctx *next;
	struct dump_pipeline *pipeline;
	struct dump_plan *plan;
	char *scope, *folder; /* "" where the scope is none */
};

struct compressor {
	struct dump_pipeline *pipeline;
	struct thread thread;
	struct gzip *gzip;
	struct sha256_state *sha;
	struct region memory;   /* room for a small chunk, then stored bytes */
	unsigned char *stored;
	size_t used;            /* of stored */
	struct member *member;  /* made, not yet appended */
	unsigned members;
	struct buf path;
};

struct dump_pipeline {
	struct run *run;
	struct dump_pipeline_spec spec;
	struct budget budget;
	struct path_set *paths;
	struct sink_ctx *sinks;
	struct batch_pool *pool; /* NULL for a digest */
	struct queue *filled;    /* has room for every batch: a push never waits */
	struct compressor *compressor;
	unsigned compressors;
	pthread_mutex_t append;  /* guards the use of the writer */
	struct crew crew;        /* of the run that is on */
	bool failed;
};

enum status compressors_start(struct dump_pipeline *p, struct error *err) MUST_CHECK;
void compressors_join(struct dump_pipeline *p); /* the queue was closed or aborted */
void compressors_trim(struct dump_pipeline *p); /* all are idle */
void sinks_free(struct dump_pipeline *p);

#endif
