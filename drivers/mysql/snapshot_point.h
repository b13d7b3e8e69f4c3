/* Between snapshot.c (the ways to one moment) and snapshot_point.c: what is known of the moment that the snapshots see. */
#ifndef DRIVERS_MYSQL_SNAPSHOT_POINT_H
#define DRIVERS_MYSQL_SNAPSHOT_POINT_H

#include "drivers/mysql/snapshot.h"
#include "drivers/mysql/upstream.h"

struct my_point {
	char *file, *position, *gtid; /* of the server's own binlog; NULL: not known */
	char *applied;                /* MariaDB: GTIDs of its sources, out of the snapshot; NULL: not known */
	/* A replica: */
	char *applied_sql;            /* reads them; NULL: they cannot be read so */
	char *gtid_before;            /* what was applied just before the first snapshot began */
	struct my_upstream before, after;
};
#define MY_POINT_INIT {0}
void my_point_release(struct my_point *p);
void my_point_forget(struct my_point *p); /* all that belongs to one try */
void my_point_take(char **to, const char *value);
bool my_point_same(const struct my_point *a, const struct my_point *b);
/* What cannot be read stays unknown; only a lost session is a failure. */
enum status my_point_value(struct run *run, struct my_conn *c, const char *sql, char **value, struct error *err) MUST_CHECK;
/* MariaDB: of this session's own snapshot; and the GTIDs to it. */
enum status my_point_of_snapshot(struct run *run, struct my_conn *c, struct my_point *p, struct error *err) MUST_CHECK;
enum status my_point_gtid(struct run *run, struct my_conn *c, struct my_point *p, struct error *err) MUST_CHECK;
/* A replica: what it follows, right before the first snapshot begins and right after the last one. */
enum status my_point_before(struct run *run, const struct my_snapshot_request *q, struct my_point *p, struct error *err) MUST_CHECK;
enum status my_point_after(struct run *run, const struct my_snapshot_request *q, struct my_point *p, struct error *err) MUST_CHECK;
/* As texts for the manifest. */
void my_point_give(const struct my_snapshot_request *q, struct my_point *p, struct my_snapshot *s);

#endif
