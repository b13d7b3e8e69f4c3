/* The scripted server of MongoDB's protocol (tests/lib/mongo_script.py) for C tests: for what no real server here can do. */
#ifndef TESTS_CONFORMANCE_MONGODB_SCRIPT_H
#define TESTS_CONFORMANCE_MONGODB_SCRIPT_H

#include "tests/conformance/mongodb_server.h"

/* script: Extended JSON {"settings": {}, "faults": [], "data": {}} as the Python file says. The server ends with the test, however that ends,
 * or by mo_test_server_stop. Its URL names no replica set. Skips the test where there is no python3-bson. */
void mo_test_script_start(struct mo_test_server *s, const char *script);
/* Adds faults, given as a JSON array. What was asked so far is forgotten. */
void mo_test_script_faults(struct mo_test_server *s, const char *faults);
/* How many commands of a name ("" any) came since then; last: NULL, or uninitialised and set to the last of them (empty without one). */
size_t mo_test_script_sent(struct mo_test_server *s, const char *name, bson_t *last);
/* How many of them hold part in their canonical Extended JSON. */
size_t mo_test_script_asked(struct mo_test_server *s, const char *name, const char *part);

#endif
