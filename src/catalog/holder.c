#include "catalog/holder.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include "util/failpoint.h"
#include "util/fs.h"
#include "util/thread.h"

#define HOLDER_MAX 16384
#define NONCE 16
#define BEAT_TIME DURATION_SECONDS(60)   /* that one heartbeat may take */
#define RELEASE_TIME DURATION_SECONDS(10) /* that the thread gets to write "released" and end */
#define WEAK_PUT DURATION_SECONDS(12)   /* without atomic conditions: from a look to the end of the write that relies on it */
#define WEAK_PAUSE DURATION_SECONDS(10) /* twice after it: together longer than any such write of a rival may take */

/* Freed by the last of the owner and the heartbeat thread, because a thread that hangs in a dead store outlives its owner. */
struct holder {
	struct storage storage; /* table and private data: the thread may outlive the struct that it was copied from */
	struct storage *owner;  /* that struct; of the owner's thread alone */
	char *key, nonce[NONCE + 1];
	json_t *content; /* without beat */
	struct run run;  /* of the thread: a cancel token of its own */
	struct thread thread;
	pthread_mutex_t mutex; /* guards what follows */
	pthread_cond_t moved;
	unsigned refs;
	bool busy, ended; /* busy: somebody writes the object */
	bool lost;
	bool alone;       /* nobody else writes the object */
	bool remove;      /* delete the object after its release */
	bool leave;       /* end without a release */
	uint64_t beat;
	struct instant last_beat; /* monotonic */
	char token[STORAGE_TOKEN];
};

/* ---- this process and others ---- */

static void read_line(const char *path, struct buf *to)
{
	CLEANUP(error_release) struct error ignored = ERROR_INIT;

	if (fs_read_file(path, 4096, to, &ignored))
		buf_clear(to);
	if (to->len)
		to->len = strcspn(to->data, "\n");
	if (to->data)
		to->data[to->len] = 0;
}

static char *boot_id(void)
{
	struct buf b = BUF_INIT;

	read_line("/proc/sys/kernel/random/boot_id", &b);
	return buf_detach(&b);
}

static char *pid_namespace(void)
{
	char text[64];
	ssize_t n = readlink("/proc/self/ns/pid", text, sizeof text - 1);

	return xstrndup(text, n > 0 ? (size_t)n : 0);
}

/* Reads start (in ticks since boot, field 22) and state of a process from /proc/PID/stat; false: unreadable, as where /proc hides
 * the processes of other users. */
static bool read_process(int64_t pid, uint64_t *started, char *state)
{
	CLEANUP(buf_release) struct buf b = BUF_INIT;
	CLEANUP(cstr_release) char *path = xasprintf("/proc/%" PRId64 "/stat", pid);
	unsigned long long start;

	read_line(path, &b);
	const char *p = b.len ? strrchr(b.data, ')') : NULL; /* the name before it may hold anything */
	static const char stat_form[] = ") %c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu";
	if (!p || sscanf(p, stat_form, state, &start) != 2)
		return false;
	*started = start;
	return true;
}

static uint64_t own_start(void)
{
	uint64_t start = 0;
	char state;

	return read_process(getpid(), &start, &state) ? start : 0;
}

/* Proof only: a process that cannot be looked at lives. One that waits to be buried does not. */
static bool process_ended(int64_t pid, uint64_t start)
{
	uint64_t started;
	char state;

	if (pid <= 0 || pid > INT32_MAX)
		return false;
	if (read_process(pid, &started, &state))
		return started != start || state == 'Z' || state == 'X';
	return kill((pid_t)pid, 0) && errno == ESRCH;
}

/* True where the holder ran here, on this boot, and is no more. */
static bool process_gone(const json_t *o, int64_t pid)
{
	CLEANUP(cstr_release) char *boot = boot_id();
	CLEANUP(cstr_release) char *space = pid_namespace();
	const char *its_boot = js_opt_str(o, "boot", ""), *its_space = js_opt_str(o, "pidns", "");
	uint64_t start = js_opt_u64(o, "start", 0);

	if (!*boot || !*space || !start || strcmp(boot, its_boot) || strcmp(space, its_space))
		return false;
	return process_ended(pid, start);
}

static json_t *make_content(struct run *run, const struct holder_spec *spec, const char *nonce)
{
	CLEANUP(cstr_release) char *boot = boot_id();
	CLEANUP(cstr_release) char *space = pid_namespace();
	json_t *o = json_object();
	char host[256] = "";

	gethostname(host, sizeof host - 1);
	js_set_u64(o, "format", 1);
	js_set_str(o, "state", "held");
	js_set_str(o, "host", host);
	js_set_str(o, "what", spec->what);
	js_set_str(o, "backup", spec->backup);
	js_set_time(o, "since", run_now(run));
	js_set_u64(o, "pid", (uint64_t)getpid());
	js_set_u64(o, "start", own_start());
	js_set_str(o, "boot", boot);
	js_set_str(o, "pidns", space);
	js_set_str(o, "nonce", nonce);
	return o;
}

