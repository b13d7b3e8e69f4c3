#include "drivers/scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <sys/file.h>
#include <unistd.h>

#define PREFIX "drtool-"
#define DIGITS 12
#define LOCK_NAME "in-use"

/* *uid 0: no such user, or root by another name. */
static void look_up(const char *user, uid_t *uid, gid_t *gid)
{
	struct passwd pw, *found = NULL;
	char text[4096];

	*uid = 0;
	*gid = 0;
	if (getpwnam_r(user, &pw, text, sizeof text, &found) || !found || !pw.pw_gid)
		return;
	*uid = pw.pw_uid;
	*gid = pw.pw_gid;
}

/* Whether a user without further groups may pass through a folder. */
static bool may_pass(const struct stat *st, uid_t uid, gid_t gid)
{
	if (st->st_uid == uid)
		return st->st_mode & S_IXUSR;
	if (st->st_gid == gid)
		return st->st_mode & S_IXGRP;
	return st->st_mode & S_IXOTH;
}

/* Every folder on the way is looked at: one that is closed is enough to lock the server out of its own. */
static enum status check_way(const char *parent, const struct scratch_place *p, struct error *err)
{
	CLEANUP(cstr_release) char *path = realpath(parent, NULL);

	if (!path)
		return error_errno(err, errno, "the folder for scratch servers, %s, cannot be used", parent);
	for (char *end = path + strlen(path); p->uid && end > path;) {
		struct stat st;

		if (stat(*path ? path : "/", &st))
			return error_errno(err, errno, "cannot look at %s", path);
		if (!may_pass(&st, p->uid, p->gid)) {
			error_set(err, ST_CONFIG, "the user %s, who would run the scratch server, cannot enter %s", p->user, path);
			return error_hint(err, "Set scratch_dir to a folder that everybody may enter, such as /var/tmp, or"
					       " scratch_user to its owner.");
		}
		while (end > path && *end != '/')
			end--;
		*end = 0;
	}
	return ST_OK;
}

static enum status choose_user(const char *const *users, struct scratch_place *p, struct error *err)
{
	CLEANUP(buf_release) struct buf tried = BUF_INIT;

	if (geteuid() != 0)
		return ST_OK;
	for (; *users; users++) {
		look_up(*users, &p->uid, &p->gid);
		if (p->uid) {
			p->user = xstrdup(*users);
			return ST_OK;
		}
		buf_printf(&tried, "%s%s", tried.len ? ", " : "", *users);
	}
	error_set(err, ST_CONFIG, "no user to run the scratch server as: none of %s exists, and root may not", buf_str(&tried));
	return error_hint(err, "Set scratch_user to a user of this machine.");
}

static enum status check_room(const char *parent, uint64_t room, struct error *err)
{
	uint64_t free_bytes;
	CLEANUP(buf_release) struct buf need = BUF_INIT, have = BUF_INIT;

	if (!room)
		return ST_OK;
	if (fs_free_space(parent, &free_bytes, NULL, err))
		return error_add(err, "scratch server");
	if (free_bytes >= room)
		return ST_OK;
	size_print(room, &need);
	size_print(free_bytes, &have);
	error_set(err, ST_NO_SPACE, "the scratch server needs about %s in %s, where %s are free", buf_str(&need), parent,
		  buf_str(&have));
	return error_hint(err, "Set scratch_dir to a folder with more room, or scratch to the URL of a server for such tests.");
}

static bool is_place(const char *name)
{
	size_t n = strlen(PREFIX);

	return !strncmp(name, PREFIX, n) && strlen(name + n) == DIGITS && strspn(name + n, "0123456789abcdef") == DIGITS;
}

/* Its folder would fill the disk for ever: who was killed cannot clean up. The lock tells whether somebody is still there; a folder
 * that is not of this user, or has no lock, is not touched. */
static void remove_abandoned(const char *parent, uid_t uid)
{
	CLEANUP(strlist_release) struct strlist names = STRLIST_INIT;
	CLEANUP(error_release) struct error ignored = ERROR_INIT;

	if (fs_list(parent, &names, &ignored))
		return;
	for (size_t i = 0; i < names.len; i++) {
		CLEANUP(cstr_release) char *dir = path_join(parent, names.item[i]);
		CLEANUP(cstr_release) char *file = path_join(dir, LOCK_NAME);
		CLEANUP(fd_release) int fd = FD_INIT;
		struct stat st;

		if (!is_place(names.item[i]))
			continue;
		if (lstat(dir, &st) || !S_ISDIR(st.st_mode) || st.st_uid != (uid ? uid : geteuid()) || (st.st_mode & 077))
			continue;
		fd = open(file, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
		if (fd >= 0 && !flock(fd, LOCK_EX | LOCK_NB) && fs_remove_tree(dir, &ignored))
			error_release(&ignored);
	}
}

static enum status lock_place(struct scratch_place *p, struct error *err)
{
	CLEANUP(cstr_release) char *file = path_join(p->dir, LOCK_NAME);
	int fd = open(file, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0)
		return error_errno(err, errno, "cannot make %s", file);
	p->lock = fd + 1;
	return flock(fd, LOCK_EX | LOCK_NB) ? error_errno(err, errno, "cannot lock %s", file) : ST_OK;
}

enum status scratch_place_make(struct run *run, const char *parent, const char *const *users, uint64_t room,
			       struct scratch_place *p, struct error *err)
{
	char name[DIGITS + 1];

	if (parent[0] != '/')
		return error_set(err, ST_CONFIG, "the folder for scratch servers, %s, must begin with /", parent);
	if (choose_user(users, p, err) || check_way(parent, p, err))
		return err->code;
	remove_abandoned(parent, p->uid);
	if (check_room(parent, room, err))
		return err->code;
	run_random_hex(run, name, DIGITS);
	CLEANUP(cstr_release) char *dir = xasprintf("%s/" PREFIX "%s", parent, name);
	if (mkdir(dir, 0700))
		return error_errno(err, errno, "cannot make the folder %s", dir);
	p->dir = dir;
	dir = NULL;
	if (lock_place(p, err) || (p->uid && chown(p->dir, p->uid, p->gid))) {
		if (!err->code)
			error_errno(err, errno, "cannot give %s to the user %s", p->dir, p->user);
		scratch_place_release(p);
		return err->code;
	}
	return ST_OK;
}

void scratch_place_release(struct scratch_place *p)
{
	CLEANUP(error_release) struct error ignored = ERROR_INIT;

	/* What cannot be removed stays visible under its name; there is nobody here to tell. */
	if (p->dir && fs_remove_tree(p->dir, &ignored))
		error_release(&ignored);
	if (p->lock)
		close(p->lock - 1);
	cstr_release(&p->dir);
	cstr_release(&p->user);
	*p = (struct scratch_place)SCRATCH_PLACE_INIT;
}
