#include "drivers/mysql/snapshot_point.h"

void my_point_release(struct my_point *p)
{
	free(p->file);
	free(p->position);
	free(p->gtid);
	free(p->applied);
	free(p->applied_sql);
	free(p->gtid_before);
	my_upstream_release(&p->before);
	my_upstream_release(&p->after);
	*p = (struct my_point)MY_POINT_INIT;
}

void my_point_forget(struct my_point *p)
{
	my_point_take(&p->file, NULL);
	my_point_take(&p->position, NULL);
	my_point_take(&p->gtid, NULL);
	my_point_take(&p->applied, NULL);
}

void my_point_take(char **to, const char *value)
{
	free(*to);
	*to = value && *value ? xstrdup(value) : NULL;
}

static bool same_text(const char *a, const char *b) { return a && b && !strcmp(a, b); }

bool my_point_same(const struct my_point *a, const struct my_point *b)
{
	return same_text(a->file, b->file) && same_text(a->position, b->position) &&
	       ((!a->applied && !b->applied) || same_text(a->applied, b->applied));
}

static enum status add_status(void *ctx, char *const *field, const unsigned long *len UNUSED, unsigned fields UNUSED, struct error *err UNUSED)
{
	struct my_point *p = ctx;

	if (!strcasecmp(field[0], "binlog_snapshot_file"))
		my_point_take(&p->file, field[1]);
	else if (!strcasecmp(field[0], "binlog_snapshot_position"))
		my_point_take(&p->position, field[1]);
	return ST_OK;
}

enum status my_point_value(struct run *run, struct my_conn *c, const char *sql, char **value, struct error *err)
{
	CLEANUP(error_release) struct error refused = ERROR_INIT;

	free(*value);
	*value = NULL;
	if (!my_conn_value(run, c, sql, value, &refused))
		return ST_OK;
	return my_conn_errno(&refused) ? ST_OK : error_move(err, &refused);
}

enum status my_point_of_snapshot(struct run *run, struct my_conn *c, struct my_point *p, struct error *err)
{
	my_point_take(&p->file, NULL);
	my_point_take(&p->position, NULL);
	if (my_conn_each(run, c, "SHOW STATUS LIKE 'binlog_snapshot_%'", add_status, p, err) || !p->applied_sql)
		return err->code;
	return my_snapshot_savepoint(run, c, err) || my_point_value(run, c, p->applied_sql, &p->applied, err) || my_snapshot_let_go(run, c, err)
		       ? err->code
		       : ST_OK;
}

enum status my_point_gtid(struct run *run, struct my_conn *c, struct my_point *p, struct error *err)
{
	CLEANUP(buf_release) struct buf sql = BUF_INIT;

	buf_puts(&sql, "SELECT BINLOG_GTID_POS(");
	my_sql_literal(&sql, p->file);
	buf_printf(&sql, ", %" PRIu64 ")", my_field_u64(p->position));
	return my_point_value(run, c, buf_str(&sql), &p->gtid, err);
}

/* ---- what it follows ---- */

enum status my_point_before(struct run *run, const struct my_snapshot_request *q, struct my_point *p, struct error *err)
{
	if (!q->server->replica)
		return ST_OK;
	return my_upstream_read(run, q->c[0], &p->before, err) ||
			       my_point_value(run, q->c[0], q->server->mariadb ? "SELECT @@global.gtid_slave_pos" : "SELECT @@global.gtid_executed",
					    &p->gtid_before, err)
		       ? err->code
		       : ST_OK;
}

enum status my_point_after(struct run *run, const struct my_snapshot_request *q, struct my_point *p, struct error *err)
{
	return q->server->replica ? my_upstream_read(run, q->c[0], &p->after, err) : ST_OK;
}

/* MySQL breaks a long set into lines. */
static void join_lines(char *text)
{
	char *to = text;

	for (; text && *text; text++)
		if (*text != '\n')
			*to++ = *text;
	if (to)
		*to = 0;
}

void my_point_give(const struct my_snapshot_request *q, struct my_point *p, struct my_snapshot *s)
{
	struct buf text = BUF_INIT;
	const char *applied = q->server->mariadb ? p->applied : p->gtid;

	join_lines(p->gtid);
	join_lines(p->gtid_before);
	if (p->file)
		buf_printf(&text, "%s:%s", p->file, p->position ? p->position : "");
	if (p->gtid && *p->gtid)
		buf_printf(&text, "%sgtid %s", text.len ? " " : "", p->gtid);
	s->position = text.len ? buf_detach(&text) : NULL;
	buf_release(&text);
	if (q->server->replica)
		s->replication = my_upstream_json(&p->before, &p->after, applied ? applied : p->gtid_before, applied != NULL);
}
