/* Listings: folders are walked so that keys come in byte order. */
#include "storage/local/internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

struct walk {
	struct run *run;
	const char *prefix, *start_after; /* start_after: NULL none */
	bool parts;                       /* what was never finished, else objects */
	struct instant abort_older;
	const struct storage_listing *to;
	struct buf key; /* of where the walk is */
};

struct entry {
	char *sort; /* a folder's name ends with '/', which is how its keys compare with those of files */
	char *name; /* the file's; for a part the name that it would get is in sort */
	bool folder;
};
struct entries {
	struct entry *item;
	size_t len, cap;
};

static void entries_release(struct entries *l)
{
	for (size_t i = 0; i < l->len; i++) {
		free(l->item[i].sort);
		free(l->item[i].name);
	}
	free(l->item);
}

static void dir_close(DIR **d)
{
	if (*d)
		closedir(*d);
}

static int by_key(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	int order = strcmp(x->sort, y->sort);

	return order ? order : strcmp(x->name, y->name);
}

/* A folder is entered where its keys can match: the prefix lies on the way down or above, and not all of it is before
 * start_after. */
static bool may_hold(const struct walk *w, const char *folder)
{
	size_t n = strlen(folder), p = strlen(w->prefix);

	if (strncmp(folder, w->prefix, min_size(n, p)))
		return false;
	return !w->start_after || strcmp(folder, w->start_after) > 0 || !strncmp(folder, w->start_after, n);
}

static bool matches(const struct walk *w, const char *key)
{
	return !strncmp(key, w->prefix, strlen(w->prefix)) && (!w->start_after || strcmp(key, w->start_after) > 0);
}

/* The name that an unfinished put would get; NULL where it is none. */
static const char *part_target(const char *name)
{
	size_t n = strlen(PART_PREFIX) + PART_RANDOM;

	if (strncmp(name, PART_PREFIX, strlen(PART_PREFIX)) || strlen(name) < n + 2 || name[n] != '~')
		return NULL;
	return name + n + 1;
}

/* What the walk looks at of one name in the folder; false: nothing. */
static bool classify(const struct walk *w, int folder, const struct dirent *d, struct entry *e)
{
	unsigned char type = d->d_type;
	struct stat st;

	if (!strcmp(d->d_name, ".") || !strcmp(d->d_name, ".."))
		return false;
	if (type == DT_UNKNOWN) {
		if (fstatat(folder, d->d_name, &st, AT_SYMLINK_NOFOLLOW))
			return false; /* gone meanwhile */
		type = S_ISDIR(st.st_mode) ? DT_DIR : S_ISREG(st.st_mode) ? DT_REG : DT_LNK;
	}
	const char *target = part_target(d->d_name);
	*e = (struct entry){.folder = type == DT_DIR};
	if (e->folder && !local_hidden(d->d_name, !w->key.len))
		e->sort = xasprintf("%s/", d->d_name);
	else if (type == DT_REG && w->parts && target)
		e->sort = xstrdup(target);
	else if (type == DT_REG && !w->parts && !local_hidden(d->d_name, !w->key.len))
		e->sort = xstrdup(d->d_name);
	else
		return false;
	e->name = xstrdup(d->d_name);
	return true;
}

static enum status read_folder(const struct walk *w, int fd, struct entries *to, struct error *err)
{
	int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	CLEANUP(dir_close) DIR *dir = own < 0 ? NULL : fdopendir(own);

	if (!dir) {
		local_errno(err, errno, buf_str(&w->key), "cannot list");
		fd_release(&own);
		return err->code;
	}
	rewinddir(dir); /* the position is shared by duplicates of a descriptor */
	for (;;) {
		struct entry e;

		errno = 0;
		const struct dirent *d = readdir(dir);
		if (!d && errno)
			return local_errno(err, errno, buf_str(&w->key), "cannot list");
		if (!d)
			break;
		if (!classify(w, fd, d, &e))
			continue;
		if (to->len == to->cap) {
			to->cap = to->cap ? 2 * to->cap : 32;
			to->item = xrealloc(to->item, to->cap * sizeof *to->item);
		}
		to->item[to->len++] = e;
	}
	if (to->len)
		qsort(to->item, to->len, sizeof *to->item, by_key);
	return ST_OK;
}

