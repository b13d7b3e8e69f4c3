#include "storage/set_member.h"

#include <stdatomic.h>

#include "util/failpoint.h"
#include "util/hash.h"

#define MEMBERS_MAX 64
#define LOOK DURATION_MS(50)         /* between two looks at the cancel token and at stalled members */
#define GIVE_UP DURATION_SECONDS(20) /* that a thread gets to come back when the set ends; less where `stall` is less. An upload is aborted in 15 s. */
#define GIVE_UP_AGAIN DURATION_SECONDS(1) /* after it did not */

struct store_set {
	struct run *run;
	struct store **member_store;
	size_t members;
	struct duration stall;
	size_t window;
	struct hub *hub;
	struct set_member **member;         /* NULL items until the first write */
	struct store_outcome *outcome;
	const struct set_member *first_failed;
	bool open, gave_up;
	uint64_t size;                  /* of the object that is open */
	_Atomic size_t nearest;         /* reading: the member asked first */
};

/* The range that this thread read last, who gave it, and whose bytes for it were bad. */
static _Thread_local struct {
	const struct store_set *set;
	struct hash128 key;
	uint64_t offset, bad; /* bad: bits of members */
	size_t member;
} served;

struct store_set *store_set_new(struct run *run, const struct store_set_spec *spec)
{
	struct store_set *s = xcalloc(1, sizeof *s);

	if (spec->members > MEMBERS_MAX)
		die("more stores at once than a set can have");
	s->run = run;
	s->members = spec->members;
	s->member_store = xmemdup(spec->member, spec->members * sizeof *spec->member);
	s->stall = spec->stall;
	s->window = spec->window;
	s->hub = hub_new();
	s->member = xcalloc(spec->members ? spec->members : 1, sizeof *s->member);
	s->outcome = xcalloc(spec->members ? spec->members : 1, sizeof *s->outcome);
	return s;
}

static struct step *step_new(enum step_kind kind, const char *key)
{
	struct step *step = xcalloc(1, sizeof *step);

	step->kind = kind;
	step->key = key ? xstrdup(key) : NULL;
	return step;
}

static bool live(const struct set_member *m) { return m && !m->failed; }

/* The set cannot go on: each member with its cause; code and hint are those of the first that failed. With hub->mutex held. */
static enum status causes(const struct store_set *s, struct error *err)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT;
	const struct set_member *first = s->first_failed;

	for (size_t i = 0; i < s->members; i++) {
		const struct set_member *m = s->member[i];

		if (!m || !m->failed)
			continue;
		first = first ? first : m;
		buf_printf(&text, "%sstore %s: %s", text.len ? "; " : "", s->member_store[i]->name, error_text(&m->err));
	}
	if (!first)
		return error_set(err, ST_FAILED, "there is no store to write to");
	error_set(err, first->err.code, "%s", buf_str(&text));
	err->retry = first->err.retry;
	error_native(err, first->err.native);
	return first->err.hint ? error_hint(err, "%s", first->err.hint) : err->code;
}

/* Drops members that took nothing for too long; remembers who failed first. Returns how many are live. With hub->mutex held. */
static size_t look(struct store_set *s)
{
	struct instant now = run_mono(s->run);
	size_t n = 0;

	for (size_t i = 0; i < s->members; i++) {
		struct set_member *m = s->member[i];
		struct error err = ERROR_INIT;

		if (live(m) && s->stall.us && !set_member_idle(m) && instant_diff(now, m->moved).us > s->stall.us) {
			CLEANUP(buf_release) struct buf d = BUF_INIT;

			duration_print(s->stall, &d);
			error_set(&err, ST_UNREACHABLE, "took nothing for %s and was dropped", buf_str(&d));
			set_member_fail(m, &err);
			/* Until it is known to come back, nobody else should run into the same wall. */
			m->stalled = m->owner->stuck = true;
		}
		if (m && m->failed && !s->first_failed)
			s->first_failed = m;
		n += live(m);
	}
	return n;
}

