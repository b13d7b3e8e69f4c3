/* Connections that a driver makes itself. */
#ifndef DRIVERS_SOCKET_H
#define DRIVERS_SOCKET_H

#include "util/run.h"

/* Connects by TCP, each address of the host in turn, and keeps the link alive when it is idle. *fd does not block and is the caller's (what
 * was in it is closed). Resolving the name has no bound of its own. ST_UNREACHABLE with a hint; the text does not name the host. */
enum status socket_connect(struct run *run, const char *host, unsigned port, int *fd, struct error *err) MUST_CHECK;
enum status socket_connect_unix(struct run *run, const char *path, int *fd, struct error *err) MUST_CHECK;
/* Where libraries keep what they made. They fail on a unix socket, which needs none. */
void socket_keep_alive(int fd);
/* Sets err from the errno of a connect. */
enum status socket_unreachable(int number, struct error *err);

#endif
