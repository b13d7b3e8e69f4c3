/* The keychain: keys that were found, and who looks for the next ones. */
#include "storage/s3/keys.h"

#include "core/log.h"
#include "storage/s3/keys_internal.h"
#include "util/thread.h"

#define EARLY DURATION_SECONDS(300)  /* before their end new ones are looked for */
#define AGAIN DURATION_SECONDS(60)   /* between looks that gave nothing new while the keys still hold */
#define LAST DURATION_SECONDS(10)    /* before their end they are given to nobody: a request takes its time */

struct s3_keychain {
	struct s3_key_params params; /* borrowed contents */
	pthread_mutex_t mutex;       /* guards what follows */
	pthread_cond_t looked;
	struct s3_keys keys;         /* id NULL: none yet */
	char *place;                 /* of keys, owned */
	uint64_t looks;
	bool looking;                /* one thread is at it */
	bool refused;                /* keys were, and nobody has looked since */
	bool same;                   /* the look after a refusal gave them again */
	struct instant next;         /* monotonic; no look before it while the keys hold */
	struct error failure;        /* of the last look, for those who waited for it */
};

struct s3_keychain *s3_keychain_new(const struct s3_key_params *params)
{
	struct s3_keychain *c = xcalloc(1, sizeof(*c));

	c->params = *params;
	mutex_init(&c->mutex);
	cond_init(&c->looked);
	return c;
}

void s3_keychain_freep(struct s3_keychain **c)
{
	if (!*c)
		return;
	s3_keys_release(&(*c)->keys);
	free((*c)->place);
	error_release(&(*c)->failure);
	cond_destroy(&(*c)->looked);
	mutex_destroy(&(*c)->mutex);
	free(*c);
	*c = NULL;
}

static void keys_copy(struct s3_keys *to, const struct s3_keys *from)
{
	s3_keys_release(to);
	*to = (struct s3_keys){
		.id = xstrdup(from->id),
		.secret = xstrdup(from->secret),
		.token = from->token ? xstrdup(from->token) : NULL,
		.expires = from->expires,
		.look = from->look,
	};
}

static bool same_text(const char *a, const char *b) { return a && b ? !strcmp(a, b) : a == b; }

static bool keys_equal(const struct s3_keys *a, const struct s3_keys *b)
{
	return same_text(a->id, b->id) && same_text(a->secret, b->secret) && same_text(a->token, b->token);
}

static bool hold(struct run *run, const struct s3_keychain *c, struct duration spare)
{
	return c->keys.id && !c->refused && (!c->keys.expires.us || run_now(run).us + spare.us < c->keys.expires.us);
}

/* The mutex is held. */
static void take_new(struct run *run, struct s3_keychain *c, struct s3_keys *found, char *place)
{
	bool equal = keys_equal(&c->keys, found);

	c->same = c->refused && equal;
	c->refused = false;
	found->look = equal ? c->keys.look : ++c->looks;
	/* Over when they are given: the clock of this machine is wrong, or that of who gave them. The store will tell; meanwhile not every request
	 * asks for others. */
	if (found->expires.us && found->expires.us <= run_now(run).us + LAST.us)
		found->expires = instant_add(run_now(run), DURATION_SECONDS(75));
	s3_keys_release(&c->keys);
	c->keys = *found;
	free(c->place);
	c->place = place;
	error_release(&c->failure);
	c->next = instant_add(run_mono(run), AGAIN);
}

/* The mutex is held, and given up while the places are looked at. */
static enum status look(struct run *run, struct s3_keychain *c, struct error *err)
{
	CLEANUP(s3_keys_release) struct s3_keys found = S3_KEYS_INIT;
	struct s3_look l = {.run = run, .params = &c->params, .keys = &found};

	c->looking = true;
	mutex_unlock(&c->mutex);
	enum status st = s3_look_everywhere(&l, err);

	mutex_lock(&c->mutex);
	c->looking = false;
	if (!st) {
		take_new(run, c, &found, l.place);
		found = (struct s3_keys)S3_KEYS_INIT;
	} else {
		c->next = instant_add(run_mono(run), AGAIN);
		error_copy(&c->failure, err);
	}
	cond_broadcast(&c->looked);
	return st;
}

/* The failure of the thread that was waited for; its end of patience is not that of this one. The mutex is held. */
static bool shared_failure(const struct s3_keychain *c, struct error *err)
{
	if (!c->failure.code || c->failure.code == ST_CANCELLED || c->failure.code == ST_DEADLINE)
		return false;
	return error_copy(err, &c->failure) != ST_OK;
}

/* The mutex is held. */
static enum status get(struct run *run, struct s3_keychain *c, struct error *err)
{
	bool waited = false;

	for (;;) {
		if (run_check(run, err))
			return err->code;
		if (hold(run, c, EARLY) || (hold(run, c, LAST) && (c->looking || run_mono(run).us < c->next.us)))
			return ST_OK;
		if (waited && !c->looking && shared_failure(c, err))
			return err->code;
		if (!c->looking)
			break;
		waited = true;
		cond_wait_for(&c->looked, &c->mutex, DURATION_MS(200));
	}
	if (!look(run, c, err))
		return ST_OK;
	if (err->code == ST_CANCELLED || err->code == ST_DEADLINE || !hold(run, c, LAST))
		return err->code;
	log_line(run, LOG_WARN, "access keys could not be replaced before they end, the old ones are used meanwhile: %s", error_text(err));
	error_release(err);
	return ST_OK;
}

enum status s3_keys_get(struct run *run, struct s3_keychain *c, struct s3_keys *to, struct error *err)
{
	mutex_lock(&c->mutex);
	enum status st = get(run, c, err);

	if (!st)
		keys_copy(to, &c->keys);
	mutex_unlock(&c->mutex);
	return st;
}

bool s3_keys_refused(struct s3_keychain *c, const struct s3_keys *used)
{
	mutex_lock(&c->mutex);
	bool newer = used->look != c->keys.look, again = newer || !c->same;

	c->refused = c->refused || !newer;
	mutex_unlock(&c->mutex);
	return again;
}

char *s3_keys_place(struct s3_keychain *c)
{
	mutex_lock(&c->mutex);
	char *place = c->place ? xstrdup(c->place) : NULL;

	mutex_unlock(&c->mutex);
	return place;
}