/* Waits until all live members are idle. With hub->mutex held. */
static enum status wait_idle(struct store_set *s, struct error *err)
{
	for (;;) {
		bool idle = true;

		if (!look(s))
			return causes(s, err);
		for (size_t i = 0; i < s->members; i++)
			idle = idle && (!live(s->member[i]) || set_member_idle(s->member[i]));
		if (idle)
			return ST_OK;
		if (run_check(s->run, err))
			return err->code;
		cond_wait_for(&s->hub->moved, &s->hub->mutex, LOOK);
	}
}

static enum status start_members(struct store_set *s, struct error *err)
{
	for (size_t i = 0; i < s->members; i++) {
		struct error failed = ERROR_INIT;

		if (s->member[i])
			continue;
		s->member[i] = set_member_new(s->run, s->hub, &s->member_store[i]->storage);
		if (!set_member_start(s->member[i], &failed))
			continue;
		mutex_lock(&s->hub->mutex);
		s->member[i]->ended = true;
		set_member_fail(s->member[i], &failed);
		mutex_unlock(&s->hub->mutex);
	}
	return run_check(s->run, err);
}

/* Gives each live member its own copy of the step and waits until all did it. */
static enum status all_do(struct store_set *s, const struct step *model, struct error *err)
{
	mutex_lock(&s->hub->mutex);
	for (size_t i = 0; i < s->members; i++) {
		if (!live(s->member[i]))
			continue;
		struct step *step = step_new(model->kind, model->key);

		step->condition = model->condition;
		step->retain = model->retain;
		step->token = model->token ? xstrdup(model->token) : NULL;
		step->bytes = model->n ? xmemdup(model->bytes, model->n) : NULL;
		step->n = model->n;
		set_member_push(s->member[i], step, run_mono(s->run));
	}
	enum status st = wait_idle(s, err);
	mutex_unlock(&s->hub->mutex);
	return st;
}

enum status store_set_begin(struct store_set *s, const char *key, struct error *err)
{
	CLEANUP(cstr_release) char *own = xstrdup(key);
	const struct step begin = {.kind = STEP_BEGIN, .key = own};

	if (s->open)
		return error_set(err, ST_FAILED, "%s: another object is open", key);
	if (start_members(s, err))
		return err->code;
	s->open = true;
	s->size = 0;
	return all_do(s, &begin, err);
}

/* Waits for room in the window. With hub->mutex held. */
static enum status wait_room(struct store_set *s, size_t n, struct error *err)
{
	for (;;) {
		if (!look(s))
			return causes(s, err);
		if (run_check(s->run, err))
			return err->code;
		size_t held = s->hub->in_flight - s->hub->lost;
		if (!held || held + n <= s->window)
			return ST_OK;
		cond_wait_for(&s->hub->moved, &s->hub->mutex, LOOK);
	}
}

enum status store_set_write(struct store_set *s, struct store_block *b, struct error *err)
{
	mutex_lock(&s->hub->mutex);
	if (wait_room(s, b->n, err)) {
		mutex_unlock(&s->hub->mutex);
		b->release(b->ctx, b);
		return err->code;
	}
	struct instant now = run_mono(s->run);
	b->refs = b->lost = 0;
	s->hub->in_flight += b->n;
	s->size += b->n;
	for (size_t i = 0; i < s->members; i++) {
		if (!live(s->member[i]))
			continue;
		struct step *step = step_new(STEP_WRITE, NULL);

		step->block = b;
		b->refs++;
		set_member_push(s->member[i], step, now);
	}
	mutex_unlock(&s->hub->mutex);
	return ST_OK;
}

enum status store_set_end(struct store_set *s, uint64_t *size, struct error *err)
{
	const struct step end = {.kind = STEP_END};

	if (failpoint("store_set.end.before", err) || all_do(s, &end, err))
		return err->code;
	s->open = false;
	*size = s->size;
	return ST_OK;
}

