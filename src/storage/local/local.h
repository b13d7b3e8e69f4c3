/* Objects as files below a folder of this machine, or of what is mounted there. */
#ifndef STORAGE_LOCAL_LOCAL_H
#define STORAGE_LOCAL_LOCAL_H

#include "storage/storage.h"

struct local_params {
	struct room min_free; /* room that the file system keeps free */
};
extern const struct storage_ops storage_local;

#endif
