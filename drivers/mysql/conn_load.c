/* LOAD DATA LOCAL, whose file is in memory. */
#include "drivers/mysql/conn_internal.h"

#include <errmsg.h>

struct feeding {
	const struct my_conn_feed *from; /* NULL: nothing is being loaded, and no request for a file is answered */
	const char *at;
	size_t left;
	struct error *err; /* of the feed */
	bool failed;
};

static int feed_begin(void **ctx, const char *name UNUSED, void *feeding)
{
	*ctx = feeding;
	return feeding ? 0 : 1;
}

static int feed_read(void *ctx, char *to, unsigned n)
{
	struct feeding *f = ctx;
	const void *p = NULL;

	if (!f->left && !f->failed) {
		f->failed = f->from->next(f->from->ctx, &p, &f->left, f->err) != ST_OK;
		f->at = p;
	}
	if (f->failed)
		return -1;
	n = (unsigned)min_size(min_size(n, f->left), INT32_MAX);
	if (n)
		memcpy(to, f->at, n);
	f->at += n;
	f->left -= n;
	return (int)n;
}

static void feed_end(void *ctx UNUSED) {}

static int feed_error(void *ctx UNUSED, char *text, unsigned n)
{
	snprintf(text, n, "the rows of a LOAD DATA cannot be given");
	return CR_UNKNOWN_ERROR;
}

void my_feed_none(struct my_conn *c) { mysql_set_local_infile_handler(c->my, feed_begin, feed_read, feed_end, feed_error, NULL); }

/* The server knows no way to give up a file: it takes what came as the whole. So the statement is undone. */
static void undo(struct run *run, struct my_conn *c, bool own)
{
	CLEANUP(error_release) struct error ignored = ERROR_INIT;

	(void)!my_conn_command(run, c, own ? "ROLLBACK" : "ROLLBACK TO SAVEPOINT drtool_load", &ignored);
}

enum status my_conn_load(struct run *run, struct my_conn *c, const char *sql, const struct my_conn_feed *from, uint64_t *rows,
		      unsigned *warnings, struct error *err)
{
	CLEANUP(error_release) struct error of_feed = ERROR_INIT;
	struct feeding f = {.from = from, .err = &of_feed};
	bool own = !(c->my->server_status & SERVER_STATUS_IN_TRANS) && (c->my->server_status & SERVER_STATUS_AUTOCOMMIT);

	*rows = *warnings = 0;
	if (my_conn_command(run, c, own ? "START TRANSACTION" : "SAVEPOINT drtool_load", err))
		return err->code;
	mysql_set_local_infile_handler(c->my, feed_begin, feed_read, feed_end, feed_error, &f);
	enum status st = my_conn_command(run, c, sql, err);
	my_feed_none(c);
	if (f.failed)
		error_move(err, &of_feed);
	if (st || f.failed) {
		undo(run, c, own);
		return err->code;
	}
	*rows = my_conn_affected(c);
	*warnings = my_conn_warning_count(c);
	return own ? my_conn_command(run, c, "COMMIT", err) : ST_OK;
}