static bool all_back(const struct store_set *s, bool ended)
{
	for (size_t i = 0; i < s->members; i++)
		if (s->member[i] && !s->member[i]->ended && (ended || !set_member_idle(s->member[i])))
			return false;
	return true;
}

/* Waits, whatever the run says, until the threads are idle or ended; not for ever. With hub->mutex held. */
static void wait_back(struct store_set *s, bool ended)
{
	struct duration most = s->stall.us && s->stall.us < GIVE_UP.us ? s->stall : GIVE_UP;
	struct instant end = instant_add(run_mono(s->run), s->gave_up && GIVE_UP_AGAIN.us < most.us ? GIVE_UP_AGAIN : most);

	while (!all_back(s, ended) && run_mono(s->run).us < end.us)
		cond_wait_for(&s->hub->moved, &s->hub->mutex, LOOK);
	s->gave_up = !all_back(s, ended);
}

void store_set_abort(struct store_set *s)
{
	if (!s->open)
		return;
	s->open = false;
	mutex_lock(&s->hub->mutex);
	for (size_t i = 0; i < s->members; i++) {
		struct error aborted = ERROR_INIT;

		if (!s->member[i] || s->member[i]->ended)
			continue;
		if (!set_member_idle(s->member[i])) {
			error_set(&aborted, ST_CANCELLED, "the object was not finished");
			set_member_fail(s->member[i], &aborted);
		}
		set_member_push(s->member[i], step_new(STEP_ABORT, NULL), run_mono(s->run));
	}
	wait_back(s, false);
	mutex_unlock(&s->hub->mutex);
}

enum status store_set_put(struct store_set *s, const struct put_spec *spec, const void *p, size_t n, struct error *err)
{
	CLEANUP(cstr_release) char *key = xstrdup(spec->key);
	CLEANUP(cstr_release) char *token = spec->token ? xstrdup(spec->token) : NULL;
	CLEANUP(cstr_release) char *bytes = xmemdup(p, n);
	const struct step put = {.kind = STEP_PUT, .key = key, .token = token, .condition = spec->condition,
				 .retain = spec->retain, .bytes = bytes, .n = n};

	return start_members(s, err) ? err->code : all_do(s, &put, err);
}

void store_set_undo(struct store_set *s)
{
	mutex_lock(&s->hub->mutex);
	for (size_t i = 0; i < s->members; i++) {
		struct set_member *m = s->member[i];

		if (!m || !m->failed || m->ended)
			continue;
		for (size_t k = m->keys.len; k--;) /* the manifest, which came last, goes first */
			set_member_push(m, step_new(STEP_DELETE, m->keys.item[k]), run_mono(s->run));
	}
	wait_back(s, false);
	mutex_unlock(&s->hub->mutex);
}

void store_set_drop(struct store_set *s, const struct store *member, struct error *err)
{
	mutex_lock(&s->hub->mutex);
	for (size_t i = 0; i < s->members; i++)
		if (s->member[i] && s->member_store[i] == member)
			set_member_fail(s->member[i], err);
	mutex_unlock(&s->hub->mutex);
	error_release(err);
}

const struct store_outcome *store_set_outcomes(const struct store_set *s, size_t *n)
{
	mutex_lock(&s->hub->mutex);
	for (size_t i = 0; i < s->members; i++) {
		const struct set_member *m = s->member[i];

		s->outcome[i].store = s->member_store[i];
		if (!m)
			continue;
		error_copy(&s->outcome[i].err, &m->err);
		s->outcome[i].written = m->written;
		s->outcome[i].sync_time = m->sync_time;
		s->outcome[i].proof = m->proof;
	}
	mutex_unlock(&s->hub->mutex);
	*n = s->members;
	return s->outcome;
}