static enum status give(struct walk *w, int folder, const struct entry *e, struct error *err)
{
	struct storage_object o = {0};
	struct error bad_key = ERROR_INIT;
	struct stat st;

	if (storage_key_check(w->key.data, &bad_key)) {
		error_release(&bad_key); /* a file that no key can name is none of ours */
		return ST_OK;
	}
	if (fstatat(folder, e->name, &st, AT_SYMLINK_NOFOLLOW))
		return errno == ENOENT ? ST_OK : local_errno(err, errno, w->key.data, "cannot read its facts");
	o.key = xstrdup(w->key.data);
	o.size = (uint64_t)st.st_size;
	o.modified.us = (int64_t)st.st_mtim.tv_sec * 1000000 + st.st_mtim.tv_nsec / 1000;
	enum status got = w->to->fn(w->to->ctx, &o, err);
	storage_object_release(&o);
	if (got || !w->parts || !w->abort_older.us || (int64_t)st.st_mtim.tv_sec * 1000000 >= w->abort_older.us)
		return got;
	if (unlinkat(folder, e->name, 0) && errno != ENOENT)
		return local_errno(err, errno, w->key.data, "cannot remove what was never finished");
	return ST_OK;
}

static enum status walk_folder(struct walk *w, int fd, struct error *err);

static enum status walk_entry(struct walk *w, int fd, const struct entry *e, struct error *err)
{
	if (!e->folder)
		return matches(w, w->key.data) ? give(w, fd, e, err) : ST_OK;
	if (!may_hold(w, w->key.data) || w->key.len > STORAGE_KEY_MAX)
		return ST_OK;
	CLEANUP(fd_release) int below = openat(fd, e->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (below < 0)
		return errno == ENOENT ? ST_OK : local_errno(err, errno, w->key.data, "cannot list");
	return walk_folder(w, below, err);
}

static enum status walk_folder(struct walk *w, int fd, struct error *err)
{
	CLEANUP(entries_release) struct entries here = {0};
	size_t len = w->key.len;

	if (run_check(w->run, err) || read_folder(w, fd, &here, err))
		return err->code;
	for (size_t i = 0; i < here.len; i++) {
		buf_puts(&w->key, here.item[i].sort);
		enum status st = walk_entry(w, fd, &here.item[i], err);
		w->key.len = len;
		w->key.data[len] = 0;
		if (st)
			return st;
	}
	return ST_OK;
}

static enum status walk_root(struct local *l, struct walk *w, struct error *err)
{
	int root;

	if (local_root(l, false, &root, err)) {
		if (err->code != ST_NOT_FOUND)
			return err->code;
		error_release(err); /* no folder, no objects */
		return ST_OK;
	}
	/* A descriptor of its own: two listings at once must not share the position in the folder. */
	CLEANUP(fd_release) int fd = openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return local_errno(err, errno, l->path, "cannot list");
	enum status st = walk_folder(w, fd, err);
	buf_release(&w->key);
	return st;
}

enum status local_list(struct run *run, void *priv, const char *prefix, const char *start_after, const struct storage_listing *l,
		       struct error *err)
{
	struct walk w = {.run = run, .prefix = prefix, .start_after = start_after, .to = l};

	return walk_root(priv, &w, err);
}

enum status local_uncommitted(struct run *run, void *priv, const char *prefix, struct instant abort_older,
			      const struct storage_listing *l, struct error *err)
{
	struct walk w = {.run = run, .prefix = prefix, .parts = true, .abort_older = abort_older, .to = l};

	return walk_root(priv, &w, err);
}
