/* What fixtures of servers share: a script of scripts/ that starts and stops one in a folder, and somebody who stops it whatever way the test or the
 * run of tests ends. The script knows `dir` (where folders may be) and `stop FOLDER immediate`. */
#ifndef TESTS_SERVER_H
#define TESTS_SERVER_H

#include "util/buf.h"
#include "util/error.h"

/* Runs a program from the folder of the tests; what it printed is appended to out. */
enum status test_script(const char *const *argv, struct buf *out, struct error *err) MUST_CHECK;
/* The value of "NAME=value" in the lines of a script; fails the test where it is not there. Owned by the caller. */
char *test_script_value(const struct buf *lines, const char *name);
/* A folder for a server: of this test alone, or the one of all tests of the run. Skips the test where there is no such script. Owned by the caller. */
char *test_server_folder(const char *script, const char *prefix);
char *test_server_shared_folder(const char *script, const char *prefix);
/* Stops the server in the folder and removes it with FOLDER.tls when the descriptor that is given is closed, or the test has ended. */
int test_server_watch(const char *script, const char *dir);
/* ... when the runner of the tests has ended. */
void test_server_watch_run(const char *script, const char *dir);
/* Starts a program that writes the port it listens on into a file of its own making (port_file, absolute) and ends when its input does: at the end
 * of the test, or when *watch is closed. Returns its process id. */
int test_helper_start(const char *const *argv, const char *port_file, unsigned *port, int *watch);

#endif
