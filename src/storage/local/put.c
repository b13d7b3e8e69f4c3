/* Writing an object: a part file that no listing shows, fsync, rename, fsync of the folder. */
#include "storage/local/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "util/failpoint.h"

/* Writeback starts every STEP and is waited for LAG behind, so that the fsync at the end finds little left however large the
 * object is, and a fast source cannot fill the page cache of the machine. */
#define STEP (8u << 20)
#define LAG (256u << 20)
#define PIECE (4u << 20)      /* between two looks at the cancel token */
#define ROOM_EXEMPT (1u << 20) /* locks, manifests and evidence may use the room that min_free keeps */
#define ROOM_STEP (16u << 20)

struct storage_put {
	struct local *local;
	char *key, *token, *part;
	const char *name; /* within key */
	enum put_condition condition;
	int folder, fd;
	uint64_t written, started, waited, room_checked;
	bool failed;
};

static void put_release(struct storage_put **put)
{
	struct storage_put *p = *put;

	if (!p)
		return;
	if (p->part && p->folder >= 0 && p->fd >= 0)
		unlinkat(p->folder, p->part, 0);
	fd_release(&p->fd);
	fd_release(&p->folder);
	free(p->part);
	free(p->key);
	free(p->token);
	free(p);
	*put = NULL;
}

void local_put_abort(struct storage_put *put) { put_release(&put); }

/* ST_NO_SPACE where `more` bytes would leave less than min_free. */
static enum status check_room(const struct storage_put *p, uint64_t more, struct error *err)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT;
	const struct room *keep = &p->local->min_free;
	struct statvfs v;

	if (fstatvfs(p->folder, &v))
		return local_errno(err, errno, p->key, "cannot read the free room");
	uint64_t unit = v.f_frsize ? v.f_frsize : 1, available = (uint64_t)v.f_bavail * unit;
	uint64_t least = max_u64(keep->bytes, (uint64_t)v.f_blocks / 100 * keep->percent * unit);

	if (available >= least && available - least >= more)
		return ST_OK;
	size_print(available, &text);
	buf_puts(&text, " are free");
	if (more) {
		buf_puts(&text, ", ");
		size_print(more, &text);
		buf_puts(&text, " are to be written");
	}
	if (least) {
		buf_puts(&text, ", ");
		size_print(least, &text);
		buf_puts(&text, " are to be kept free (min_free)");
	}
	error_set(err, ST_NO_SPACE, "%s: %s", p->local->path, text.data);
	return error_hint(err, "Make room or prune the store%s.", least ? ", or lower min_free of this store" : "");
}

static enum status open_part(struct run *run, struct storage_put *p, struct error *err)
{
	char random[PART_RANDOM + 1];

	if (local_folder(p->local, p->key, true, &p->folder, &p->name, err))
		return err->code;
	if (p->condition == PUT_ABSENT && !faccessat(p->folder, p->name, F_OK, AT_SYMLINK_NOFOLLOW))
		return error_set(err, ST_PRECONDITION, "%s: exists already", p->key);
	run_random_hex(run, random, PART_RANDOM);
	p->part = xasprintf(PART_PREFIX "%s~%s", random, p->name);
	p->fd = openat(p->folder, p->part, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (p->fd < 0)
		return local_errno(err, errno, p->key, "cannot make a file in its folder");
	return failpoint("local.part.made", err);
}

enum status local_put_open(struct run *run, void *priv, const struct put_spec *spec, struct storage_put **put, struct error *err)
{
	CLEANUP(put_release) struct storage_put *p = xcalloc(1, sizeof *p);