/* ---- the object ---- */

/* Whether the condition holds now. */
static enum status look(struct run *run, struct storage *s, const struct put_spec *spec, struct error *err)
{
	struct storage_object o = {0};
	bool there = !storage_stat(run, s, spec->key, &o, err);

	if (err->code && err->code != ST_NOT_FOUND)
		return err->code;
	error_release(err);
	if (spec->condition == PUT_ABSENT ? there : !there || strcmp(o.token, spec->token))
		return error_set(err, ST_PRECONDITION, "%s was written by somebody else", spec->key);
	return ST_OK;
}

/* *weak: the store has no atomic conditions. Then a rival's write between look and write is found by who reads the object again
 * after two pauses: the last one who wrote has it. */
static enum status is_weak(struct run *run, struct storage *s, bool *weak, struct error *err)
{
	uint32_t caps;

	if (storage_caps(run, s, &caps, err))
		return err->code;
	*weak = !(caps & STORAGE_ABSENT) || !(caps & STORAGE_MATCHES);
	return ST_OK;
}

static enum status put_if(struct run *run, struct storage *s, const struct put_spec *spec, const struct buf *b,
			  struct storage_object *o, struct error *err)
{
	struct put_spec plain = {.key = spec->key};
	bool weak = false;

	if (spec->condition != PUT_ANY && is_weak(run, s, &weak, err))
		return err->code;
	if (!weak)
		return storage_put_bytes(run, s, spec, b->data, b->len, o, err);
	struct run soon = run_within(run, WEAK_PUT);
	return look(&soon, s, spec, err) ? err->code : storage_put_bytes(&soon, s, &plain, b->data, b->len, o, err);
}

static enum status put_content(struct run *run, struct holder *h, const struct put_spec *given, struct error *err)
{
	const struct put_spec any = {.key = given->key}, *spec = h->alone ? &any : given;
	CLEANUP(buf_release) struct buf b = BUF_INIT;
	struct storage_object o;

	js_set_u64(h->content, "beat", ++h->beat);
	js_write(h->content, true, &b);
	if (put_if(run, &h->storage, spec, &b, &o, err))
		return err->code;
	memcpy(h->token, o.token, sizeof h->token);
	h->last_beat = run_mono(run);
	return ST_OK;
}

/* Whether the object there is ours after all: a put can succeed and yet be told as failed. Then its token is taken over. */
static bool still_ours(struct run *run, struct holder *h, struct error *err)
{
	CLEANUP(buf_release) struct buf b = BUF_INIT;
	CLEANUP(js_decref) json_t *root = NULL;
	struct storage_object o;

	if (storage_get_bytes(run, &h->storage, h->key, HOLDER_MAX, &b, &o, err) || js_parse(b.data, b.len, h->key, &root, err))
		return false;
	if (strcmp(js_opt_str(root, "nonce", ""), h->nonce) || strcmp(js_opt_str(root, "state", ""), "held"))
		return false;
	memcpy(h->token, o.token, sizeof h->token);
	return true;
}

/* One heartbeat; the caller is the busy one. */
static enum status beat(struct run *run, struct holder *h, struct error *err)
{
	struct error ignored = ERROR_INIT;
	const struct put_spec spec = {.key = h->key, .condition = PUT_MATCHES, .token = h->token};

	if (!put_content(run, h, &spec, err) || err->code != ST_PRECONDITION)
		return err->code;
	if (still_ours(run, h, &ignored)) {
		error_release(err);
		return put_content(run, h, &spec, err);
	}
	/* Lost only where it was read to be another's; a store that cannot be read proves nothing. */
	h->lost = h->lost || ignored.code == ST_OK || ignored.code == ST_NOT_FOUND;
	error_release(&ignored);
	return err->code;
}

static enum status acquire(struct run *run, struct holder *h, struct error *err)
{
	struct instant end = instant_add(run_mono(run), BEAT_TIME);

	mutex_lock(&h->mutex);
	while (h->busy && !err->code) {
		if (run_check(run, err))
			break;
		if (run_mono(run).us >= end.us)
			error_set(err, ST_UNREACHABLE, "%s: the store does not answer", h->key);
		cond_wait_for(&h->moved, &h->mutex, DURATION_MS(50));
	}
	h->busy = h->busy || !err->code;
	mutex_unlock(&h->mutex);
	return err->code;
}

