/* What every scratch server needs, whatever the engine: a folder of its own, enough room, another user than root, a nice process. */
#ifndef DRIVERS_SCRATCH_H
#define DRIVERS_SCRATCH_H

#include <sys/types.h>

#include "util/fs.h"
#include "util/process.h"
#include "util/run.h"

struct scratch_place {
	char *dir;   /* made 0700, owned by uid */
	uid_t uid;
	gid_t gid;   /* both 0 where drtool does not run as root */
	char *user;
	int lock;    /* descriptor + 1 of a file in dir, locked while the place is in use; 0: none */
};
#define SCRATCH_PLACE_INIT {0}
/* Removes first what drtool left below parent when it was killed. users: tried in order when root runs drtool (asked one first), ended by NULL. ST_NO_SPACE where room is short; ST_CONFIG where the
 * user cannot enter the folder. */
enum status scratch_place_make(struct run *run, const char *parent, const char *const *users, uint64_t room, struct scratch_place *p, struct error *err) MUST_CHECK;
void scratch_place_release(struct scratch_place *p); /* removes the folder */

#endif
