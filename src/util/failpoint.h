/* Named places where the test build can be made to fail. DRTOOL_FAIL=name:n:kill|error|delay acts at the nth passing (from 1);
 * DRTOOL_FAIL=list prints every name, one a line, and exits 0 (failpoint_init does). The release build has none of it.
 *
 *	if (failpoint("backup.manifest.before", err))
 *		return err->code;
 */
#ifndef UTIL_FAILPOINT_H
#define UTIL_FAILPOINT_H

#include "util/error.h"

#ifdef DRTOOL_TEST
#define failpoint(name, err)                                                                               \
	({                                                                                                 \
		static const char failpoint_name_[] __attribute__((section("drtool_failpoints"), used, aligned(1))) = name; \
		failpoint_pass(failpoint_name_, err);                                                      \
	})
enum status failpoint_pass(const char *name, struct error *err);
void failpoint_init(void); /* reads DRTOOL_FAIL; main calls it first */
#else
static inline enum status failpoint_none(struct error *err) { (void)err; return ST_OK; }
#define failpoint(name, err) failpoint_none(err)
static inline void failpoint_init(void) {}
#endif

#endif
