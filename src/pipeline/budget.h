/* One memory budget for the whole process, and how it is divided. */
#ifndef PIPELINE_BUDGET_H
#define PIPELINE_BUDGET_H

#include "util/buf.h"
#include "util/error.h"

struct budget_request {
	uint64_t mem_limit;  /* 0: 64 or 96 MiB, or three quarters of the cgroup's limit where that is less */
	unsigned jobs;       /* asked for; 0: as many as processors, at most 8 */
	uint32_t chunk_size;
	bool load;           /* a restore, else a dump */
	bool large;          /* sealed, or to or from a store on the network: 96 MiB by default instead of 64 */
	size_t each_reader;  /* memory that a thread needs while it reads an archive, beside its buffers */
	uint64_t others;     /* bytes that others of the process need */
	unsigned part_stores; /* a dump's stores that gather what they send in buffers of part_size */
	size_t part_size;
};
struct budget {
	uint64_t mem_limit;
	unsigned jobs;        /* connections */
	unsigned compressors; /* or inflating threads, one for each connection */
	unsigned raw_buffers, stored_buffers;
	size_t raw_size, stored_size; /* of each buffer */
	size_t store_window;  /* for blocks on their way to the stores; 0 in a restore */
	unsigned part_stores, part_buffers; /* part_buffers: of each of these stores */
	size_t part_size;
	size_t each_reader;
	uint64_t others;
	uint64_t fixed;       /* libraries, stacks, index, others */
};
/* Fewer jobs than asked for where memory is short; ST_MEMORY where not even one fits, naming the least that would do. */
enum status budget_divide(const struct budget_request *q, struct budget *b, struct error *err) MUST_CHECK;
/* The memory that a run may take; mem_limit and large as in budget_request. */
uint64_t budget_limit(uint64_t mem_limit, bool large);
/* What the whole may use at most. */
uint64_t budget_total(const struct budget *b);
/* The least memory limit of the control groups that the process is in, by the file system at `sys` and the list `self`; 0: none. */
uint64_t budget_cgroup_limit(const char *sys, const char *self);
void budget_print(const struct budget *b, struct buf *to); /* lines for --dry-run */

#endif
