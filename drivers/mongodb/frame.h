/* The frames of what a server sends: libmongoc believes the lengths in them and reads past its memory where they disagree. Pure: nothing is read
 * from anywhere but the bytes given. */
#ifndef DRIVERS_MONGODB_FRAME_H
#define DRIVERS_MONGODB_FRAME_H

#include "util/base.h"

enum { MO_FRAME_HEAD = 40 };
struct mo_frame {
	uint8_t head[MO_FRAME_HEAD]; /* of the message that is under way */
	size_t have;
	uint64_t left;               /* bytes behind the head that are still to come */
};
#define MO_FRAME_INIT {0}
/* Takes the next bytes of a stream, wherever they end. What is wrong with them, as a sentence part that lives for ever; NULL: nothing, each message
 * that begins in them holds one document that fills it. */
const char *mo_frame_take(struct mo_frame *f, const void *p, size_t n) MUST_CHECK;

#endif
