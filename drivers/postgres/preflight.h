/* What a user cannot read of a database, in full or at all. */
#ifndef DRIVERS_POSTGRES_PREFLIGHT_H
#define DRIVERS_POSTGRES_PREFLIGHT_H

#include "drivers/postgres/conn.h"

enum preflight_kind {
	PREFLIGHT_RIGHT,    /* tables without right */
	PREFLIGHT_SEQUENCE, /* sequences without right */
	PREFLIGHT_POLICY,   /* tables where row level security applies to this user */
	PREFLIGHT_FOREIGN,  /* foreign tables */
	PREFLIGHT_UNLOGGED, /* on a standby */
	PREFLIGHT_KINDS
};
struct preflight {
	struct {
		uint64_t n;
		struct buf shown; /* the first few */
	} kind[PREFLIGHT_KINDS];
};
enum status preflight_read(struct run *run, struct conn *c, struct preflight *p, struct error *err) MUST_CHECK;
void preflight_release(struct preflight *p);

#endif
