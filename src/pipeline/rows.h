/* What passes between a driver and the core: objects, rows, chunks, entries. A driver sees this page and drivers/driver.h. */
#ifndef PIPELINE_ROWS_H
#define PIPELINE_ROWS_H

#include "util/io.h"
#include "util/json.h"
#include "util/run.h"

/* ---- dump: from the driver to the core ---- */

/* Takes whole rows of one unit, one a call, each with its line end and thus never empty; the core cuts chunks, counts and
 * hashes. The bytes are copied before it returns. May block (back-pressure); fails when the run ends. Called by the thread that
 * runs dump_unit. */
struct row_sink {
	enum status (*row)(struct row_sink *s, const void *p, size_t n, struct error *err);
};

/* A table, or what is stored like one (the pages of large objects). Strings and facts are borrowed during the call. */
struct dump_object {
	const char *name;             /* as people write it: public.orders, quoted where needed; the same every time: restore and compare match by it */
	const char *const *component; /* true names for the path: {"public", "orders"} */
	size_t components;
	const char *ext;              /* "copy" */
	const json_t *facts;          /* all that load and digest need: columns in dump order, format, encoding, statements. An object. The core looks
	                               * at one of them: where "ordered" is true, each range is one unit of a load, so that its rows keep their order. */
	char **folder;                /* may be NULL; else object() puts the folder of the pieces there, below the archive's top, owned by the
	                               * caller; NULL where no archive is written. For stock commands that name it. */
};
/* A part of an object that one connection reads in one go: the table, or one range of it. */
struct dump_unit {
	uint32_t object;          /* as object() numbered it */
	uint32_t range;           /* from 0, without gaps, per object */
	uint64_t estimated_bytes; /* largest first */
	uint64_t cookie;          /* the driver's own */
};
struct object_sink {
	enum status (*object)(void *ctx, const struct dump_object *o, uint32_t *id, struct error *err);
	enum status (*unit)(void *ctx, const struct dump_unit *u, struct error *err);
	void *ctx;
};

/* A file in the archive, of known size. */
struct dump_entry {
	const char *path;    /* below the scope's folder db/<database>/, or below the archive's top for entries of no scope: "schema.dump" */
	uint64_t size;
	const json_t *facts; /* may be NULL */
};
struct entry_sink {
	enum status (*entry)(void *ctx, const struct dump_entry *e, struct byte_source src, struct error *err);
	void *ctx;
};

/* One thing that exists, found by the inventory. Borrowed during the call. */
struct inventory_item {
	const char *kind;  /* "table", "column", "index", "sequence value" ... */
	const char *name;  /* unique within the kind */
	const char *facts; /* everything compared, as one text without newlines */
	bool grows;        /* facts is a decimal number that a live source moves on: a copy may be further, in the direction of `sign` */
	int sign;
	bool perhaps;      /* may be missing in what was recorded: a copy shows it where its source need not */
};
struct inventory_sink {
	enum status (*item)(void *ctx, const struct inventory_item *i, struct error *err);
	void *ctx;
};

/* ---- load: from the core to the driver ---- */

struct chunk {
	const void *data; /* valid until the next call */
	size_t len;
	uint64_t rows;    /* rows that begin in it */
};
/* The chunks of one load unit, in order, each checked before it is handed out. *end true: none left. Called by the thread that
 * runs load_unit. */
struct chunk_source {
	enum status (*next)(struct chunk_source *s, struct chunk *c, bool *end, struct error *err);
};

/* A recorded object of an archive. Borrowed during the call. */
struct recorded_object {
	uint32_t id;
	const char *scope, *name;
	const json_t *facts;
	uint64_t rows, raw;
};
/* What load and digest read of an archive besides chunks. Any thread. */
struct recorded {
	/* All objects of a scope, in order of number, until fn fails. */
	enum status (*each)(void *ctx, const char *scope, enum status (*fn)(void *arg, const struct recorded_object *o, struct error *err), void *arg, struct error *err);
	/* A file by its path below the scope's folder (scope NULL: below the top). ST_NOT_FOUND where there is none. */
	enum status (*file)(void *ctx, const char *scope, const char *path, struct byte_sink to, struct error *err);
	void *ctx;
};

#endif