	p->local = priv;
	p->folder = p->fd = FD_INIT;
	p->key = xstrdup(spec->key);
	p->condition = spec->condition;
	p->token = spec->condition == PUT_MATCHES ? xstrdup(spec->token) : NULL;
	if (open_part(run, p, err))
		return err->code;
	if (spec->expected_size > ROOM_EXEMPT && check_room(p, spec->expected_size, err))
		return err->code;
	*put = p;
	p = NULL;
	return ST_OK;
}

/* An error of writeback is reported once, here or by the later fsync: it must not be passed over here. */
static enum status sync_range(const struct storage_put *p, uint64_t from, uint64_t n, unsigned flags, struct error *err)
{
	if (!sync_file_range(p->fd, (off_t)from, (off_t)n, flags) || errno == EINVAL || errno == ENOSYS || errno == ESPIPE ||
	    errno == EOPNOTSUPP)
		return ST_OK;
	return local_errno(err, errno, p->key, "cannot write");
}

static enum status write_back(struct storage_put *p, struct error *err)
{
	while (p->written - p->started >= STEP) {
		if (sync_range(p, p->started, STEP, SYNC_FILE_RANGE_WRITE, err))
			return err->code;
		p->started += STEP;
	}
	while (p->started - p->waited > LAG) {
		const unsigned all = SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;

		if (sync_range(p, p->waited, STEP, all, err))
			return err->code;
		p->waited += STEP;
	}
	return ST_OK;
}

static enum status write_piece(struct run *run, struct storage_put *p, const void *bytes, size_t n, struct error *err)
{
	if (run_check(run, err))
		return err->code;
	if (p->written + n > ROOM_EXEMPT && (!p->room_checked || p->written + n - p->room_checked >= ROOM_STEP)) {
		if (check_room(p, 0, err))
			return err->code;
		p->room_checked = p->written + n;
	}
	for (size_t done = 0; done < n;) {
		ssize_t w = write(p->fd, (const char *)bytes + done, n - done);

		if (w < 0 && errno != EINTR)
			return local_errno(err, errno, p->key, "cannot write");
		if (w > 0)
			done += (size_t)w;
	}
	p->written += n;
	return write_back(p, err);
}

enum status local_put_write(struct run *run, struct storage_put *p, const void *bytes, size_t n, struct error *err)
{
	p->failed = true; /* until all of it is written */
	if (failpoint("local.write.before", err))
		return err->code;
	for (size_t done = 0; done < n;) {
		size_t piece = min_size(n - done, PIECE);

		if (write_piece(run, p, (const char *)bytes + done, piece, err))
			return err->code;
		done += piece;
	}
	p->failed = false;
	return ST_OK;
}

/* The bytes are on the disk and all there. */
static enum status settle(struct storage_put *p, struct error *err)
{
	struct stat st;

	if (p->failed)
		return error_set(err, ST_IO, "%s: an earlier write failed", p->key);
	if (failpoint("local.sync.before", err))
		return err->code;
	if (fsync(p->fd))
		return local_errno(err, errno, p->key, "cannot make it durable");
	if (fstat(p->fd, &st))
		return local_errno(err, errno, p->key, "cannot read its facts");
	if ((uint64_t)st.st_size != p->written)
		return error_set(err, ST_IO, "%s: has %lld bytes after %" PRIu64 " were written", p->key, (long long)st.st_size,
				 p->written);
	return ST_OK;
}

/* The name is on the disk. */
static enum status settle_name(const struct storage_put *p, struct error *err)
{
	if (failpoint("local.rename.after", err))
		return err->code;
	return fsync(p->folder) ? local_errno(err, errno, p->key, "cannot make its name durable") : ST_OK;
}

enum status local_put_finish(struct run *run, struct storage_put *put, struct storage_object *o, struct error *err)
{
	CLEANUP(put_release) struct storage_put *p = put;
	bool replaced;

	if (settle(p, err) || local_object(p->fd, p->key, o, err))
		return err->code;
	const struct local_publish publish = {.folder = p->folder, .part = p->part, .name = p->name, .key = p->key,
					      .condition = p->condition, .token = p->token};
	if (local_publish(run, p->local, &publish, &replaced, err))
		return err->code;
	free(p->part);
	p->part = NULL;
	if (settle_name(p, err) && !replaced)
		unlinkat(p->folder, p->name, 0);
	return err->code;
}