static void let_go(struct holder *h)
{
	mutex_lock(&h->mutex);
	h->busy = false;
	cond_broadcast(&h->moved);
	mutex_unlock(&h->mutex);
}

static void holder_unref(struct holder *h)
{
	mutex_lock(&h->mutex);
	bool last = --h->refs == 0;
	mutex_unlock(&h->mutex);
	if (!last)
		return;
	cancel_free(h->run.cancel);
	mutex_destroy(&h->mutex);
	cond_destroy(&h->moved);
	js_decref(&h->content);
	free(h->key);
	free(h);
}

/* Not under the cancel token of the heartbeat, nor that of the owner's run: a cancelled backup releases its lock too. A heartbeat that was cut by that
 * may have been written, so that the token is an old one. */
static void write_released(struct holder *h)
{
	struct run base = {.clock = h->run.clock}, run = run_within(&base, RELEASE_TIME);
	const struct put_spec spec = {.key = h->key, .condition = PUT_MATCHES, .token = h->token};
	struct error ignored = ERROR_INIT, unread = ERROR_INIT;

	js_set_str(h->content, "state", "released");
	if (put_content(&run, h, &spec, &ignored) == ST_PRECONDITION && still_ours(&run, h, &unread)) {
		error_release(&ignored);
		put_content(&run, h, &spec, &ignored);
	}
	error_release(&unread);
	if (ignored.code || (h->remove && storage_delete(&run, &h->storage, h->key, NULL, &ignored)))
		error_release(&ignored);
}

/* Beats until it is cancelled, then releases. The owner does not do that itself: it must not hang where the store does. */
static void heartbeat_main(void *arg)
{
	struct holder *h = arg;
	struct error err = ERROR_INIT;

	while (!run_sleep(&h->run, LOCK_HEARTBEAT, &err)) {
		struct run run = run_within(&h->run, BEAT_TIME);

		/* What fails is tried again in 30 s; holder_check tells when the lock is lost. */
		if (!acquire(&run, h, &err)) {
			beat(&run, h, &err);
			let_go(h);
		}
		error_release(&err);
	}
	error_release(&err);
	mutex_lock(&h->mutex);
	bool leave = h->leave || h->lost;
	mutex_unlock(&h->mutex);
	if (!leave)
		write_released(h);
	mutex_lock(&h->mutex);
	h->ended = true;
	cond_broadcast(&h->moved);
	mutex_unlock(&h->mutex);
	holder_unref(h);
}

/* Where it fails, only the owner holds h. */
static enum status start_heartbeat(struct holder *h, struct error *err)
{
	h->refs = 2;
	if (!thread_start(&h->thread, "heartbeat", heartbeat_main, h, err))
		return ST_OK;
	h->refs = 1;
	return err->code;
}

/* In a store without atomic conditions: is the object still ours after two pauses? */
static enum status settle(struct run *run, struct holder *h, struct error *err)
{
	bool weak = false;

	if (h->alone || is_weak(run, &h->storage, &weak, err) || !weak)
		return err->code;
	for (int i = 0; i < 2; i++) {
		if (run_sleep(run, WEAK_PAUSE, err))
			return err->code;
		if (still_ours(run, h, err))
			continue;
		if (err->code && err->code != ST_NOT_FOUND && err->code != ST_BAD)
			return err->code;
		return error_set(err, ST_PRECONDITION, "%s was written by somebody else", h->key);
	}
	return ST_OK;
}

enum status holder_claim(struct run *run, const struct holder_spec *spec, struct holder **h, struct error *err)
{
	struct holder *n = xcalloc(1, sizeof *n);
	const struct put_spec put = {.key = spec->key, .condition = spec->condition, .token = spec->token};

	n->owner = &spec->store->storage;
	n->storage = (struct storage){.ops = n->owner->ops, .priv = n->owner->priv};
	n->key = xstrdup(spec->key);
	n->alone = spec->alone;
	n->refs = 1;
	mutex_init(&n->mutex);
	cond_init(&n->moved);
	run_random_hex(run, n->nonce, NONCE);
	n->content = make_content(run, spec, n->nonce);
	n->run = (struct run){.cancel = cancel_new(NULL), .clock = run->clock};
	if (put_content(run, n, &put, err)) {
		holder_unref(n);
		return err->code;
	}
	if (settle(run, n, err)) {
		if (err->code != ST_PRECONDITION)
			write_released(n);
		holder_unref(n);
		return err->code;
	}
	if (failpoint("lock.heartbeat.before", err) || start_heartbeat(n, err)) {
		write_released(n);
		holder_unref(n);
		return err->code;
	}
	*h = n;
	return ST_OK;
}

static enum status check_token(struct run *run, struct holder *h, struct error *err)
{
	struct storage_object o;

