/* The parts of the load side. Internal to the room. */
#ifndef PIPELINE_LOAD_INTERNAL_H
#define PIPELINE_LOAD_INTERNAL_H

#include "pipeline/crew.h"
#include "pipeline/load.h"
#include "pipeline/region.h"

/* ---- pages of the index ---- */

struct pages;
struct pages *pages_new(struct archive_reader *r);
/* Valid until the next call. One thread. */
enum status pages_get(struct pages *p, uint32_t page, const struct member_row **rows, size_t *n, struct error *err) MUST_CHECK;
/* The rows of a unit by part; to has room for u->parts. Any thread. */
enum status pages_unit(struct pages *p, const struct load_plan_unit *u, struct member_row *to, struct error *err) MUST_CHECK;
void pages_freep(struct pages **p);

/* ---- the units of a scope ---- */

struct unit_list {
	struct load_plan_unit *unit;
	size_t units, cap;
};
enum status units_list(struct run *run, struct pages *pages, const struct load_pipeline_spec *spec, const char *scope,
		       struct unit_list *to, struct error *err) MUST_CHECK;

/* An object as callers and drivers see it. */
static inline struct recorded_object recorded_of(const struct archive_object *o)
{
	return (struct recorded_object){
		.id = o->id, .scope = o->scope, .name = o->name, .facts = o->facts, .rows = o->rows, .raw = o->raw};
}

/* ---- a loader: a thread with a worker, and a thread that fetches ahead for it ---- */

#define PLAIN_CHUNKS 256u
struct plain_chunk {
	const unsigned char *data;
	size_t len;
	uint64_t rows;
};
/* Members of one unit, unpacked: one large or many small ones. */
struct plain {
	unsigned char *p;
	size_t used;
	unsigned chunks;
	bool last; /* of its unit */
	struct plain_chunk chunk[PLAIN_CHUNKS];
};

struct loader {
	struct load_pipeline *pipeline;
	const struct load_calls *calls;
	unsigned slot;
	struct run run;
	struct thread thread, fetcher;
	struct region memory;
	unsigned char *stored;
	struct plain *plain;
	unsigned plains;
	struct queue *wanted, *empty, *full; /* units to fetch; buffers on their way to the fetcher and to the loader */
	/* Of the fetching thread. */
	struct gzip *gzip;
	struct member_row *rows;
	size_t rows_cap;
	struct archive_object fetched; /* the object of the unit */
	struct buf path;
	struct plain *filling;
	/* Of the loading thread. */
	struct chunk_source source;
	struct plain *now;
	unsigned at;
	bool at_end;
	struct load_plan_unit *next; /* already wanted; NULL: none */
	bool looked;                 /* for the next one */
	void *worker;
	struct archive_object object;
};

struct load_pipeline {
	struct run *run;
	struct load_pipeline_spec spec;
	struct budget budget;
	struct pages *pages;
	struct unit_list list;
	struct crew crew;
	pthread_mutex_t mutex; /* guards all below, unit_done() and damaged() */
	size_t next_unit;
};

/* The buffers and queues of a loader; without threads. */
enum status loader_open(struct load_pipeline *p, struct loader *l, struct error *err) MUST_CHECK;
void loader_release(struct loader *l);
/* Sees that o is the object. */
enum status loader_object(struct load_pipeline *p, struct archive_object *o, uint32_t id, struct error *err) MUST_CHECK;
/* Fetches and unpacks one member into the buffer at `to`. */
enum status loader_member(struct loader *l, const struct member_row *row, unsigned char *to, const void **raw,
			  struct error *err) MUST_CHECK;
/* The rows of a unit, in l->rows. */
enum status loader_rows(struct loader *l, const struct load_plan_unit *u, struct error *err) MUST_CHECK;
void fetcher_main(void *loader);

#endif
