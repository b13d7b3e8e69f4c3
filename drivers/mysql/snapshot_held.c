/* Which table others keep locked, when the wait for a lock on all of them was in vain: the server does not say it. */
#include "drivers/mysql/snapshot.h"

/* Only LOCK TABLES waits for open write transactions. */
static bool is_held(struct run *run, struct my_conn *c, const char *name, bool lock, struct error *err)
{
	if (lock)
		(void)!my_conn_commandf(run, c, err, "LOCK TABLES %s READ", name);
	else
		(void)!my_conn_commandf(run, c, err, "SELECT 1 FROM %s LIMIT 0", name);
	return my_conn_errno(err) == MY_LOCK_TIMEOUT;
}

enum status my_snapshot_name_held(struct run *run, const struct my_snapshot_request *q, struct my_conn *c, bool lock, struct error *err)
{
	struct run bounded = run_within(run, DURATION_SECONDS(5));
	CLEANUP(error_release) struct error refused = ERROR_INIT;

	if (my_conn_commandf(&bounded, c, &refused, "SET SESSION lock_wait_timeout = %d", q->server->mariadb ? 0 : 1))
		return err->code;
	for (size_t i = 0; i < q->tables->len; i++) {
		error_release(&refused);
		if (is_held(&bounded, c, q->tables->item[i], lock, &refused))
			return error_add(err, "table %s", q->tables->item[i]);
		if (my_conn_lost(&refused))
			return err->code;
	}
	return err->code;
}