/* Takes the queue away from a thread that does not come back, and leaves it alone from now on. */
static void abandon(struct store_set *s, struct set_member *m)
{
	mutex_lock(&s->hub->mutex);
	m->abandoned = !m->ended;
	struct step *left = m->first;
	m->first = NULL;
	m->last = &m->first;
	if (m->abandoned || m->stalled)
		m->owner->stuck = m->abandoned;
	bool gone = m->abandoned;
	mutex_unlock(&s->hub->mutex);
	for (struct step *next; left; left = next) {
		next = left->next;
		step_free(s->hub, left);
	}
	if (gone)
		thread_leave_behind(&m->thread);
	else
		thread_join(&m->thread);
}

static void end_members(struct store_set *s)
{
	mutex_lock(&s->hub->mutex);
	for (size_t i = 0; i < s->members; i++)
		if (s->member[i] && !s->member[i]->ended)
			set_member_push(s->member[i], step_new(STEP_STOP, NULL), run_mono(s->run));
	wait_back(s, true);
	mutex_unlock(&s->hub->mutex);
	for (size_t i = 0; i < s->members; i++) {
		if (!s->member[i])
			continue;
		abandon(s, s->member[i]);
		set_member_unref(s->member[i]);
	}
}

void store_set_freep(struct store_set **set)
{
	struct store_set *s = *set;

	if (!s)
		return;
	store_set_abort(s);
	end_members(s);
	for (size_t i = 0; i < s->members; i++)
		error_release(&s->outcome[i].err);
	hub_unref(s->hub);
	free(s->member);
	free(s->outcome);
	free(s->member_store);
	free(s);
	*set = NULL;
}

/* Members to ask for a range, from the nearest on. Those that gave this thread bad bytes for it are left out. */
static size_t members_to_ask(const struct store_set *s, const char *key, uint64_t offset, size_t *order)
{
	struct hash128 name = xxh128(key, strlen(key));
	size_t n = 0, from = atomic_load(&s->nearest);

	if (served.set != s || served.offset != offset || !hash128_equal(served.key, name)) {
		served.set = s;
		served.key = name;
		served.offset = offset;
		served.bad = 0;
	}
	for (size_t i = 0; i < s->members; i++) {
		size_t index = (from + i) % s->members;

		if (!(served.bad >> index & 1))
			order[n++] = index;
	}
	return n;
}

/* One more member failed: *all gets its cause, and keeps its code while all have the same one. */
static void add_cause(struct error *all, const char *store, struct error *one)
{
	error_add(one, "store %s", store);
	if (!all->code) {
		error_move(all, one);
		return;
	}
	CLEANUP(cstr_release) char *text = xasprintf("%s; %s", error_text(all), error_text(one));
	error_set(all, all->code == one->code ? one->code : ST_UNREACHABLE, "%s", text);
	error_release(one);
}

enum status store_set_get(struct store_set *s, const char *key, uint64_t offset, void *to, size_t n, struct error *err)
{
	size_t order[MEMBERS_MAX], members = members_to_ask(s, key, offset, order);

	for (size_t i = 0; i < members; i++) {
		struct error one = ERROR_INIT;

		if (!storage_get(s->run, &s->member_store[order[i]]->storage, key, offset, to, n, &one)) {
			error_release(err);
			atomic_store(&s->nearest, order[i]);
			served.member = order[i];
			return ST_OK;
		}
		if (one.code == ST_CANCELLED || run_check(s->run, &one)) {
			error_release(err);
			return error_move(err, &one);
		}
		add_cause(err, s->member_store[order[i]]->name, &one);
	}
	return err->code ? err->code : error_set(err, ST_BAD, "%s: no copy is left to read from", key);
}

bool store_set_distrust(struct store_set *s)
{
	if (served.set != s)
		return false;
	served.bad |= UINT64_C(1) << served.member;
	for (size_t i = 1; i <= s->members; i++) {
		size_t index = (served.member + i) % s->members;

		if (served.bad >> index & 1)
			continue;
		atomic_store(&s->nearest, index);
		return true;
	}
	return false;
}
