/* A log that is written here, in a dump that is kept, as drtool has it in an archive. */
#ifndef TESTS_CONFORMANCE_MONGODB_LOG_H
#define TESTS_CONFORMANCE_MONGODB_LOG_H

#include "tests/conformance/driver_load.h"

/* Each entry is the inside of a document without ts, with ' for ". Their ts are 100:1, 100:2 ... */
void mo_log_add(struct kept *k, const char *const *entry, size_t entries);
#define ADD_LOG(k, ...)                                          \
	do {                                                     \
		static const char *const log_[] = {__VA_ARGS__}; \
		mo_log_add(k, log_, ARRAY_LEN(log_));            \
	} while (0)

#define INSERT(ns, o) "'op': 'i', 'ns': '" ns "', 'o': " o
#define UPDATE(ns, id, o) "'op': 'u', 'ns': '" ns "', 'o2': {'_id': " id "}, 'o': " o
#define DELETE(ns, id) "'op': 'd', 'ns': '" ns "', 'o': {'_id': " id "}"
#define COMMAND(o) "'op': 'c', 'ns': 'shop.$cmd', 'o': " o

#endif
