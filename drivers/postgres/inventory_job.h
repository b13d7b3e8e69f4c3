/* The inventory of a dump, taken beside the readers right after the snapshot: some of what the server tells about definitions is of
 * now and not of the snapshot, so the sooner the better; a migration at the end of a long dump must not spoil it. */
#ifndef DRIVERS_POSTGRES_INVENTORY_JOB_H
#define DRIVERS_POSTGRES_INVENTORY_JOB_H

#include "drivers/postgres/dump.h"

struct inventory_job;
/* Starts a thread with a session of its own that joins the snapshot. */
enum status inventory_job_start(struct run *run, const struct dump *d, struct inventory_job **j, struct error *err) MUST_CHECK;
/* Any thread: the error of one that failed already. */
enum status inventory_job_failed(struct inventory_job *j, struct error *err) MUST_CHECK;
/* Waits for its end and hands the items over. By the thread that holds the snapshot, when no reader is at work. */
enum status inventory_job_give(struct run *run, struct inventory_job *j, const struct inventory_sink *items,
			       struct error *err) MUST_CHECK;
void inventory_job_interrupt(struct inventory_job *j);
void inventory_job_freep(struct inventory_job **j); /* ends what still runs */

#endif