	if (instant_diff(run_mono(run), h->last_beat).us >= LOCK_HEARTBEAT.us)
		return beat(run, h, err);
	if (storage_stat(run, &h->storage, h->key, &o, err) || !strcmp(o.token, h->token))
		return err->code;
	return error_set(err, ST_PRECONDITION, "%s was written by somebody else", h->key);
}

enum status holder_check(struct run *run, struct holder *h, struct error *err)
{
	if (h->owner->stuck)
		return error_set(err, ST_UNREACHABLE, "%s: the store stopped answering", h->key);
	if (acquire(run, h, err))
		return err->code;
	if (!h->lost && check_token(run, h, err))
		h->lost = h->lost || err->code == ST_PRECONDITION || err->code == ST_NOT_FOUND;
	bool lost = h->lost;
	let_go(h);
	if (!lost)
		return err->code;
	error_set(err, ST_LOCKED, "the lock %s was taken over by somebody else", h->key);
	return error_hint(err, "This run stood still for too long, or somebody broke the lock. Run it again.");
}

void holder_release(struct holder **holder, bool remove)
{
	struct holder *h = *holder;

	if (!h)
		return;
	*holder = NULL;
	struct instant end = instant_add(run_mono(&h->run), RELEASE_TIME);
	mutex_lock(&h->mutex);
	h->remove = remove;
	h->leave = h->owner->stuck;
	cancel_fire(h->run.cancel, 0);
	while (!h->ended && run_mono(&h->run).us < end.us)
		cond_wait_for(&h->moved, &h->mutex, DURATION_MS(50));
	bool ended = h->ended;
	mutex_unlock(&h->mutex);
	if (ended) {
		thread_join(&h->thread);
	} else {
		h->owner->stuck = true; /* nobody may close what the thread is in */
		thread_leave_behind(&h->thread);
	}
	holder_unref(h);
}

/* ---- those of others ---- */

enum status holder_read(struct run *run, struct store *s, const char *key, struct lock_info *i, char **backup, struct error *err)
{
	CLEANUP(buf_release) struct buf b = BUF_INIT;
	CLEANUP(js_decref) json_t *root = NULL;
	CLEANUP(error_release) struct error damaged = ERROR_INIT;
	struct storage_object o = {0};

	*i = (struct lock_info){0};
	if (storage_get_bytes(run, &s->storage, key, HOLDER_MAX, &b, &o, err) && err->code != ST_BAD)
		return err->code;
	error_release(err);
	i->token = xstrdup(o.token);
	i->heartbeat = o.modified;
	if (!b.len || js_parse(b.data, b.len, key, &root, &damaged)) {
		i->held = true;
		i->host = xstrdup("nobody knows where");
		i->what = xstrdup("damaged lock object");
		return ST_OK;
	}
	i->held = strcmp(js_opt_str(root, "state", "held"), "released") != 0;
	i->host = xstrdup(js_opt_str(root, "host", "?"));
	i->what = xstrdup(js_opt_str(root, "what", "?"));
	i->pid = (int64_t)js_opt_u64(root, "pid", 0);
	i->since = js_opt_time(root, "since");
	i->same_process_gone = i->held && process_gone(root, i->pid);
	if (backup)
		*backup = xstrdup(js_opt_str(root, "backup", ""));
	return ST_OK;
}

enum status holder_overwrite(struct run *run, struct store *s, const char *key, const char *token, struct error *err)
{
	CLEANUP(js_decref) json_t *o = json_object();
	CLEANUP(buf_release) struct buf b = BUF_INIT;
	const struct put_spec spec = {.key = key, .condition = PUT_MATCHES, .token = token};
	char nonce[NONCE + 1];

	run_random_hex(run, nonce, NONCE);
	js_set_u64(o, "format", 1);
	js_set_str(o, "state", "released");
	js_set_time(o, "since", run_now(run));
	js_set_str(o, "nonce", nonce);
	js_write(o, true, &b);
	return put_if(run, &s->storage, &spec, &b, NULL, err);
}

enum status store_clock(struct run *run, struct store *s, const char *source, struct instant *now, struct error *err)
{
	CLEANUP(cstr_release) char *key = catalog_key(source, "lock", "clock.json");
	const struct put_spec spec = {.key = key};
	struct storage_object o;
	char text[NONCE + 5] = "\"";

	run_random_hex(run, text + 1, NONCE);
	text[NONCE + 1] = '"';
	text[NONCE + 2] = '\n';
	if (storage_put_bytes(run, &s->storage, &spec, text, NONCE + 3, &o, err))
		return error_add(err, "cannot ask the store for its time");
	*now = o.modified;
	return ST_OK;
}
